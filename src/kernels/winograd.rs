//! Winograd's convolution F(4×4, 3×3): a 3×3 convolution of stride 1 as 36 products of matrices, a quarter of the
//! multiplications (Lavin and Gray, arXiv:1509.09308).
//!
//! The image is cut into tiles of 4×4 outputs, which 6×6 inputs make. `winograd_in` turns each into 36 points,
//! `winograd_gemm` multiplies the channels of each point with those of the turned weights, and `winograd_out` turns the
//! 36 sums into the 16 outputs. The points of evaluation are 0, ±3/4, ±3/2 and ∞: with them the error of f32 is less
//! than twice that of the plain sum (5.4e-7 against 3.1e-7 for 256 channels; with the usual 0, ±1, ±2 it is 1.2e-6), and
//! every factor of the inputs and outputs is exact.

use std::fmt;

use super::{LiveGrid, Variant};
use crate::ops::levels::Levels;
use crate::target::Target;

/// Outputs of a tile along each side.
pub(super) const TILE: usize = 4;
/// Points along each side.
pub(crate) const POINTS: usize = 6;

const A: f64 = 0.75;
const B: f64 = 1.5;

/// Bᵀ: from six inputs to the six points.
pub(super) fn input_matrix() -> [[f64; POINTS]; POINTS] {
    let (a2, b2) = (A * A, B * B);
    [
        [a2 * b2, 0.0, -(a2 + b2), 0.0, 1.0, 0.0],
        [0.0, -A * b2, -b2, A, 1.0, 0.0],
        [0.0, A * b2, -b2, -A, 1.0, 0.0],
        [0.0, -B * a2, -a2, B, 1.0, 0.0],
        [0.0, B * a2, -a2, -B, 1.0, 0.0],
        [0.0, a2 * b2, 0.0, -(a2 + b2), 0.0, 1.0],
    ]
}

/// G: from three weights to the six points.
pub(super) fn weight_matrix() -> [[f64; 3]; POINTS] {
    let (a2, b2) = (A * A, B * B);
    let (n0, na, nb) = (a2 * b2, 2.0 * a2 * (a2 - b2), 2.0 * b2 * (b2 - a2));
    [
        [1.0 / n0, 0.0, 0.0],
        [1.0 / na, A / na, a2 / na],
        [1.0 / na, -A / na, a2 / na],
        [1.0 / nb, B / nb, b2 / nb],
        [1.0 / nb, -B / nb, b2 / nb],
        [0.0, 0.0, 1.0],
    ]
}

/// Aᵀ: from the six points to four outputs.
pub(super) fn output_matrix() -> [[f64; POINTS]; TILE] {
    std::array::from_fn(|i| {
        let power = |p: f64| p.powi(i as i32);
        let ends = |at: usize| if i == at { 1.0 } else { 0.0 };
        [ends(0), power(A), power(-A), power(B), power(-B), ends(TILE - 1)]
    })
}

/// The tiles of one piece of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tiles {
    /// Images.
    pub images: usize,
    /// The output's rows and columns in an image.
    pub maps: Levels,
    /// Whether those are maps one after the other ([`Conv2d::levels`](crate::ops::conv2d::Conv2d::levels)), be it one only; else the whole image.
    pub joined: bool,
    /// The first tile of the piece.
    pub first: usize,
    /// How many there are.
    pub count: usize,
}

impl fmt::Display for Tiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { images, maps, joined, first, count } = self;
        write!(f, "{images}x{maps}{}:{first}+{count}", if *joined { ",joined" } else { "" })
    }
}

impl Tiles {
    /// Tiles of an image.
    pub(crate) fn per_image(&self) -> usize {
        self.maps.maps().iter().map(|&(h, w)| h.div_ceil(TILE) * w.div_ceil(TILE)).sum()
    }

    /// Columns of tiles, where the map is the whole image.
    pub(super) fn columns(&self) -> usize {
        self.maps.maps()[0].1.div_ceil(TILE)
    }

    /// The maps, where they are not the whole image.
    pub(super) fn levels(&self) -> Option<Levels> {
        self.joined.then_some(self.maps)
    }

    /// For the shaders ([`Levels::table`]).
    pub(super) fn table(&self) -> [[u32; 4]; Levels::MOST] {
        self.maps.table(TILE)
    }

    /// The variant of what turns tiles, with a live count at `place` among the inputs where said. A CPU driver takes a
    /// quarter of a second to compile one, so there all share a text: a map alone is one of several (where the text can
    /// take it so), and all of its rows are live.
    pub(super) fn variant(&self, place: usize, live: bool, as_level: bool, target: &Target) -> Variant {
        let mut plain = Variant::plain();
        if self.joined || (target.pays.fewer_texts && as_level) {
            plain.features.push(if target.pays.fewer_texts {
                ("LEVELS", Levels::MOST as u32)
            } else {
                self.maps.define()
            });
        }
        if target.pays.fewer_texts { plain.optional("LIVE", place, live) } else { plain.flag("LIVE", live) }
    }

    /// The same with threads of two channels first, where that pays: the points of four are up to 192 registers.
    pub(super) fn by_twos(plain: Variant, target: &Target) -> Vec<Variant> {
        let twos = plain.clone().called("twos").flag("TWOS", true);
        if target.pays.winograd.twos { vec![twos, plain] } else { vec![plain, twos] }
    }

    /// Channels of a thread.
    pub(super) fn channels(variant: &Variant) -> usize {
        if variant.find("TWOS").is_some() { 2 } else { 4 }
    }

    /// How the grid follows live count `input` where a thread does one of `parts` of a tile, and a workgroup has
    /// 64 threads.
    pub(super) fn live_grid(&self, input: usize, parts: usize) -> LiveGrid {
        let [units, first, total] = [self.per_image(), self.first, self.count].map(|tiles| (tiles * parts) as u32);
        LiveGrid { input, axis: 0, rows: self.images as u32, units, first, total, block: 64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The three matrices make a convolution: exactly, but for the rounding of G.
    #[test]
    fn the_matrices_convolve() {
        let (x, w) = ([1.0, -2.0, 3.5, 0.25, 7.0, -1.0], [0.5, -1.5, 2.0]);
        let dot = |row: &[f64], v: &[f64]| row.iter().zip(v).map(|(a, b)| a * b).sum::<f64>();
        let v = input_matrix().map(|row| dot(&row, &x));
        let u = weight_matrix().map(|row| dot(&row, &w));
        let products: Vec<f64> = v.iter().zip(u).map(|(a, b)| a * b).collect();
        for (i, row) in output_matrix().iter().enumerate() {
            let (got, want) = (dot(row, &products), dot(&x[i..i + 3], &w));
            assert!((got - want).abs() < 1e-13, "output {i}: {got} instead of {want}");
        }
    }
}
