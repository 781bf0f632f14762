//! The picture being drawn on. All of it clips, so no shape can be out of place.

use image::RgbImage;

use super::text::Stamp;
use crate::vision::colour::Colour;
use crate::vision::mask::Mask;

pub(super) struct Canvas(pub(super) RgbImage);

/// A rectangle of pixels, its right and lower edges not part of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rect {
    pub(super) x0: i64,
    pub(super) y0: i64,
    pub(super) x1: i64,
    pub(super) y1: i64,
}

impl Rect {
    pub(super) fn new(x: i64, y: i64, w: i64, h: i64) -> Self {
        Self { x0: x, y0: y, x1: x + w, y1: y + h }
    }

    pub(super) fn width(&self) -> i64 {
        self.x1 - self.x0
    }

    pub(super) fn height(&self) -> i64 {
        self.y1 - self.y0
    }

    pub(super) fn area(&self) -> i64 {
        self.width().max(0) * self.height().max(0)
    }

    pub(super) fn grown(&self, by: i64) -> Self {
        Self { x0: self.x0 - by, y0: self.y0 - by, x1: self.x1 + by, y1: self.y1 + by }
    }

    /// Pixels shared with `other`.
    pub(super) fn overlap(&self, other: &Rect) -> i64 {
        let w = self.x1.min(other.x1) - self.x0.max(other.x0);
        let h = self.y1.min(other.y1) - self.y0.max(other.y0);
        w.max(0) * h.max(0)
    }
}

impl Canvas {
    pub(super) fn bounds(&self) -> Rect {
        Rect::new(0, 0, i64::from(self.0.width()), i64::from(self.0.height()))
    }

    /// Mixes `alpha` (0 to 1) of `colour` into a pixel.
    pub(super) fn blend(&mut self, x: i64, y: i64, colour: Colour, alpha: f32) {
        let (Ok(x), Ok(y)) = (u32::try_from(x), u32::try_from(y)) else { return };
        let Some(pixel) = self.0.get_pixel_mut_checked(x, y) else { return };
        for (old, new) in pixel.0.iter_mut().zip(colour) {
            *old = (f32::from(*old) + alpha * (f32::from(new) - f32::from(*old)) + 0.5) as u8;
        }
    }

    pub(super) fn fill(&mut self, rect: Rect, colour: Colour, alpha: f32) {
        let all = self.bounds();
        for y in rect.y0.max(0)..rect.y1.min(all.y1) {
            for x in rect.x0.max(0)..rect.x1.min(all.x1) {
                self.blend(x, y, colour, alpha);
            }
        }
    }

    /// The four sides of `rect`, `thick` pixels inwards.
    pub(super) fn frame(&mut self, rect: Rect, thick: i64, colour: Colour, alpha: f32) {
        let Rect { x0, y0, x1, y1 } = rect;
        if rect.width() <= 2 * thick || rect.height() <= 2 * thick {
            return self.fill(rect, colour, alpha);
        }
        self.fill(Rect { y1: y0 + thick, ..rect }, colour, alpha);
        self.fill(Rect { y0: y1 - thick, ..rect }, colour, alpha);
        self.fill(Rect { x0, x1: x0 + thick, y0: y0 + thick, y1: y1 - thick }, colour, alpha);
        self.fill(Rect { x0: x1 - thick, x1, y0: y0 + thick, y1: y1 - thick }, colour, alpha);
    }

    /// A filled rectangle with round corners.
    pub(super) fn plate(&mut self, rect: Rect, radius: f32, colour: Colour, alpha: f32) {
        for y in rect.y0..rect.y1 {
            for x in rect.x0..rect.x1 {
                // How far the pixel's centre lies within the corner's square, seen from the nearest corner.
                let inward = |v: i64, low: i64, high: i64| {
                    let from = (v - low).min(high - 1 - v) as f32 + 0.5;
                    (radius - from).max(0.0)
                };
                let (dx, dy) = (inward(x, rect.x0, rect.x1), inward(y, rect.y0, rect.y1));
                let cover = (radius + 0.5 - (dx * dx + dy * dy).sqrt()).clamp(0.0, 1.0);
                self.blend(x, y, colour, alpha * cover);
            }
        }
    }

    /// Text, or what lies under it, its top left corner at `(x, y)`.
    pub(super) fn stamp(&mut self, stamp: &Stamp, x: i64, y: i64, colour: Colour, alpha: f32) {
        for (at, &c) in stamp.cover.iter().enumerate().filter(|&(_, &c)| c > 0.0) {
            self.blend(x + (at % stamp.w) as i64, y + (at / stamp.w) as i64, colour, alpha * c);
        }
    }

    /// Every pixel of the mask.
    pub(super) fn tint(&mut self, mask: &Mask, colour: Colour, alpha: f32) {
        let width = self.0.width();
        for run in mask.runs() {
            for x in run.x0..run.x1.min(width) {
                self.blend(i64::from(x), i64::from(run.y), colour, alpha);
            }
        }
    }

    /// A line of `radius` pixels to each side along the mask's rim, and a dark one of `radius + dark` beneath it, so
    /// that it shows on light pictures too. Where the picture cuts the mask there is no rim.
    pub(super) fn outline(&mut self, mask: &Mask, colour: Colour, radius: f32, dark: f32) {
        let all = self.bounds();
        let reach = radius + dark + 1.0;
        let pad = reach.ceil() as i64;
        let (w, h) = (i64::from(mask.w) + 2 * pad, i64::from(mask.h) + 2 * pad);
        // Nearness to the rim, 0 (out of reach) to 255 (on it): kept in a byte, as a mask may be the whole picture.
        let mut near = vec![0_u8; (w * h) as usize];
        let brush: Vec<(i64, u8)> = (-pad..=pad)
            .flat_map(|dy| (-pad..=pad).map(move |dx| (dx, dy)))
            .map(|(dx, dy)| (dy * w + dx, 255.0 * (1.0 - ((dx * dx + dy * dy) as f32).sqrt() / reach)))
            .filter(|&(_, level)| level > 0.0)
            .map(|(step, level)| (step, level as u8))
            .collect();
        let set = |x: i64, y: i64| x < 0 || y < 0 || x >= all.x1 || y >= all.y1 || mask.get(x as u32, y as u32);
        for run in mask.runs() {
            for x in i64::from(run.x0)..i64::from(run.x1) {
                let y = i64::from(run.y);
                let end = x == i64::from(run.x0) && !set(x - 1, y) || x + 1 == i64::from(run.x1) && !set(x + 1, y);
                if !(end || !set(x, y - 1) || !set(x, y + 1)) {
                    continue;
                }
                let centre = (y - i64::from(mask.y) + pad) * w + x - i64::from(mask.x) + pad;
                for &(step, level) in &brush {
                    let at = &mut near[(centre + step) as usize];
                    *at = level.max(*at);
                }
            }
        }
        for (at, &level) in near.iter().enumerate().filter(|&(_, &level)| level > 0) {
            let (x, y) = (at as i64 % w - pad + i64::from(mask.x), at as i64 / w - pad + i64::from(mask.y));
            let distance = (1.0 - f32::from(level) / 255.0) * reach;
            self.blend(x, y, [0; 3], 0.5 * (radius + dark + 0.5 - distance).clamp(0.0, 1.0));
            self.blend(x, y, colour, (radius + 0.5 - distance).clamp(0.0, 1.0));
        }
    }
}
