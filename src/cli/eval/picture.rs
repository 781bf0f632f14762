//! Pictures with outlines of what was to be found, and of what was.

use image::codecs::png::PngEncoder;
use image::imageops::{FilterType, resize};
use image::{ExtendedColorType, ImageEncoder as _, Rgb, RgbImage};
use maskrcnn::engine::eval::Region;
use maskrcnn::{Error, Mask, Result};

/// Sides that a picture is enlarged or shrunk to, in pixels, in whole steps where it is enlarged.
const SIDE: u32 = 640;

/// Results and objects that have a partner.
pub(super) const FOUND: [u8; 3] = [0, 230, 118];
/// Results that have none.
pub(super) const WRONG: [u8; 3] = [255, 59, 48];
/// Objects that have none.
pub(super) const MISSED: [u8; 3] = [255, 176, 0];
/// Regions of many objects.
pub(super) const CROWD: [u8; 3] = [150, 150, 170];

/// What is outlined: a mask, or a box where there is none.
pub(super) struct Shape<'a> {
    pub bbox: [f64; 4],
    pub mask: Option<&'a Region>,
    pub colour: [u8; 3],
}

/// A picture, and how many of its pixels one of the image's has.
pub(super) struct Picture {
    pixels: RgbImage,
    scale: f64,
}

impl Picture {
    /// An image to draw on.
    pub(super) fn new(image: RgbImage) -> Self {
        let (w, h) = image.dimensions();
        let long = w.max(h).max(1);
        let scale = if long <= SIDE { f64::from((SIDE / long).min(4)) } else { f64::from(SIDE) / f64::from(long) };
        let to = |side: u32| (f64::from(side) * scale).round().max(1.0) as u32;
        let filter = if scale < 1.0 { FilterType::Triangle } else { FilterType::Nearest };
        Self { pixels: resize(&image, to(w), to(h), filter), scale }
    }

    /// The picture with outlines, as a PNG.
    pub(super) fn outlined(&self, shapes: &[Shape]) -> Result<Vec<u8>> {
        let mut pixels = self.pixels.clone();
        for shape in shapes {
            match shape.mask.map(|m| m.rle().to_mask()).transpose()? {
                Some(mask) => self.contour(&mut pixels, &mask, shape.colour),
                None => self.frame(&mut pixels, shape.bbox, shape.colour),
            }
        }
        let mut out = Vec::new();
        PngEncoder::new(&mut out)
            .write_image(pixels.as_raw(), pixels.width(), pixels.height(), ExtendedColorType::Rgb8)
            .map_err(|e| Error::Image { name: "page".into(), reason: e.to_string() })?;
        Ok(out)
    }

    /// Colours the pixels of a mask that are within two of its edge: one alone is lost on a screen.
    fn contour(&self, pixels: &mut RgbImage, mask: &Mask, colour: [u8; 3]) {
        let inside = |x: i64, y: i64| {
            let of = |v: i64| u32::try_from(v).ok().map(|v| ((f64::from(v) + 0.5) / self.scale) as u32);
            of(x).zip(of(y)).is_some_and(|(x, y)| mask.get(x, y))
        };
        let range = |from: u32, size: u32, most: u32| {
            let end = (f64::from(from + size) * self.scale).ceil() as i64;
            (f64::from(from) * self.scale).floor() as i64..end.min(i64::from(most))
        };
        for y in range(mask.y, mask.h, pixels.height()) {
            for x in range(mask.x, mask.w, pixels.width()) {
                let edge = || {
                    [(2, 0), (-2, 0), (0, 2), (0, -2), (1, 1), (-1, 1), (1, -1), (-1, -1)]
                        .iter()
                        .any(|(dx, dy)| !inside(x + dx, y + dy))
                };
                if inside(x, y) && edge() {
                    pixels.put_pixel(x as u32, y as u32, Rgb(colour));
                }
            }
        }
    }

    /// Colours a box's edges, as far as they are in the picture.
    fn frame(&self, pixels: &mut RgbImage, [x, y, w, h]: [f64; 4], colour: [u8; 3]) {
        let (columns, rows) = pixels.dimensions();
        let at = |v: f64, most: u32| ((v * self.scale) as u32).min(most - 1);
        let (x0, x1) = (at(x, columns), at(x + w, columns));
        let (y0, y1) = (at(y, rows), at(y + h, rows));
        for x in x0..=x1 {
            [y0, y1].iter().for_each(|&y| pixels.put_pixel(x, y, Rgb(colour)));
        }
        for y in y0..=y1 {
            [x0, x1].iter().for_each(|&x| pixels.put_pixel(x, y, Rgb(colour)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_stay_in_the_picture() {
        let picture = Picture::new(RgbImage::new(1000, 20));
        assert_eq!((picture.pixels.dimensions(), Picture::new(RgbImage::new(100, 50)).scale), ((640, 13), 4.0));
        let mut pixels = picture.pixels.clone();
        picture.frame(&mut pixels, [-50.0, -5.0, 2000.0, 500.0], FOUND);
        assert_eq!(pixels.pixels().filter(|p| p.0 == FOUND).count(), 2 * 640 + 2 * 11);
    }
}
