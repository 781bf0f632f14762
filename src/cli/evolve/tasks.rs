//! Four questions that can be asked of one picture.

use maskrcnn::engine::vision::{Palette, StyleParts};
use maskrcnn::{Detections, Image};

use super::section::{CARD, Figure, Section, View, card};

pub(super) fn section(image: &Image, found: &Detections) -> Section {
    let drawn = |palette: Palette, parts: StyleParts| card(image, found, palette, parts);
    let classes: Vec<(String, f32)> = found
        .counts_by_class()
        .iter()
        .map(|&(label, _)| {
            let best = found.iter().filter(|d| d.label == label).map(|d| d.score).fold(0.0, f32::max);
            (found.name(label).into_owned(), best)
        })
        .collect();
    let mut view = View::whole(image, CARD, CARD);
    for (i, (name, score)) in classes.iter().take(10).enumerate() {
        let y = 8.0 + 30.0 * i as f32;
        let text = format!("{name} {score:.2}");
        let wide = view.board.text_width(&text, 20.0);
        view.board.fill([6.0, y - 2.0, 18.0 + wide, y + 24.0], [0, 0, 0], 0.7);
        view.board.text(&text, (12.0, y), 20.0, [255; 3]);
    }
    let names = classes.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
    let counted: Vec<String> = found
        .counts_by_class()
        .iter()
        .map(|&(label, n)| match (found.name(label), n) {
            (name, 1) => format!("{name} 1"),
            (name, 2) => format!("{name} 1, {name} 2"),
            (name, n) => format!("{name} 1 to {name} {n}"),
        })
        .collect();
    let none = if found.is_empty() { " Here, nothing was found above the score." } else { "" };
    let mut figures = vec![
        Figure {
            title: "Classification".into(),
            caption: format!("What is in it? {names}{}", if names.is_empty() { "Nothing." } else { "." }),
            picture: view.board.finish(),
        },
        Figure {
            title: "Object detection".into(),
            caption: "Where is each of them? A box, a class and a score for each: R-CNN to Faster R-CNN answer this."
                .into(),
            picture: drawn(
                Palette::Instances,
                StyleParts { boxes: true, labels: found.len() <= 12, ..StyleParts::default() },
            ),
        },
    ];
    if found.has_masks() {
        figures.extend([
            Figure {
                title: "Semantic segmentation".into(),
                caption: "Which pixels are of which class? Two that touch are one area: how many there are is lost."
                    .into(),
                picture: drawn(Palette::Classes, StyleParts { fill: true, ..StyleParts::default() }),
            },
            Figure {
                title: "Instance segmentation".into(),
                caption: format!(
                    "Which pixels are of which of them? {}: what Mask R-CNN answers.",
                    if counted.is_empty() { "Each by itself".into() } else { counted.join("; ") }
                ),
                picture: drawn(
                    Palette::Instances,
                    StyleParts { fill: true, outline: true, labels: found.len() <= 12, boxes: false },
                ),
            },
        ]);
    }
    Section {
        title: "Four questions to one picture".into(),
        text: vec![format!(
            "From the first to the last of these, more is asked; the last contains the others' answers.{none}"
        )],
        figures,
        table: Vec::new(),
    }
}
