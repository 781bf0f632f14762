//! One instance's pixels: a rectangle of bits somewhere in an image.

mod regions;

#[cfg(feature = "image")]
use image::{GrayImage, Luma};

use crate::error::{Error, Result};
use crate::vision::rle::Rle;

/// A rectangle of bits in an image, all else being 0.
///
/// Row `r` of the rectangle is `ceil(w / 32)` words; bit `i` of its word `j`, least significant first, is the pixel in
/// column `x + 32 j + i` of image row `y + r`. Bits past column `w` are 0. A mask of no pixels has `w` or `h` 0.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Mask {
    /// The rectangle's left column in the image.
    pub x: u32,
    /// The rectangle's top row in the image.
    pub y: u32,
    /// The rectangle's width in pixels, padding not counted.
    pub w: u32,
    /// The rectangle's height in pixels.
    pub h: u32,
    /// The rows, `h * ceil(w / 32)` words.
    pub bits: Vec<u32>,
}

impl Mask {
    /// Checks what the public fields cannot: the number of words, the zero padding, and that `x + w` and `y + h` fit.
    ///
    /// # Errors
    /// [`Error::Shape`] where one of them does not hold.
    pub fn from_bits(x: u32, y: u32, w: u32, h: u32, bits: Vec<u32>) -> Result<Self> {
        let wrong = |reason: String| Error::Shape { op: "mask".into(), reason };
        if x.checked_add(w).is_none() || y.checked_add(h).is_none() {
            return Err(wrong(format!("a {w}x{h} rectangle at ({x}, {y}) leaves the range of coordinates")));
        }
        let need = u64::from(w.div_ceil(32)) * u64::from(h);
        if bits.len() as u64 != need {
            return Err(wrong(format!("a {w}x{h} rectangle takes {need} words, but {} were given", bits.len())));
        }
        let mask = Self { x, y, w, h, bits };
        let used = last_word(w);
        if let Some(row) = (0..h).find(|&r| mask.row(r).last().is_some_and(|&word| word & !used != 0)) {
            return Err(wrong(format!("row {row} has bits set past its {w} columns")));
        }
        Ok(mask)
    }

    /// Sets each pixel of the rectangle for which `inside(px, py)`, in image coordinates, says so. Called row by row.
    pub fn from_fn(x: u32, y: u32, w: u32, h: u32, mut inside: impl FnMut(u32, u32) -> bool) -> Self {
        let words = w.div_ceil(32);
        let mut bits = Vec::with_capacity(words as usize * h as usize);
        for r in 0..h {
            for j in 0..words {
                let count = (w - 32 * j).min(32);
                bits.push((0..count).fold(0, |word, i| word | u32::from(inside(x + 32 * j + i, y + r)) << i));
            }
        }
        Self { x, y, w, h, bits }
    }

    /// Whether the rectangle has no pixels, as a model without masks leaves it. One of zeros is not empty.
    pub fn is_empty(&self) -> bool {
        self.w == 0 || self.h == 0
    }

    /// The pixel in image column `px` and row `py`; false outside the rectangle.
    pub fn get(&self, px: u32, py: u32) -> bool {
        let (Some(c), Some(r)) = (px.checked_sub(self.x), py.checked_sub(self.y)) else { return false };
        c < self.w && r < self.h && self.row(r).get(c as usize / 32).is_some_and(|word| word >> (c % 32) & 1 == 1)
    }

    /// The number of pixels set.
    pub fn area(&self) -> u64 {
        self.bits.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    /// The words of row `r` of the rectangle, empty where the mask lacks them.
    pub fn row(&self, r: u32) -> &[u32] {
        let words = self.w.div_ceil(32) as usize;
        let start = words * r as usize;
        self.bits.get(start..start + words).unwrap_or(&[])
    }

    /// The horizontal runs of set pixels, row by row, in image coordinates.
    pub fn runs(&self) -> impl Iterator<Item = MaskRun> + '_ {
        (0..self.h).flat_map(move |r| {
            let (row, mut from) = (self.row(r), 0);
            std::iter::from_fn(move || {
                let x0 = next_bit(row, from, true)?;
                let x1 = next_bit(row, x0, false).unwrap_or(32 * row.len() as u32);
                from = x1;
                Some(MaskRun { y: self.y + r, x0: self.x + x0, x1: self.x + x1 })
            })
        })
    }

    /// Intersection over union of the pixels set, 0 to 1; 0 where neither mask has any.
    pub fn iou(&self, other: &Mask) -> f64 {
        let both = self.intersection(other);
        let any = self.area() + other.area() - both;
        if any == 0 { 0.0 } else { both as f64 / any as f64 }
    }

    /// COCO's run-length code within an image of `image_w x image_h` pixels; what lies outside is cut off.
    /// Takes time for the rectangle, whatever the image's size. The image has fewer than 2^32 pixels.
    pub fn to_rle(&self, image_w: u32, image_h: u32) -> Rle {
        let columns = self.w.min(image_w.saturating_sub(self.x));
        let rows = self.h.min(image_h.saturating_sub(self.y));
        let stride = self.w.div_ceil(32) as usize;
        let mut rle = Rle::builder(image_h, image_w);
        for c in 0..columns {
            let (word, bit) = (c as usize / 32, c % 32);
            let top = u64::from(self.x + c) * u64::from(image_h) + u64::from(self.y);
            let mut start = None;
            for r in 0..rows {
                let set = self.bits.get(r as usize * stride + word).is_some_and(|w| w >> bit & 1 == 1);
                match (start, set) {
                    (None, true) => start = Some(r),
                    (Some(from), false) => {
                        rle.ones(top + u64::from(from), top + u64::from(r));
                        start = None;
                    }
                    _ => {}
                }
            }
            if let Some(from) = start {
                rle.ones(top + u64::from(from), top + u64::from(rows));
            }
        }
        rle.finish()
    }

    /// The whole image of `image_w x image_h` pixels, 255 where the mask is set and 0 elsewhere.
    #[cfg(feature = "image")]
    pub fn to_image(&self, image_w: u32, image_h: u32) -> ::image::GrayImage {
        let mut image = GrayImage::new(image_w, image_h);
        for run in self.runs().filter(|run| run.y < image_h) {
            for x in run.x0..run.x1.min(image_w) {
                image.put_pixel(x, run.y, Luma([255]));
            }
        }
        image
    }
}

/// Set pixels side by side: columns `x0..x1` of row `y`, in image coordinates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaskRun {
    /// The row.
    pub y: u32,
    /// The first column.
    pub x0: u32,
    /// One past the last column.
    pub x1: u32,
}

/// The bits of a row's last word that are pixels.
fn last_word(w: u32) -> u32 {
    if w.is_multiple_of(32) { u32::MAX } else { (1 << (w % 32)) - 1 }
}

/// The first bit of `row`, from bit `from` on, that equals `set`.
fn next_bit(row: &[u32], from: u32, set: bool) -> Option<u32> {
    let flip = if set { 0 } else { u32::MAX };
    let first = from as usize / 32;
    row.iter().enumerate().skip(first).find_map(|(j, &word)| {
        let keep = if j == first { u32::MAX << (from % 32) } else { u32::MAX };
        let found = (word ^ flip) & keep;
        (found != 0).then(|| 32 * j as u32 + found.trailing_zeros())
    })
}

/// 32 bits of `row` from bit `from` on, zeros past its end.
fn word_at(row: &[u32], from: u32) -> u32 {
    let word = |j: usize| u64::from(row.get(j).copied().unwrap_or(0));
    let j = from as usize / 32;
    ((word(j) | word(j + 1) << 32) >> (from % 32)) as u32
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_rectangle_without_rows_or_columns_is_empty() {
        for (w, h) in [(0, 0), (3, 0), (0, 3)] {
            assert!(Mask::from_fn(1, 2, w, h, |_, _| true).is_empty(), "{w}x{h}");
        }
        assert!(!Mask::from_fn(1, 2, 1, 1, |_, _| false).is_empty());
    }

    /// Any mask of up to 70x20 pixels within a 100x60 image.
    pub(crate) fn any_mask() -> impl Strategy<Value = Mask> {
        (0..30_u32, 0..40_u32, 0..70_u32, 0..20_u32, any::<u64>(), 0..4_u32).prop_map(|(x, y, w, h, seed, how)| {
            let mut s = seed | 1;
            Mask::from_fn(x, y, w, h, |px, py| {
                s ^= s << 13;
                s ^= s >> 7;
                s ^= s << 17;
                match how {
                    0 => true,
                    1 => s >> 40 & 1 == 1,
                    2 => s >> 40 & 15 == 1,
                    _ => (px + py) % 7 < 4,
                }
            })
        })
    }

    #[test]
    fn bits_lie_where_the_layout_says() {
        let m = Mask::from_fn(10, 20, 40, 2, |x, y| (x, y) == (10, 20) || (x, y) == (49, 21));
        assert_eq!(m.bits, [1, 0, 0, 1 << 7]);
        assert!(m.get(10, 20) && m.get(49, 21) && !m.get(50, 21) && !m.get(9, 20) && !m.get(10, 22));
        assert_eq!(m.area(), 2);
    }

    #[test]
    fn from_bits_refuses_what_does_not_fit() {
        assert!(Mask::from_bits(0, 0, 33, 1, vec![0, 1]).is_ok());
        assert!(Mask::from_bits(0, 0, 33, 1, vec![0, 2]).is_err());
        assert!(Mask::from_bits(0, 0, 33, 1, vec![0]).is_err());
        assert!(Mask::from_bits(u32::MAX, 0, 1, 1, vec![0]).is_err());
        assert!(Mask::from_bits(5, 5, 0, 9, vec![]).is_ok());
    }

    #[test]
    fn a_mask_beyond_the_image_is_cut() {
        let m = Mask::from_fn(3, 3, 10, 10, |_, _| true);
        assert_eq!(m.to_image(5, 4).as_raw().iter().filter(|&&v| v == 255).count(), 2);
        assert_eq!(m.to_rle(5, 4).area(), 2);
        assert_eq!(m.to_rle(2, 2).area(), 0);
        assert_eq!(m.to_rle(0, 0).counts, [0]);
    }

    #[test]
    fn short_bits_do_not_panic() {
        let m = Mask { x: 0, y: 0, w: 40, h: 3, bits: vec![u32::MAX] };
        assert!(!m.get(33, 2));
        let _ = (m.to_rle(50, 50), m.to_image(50, 50), m.iou(&m), m.runs().count());
    }

    proptest! {
        #[test]
        fn runs_image_and_get_agree(m in any_mask()) {
            let image = m.to_image(100, 60);
            let by_get = (0..60).flat_map(|y| (0..100).map(move |x| (x, y))).filter(|&(x, y)| m.get(x, y)).count();
            prop_assert_eq!(by_get as u64, m.area());
            prop_assert_eq!(m.runs().map(|r| u64::from(r.x1 - r.x0)).sum::<u64>(), m.area());
            prop_assert!(image.enumerate_pixels().all(|(x, y, p)| (p.0[0] == 255) == m.get(x, y)));
        }

        #[test]
        fn iou_counts_pixels(a in any_mask(), b in any_mask()) {
            let (ia, ib) = (a.to_image(100, 60), b.to_image(100, 60));
            let pairs = || ia.as_raw().iter().zip(ib.as_raw());
            let both = pairs().filter(|&(&p, &q)| p & q == 255).count();
            let any = pairs().filter(|&(&p, &q)| p | q == 255).count();
            let want = if any == 0 { 0.0 } else { both as f64 / any as f64 };
            prop_assert_eq!(a.iou(&b), want);
        }

        #[test]
        fn a_mask_survives_its_code(m in any_mask()) {
            let rle = m.to_rle(100, 60);
            prop_assert_eq!(rle.area(), m.area());
            prop_assert_eq!(rle.counts.iter().map(|&c| u64::from(c)).sum::<u64>(), 6000);
            let again = Rle::from_compressed_string(60, 100, &rle.to_compressed_string()).unwrap();
            prop_assert_eq!(&again, &rle);
            let back = again.to_mask().unwrap();
            prop_assert_eq!(back.to_image(100, 60), m.to_image(100, 60));
        }
    }
}
