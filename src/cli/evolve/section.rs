//! What the page and the sheet are made of.

use std::io::{self, Cursor, Write};

use image::{ImageFormat, RgbImage};
use maskrcnn::engine::vision::{Board, Palette, Style, StyleParts, fitted, styled_overlay};
use maskrcnn::{Detections, Image, Mask};

/// Colours of the drawings.
pub(super) const INK: [u8; 3] = [28, 28, 34];
pub(super) const DIM: [u8; 3] = [93, 93, 107];
pub(super) const GROUND: [u8; 3] = [255, 255, 255];
pub(super) const MARK: [u8; 3] = [255, 196, 0];
pub(super) const OTHER: [u8; 3] = [235, 64, 52];
pub(super) const THIRD: [u8; 3] = [64, 156, 255];

/// A part of the page.
pub(super) struct Section {
    pub title: String,
    /// What it is about, a paragraph each.
    pub text: Vec<String>,
    pub figures: Vec<Figure>,
    /// Rows of a table, the first its heading; the page alone has it.
    pub table: Vec<Vec<String>>,
}

/// A picture with what is to be said of it.
pub(super) struct Figure {
    /// The caption's first line.
    pub title: String,
    /// The rest of it.
    pub caption: String,
    pub picture: RgbImage,
}

/// A picture's pixels.
pub(super) fn pixels(image: &Image) -> RgbImage {
    RgbImage::from_raw(image.width(), image.height(), image.rgb().to_vec()).unwrap_or_default()
}

/// The side of a card: four are in a row of the sheet.
pub(super) const CARD: u32 = 368;

/// What was found, drawn upon the picture as large as a card is, so that lines are as thick on every picture.
pub(super) fn card(image: &Image, found: &Detections, palette: Palette, parts: StyleParts) -> RgbImage {
    let (small, _) = fitted(&pixels(image), (CARD, CARD), false);
    let (w, h) = small.dimensions();
    let style = Style { palette, parts, font_size: Some(14.0), line_width: Some(2.0), enlarged: false };
    match Image::from_rgb8(w, h, small.clone().into_raw()) {
        Ok(image) => styled_overlay(&image, &found.scaled_to(w, h), &style),
        // A picture that is no picture was refused before.
        Err(_) => small,
    }
}

/// Writes a picture as PNG.
pub(super) fn png(picture: &RgbImage, out: &mut dyn Write) -> io::Result<()> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, ImageFormat::Png).map_err(io::Error::other)?;
    out.write_all(bytes.get_ref())
}

/// A part of an image, enlarged or shrunk: what a picture of the part is drawn upon.
pub(super) struct View {
    pub board: Board,
    /// The part, in pixels of the image.
    part: [f32; 4],
    /// Pixels of the drawing for one of the image: to the right, and down.
    scale: [f32; 2],
}

impl View {
    /// The whole image within `width` × `height`.
    pub(super) fn whole(image: &Image, width: u32, height: u32) -> Self {
        let (picture, factor) = fitted(&pixels(image), (width, height), false);
        let part = [0.0, 0.0, image.width() as f32, image.height() as f32];
        Self { board: Board::on(picture), part, scale: [factor, factor] }
    }

    /// What of the image is in `part`, black beyond its border, within a square of `side`; darkened by `dim`, 0 to 1.
    pub(super) fn part(image: &Image, part: [f32; 4], side: u32, dim: f32) -> Self {
        let [x1, y1, x2, y2] = part;
        let (w, h) = ((x2 - x1).max(1e-3), (y2 - y1).max(1e-3));
        let factor = side as f32 / w.max(h);
        let size = [w, h].map(|v| ((v * factor).round() as u32).clamp(1, 2 * side));
        let scale = [size[0] as f32 / w, size[1] as f32 / h];
        let picture = RgbImage::from_fn(size[0], size[1], |px, py| {
            let at = |p: u32, low: f32, scale: f32| low + (p as f32 + 0.5) / scale - 0.5;
            image::Rgb(sample(image, at(px, x1, scale[0]), at(py, y1, scale[1])).map(|v| (v * (1.0 - dim)) as u8))
        });
        Self { board: Board::on(picture), part, scale }
    }

    /// Where a point of the image is in the drawing.
    pub(super) fn at(&self, (x, y): (f32, f32)) -> (f32, f32) {
        ((x - self.part[0]) * self.scale[0], (y - self.part[1]) * self.scale[1])
    }

    /// The same of a box.
    pub(super) fn bbox(&self, [x1, y1, x2, y2]: [f32; 4]) -> [f32; 4] {
        let ((x1, y1), (x2, y2)) = (self.at((x1, y1)), self.at((x2, y2)));
        [x1, y1, x2, y2]
    }

    /// Tints the pixels of the image that are the mask's.
    pub(super) fn tint(&mut self, mask: &Mask, colour: [u8; 3], alpha: f32) {
        for run in mask.runs() {
            let y = run.y as f32;
            let rect = self.bbox([run.x0 as f32, y, run.x1 as f32, y + 1.0]);
            self.board.fill(rect, colour, alpha);
        }
    }
}

/// The image between its pixels, 0 beyond its border.
fn sample(image: &Image, x: f32, y: f32) -> [f32; 3] {
    let (x0, y0) = (x.floor(), y.floor());
    let (fx, fy) = (x - x0, y - y0);
    let of = |dx: f32, dy: f32| {
        let (px, py) = (x0 + dx, y0 + dy);
        let inside = px >= 0.0 && py >= 0.0;
        let pixel = inside.then(|| image.pixel(px as u32, py as u32)).flatten().unwrap_or_default();
        pixel.map(f32::from)
    };
    let (a, b, c, d) = (of(0.0, 0.0), of(1.0, 0.0), of(0.0, 1.0), of(1.0, 1.0));
    std::array::from_fn(|i| (1.0 - fy) * ((1.0 - fx) * a[i] + fx * b[i]) + fy * ((1.0 - fx) * c[i] + fx * d[i]))
}

/// A value from 0 to 1 as a colour from dark blue over red to yellow.
pub(super) fn heat(value: f32) -> [u8; 3] {
    const STOPS: [[f32; 3]; 5] =
        [[12.0, 12.0, 48.0], [86.0, 15.0, 110.0], [187.0, 55.0, 84.0], [249.0, 142.0, 9.0], [252.0, 255.0, 164.0]];
    let at = value.clamp(0.0, 1.0) * (STOPS.len() - 1) as f32;
    let low = (at as usize).min(STOPS.len() - 2);
    let t = at - low as f32;
    std::array::from_fn(|c| (STOPS[low][c] * (1.0 - t) + STOPS[low + 1][c] * t).round() as u8)
}

/// Seconds as people say them.
pub(super) fn seconds(s: f64) -> String {
    match s {
        s if s >= 100.0 => format!("{s:.0} s"),
        s if s >= 1.0 => format!("{s:.1} s"),
        s => format!("{:.0} ms", 1e3 * s),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_shows_what_the_image_has_there() {
        let image = Image::from_rgb8(4, 2, (0..24).map(|v| v * 10).collect()).unwrap();
        let view = View::part(&image, [1.0, 0.0, 3.0, 2.0], 2, 0.0);
        assert_eq!(view.at((2.0, 1.0)), (1.0, 1.0));
        let picture = view.board.finish();
        let due = |x: u32, y: u32| image::Rgb(image.pixel(x, y).unwrap());
        assert_eq!(
            [(0, 0), (1, 0), (0, 1), (1, 1)].map(|(x, y)| *picture.get_pixel(x, y)),
            [due(1, 0), due(2, 0), due(1, 1), due(2, 1)]
        );
        // Beyond the border is nothing.
        let beyond = View::part(&image, [-2.0, -2.0, 0.0, 0.0], 2, 0.0).board.finish();
        assert!(beyond.pixels().all(|p| p.0 == [0; 3]));
    }

    #[test]
    fn hotter_is_brighter_and_time_is_said_shortly() {
        let light = |v: f32| heat(v).iter().map(|&c| u32::from(c)).sum::<u32>();
        assert!((0..10).all(|i| light(i as f32 / 10.0) < light((i + 1) as f32 / 10.0)));
        assert_eq!([0.0123, 3.21, 123.4].map(seconds), ["12 ms", "3.2 s", "123 s"]);
    }
}
