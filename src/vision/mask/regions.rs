//! Masks as sets of pixels, whatever rectangles they lie in.

use super::{Mask, word_at};

impl Mask {
    /// All pixels of a rectangle.
    pub(crate) fn filled(x: u32, y: u32, w: u32, h: u32) -> Self {
        Self::from_fn(x, y, w, h, |_, _| true)
    }

    /// The columns and rows of its rectangle: left, top, and past the right and the bottom.
    pub(crate) fn rectangle(&self) -> [u32; 4] {
        [self.x, self.y, self.x.saturating_add(self.w), self.y.saturating_add(self.h)]
    }

    /// Pixels set in both.
    pub(crate) fn intersection(&self, other: &Self) -> u64 {
        let ([ax0, ay0, ax1, ay1], [bx0, by0, bx1, by1]) = (self.rectangle(), other.rectangle());
        let (x0, y0, x1, y1) = (ax0.max(bx0), ay0.max(by0), ax1.min(bx1), ay1.min(by1));
        let mut both = 0_u64;
        for y in y0..y1 {
            let (a, b) = (self.row(y - self.y), other.row(y - other.y));
            // Each row is read past its end as zeros, so the last step needs no mask.
            for x in (x0..x1).step_by(32) {
                both += u64::from((word_at(a, x - self.x) & word_at(b, x - other.x)).count_ones());
            }
        }
        both
    }

    /// The same so many times as large along x and y, in an image of that size (width, height): each pixel is what is at its
    /// centre.
    pub(crate) fn scaled(&self, (sx, sy): (f64, f64), (width, height): (u32, u32)) -> Self {
        if self.is_empty() {
            return Self::default();
        }
        let [x0, y0, x1, y1] = self.rectangle();
        let side = |v: u32, scale: f64, most: u32| ((f64::from(v) * scale).round() as u32).min(most);
        let (left, top) = (side(x0, sx, width), side(y0, sy, height));
        // What becomes less than a pixel stays one.
        let (w, h) = (side(x1, sx, width).max(left + 1), side(y1, sy, height).max(top + 1));
        let (w, h) = (w.min(width).saturating_sub(left), h.min(height).saturating_sub(top));
        Self::from_fn(left, top, w, h, |px, py| {
            self.get(((f64::from(px) + 0.5) / sx) as u32, ((f64::from(py) + 0.5) / sy) as u32)
        })
    }

    /// Pixels set within a rectangle: left, top, and past the right and the bottom.
    pub(crate) fn area_within(&self, [x0, y0, x1, y1]: [u32; 4]) -> u64 {
        let runs = self.runs().filter(|run| (y0..y1).contains(&run.y));
        runs.map(|run| u64::from(run.x1.min(x1).saturating_sub(run.x0.max(x0)))).sum()
    }

    /// Pixels set in either, in the smallest rectangle that holds both.
    pub(crate) fn union(&self, other: &Self) -> Self {
        if self.is_empty() || other.is_empty() {
            return if self.is_empty() { other.clone() } else { self.clone() };
        }
        let ([ax0, ay0, ax1, ay1], [bx0, by0, bx1, by1]) = (self.rectangle(), other.rectangle());
        let (x, y) = (ax0.min(bx0), ay0.min(by0));
        let (w, h) = (ax1.max(bx1) - x, ay1.max(by1) - y);
        let words = w.div_ceil(32) as usize;
        let mut out = Self { x, y, w, h, bits: vec![0; words * h as usize] };
        for part in [self, other] {
            let (first, shift) = ((part.x - x) as usize / 32, (part.x - x) % 32);
            for r in 0..part.h {
                let row = &mut out.bits[words * (part.y + r - y) as usize..][..words];
                for (j, &word) in part.row(r).iter().enumerate() {
                    let wide = u64::from(word) << shift;
                    row[first + j] |= wide as u32;
                    // What is past the last word are the zeros past the part's last column.
                    if let Some(next) = row.get_mut(first + j + 1) {
                        *next |= (wide >> 32) as u32;
                    }
                }
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::any_mask;
    use super::*;

    proptest! {
        #[test]
        fn sets_are_those_of_the_pixels(a in any_mask(), b in any_mask(), x in 0..60_u32, y in 0..40_u32) {
            let count = |inside: &dyn Fn(u32, u32) -> bool| {
                (0..60).flat_map(|y| (0..100).map(move |x| (x, y))).filter(|&(x, y)| inside(x, y)).count() as u64
            };
            prop_assert_eq!(a.intersection(&b), count(&|x, y| a.get(x, y) && b.get(x, y)));
            let both = a.union(&b);
            prop_assert!(Mask::from_bits(both.x, both.y, both.w, both.h, both.bits.clone()).is_ok());
            prop_assert_eq!(both.area(), count(&|x, y| a.get(x, y) || b.get(x, y)));
            prop_assert_eq!(both.intersection(&a), a.area());
            let within = |px: u32, py: u32| (x..x + 20).contains(&px) && (y..y + 9).contains(&py);
            prop_assert_eq!(a.area_within([x, y, x + 20, y + 9]), count(&|px, py| within(px, py) && a.get(px, py)));
        }
    }
}
