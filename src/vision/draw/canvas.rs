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

#[cfg(test)]
mod tests {
    use super::*;

    const GROUND: u8 = 40;
    const INK: Colour = [200; 3];

    fn canvas(width: u32, height: u32) -> Canvas {
        Canvas(RgbImage::from_pixel(width, height, image::Rgb([GROUND; 3])))
    }

    /// Holds every pixel against what is said of it: how much of the colour covers it, and how much black before.
    fn holds(canvas: &Canvas, tolerance: u8, cover: impl Fn(i64, i64) -> (f32, f32)) {
        for (x, y, pixel) in canvas.0.enumerate_pixels() {
            let (black, colour) = cover(i64::from(x), i64::from(y));
            let under = f32::from(GROUND) * (1.0 - black);
            let want = (under + colour * (f32::from(INK[0]) - under)).round() as u8;
            assert!(pixel.0[0].abs_diff(want) <= tolerance, "({x}, {y}) is {} instead of {want}", pixel.0[0]);
        }
    }

    #[test]
    fn a_frame_is_what_lies_near_its_edges() {
        for (rect, thick) in [
            (Rect::new(3, 2, 14, 9), 1),
            (Rect::new(3, 2, 14, 9), 3),
            (Rect::new(3, 2, 14, 6), 3),
            (Rect::new(3, 2, 6, 9), 3),
            (Rect::new(-4, -2, 12, 30), 2),
            (Rect::new(3, 2, 0, 9), 1),
        ] {
            let mut drawn = canvas(20, 14);
            drawn.frame(rect, thick, INK, 0.5);
            holds(&drawn, 1, |x, y| {
                let edge = (x - rect.x0).min(rect.x1 - 1 - x).min(y - rect.y0).min(rect.y1 - 1 - y);
                (0.0, if (0..thick).contains(&edge) { 0.5 } else { 0.0 })
            });
        }
    }

    #[test]
    fn a_plate_is_round_at_its_corners() {
        for (rect, radius) in
            [(Rect::new(2, 3, 15, 9), 4.0_f32), (Rect::new(-3, 5, 12, 30), 2.5), (Rect::new(4, 4, 6, 6), 3.0)]
        {
            let mut drawn = canvas(20, 14);
            drawn.plate(rect, radius, INK, 0.8);
            holds(&drawn, 1, |x, y| {
                // How far the pixel's centre is from the rectangle that the round one is grown from.
                let beyond = |v: i64, low: i64, high: i64| {
                    let at = v as f32 + 0.5;
                    at - at.max(low as f32 + radius).min(high as f32 - radius)
                };
                let far = beyond(x, rect.x0, rect.x1).hypot(beyond(y, rect.y0, rect.y1));
                let inside = x >= rect.x0 && x < rect.x1 && y >= rect.y0 && y < rect.y1;
                (0.0, if inside { 0.8 * (radius + 0.5 - far).clamp(0.0, 1.0) } else { 0.0 })
            });
        }
    }

    #[test]
    fn an_outline_runs_along_the_rim_and_not_along_the_border() {
        let ring = Mask::from_fn(4, 3, 13, 10, |x, y| !(8..13).contains(&x) || !(6..9).contains(&y));
        let cut = Mask::from_fn(0, 5, 9, 9, |x, y| x + y < 18);
        let dot = Mask::from_fn(11, 1, 1, 1, |_, _| true);
        for (mask, radius, dark) in [(&ring, 0.7_f32, 0.63_f32), (&ring, 1.6, 0.9), (&cut, 1.0, 1.5), (&dot, 2.0, 0.5)]
        {
            let mut drawn = canvas(20, 14);
            drawn.outline(mask, INK, radius, dark);
            let set = |x: i64, y: i64| !(0..20).contains(&x) || !(0..14).contains(&y) || mask.get(x as u32, y as u32);
            let inside = (0..14).flat_map(|y| (0..20).map(move |x| (x, y)));
            let rim: Vec<(i64, i64)> = inside
                .filter(|&(x, y)| mask.get(x as u32, y as u32))
                .filter(|&(x, y)| ![(x - 1, y), (x + 1, y), (x, y - 1), (x, y + 1)].iter().all(|&(x, y)| set(x, y)))
                .collect();
            // Nearness is kept in a byte.
            holds(&drawn, 5, |x, y| {
                let far = rim.iter().map(|&(a, b)| ((x - a) as f32).hypot((y - b) as f32)).fold(f32::MAX, f32::min);
                (0.5 * (radius + dark + 0.5 - far).clamp(0.0, 1.0), (radius + 0.5 - far).clamp(0.0, 1.0))
            });
        }
    }

    #[test]
    fn stamps_lie_where_they_are_put() {
        let stamp = Stamp { w: 3, h: 2, cover: vec![0.0, 0.5, 1.0, 0.25, 0.75, 0.0] };
        for (left, top) in [(5, 4), (-1, -1), (18, 13)] {
            let mut drawn = canvas(20, 14);
            drawn.stamp(&stamp, left, top, INK, 0.5);
            holds(&drawn, 1, |x, y| {
                let inside = (0..3).contains(&(x - left)) && (0..2).contains(&(y - top));
                (0.0, if inside { 0.5 * stamp.cover[((y - top) * 3 + x - left) as usize] } else { 0.0 })
            });
        }
        assert_eq!(Rect::new(3, 4, 5, 6).grown(2), Rect { x0: 1, y0: 2, x1: 10, y1: 12 });
    }
}
