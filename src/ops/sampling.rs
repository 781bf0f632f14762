//! Which pixels of an image its resize reads: worked out on the host, so that only these are sent.
//!
//! A bilinear resize without antialias reads two neighbours along each axis for an output pixel. Of a photo that is
//! shrunk to a sixth, two of six rows and columns are read at most; the others need neither memory on the device nor a
//! trip there, and no image is too large for a binding that holds the network's input.

use super::opencv;
use super::pillow;
pub use super::pillow::{MOST_RATIO, PILLOW_LONGEST};

/// What an output pixel of a resize is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Filter {
    /// The two nearest pixels of each axis, as values of any kind.
    #[default]
    Nearest,
    /// All pixels that it covers, of bytes, by [`pillow`]'s weights: nothing is passed over.
    Area,
    /// The two nearest pixels of each axis, of bytes, by [`opencv`]'s weights.
    Fixed,
    /// What the rows of [`Filter::Fixed`] are made of.
    FixedRows,
    /// The two nearest pixels of each axis, as bytes, with black around the image, cut off to bytes: scikit-image's.
    Cut,
}

/// One axis of a resize.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Axis {
    /// Pixels of the image.
    pub input: u32,
    /// Pixels after the resize.
    pub output: u32,
    /// What an output pixel is made of.
    pub filter: Filter,
}

/// What one output pixel is made of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Pair {
    /// The lower neighbour.
    pub low: u32,
    /// The upper one; at the border, the lower again.
    pub high: u32,
    /// The weight of the upper one.
    pub weight: f32,
}

impl Axis {
    /// How many pixels are sent: all, or, where there are more than two for each of the output, these two.
    pub fn sent(self) -> u32 {
        if self.gathers() { 2 * self.output } else { self.input }
    }

    fn gathers(self) -> bool {
        self.filter != Filter::Area && u64::from(self.input) > 2 * u64::from(self.output)
    }

    /// torch's `interpolate`: half-pixel centres, the ratio divided in f32, the upper neighbour clamped.
    pub(crate) fn pair(self, d: u32) -> Pair {
        if let Some((pair, _)) = self.fixed(d) {
            return pair;
        }
        let ratio = self.input as f32 / self.output as f32;
        let at = (ratio * (d as f32 + 0.5) - 0.5).max(0.0);
        let low = (at as u32).min(self.input - 1);
        Pair { low, high: (low + 1).min(self.input - 1), weight: at - low as f32 }
    }

    /// The same as OpenCV has it, with its weights, where that is the filter.
    fn fixed(self, d: u32) -> Option<(Pair, u32)> {
        let rows = self.filter == Filter::FixedRows;
        (rows || self.filter == Filter::Fixed).then(|| {
            let ([low, high], weight, weights) = opencv::pair(self.input, self.output, d, rows);
            (Pair { low, high, weight }, weights)
        })
    }

    /// scikit-image's `resize` of order 1: half-pixel centres, in whole numbers of 1 / (2 · output). What lies outside of the
    /// image weighs nothing.
    fn weighted(self, d: u32) -> ([u32; 2], [u32; 2]) {
        let (input, output) = (i64::from(self.input), i64::from(self.output));
        let at = (2 * i64::from(d) + 1) * input - output;
        let (low, over) = (at.div_euclid(2 * output), at.rem_euclid(2 * output));
        let of = |pixel: i64, weight: i64| match (0..input).contains(&pixel) {
            true => (pixel as u32, weight as u32),
            false => (pixel.clamp(0, input - 1) as u32, 0),
        };
        let [(low, of_low), (high, of_high)] = [of(low, 2 * output - over), of(low + 1, over)];
        ([low, high], [of_low, of_high])
    }

    /// Both neighbours of an output pixel.
    fn neighbours(self, d: u32) -> [u32; 2] {
        match self.filter {
            Filter::Cut => self.weighted(d).0,
            _ => {
                let Pair { low, high, .. } = self.pair(d);
                [low, high]
            }
        }
    }

    /// The pixels of the image that are sent, as (first, how many side by side), in order.
    fn runs(self) -> Vec<(usize, usize)> {
        if !self.gathers() {
            return vec![(0, self.input as usize)];
        }
        let pair = |d: u32| {
            let [low, high] = self.neighbours(d);
            // At the border, the last pixel is sent twice.
            let pair = [(low as usize, 2), (low as usize, 1)];
            if high > low { pair[..1].to_vec() } else { pair[1..].repeat(2) }
        };
        (0..self.output).flat_map(pair).collect()
    }

    /// How many words tell of an output pixel's neighbours.
    fn words(self) -> usize {
        match self.filter {
            Filter::Nearest | Filter::Fixed | Filter::FixedRows | Filter::Cut => 2,
            Filter::Area => 1 + pillow::taps(self.input, self.output),
        }
    }

    /// Both neighbours among the pixels that are sent, in the halves of a word, and the upper one's weight, or both weights,
    /// in the halves of another.
    fn nearest(self, d: u32) -> [u32; 2] {
        let [low, high] = if self.gathers() { [2 * d, 2 * d + 1] } else { self.neighbours(d) };
        let weights = match self.filter {
            Filter::Cut => {
                let [of_low, of_high] = self.weighted(d).1;
                of_low | of_high << 16
            }
            _ => self.fixed(d).map_or_else(|| self.pair(d).weight.to_bits(), |(_, weights)| weights),
        };
        [low | high << 16, weights]
    }
}

/// The resize of one image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampling {
    /// Along the rows' number.
    pub y: Axis,
    /// Along the columns' number.
    pub x: Axis,
}

impl Sampling {
    /// From `input` (rows, columns) to `output`.
    pub fn new(input: (u32, u32), output: (u32, u32)) -> Self {
        let axis = |input, output| Axis { input, output, filter: Filter::Nearest };
        Self { y: axis(input.0, output.0), x: axis(input.1, output.1) }
    }

    /// The same with such a filter.
    pub fn filtered(self, filter: Filter) -> Self {
        let of_rows = if filter == Filter::Fixed { Filter::FixedRows } else { filter };
        Self { y: Axis { filter: of_rows, ..self.y }, x: Axis { filter, ..self.x } }
    }

    /// How many words tell of a row's or a column's neighbours, made a power of two, so that images of slightly different
    /// sizes share a plan.
    pub fn words(&self) -> usize {
        self.y.words().max(self.x.words()).next_power_of_two()
    }

    /// Whether all pixels are sent.
    pub fn is_whole(&self) -> bool {
        !self.y.gathers() && !self.x.gathers()
    }

    /// Bytes that are sent.
    pub fn bytes(&self) -> u64 {
        3 * u64::from(self.y.sent()) * u64::from(self.x.sent())
    }

    /// Adds what is sent of an image, 3 bytes a pixel, to `out`.
    pub fn gather(&self, rgb: &[u8], out: &mut Vec<u8>) {
        let columns = self.x.runs();
        let width = self.x.input as usize;
        for (first, rows) in self.y.runs() {
            for row in rgb[3 * first * width..3 * (first + rows) * width].chunks_exact(3 * width) {
                for &(from, count) in &columns {
                    out.extend_from_slice(&row[3 * from..3 * (from + count)]);
                }
            }
        }
    }

    /// Which rows of an image are sent, then which columns.
    pub fn places(&self) -> Vec<u32> {
        let all = [self.y, self.x].into_iter().flat_map(Axis::runs);
        all.flat_map(|(first, n)| first as u32..(first + n) as u32).collect()
    }

    /// Adds the neighbours of a network input of `height` × `width` pixels to `out`: so many words for each row, then for
    /// each column, from the first that is not padding on; zeros for the rest.
    pub fn neighbours(&self, height: usize, width: usize, words: usize, out: &mut Vec<u32>) {
        for (axis, n) in [(self.y, height), (self.x, width)] {
            let end = out.len() + words * n;
            match axis.filter {
                Filter::Nearest | Filter::Fixed | Filter::FixedRows | Filter::Cut => {
                    for d in 0..axis.output {
                        let next = out.len() + words;
                        out.extend(axis.nearest(d));
                        out.resize(next, 0);
                    }
                }
                Filter::Area => {
                    for d in 0..axis.output {
                        let next = out.len() + words;
                        pillow::words(axis.input, axis.output, d, out);
                        out.resize(next, 0);
                    }
                }
            }
            out.resize(end, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    /// Against the formula in f64, for axes that grow, stay, and shrink by little and by much.
    #[test]
    fn neighbours_are_those_of_the_formula() {
        let shapes =
            [(1, 1), (1, 9), (7, 20), (31, 31), (40, 21), (40, 20), (41, 20), (999, 7), (8160, 1333), (65_535, 41)];
        for (input, output) in shapes {
            let axis = Axis { input, output, filter: Filter::Nearest };
            let sent: Vec<usize> = axis.runs().iter().flat_map(|&(first, n)| first..first + n).collect();
            assert_eq!(sent.len(), axis.sent() as usize);
            assert_eq!(axis.sent(), input.min(2 * output));
            for d in 0..output {
                let [places, weight] = axis.nearest(d);
                let (low, high) = (sent[places as usize & 0xffff], sent[places as usize >> 16]);
                assert!(high == low + 1 || high == low && low == input as usize - 1, "{input} {output} {d}");
                let at = (f64::from(input) / f64::from(output) * (f64::from(d) + 0.5) - 0.5)
                    .clamp(0.0, f64::from(input) - 1.0);
                let got = low as f64 + f64::from(f32::from_bits(weight)).min((high - low) as f64);
                assert!(
                    (at - got).abs() <= 0.01 * f64::from(input) / 65_535.0 + 1e-5,
                    "{input} {output} {d}: {got} for {at}"
                );
            }
        }
    }

    /// What is sent holds each output pixel's four neighbours where its neighbours say.
    #[test]
    fn what_is_sent_is_what_is_read() {
        let mut rng = Rng::new(3);
        for (input, output) in
            [((9, 50), (9, 8)), ((50, 9), (8, 9)), ((61, 47), (5, 7)), ((12, 13), (6, 6)), ((5, 5), (9, 9))]
        {
            let (sampling, (h, w)) = (Sampling::new(input, output), (output.0 as usize + 2, output.1 as usize + 3));
            let image: Vec<u8> = (0..3 * input.0 * input.1).map(|_| rng.bits() as u8).collect();
            let (mut sent, mut neighbours) = (Vec::new(), Vec::new());
            sampling.gather(&image, &mut sent);
            sampling.neighbours(h, w, 2, &mut neighbours);
            assert_eq!((sent.len() as u64, neighbours.len()), (sampling.bytes(), 2 * (h + w)));
            assert_eq!(sampling.is_whole(), sent == image);
            let places = sampling.places();
            let (rows, columns) = places.split_at(sampling.y.sent() as usize);
            let pixel = |&row: &u32, &column: &u32| &image[3 * (row * input.1 + column) as usize..][..3];
            let picked: Vec<u8> =
                rows.iter().flat_map(|r| columns.iter().flat_map(move |c| pixel(r, c))).copied().collect();
            assert!(picked == sent, "{input:?} {output:?}");
            for y in 0..output.0 {
                for x in 0..output.1 {
                    let (ty, tx) = (sampling.y.pair(y), sampling.x.pair(x));
                    let (py, px) = (neighbours[2 * y as usize], neighbours[2 * (h + x as usize)]);
                    for (iy, sy) in [(ty.low, py & 0xffff), (ty.high, py >> 16)] {
                        for (ix, sx) in [(tx.low, px & 0xffff), (tx.high, px >> 16)] {
                            let (from, at) = (3 * (iy * input.1 + ix), 3 * (sy * sampling.x.sent() + sx));
                            assert_eq!(image[from as usize..][..3], sent[at as usize..][..3], "{input:?} {y} {x}");
                        }
                    }
                }
            }
        }
    }
}
