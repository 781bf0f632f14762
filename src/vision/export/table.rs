//! Measurements as CSV: a row an instance.

use super::{PixelSize, intensities, measures, shape};
use crate::vision::detections::Detections;
use crate::vision::image::Image;

/// The first line: names of the columns, those of lengths and areas with their unit. With a pixel size that is none of
/// pixels, the area stands there in pixels, too.
pub fn csv_header(pixel: PixelSize) -> String {
    let u = pixel.unit;
    let area = if pixel.is_pixels() { "area_px2".into() } else { format!("area_px2,area_{u}2") };
    format!(
        "image,number,class,score,{area},centroid_x_{u},centroid_y_{u},box_x_{u},box_y_{u},box_width_{u},box_height_{u},\
         perimeter_{u},circularity,major_axis_{u},minor_axis_{u},angle_deg,mean_red,mean_green,mean_blue,integrated_red,\
         integrated_green,integrated_blue\n"
    )
}

/// The rows of an image. The number is that of label maps: from 1 by falling score. Of an instance without pixels all
/// but its area is left blank. The box is the network's own.
pub fn csv_rows(image_name: &str, dets: &Detections, image: &Image, pixel: PixelSize) -> String {
    let (side, mut out) = (pixel.side, String::new());
    for (i, d) in dets.iter().enumerate() {
        let mask = shape(dets, d);
        let m = measures(&mask);
        let [x1, y1, x2, y2] = d.bbox.map(f64::from);
        let area = m.map_or(0, |m| m.area);
        let mut row = vec![
            csv_field(image_name),
            (i + 1).to_string(),
            csv_field(&dets.name(d.label)),
            format!("{:.4}", d.score),
            area.to_string(),
        ];
        if !pixel.is_pixels() {
            row.push(short(area as f64 * side * side));
        }
        let blank = |n: usize| vec![String::new(); n];
        let lengths = |values: &[f64]| values.iter().map(|v| short(v * side)).collect::<Vec<_>>();
        row.extend(m.map_or_else(|| blank(2), |m| lengths(&m.centroid)));
        row.extend(lengths(&[x1, y1, x2 - x1, y2 - y1]));
        row.extend(m.map_or_else(
            || blank(11),
            |m| {
                let channels = intensities(&mask, image);
                let mut row = vec![short(m.perimeter * side), short(m.circularity)];
                row.extend(lengths(&m.axes));
                row.push(format!("{:.2}", m.angle));
                row.extend(channels.iter().map(|c| format!("{:.3}", c.mean)));
                row.extend(channels.iter().map(|c| c.integrated.to_string()));
                row
            },
        ));
        out += &row.join(",");
        out.push('\n');
    }
    out
}

/// Six digits that count, and no exponent.
fn short(v: f64) -> String {
    let before = if v == 0.0 || !v.is_finite() { 0 } else { v.abs().log10().floor() as i64 };
    let places = (5 - before).clamp(0, 12) as usize;
    let text = format!("{v:.places$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_string(),
        false => text,
    }
}

/// A field as RFC 4180 wants it: in quotes where it has a comma, a quote or a line's end. A spreadsheet takes what begins
/// with `=`, `+`, `-` or `@` for a formula; names that do are kept from that by an apostrophe.
pub fn csv_field(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@']);
    let text = if formula { format!("'{text}") } else { text.to_string() };
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_six_digits_that_count() {
        for (value, text) in [
            (0.0, "0"),
            (1.0, "1"),
            (-2.5, "-2.5"),
            (123_456.7, "123457"),
            (1_234_567.0, "1234567"),
            (12.345_678_9, "12.3457"),
            (0.000_123_456_78, "0.000123457"),
            (1e-30, "0"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "inf"),
        ] {
            assert_eq!(short(value), text);
        }
    }
}
