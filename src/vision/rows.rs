//! Pictures that are read some rows at a time, and smaller versions that are made of them on the way.

use std::ops::Range;

use crate::error::{Error, Result};
use crate::vision::Image;

/// A picture of which a band of rows can be had at a time, so that all of it need not be in memory.
pub trait RowSource: Send {
    /// Width in pixels, at least 1.
    fn width(&self) -> u32;

    /// Height in pixels, at least 1.
    fn height(&self) -> u32;

    /// The pixels of these rows, 8-bit RGB, row by row without gaps. Bands that come from top to bottom, and may overlap,
    /// are read once; going back costs reading anew.
    ///
    /// # Errors
    /// [`Error::Image`] where the rows cannot be read, or are none of the picture's.
    fn rows(&mut self, rows: Range<u32>) -> Result<&[u8]>;
}

impl RowSource for Image {
    fn width(&self) -> u32 {
        self.width()
    }

    fn height(&self) -> u32 {
        self.height()
    }

    fn rows(&mut self, rows: Range<u32>) -> Result<&[u8]> {
        let row = 3 * self.width() as usize;
        self.rgb().get(rows.start as usize * row..rows.end as usize * row).ok_or_else(|| outside(&rows, self.height()))
    }
}

/// For rows that a picture does not have.
pub(crate) fn outside(rows: &Range<u32>, height: u32) -> Error {
    let reason = format!("has {height} rows, and rows {} to {} were asked for", rows.start, rows.end);
    Error::Image { name: "by rows".into(), reason }
}

/// Makes a smaller version of a picture that comes row by row: each of its pixels is the mean of those that fall on it.
pub struct Shrinker {
    from: (u32, u32),
    to: (u32, u32),
    /// Where each column falls, in samples.
    columns: Vec<usize>,
    /// Of the row at hand: sums by column and channel, and rows in it.
    sums: Vec<u64>,
    rows: u64,
    /// Rows of the picture so far.
    taken: u32,
    out: Vec<u8>,
}

impl Shrinker {
    /// From width and height to others, which are no larger: sides that would be are left as they are.
    pub fn new(from: (u32, u32), to: (u32, u32)) -> Self {
        let to = (to.0.clamp(1, from.0), to.1.clamp(1, from.1));
        let out = Vec::with_capacity(3 * to.0 as usize * to.1 as usize);
        let column = |x: u32| 3 * (u64::from(x) * u64::from(to.0) / u64::from(from.0)) as usize;
        let columns = (0..from.0).map(column).collect();
        Self { from, to, columns, sums: vec![0; 3 * to.0 as usize], rows: 0, taken: 0, out }
    }

    /// Takes the next rows: 8-bit RGB, row by row. How many rows it took in all is [`Shrinker::taken`].
    pub fn add(&mut self, rgb: &[u8]) {
        for row in rgb.chunks_exact(3 * self.from.0 as usize) {
            for (pixel, &at) in row.chunks_exact(3).zip(&self.columns) {
                self.sums[at..at + 3].iter_mut().zip(pixel).for_each(|(sum, &v)| *sum += u64::from(v));
            }
            self.rows += 1;
            self.taken += 1;
            if self.row(self.taken) > self.row(self.taken - 1) {
                self.flush();
            }
        }
    }

    /// The row on which that row of the picture falls.
    fn row(&self, y: u32) -> u64 {
        u64::from(y) * u64::from(self.to.1) / u64::from(self.from.1)
    }

    /// Rows of the picture that were taken.
    pub fn taken(&self) -> u32 {
        self.taken
    }

    fn flush(&mut self) {
        let (from, to) = (u64::from(self.from.0), u64::from(self.to.0));
        for x in 0..to {
            // Columns x with ⌊x · to / from⌋ = this one.
            let columns = ((x + 1) * from).div_ceil(to) - (x * from).div_ceil(to);
            let count = columns * self.rows;
            let sums = &mut self.sums[3 * x as usize..][..3];
            self.out.extend(sums.iter().map(|sum| ((sum + count / 2) / count) as u8));
        }
        self.sums.fill(0);
        self.rows = 0;
    }

    /// The smaller picture, once all rows were taken.
    ///
    /// # Errors
    /// [`Error::Image`] where some are missing.
    pub fn finish(self) -> Result<Image> {
        Image::from_rgb8(self.to.0, self.to.1, self.out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(w: u32, h: u32) -> Image {
        Image::from_rgb8(w, h, (0..3 * w * h).map(|i| (i * 37 % 251) as u8).collect()).unwrap()
    }

    #[test]
    fn an_image_gives_its_rows() {
        let mut image = picture(5, 7);
        let all = image.rgb().to_vec();
        assert_eq!(RowSource::rows(&mut image, 2..4).unwrap(), &all[30..60]);
        assert_eq!(image.rows(0..7).unwrap(), all);
        let told = image.rows(5..8).unwrap_err().to_string();
        assert!(told.contains("7 rows") && told.contains("5 to 8"), "{told}");
    }

    /// By the mean of what falls on each pixel, in bands of any height.
    #[test]
    fn smaller_versions_are_means() {
        for (from, to) in [((7, 5), (3, 2)), ((9, 9), (9, 9)), ((10, 3), (4, 1)), ((4, 6), (9, 9)), ((1, 8), (1, 3))] {
            let mut image = picture(from.0, from.1);
            let mut shrinker = Shrinker::new(from, to);
            while shrinker.taken() < from.1 {
                let at = shrinker.taken();
                shrinker.add(image.rows(at..(at + 2).min(from.1)).unwrap());
            }
            let small = shrinker.finish().unwrap();
            let (w, h) = (to.0.min(from.0), to.1.min(from.1));
            assert_eq!((small.width(), small.height()), (w, h));
            for (x, y) in (0..h).flat_map(|y| (0..w).map(move |x| (x, y))) {
                let on = |x0: u32, y0: u32| (x0 * w / from.0, y0 * h / from.1) == (x, y);
                let all = (0..from.1).flat_map(|y0| (0..from.0).map(move |x0| (x0, y0))).filter(|&(x0, y0)| on(x0, y0));
                let mine: Vec<[u8; 3]> = all.map(|(x0, y0)| image.pixel(x0, y0).unwrap()).collect();
                for c in 0..3 {
                    let mean = mine.iter().map(|p| f64::from(p[c])).sum::<f64>() / mine.len() as f64;
                    assert!((f64::from(small.pixel(x, y).unwrap()[c]) - mean).abs() <= 0.5, "{from:?} {to:?} {x} {y}");
                }
            }
        }
        assert!(Shrinker::new((3, 3), (2, 2)).finish().is_err());
    }
}
