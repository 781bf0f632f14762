//! K masks of one RoI, of which the label picks one.

use image::RgbImage;
use maskrcnn::engine::vision::{Board, fitted};
use maskrcnn::{Detector, Image, KnownBox, Options, Result, SoftMask};

use super::pooling::{Example, around};
use super::section::{CARD, DIM, Figure, GROUND, INK, MARK, Section, THIRD, View, heat};
use crate::cli::words::count;

/// The side of a mask in the picture of all, and how many are in a row.
const CELL: f32 = 96.0;
const COLUMNS: usize = 10;

/// Most masks that are shown.
const MOST: usize = 100;

/// Nothing where the network has no mask head.
pub(super) fn section(detector: &Detector, image: &Image, example: &Example) -> Result<Option<Section>> {
    let config = detector.config();
    let Some(head) = &config.mask else { return Ok(None) };
    // COCO's ids have holes.
    let is_class = |&label: &u32| config.class_names.get(label as usize).is_none_or(|name| name != "N/A");
    let labels: Vec<u32> = (1..config.num_classes as u32).filter(is_class).take(MOST).collect();
    let of = |label: u32| KnownBox { bbox: example.detection.bbox, label, score: 1.0 };
    let known: Vec<KnownBox> = labels.iter().copied().chain([example.detection.label]).map(of).collect();
    let found = detector.masks_of_boxes_with(image, &known, &Options { soft_masks: true })?;
    let softs: Vec<&SoftMask> = found.iter().filter_map(|d| d.soft.as_ref()).collect();
    let mut figures = Vec::new();
    let shown = |label: u32| found.name(label).into_owned();
    let all: Vec<(String, &SoftMask, bool)> = (labels.iter().zip(&softs))
        .map(|(&label, soft)| (shown(label), *soft, label == example.detection.label))
        .collect();
    let (side, k) = (head.output_size, config.num_classes);
    let beyond = if k - 1 > labels.len() { format!(" The first {} are shown.", labels.len()) } else { String::new() };
    figures.push(Figure {
        title: format!("All masks of one RoI: {}", count(all.len(), "class")),
        caption: format!(
            "{k}·{side}² numbers, one map a class and one for the background, none of which knows of the others.{beyond} The \
             one that the box head's label picks is framed."
        ),
        picture: grid(&all),
    });
    if let Some((last, soft)) = found.iter().last().zip(softs.last()) {
        figures.push(Figure {
            title: format!("The one that counts: {}", example.name),
            caption: format!("{side}×{side} probabilities, from dark (0) to bright (1)."),
            picture: fitted(&heat_of(soft), (CARD, CARD), true).0,
        });
        let mut view = View::part(image, around(example.detection.bbox), CARD, 0.0);
        view.tint(&last.mask, THIRD, 0.5);
        let rect = view.bbox(example.detection.bbox);
        view.board.frame(rect, 1.5, MARK);
        figures.push(Figure {
            title: "… stretched over its box, and cut at a half".into(),
            caption: format!("{} pixels of the picture.", last.mask.area()),
            picture: view.board.finish(),
        });
    }
    let lost = match example.is_found {
        true => String::new(),
        false => " Nothing was found above the score; this is the best of what was not.".into(),
    };
    Ok(Some(Section {
        title: "K masks, and one label".into(),
        text: vec![format!(
            "The mask head does not decide what it is: it draws a mask for every class, as if it were one, and the box head's \
             label picks. Classes need not compete for pixels, and each map is a yes or no of its own: \
             L = L_cls + L_box + L_mask, where L_mask looks at the picked map alone. The example is a {} with a score of \
             {:.2}.{lost}",
            example.name, example.detection.score
        )],
        figures,
        table: Vec::new(),
    }))
}

fn heat_of(soft: &SoftMask) -> RgbImage {
    let side = soft.side as u32;
    RgbImage::from_fn(side, side, |x, y| {
        image::Rgb(heat(soft.values.get((y * side + x) as usize).copied().unwrap_or(0.0)))
    })
}

/// Each with its name below it.
fn grid(all: &[(String, &SoftMask, bool)]) -> RgbImage {
    let columns = all.len().clamp(1, COLUMNS);
    let (gap, text) = (12.0, 20.0);
    let (wide, high) = (CELL + gap, CELL + gap + text);
    let rows = all.len().div_ceil(columns).max(1);
    let mut board = Board::new((wide * columns as f32) as u32, (high * rows as f32) as u32, GROUND);
    for (i, (name, soft, picked)) in all.iter().enumerate() {
        let (x, y) = ((i % columns) as f32 * wide + gap / 2.0, (i / columns) as f32 * high + gap / 2.0);
        let (picture, _) = fitted(&heat_of(soft), (CELL as u32, CELL as u32), true);
        board.picture(&picture, x as i64, y as i64);
        if *picked {
            board.frame([x - 2.0, y - 2.0, x + CELL + 2.0, y + CELL + 2.0], 4.0, MARK);
        }
        let mut px = 14.0;
        while px > 8.0 && board.text_width(name, px) > CELL + gap {
            px -= 1.0;
        }
        board.text(name, (x, y + CELL + 3.0), px, if *picked { INK } else { DIM });
    }
    board.finish()
}
