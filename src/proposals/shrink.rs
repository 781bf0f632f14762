//! Large pictures made smaller.

use std::borrow::Cow;

/// A picture of at most so many pixels a side, and where its columns and rows were.
pub(super) struct Shrunk<'a> {
    rgb: Cow<'a, [u8]>,
    /// Columns.
    pub width: usize,
    /// The first column and row of the picture for each of these, and those after the last.
    begins: [Vec<u32>; 2],
}

impl<'a> Shrunk<'a> {
    /// An RGB picture, shrunk where it has a longer side than `most`: each pixel is the mean of those that it stands for.
    pub(super) fn new(rgb: &'a [u8], width: usize, height: usize, most: usize) -> Self {
        let long = width.max(height);
        let side = |side: usize| if long <= most { side } else { ((side * most + long / 2) / long).max(1) };
        let begins = [width, height].map(|of| {
            let n = side(of);
            (0..=n).map(|i| (i * of / n) as u32).collect::<Vec<u32>>()
        });
        let columns = begins[0].len() - 1;
        if long <= most {
            return Self { rgb: Cow::Borrowed(rgb), width, begins };
        }
        let mut out = Vec::with_capacity(columns * (begins[1].len() - 1) * 3);
        for rows in begins[1].windows(2) {
            let mut sums = vec![[0u64; 3]; columns];
            for y in rows[0] as usize..rows[1] as usize {
                let row = rgb[y * width * 3..][..width * 3].as_chunks::<3>().0;
                for (sum, span) in sums.iter_mut().zip(begins[0].windows(2)) {
                    for pixel in &row[span[0] as usize..span[1] as usize] {
                        sum.iter_mut().zip(pixel).for_each(|(sum, v)| *sum += u64::from(*v));
                    }
                }
            }
            for (sum, span) in sums.iter().zip(begins[0].windows(2)) {
                let n = u64::from((span[1] - span[0]) * (rows[1] - rows[0]));
                out.extend(sum.map(|sum| ((sum + n / 2) / n) as u8));
            }
        }
        Self { rgb: Cow::Owned(out), width: columns, begins }
    }

    /// Its pixels.
    pub(super) fn rgb(&self) -> &[u8] {
        &self.rgb
    }

    /// A box of it as a box of the picture: x1, y1, x2, y2.
    pub(super) fn whole(&self, [x1, y1, x2, y2]: [u32; 4]) -> [f32; 4] {
        let [columns, rows] = &self.begins;
        [columns[x1 as usize], rows[y1 as usize], columns[x2 as usize], rows[y2 as usize]].map(|v| v as f32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_are_means_and_boxes_go_back() {
        // Five columns in two: two and three of them. Three rows in one.
        let row = [10, 20, 30, 60, 90].map(|v| [v, 0, 200]).concat();
        let rgb = [row.clone(), row.clone(), row].concat();
        let same = Shrunk::new(&rgb, 5, 3, 5);
        assert_eq!((same.rgb(), same.width), (&rgb[..], 5));
        assert_eq!(same.whole([1, 0, 4, 3]), [1.0, 0.0, 4.0, 3.0]);
        let half = Shrunk::new(&rgb, 5, 3, 2);
        assert_eq!((half.rgb(), half.width), (&[15, 0, 200, 60, 0, 200][..], 2));
        assert_eq!(half.whole([1, 0, 2, 1]), [2.0, 0.0, 5.0, 3.0]);
        assert_eq!(half.whole([0, 0, 2, 1]), [0.0, 0.0, 5.0, 3.0]);
    }
}
