//! Small pictures: an instance alone, and an image as a thumbnail.

use std::io;

use image::codecs::jpeg::JpegEncoder;
use image::imageops::{self, FilterType};
use image::{ExtendedColorType, RgbImage, RgbaImage};

use super::bounds;
use crate::vision::image::Image;
use crate::vision::mask::Mask;

/// The rectangle around a mask, opaque where the mask is and clear elsewhere. None of no pixel.
pub fn cutout(mask: &Mask, image: &Image) -> Option<RgbaImage> {
    let [x0, y0, x1, y1] = bounds(mask)?;
    Some(RgbaImage::from_fn(x1 - x0, y1 - y0, |x, y| {
        let [r, g, b] = image.pixel(x0 + x, y0 + y).unwrap_or_default();
        // What is clear has no colour, so that nothing of the neighbours is left in the file.
        if mask.get(x0 + x, y0 + y) { [r, g, b, 255].into() } else { [0; 4].into() }
    }))
}

/// A picture as JPEG, its longer side at most `side` pixels.
///
/// # Errors
/// Where it cannot be encoded.
pub fn jpeg_thumbnail(picture: &RgbImage, side: u32) -> io::Result<(Vec<u8>, u32, u32)> {
    let (w, h) = picture.dimensions();
    let scale = f64::from(side) / f64::from(w.max(h).max(1));
    let to = |v: u32| ((f64::from(v) * scale).round() as u32).clamp(1, side);
    let small =
        if scale < 1.0 { imageops::resize(picture, to(w), to(h), FilterType::Triangle) } else { picture.clone() };
    let mut out = Vec::new();
    JpegEncoder::new_with_quality(&mut out, 80)
        .encode(small.as_raw(), small.width(), small.height(), ExtendedColorType::Rgb8)
        .map_err(io::Error::other)?;
    Ok((out, small.width(), small.height()))
}
