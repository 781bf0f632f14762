//! Masks as sets of pixels, by their runs alone: no bitmap is made.

use super::{Rle, area_of, wrong};
use crate::error::Result;

impl Rle {
    /// A code of such runs, the first of 0.
    ///
    /// # Errors
    /// [`Error::Shape`](crate::Error::Shape) where they do not add up to the image, or it has 2^32 pixels or more.
    pub(crate) fn from_runs(height: u32, width: u32, counts: Vec<u32>) -> Result<Self> {
        let area = area_of(height, width)?;
        let sum: u64 = counts.iter().map(|&c| u64::from(c)).sum();
        if sum != area {
            return Err(wrong(format!("the runs cover {sum} pixels of a {height}x{width} image")));
        }
        Ok(Self { height, width, counts })
    }

    /// The runs of ones as `(first, past the last)`, in pixels counted down the columns; those of no pixel left out.
    pub(crate) fn ones(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let mut at = 0_u64;
        self.counts
            .chunks(2)
            .map(move |pair| {
                let from = at + u64::from(pair[0]);
                at = from + pair.get(1).map_or(0, |&n| u64::from(n));
                (from, at)
            })
            .filter(|(from, to)| from < to)
    }

    /// The smallest rectangle that holds all pixels set: left, top, and past the right and the bottom. Zeros where none is.
    pub(crate) fn bounds(&self) -> [u32; 4] {
        let h = u64::from(self.height.max(1));
        let (mut x0, mut y0, mut x1, mut y1) = (u64::MAX, u64::MAX, 0, 0);
        for (from, to) in self.ones() {
            let last = to - 1;
            (x0, x1) = (x0.min(from / h), x1.max(last / h + 1));
            // A run that goes on in the next column touches its foot and that one's head.
            let one_column = from / h == last / h;
            let (top, foot) = if one_column { (from % h, last % h + 1) } else { (0, h) };
            (y0, y1) = (y0.min(top), y1.max(foot));
        }
        if x1 == 0 { [0; 4] } else { [x0, y0, x1, y1].map(|v| v as u32) }
    }

    /// Pixels set in both, of images of one size.
    pub(crate) fn intersection(&self, other: &Rle) -> u64 {
        let (mut a, mut b) = (self.ones(), other.ones());
        let (mut left, mut right) = (a.next(), b.next());
        let mut both = 0;
        while let (Some((a0, a1)), Some((b0, b1))) = (left, right) {
            both += a1.min(b1).saturating_sub(a0.max(b0));
            // The one that ends first meets nothing further.
            if a1 <= b1 { left = a.next() } else { right = b.next() }
        }
        both
    }

    /// Pixels set in either, of images of one size.
    pub(crate) fn union(&self, other: &Rle) -> Rle {
        let (mut a, mut b) = (self.ones().peekable(), other.ones().peekable());
        let mut out = Rle::builder(self.height, self.width);
        let mut open: Option<(u64, u64)> = None;
        loop {
            let from_a = match (a.peek(), b.peek()) {
                (Some(x), Some(y)) => x.0 <= y.0,
                (x, _) => x.is_some(),
            };
            let Some((from, to)) = (if from_a { a.next() } else { b.next() }) else { break };
            open = match open {
                Some((begin, end)) if from <= end => Some((begin, end.max(to))),
                done => {
                    done.into_iter().for_each(|(begin, end)| out.ones(begin, end));
                    Some((from, to))
                }
            };
        }
        open.into_iter().for_each(|(begin, end)| out.ones(begin, end));
        out.finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::vision::mask::Mask;
    use crate::vision::mask::tests::any_mask;

    proptest! {
        #[test]
        fn sets_are_those_of_the_pixels(a in any_mask(), b in any_mask()) {
            let (ra, rb) = (a.to_rle(100, 60), b.to_rle(100, 60));
            let both = |want: bool| {
                Mask::from_fn(0, 0, 100, 60, |x, y| (a.get(x, y) && b.get(x, y)) || (want && (a.get(x, y) || b.get(x, y))))
            };
            prop_assert_eq!(ra.intersection(&rb), both(false).area());
            prop_assert_eq!(ra.union(&rb), both(true).to_rle(100, 60));
            let tight = ra.to_mask().unwrap();
            let [x0, y0, x1, y1] = ra.bounds();
            prop_assert_eq!((x0, y0, x1 - x0, y1 - y0), (tight.x, tight.y, tight.w, tight.h));
        }
    }

    #[test]
    fn runs_of_no_pixel_are_nothing() {
        let rle = Rle::from_runs(3, 4, vec![2, 0, 3, 2, 1, 0, 4]).unwrap();
        assert_eq!(rle.ones().collect::<Vec<_>>(), [(5, 7)]);
        assert_eq!((rle.bounds(), rle.intersection(&rle)), ([1, 0, 3, 3], 2));
        assert_eq!(rle.union(&rle).counts, [5, 2, 5]);
        assert_eq!(Rle::from_runs(3, 4, vec![12]).unwrap().bounds(), [0; 4]);
        assert!(Rle::from_runs(3, 4, vec![11]).is_err() && Rle::from_runs(3, 4, vec![u32::MAX, 13]).is_err());
    }
}
