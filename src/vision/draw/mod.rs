//! Detections as a picture: tinted masks with outlines, boxes and labels, readable from one instance to hundreds.

mod board;
mod canvas;
mod labels;
mod style;
mod text;

use image::RgbImage;
use image::imageops::{self, FilterType};

pub use self::board::{Board, fitted};
use self::canvas::{Canvas, Rect};
use self::labels::{Label, Wish};
pub use self::style::{Palette, Style, StyleParts};
use self::text::{Font, Stamp};
use crate::vision::colour::Colour;
use crate::vision::detections::Detections;
use crate::vision::image::Image;
use crate::vision::mask::Mask;

/// A small picture is enlarged while its longer side stays within this, in pixels, so that text has room.
const ROOMY: u32 = 1400;

/// A picture with a side as long as this, in pixels, is not enlarged.
const LARGE: u32 = 1000;

/// Draws what was found onto the image: each instance in a colour unlike its neighbours', its mask tinted and
/// outlined, its box, and "name number score", the number counting its class by falling score from 1.
///
/// An image whose longer side is below 1000 pixels is enlarged by the largest whole factor that keeps it within 1400,
/// so the result may be larger than `image`. Lines and text follow the picture's size. Where a label would cover
/// another or much of a neighbour, the number alone stands on the instance; where that has no room either, nothing.
/// Boxes and masks beyond the image are cut off.
pub fn overlay(image: &Image, dets: &Detections) -> RgbImage {
    styled_overlay(image, dets, &Style::default())
}

/// [`overlay`] as the style says.
pub fn styled_overlay(image: &Image, dets: &Detections, style: &Style) -> RgbImage {
    let factor = if style.enlarged { enlargement(image) } else { 1 };
    let mut canvas = Canvas(enlarged(image, factor));
    let unit = image.width().max(image.height()) as f32 * factor as f32;
    let boxes: Vec<[f32; 4]> = dets.iter().map(|d| d.bbox.map(|v| v * factor as f32)).collect();
    let colours = style.palette.choose(dets, &boxes, unit / 60.0);
    let rects: Vec<Rect> = boxes.iter().map(|b| to_rect(*b, canvas.bounds())).collect();

    let px = style.font_size.map_or((unit / 72.0).max(14.0), |px| px.clamp(6.0, 200.0));
    let crowded = is_crowded(&rects, px);
    let line = style.line_width.map(|w| w.clamp(0.5, 50.0));
    // A line of so much to each side.
    let rim = line.map_or((unit / 1100.0).max(0.7), |w| w / 2.0);
    let masks: Vec<Mask> = dets.iter().map(|d| enlarge_mask(&d.mask, factor, image.width(), image.height())).collect();
    // Large ones first, so that what lies upon them stays in its own colour.
    let mut order: Vec<usize> = (0..dets.len()).collect();
    order.sort_by_key(|&i| std::cmp::Reverse((masks[i].area(), rects[i].area())));
    for &i in &order {
        if style.parts.fill {
            canvas.tint(&masks[i], colours[i], 0.3);
        }
        if style.parts.outline {
            canvas.outline(&masks[i], colours[i], rim, rim * 0.9);
        }
    }

    let thick = line.unwrap_or(if crowded { unit / 1600.0 } else { unit / 640.0 }).round().max(1.0) as i64;
    // Where masks show the shapes, the boxes of a crowd are mere hints.
    let shown = style.parts.fill || style.parts.outline;
    let strength = if crowded && shown && dets.has_masks() { 0.4 } else { 0.95 };
    for &i in order.iter().filter(|_| style.parts.boxes) {
        canvas.frame(rects[i].grown(1), thick + 2, [0; 3], 0.3 * strength);
        canvas.frame(rects[i], thick, colours[i], strength);
    }
    if style.parts.labels {
        write_labels(&mut canvas, dets, &rects, &masks, &colours, px);
    }
    canvas.0
}

fn enlargement(image: &Image) -> u32 {
    let longest = image.width().max(image.height());
    if longest >= LARGE { 1 } else { (ROOMY / longest).max(1) }
}

fn enlarged(image: &Image, factor: u32) -> RgbImage {
    // The lengths agree, as an `Image` is checked when made, so the copy is never the empty one.
    let copy = RgbImage::from_raw(image.width(), image.height(), image.rgb().to_vec()).unwrap_or_default();
    if factor == 1 {
        return copy;
    }
    imageops::resize(&copy, image.width() * factor, image.height() * factor, FilterType::CatmullRom)
}

/// The pixels that a box covers, cut to the picture; an odd one (not a number) becomes small or empty.
fn to_rect([x1, y1, x2, y2]: [f32; 4], picture: Rect) -> Rect {
    let to = |v: f32, high: i64| (v.round() as i64).clamp(0, high);
    Rect { x0: to(x1, picture.x1), y0: to(y1, picture.y1), x1: to(x2, picture.x1), y1: to(y2, picture.y1) }
}

/// Whether most boxes are too small for thick lines and full labels.
fn is_crowded(rects: &[Rect], px: f32) -> bool {
    let mut sides: Vec<i64> = rects.iter().map(|r| r.width().min(r.height())).collect();
    sides.sort_unstable();
    sides.len() >= 30 && (sides[sides.len() / 2] as f32) < 8.0 * px
}

/// The mask within the enlarged picture, its steps rounded off: a quadratic B-spline through the pixels, cut at one half.
/// A lone pixel stays (0.75 squared is above a half), and a mask cut by the picture's border stays cut straight.
fn enlarge_mask(mask: &Mask, factor: u32, image_w: u32, image_h: u32) -> Mask {
    let (right, low) = (mask.x.saturating_add(mask.w), mask.y.saturating_add(mask.h));
    if mask.is_empty() || (factor == 1 && right <= image_w && low <= image_h) {
        return mask.clone();
    }
    // From one pixel before the mask to one after, within the image.
    let (x0, y0) = (mask.x.saturating_sub(1).min(image_w), mask.y.saturating_sub(1).min(image_h));
    let (x1, y1) = (right.saturating_add(1).min(image_w), low.saturating_add(1).min(image_h));
    let near = |at: u32, step: usize, side: u32| (at + step as u32).saturating_sub(1).min(side - 1);
    if factor == 1 {
        return Mask::from_fn(x0, y0, x1 - x0, y1 - y0, |px, py| mask.get(px, py));
    }
    Mask::from_fn(x0 * factor, y0 * factor, (x1 - x0) * factor, (y1 - y0) * factor, |px, py| {
        let ((x, wx), (y, wy)) = (spline(px, factor), spline(py, factor));
        let mut sum = 0.0;
        for (j, wy) in wy.iter().enumerate() {
            for (i, wx) in wx.iter().enumerate() {
                if mask.get(near(x, i, image_w), near(y, j, image_h)) {
                    sum += wx * wy;
                }
            }
        }
        sum >= 0.5
    })
}

/// The source pixel under an enlarged one, and the weights of the pixel before it, itself and the one after.
fn spline(at: u32, factor: u32) -> (u32, [f32; 3]) {
    let t = ((at % factor) as f32 + 0.5) / factor as f32 - 0.5;
    (at / factor, [0.5 * (0.5 - t) * (0.5 - t), 0.75 - t * t, 0.5 * (0.5 + t) * (0.5 + t)])
}

/// Where a number of `w x h` pixels may be centred: the mask's middle, or that of its longest row where the middle is
/// outside (a ring, a bow), or the box's; then a step from there each way, as long as it is on the mask.
fn anchors(mask: &Mask, bbox: &Rect, (w, h): (i64, i64)) -> Vec<(i64, i64)> {
    let (mut n, mut sx, mut sy, mut longest) = (0, 0, 0, None::<(i64, i64, i64)>);
    for run in mask.runs() {
        let (len, middle) = (i64::from(run.x1 - run.x0), i64::from(run.x0 + run.x1) / 2);
        n += len;
        sx += len * middle;
        sy += len * i64::from(run.y);
        if longest.is_none_or(|(most, ..)| len > most) {
            longest = Some((len, middle, i64::from(run.y)));
        }
    }
    let Some((_, x, y)) = longest else { return vec![((bbox.x0 + bbox.x1) / 2, (bbox.y0 + bbox.y1) / 2)] };
    let on = |&(x, y): &(i64, i64)| x >= 0 && y >= 0 && mask.get(x as u32, y as u32);
    let (x, y) = Some((sx / n, sy / n)).filter(on).unwrap_or((x, y));
    let (dx, dy) = (w, h + h / 2);
    let steps = [(x, y), (x, y - dy), (x, y + dy), (x - dx, y), (x + dx, y)];
    steps.into_iter().filter(on).collect()
}

fn write_labels(canvas: &mut Canvas, dets: &Detections, rects: &[Rect], masks: &[Mask], colours: &[Colour], px: f32) {
    let font = Font::new();
    let (pad, gap) = ((px * 0.3).round() as i64, (px * 0.12).round().max(1.0) as i64);
    let halo = (px / 9.0).round().max(1.0) as usize;
    // Lines are drawn where they have a place: those of thousands of objects on a large picture would take a gigabyte.
    let texts: Vec<(String, Stamp)> = dets
        .iter()
        .zip(dets.numbers())
        .zip(rects)
        .map(|((d, number), rect)| {
            let full = format!("{} {number} {:.2}", dets.name(d.label), d.score);
            // On a small instance a smaller number, but none below what can be read.
            let fit = (rect.width().min(rect.height()) as f32 * 0.5).clamp(10.0, px * 1.05);
            (full, font.line(&number.to_string(), fit).cropped())
        })
        .collect();
    let wishes: Vec<Wish> = texts
        .iter()
        .zip(rects.iter().zip(masks))
        .map(|((full, number), (bbox, mask))| {
            let number = (number.w as i64, number.h as i64);
            let (w, h) = font.size(full, px);
            let full = (w as i64 + 2 * pad, h as i64 + pad / 2);
            Wish { bbox: *bbox, anchors: anchors(mask, bbox, number), full, number }
        })
        .collect();
    let placed = labels::place(&wishes, canvas.bounds(), gap);
    for ((label, (full, number)), colour) in placed.iter().zip(&texts).zip(colours) {
        match label {
            Label::Full(r) => {
                canvas.plate(r.grown(1), px * 0.25 + 1.0, [0; 3], 0.45);
                canvas.plate(*r, px * 0.25, *colour, 0.94);
                canvas.stamp(&font.line(full, px), r.x0 + pad, r.y0 + pad / 4, style::ink(*colour), 1.0);
            }
            Label::Number(r) => {
                let under = number.halo(halo);
                canvas.stamp(&under, r.x0 - halo as i64, r.y0 - halo as i64, [0; 3], 0.7);
                canvas.stamp(number, r.x0, r.y0, [255; 3], 1.0);
            }
            Label::None => {}
        }
    }
}

#[cfg(test)]
mod tests;
