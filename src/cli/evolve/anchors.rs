//! What the RPN starts from: anchors of every cell, and how much each cell looks like an object.

use image::RgbImage;
use maskrcnn::Image;
use maskrcnn::engine::detector::{Anatomy, LevelAnatomy};
use maskrcnn::engine::vision::fitted;

use super::pooling::Example;
use super::section::{Figure, MARK, OTHER, Section, THIRD, View, heat};
use crate::cli::words::count;

/// The sides of the large picture and of the maps.
const SIDE: u32 = 440;
const MAP: u32 = 195;

/// Colours of the anchors of a cell, by turns.
const ANCHORS: [[u8; 3]; 6] = [OTHER, THIRD, [0, 190, 130], [204, 80, 190], [255, 140, 60], [120, 220, 255]];

pub(super) fn section(image: &Image, anatomy: &Anatomy, example: Option<&Example>) -> Section {
    let mut figures = Vec::new();
    let a = anatomy.levels.first().map_or(0, |l| l.anchors.len());
    let all: usize = anatomy.levels.iter().map(|l| l.logits.len()).sum();
    let centre = (image.width() as f32 / 2.0, image.height() as f32 / 2.0);
    let bbox =
        example.map_or([centre.0 - 16.0, centre.1 - 16.0, centre.0 + 16.0, centre.1 + 16.0], |e| e.detection.bbox);
    if let Some(level) = nearest(anatomy, bbox) {
        figures.push(cell(image, anatomy, level, (bbox, example.is_some())));
    }
    for level in &anatomy.levels {
        figures.push(Figure {
            title: format!("{}: {}×{} cells", level.name, level.map.1, level.map.0),
            caption: format!("stride {}, anchors of {}", level.stride.1, side(level)),
            picture: map(anatomy, level),
        });
    }
    Section {
        title: "Anchors, and what the RPN makes of them".into(),
        text: vec![format!(
            "The RPN looks at every cell of every level of the feature pyramid, and asks of {} there, boxes of fixed sizes and \
             shapes, how much of an object each of them is, and how it would have to be moved and stretched to fit. That is \
             {all} boxes here. The maps show the likeliest of each cell, from dark (no object) to bright. The best go through \
             NMS, and {} are left as proposals.",
            count(a, "anchor"),
            anatomy.proposals.len()
        )],
        figures,
        table: Vec::new(),
    }
}

/// The side of a level's anchors, in pixels of the network's input.
fn side(level: &LevelAnatomy) -> String {
    let sides = level.anchors.iter().map(|a| ((a[2] - a[0]) * (a[3] - a[1])).sqrt());
    let (low, high) = sides.fold((f32::INFINITY, 0.0f32), |(low, high), s| (low.min(s), high.max(s)));
    // Shapes of one size differ by their rounding.
    if high < 1.2 * low { format!("{low:.0} pixels") } else { format!("{low:.0} to {high:.0} pixels") }
}

/// The level whose anchors are of about a box's size.
fn nearest(anatomy: &Anatomy, bbox: [f32; 4]) -> Option<&LevelAnatomy> {
    let (y, x) = anatomy.scale();
    let area = ((bbox[2] - bbox[0]) * x * (bbox[3] - bbox[1]) * y).max(1.0);
    let far = |level: &&LevelAnatomy| {
        let away = level.anchors.iter().map(|a| ((a[2] - a[0]) * (a[3] - a[1]) / area).ln().abs());
        away.fold(f32::INFINITY, f32::min)
    };
    anatomy.levels.iter().min_by(|a, b| far(a).total_cmp(&far(b)))
}

/// The anchors of the cell in the middle of a box.
fn cell(image: &Image, anatomy: &Anatomy, level: &LevelAnatomy, (bbox, is_found): ([f32; 4], bool)) -> Figure {
    let (by_y, by_x) = anatomy.scale();
    let at = |low: f32, high: f32, by: f32, stride: usize, cells: usize| {
        let cell = ((low + high) / 2.0 * by / stride as f32).floor().clamp(0.0, cells as f32 - 1.0);
        (cell as usize, cell * stride as f32)
    };
    let (column, x) = at(bbox[0], bbox[2], by_x, level.stride.1, level.map.1);
    let (row, y) = at(bbox[1], bbox[3], by_y, level.stride.0, level.map.0);
    let mut view = View::whole(image, SIDE, SIDE);
    let best = {
        let of_cell = (row * level.map.1 + column) * level.anchors.len();
        let logits = level.logits.iter().skip(of_cell).take(level.anchors.len()).enumerate();
        logits.max_by(|a, b| a.1.total_cmp(b.1)).map_or((0, 0.0), |(i, v)| (i, *v))
    };
    for (i, anchor) in level.anchors.iter().enumerate() {
        let corners = [x + anchor[0], y + anchor[1], x + anchor[2], y + anchor[3]];
        let [x1, y1, x2, y2] = corners;
        let rect = view.bbox([x1 / by_x, y1 / by_y, x2 / by_x, y2 / by_y]);
        view.board.frame(rect, if i == best.0 { 3.0 } else { 1.5 }, ANCHORS[i % ANCHORS.len()]);
    }
    if is_found {
        let rect = view.bbox(bbox);
        view.board.frame(rect, 1.5, MARK);
    }
    let dot = view.at((x / by_x, y / by_y));
    view.board.dot(dot, 4.0, [255; 3]);
    let probability = 1.0 / (1.0 + (-best.1).exp());
    let found = if is_found { ", and the box that was found here in the end (yellow)" } else { "" };
    Figure {
        title: format!("The {} of one cell of {}", count(level.anchors.len(), "anchor"), level.name),
        caption: format!(
            "Column {column}, row {row}, whose corner is the white dot{found}. The likeliest of them is drawn thick: {:.1} % \
             object.",
            100.0 * probability
        ),
        picture: view.board.finish(),
    }
}

/// The likeliest anchor of each cell, without the padding.
fn map(anatomy: &Anatomy, level: &LevelAnatomy) -> RgbImage {
    let live = |resized: u32, stride: usize, cells: usize| (resized as usize).div_ceil(stride.max(1)).clamp(1, cells);
    let (rows, columns) = (
        live(anatomy.size.resized.0, level.stride.0, level.map.0),
        live(anatomy.size.resized.1, level.stride.1, level.map.1),
    );
    let values = level.objectness();
    let picture = RgbImage::from_fn(columns as u32, rows as u32, |x, y| {
        let value = values.get(y as usize * level.map.1 + x as usize).copied().unwrap_or(0.0);
        image::Rgb(heat(value))
    });
    fitted(&picture, (MAP, MAP), true).0
}
