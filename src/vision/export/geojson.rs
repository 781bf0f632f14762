//! GeoJSON as QuPath reads it: a feature an instance, in pixels of the image.

use serde_json::json;

use super::{Lost, Ring, measures, parts, rounded, shape};
use crate::vision::class_colour;
use crate::vision::detections::Detections;

/// The text of a feature collection: polygons with holes, or several where a mask has several parts. Rings are closed, and
/// shells anticlockwise by the numbers (x, y), as RFC 7946 wants them. Instances are QuPath's detections, with their class,
/// its colour, and measurements.
pub fn geojson(dets: &Detections) -> (String, Lost) {
    let mut lost = Lost::default();
    let mut out = String::from("{\n\"type\": \"FeatureCollection\",\n\"features\": [");
    for ((i, d), number) in dets.iter().enumerate().zip(dets.numbers()) {
        let mask = shape(dets, d);
        let Some(m) = measures(&mask) else {
            lost.empty += 1;
            continue;
        };
        let closed = |ring: &Ring| -> Vec<[u32; 2]> { ring.0.iter().chain(ring.0.first()).copied().collect() };
        let polygons: Vec<Vec<Vec<[u32; 2]>>> =
            parts(&mask).iter().map(|p| [&p.shell].into_iter().chain(&p.holes).map(closed).collect()).collect();
        let geometry = match &polygons[..] {
            [one] => json!({ "type": "Polygon", "coordinates": one }),
            all => json!({ "type": "MultiPolygon", "coordinates": all }),
        };
        let name = dets.name(d.label);
        let feature = json!({
            "type": "Feature",
            "geometry": geometry,
            "properties": {
                "objectType": "detection",
                "name": format!("{name} {number}"),
                "classification": { "name": name, "color": class_colour(d.label) },
                "measurements": {
                    "Score": rounded(f64::from(d.score), 4),
                    "Area px^2": m.area,
                    "Perimeter px": rounded(m.perimeter, 3),
                    "Circularity": rounded(m.circularity, 4),
                },
            },
        });
        out += if i == 0 || out.ends_with('[') { "\n" } else { ",\n" };
        out += &feature.to_string();
    }
    out += "\n]\n}\n";
    (out, lost)
}
