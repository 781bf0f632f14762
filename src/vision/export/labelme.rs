//! Annotations as LabelMe keeps them.

use serde_json::{Value, json};

use super::{Lost, parts, shape};
use crate::vision::detections::Detections;

/// How far outlines lie within the pixels that they surround. LabelMe cuts coordinates off to whole pixels when it fills a
/// polygon, and its sides belong to it: so it gets the mask's own pixels.
pub(super) const INSET: f64 = 0.01;

/// The text of an annotation file. Polygons have no holes there, and the parts of an instance are shapes of one
/// `group_id`. `image` is where the picture is, from the file's own folder on; `data` is the picture itself in base64,
/// for one that cannot be read from there.
pub fn labelme(dets: &Detections, image: &str, data: Option<&str>) -> (String, Lost) {
    let mut lost = Lost::default();
    let mut shapes: Vec<Value> = Vec::new();
    for (i, d) in dets.iter().enumerate() {
        let parts = parts(&shape(dets, d));
        lost.empty += usize::from(parts.is_empty());
        lost.holes += parts.iter().map(|p| p.holes.len()).sum::<usize>();
        for part in &parts {
            shapes.push(json!({
                "label": dets.name(d.label),
                "points": part.shell.inset(INSET).iter().map(|p| p.map(hundredths)).collect::<Vec<_>>(),
                "group_id": i + 1,
                "description": format!("score {:.4}", d.score),
                "shape_type": "polygon",
                "flags": {},
                "mask": null,
            }));
        }
    }
    let mut out = String::from("{\n\"version\": \"5.5.0\",\n\"flags\": {},\n\"shapes\": [");
    for (i, shape) in shapes.iter().enumerate() {
        out += if i == 0 { "\n" } else { ",\n" };
        out += &shape.to_string();
    }
    out += &format!(
        "\n],\n\"imagePath\": {},\n\"imageData\": {},\n\"imageHeight\": {},\n\"imageWidth\": {}\n}}\n",
        json!(image),
        json!(data),
        dets.height,
        dets.width
    );
    (out, lost)
}

fn hundredths(v: f64) -> f64 {
    (v * 100.0).round() / 100.0
}
