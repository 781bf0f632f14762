//! Winograd's convolution F(4×4, 3×3): a 3×3 convolution of stride 1 as 36 products of matrices, a quarter of the
//! multiplications (Lavin and Gray, arXiv:1509.09308).
//!
//! The image is cut into tiles of 4×4 outputs, which 6×6 inputs make. `winograd_in` turns each into 36 points,
//! `winograd_gemm` multiplies the channels of each point with those of the turned weights, and `winograd_out` turns the
//! 36 sums into the 16 outputs. The points of evaluation are 0, ±3/4, ±3/2 and ∞: with them the error of f32 is less
//! than twice that of the plain sum (5.4e-7 against 3.1e-7 for 256 channels; with the usual 0, ±1, ±2 it is 1.2e-6), and
//! every factor of the inputs and outputs is exact.

use std::sync::Arc;

use super::conv2d::Conv2d;
use super::levels::Levels;
use super::winograd_gemm::WinogradGemm;
use super::winograd_in::WinogradIn;
use super::winograd_out::WinogradOut;
use super::{Info, Io, LiveGrid, Operand, Piece, Pieces, Want};
use crate::tensor::Shape;

/// The method's name, to force it.
pub(super) const METHOD: &str = "winograd";
/// Outputs of a tile along each side.
pub(super) const TILE: usize = 4;
/// Points along each side.
pub(super) const POINTS: usize = 6;

const A: f64 = 0.75;
const B: f64 = 1.5;

/// Bytes of the points of one piece: larger ones are no faster (measured: benches/NOTES.md), and take memory.
const PIECE_BYTES: usize = 8 << 20;
/// Channels, and tiles, from which on it pays on a CPU driver (measured: benches/NOTES.md): fewer tiles leave most of a
/// block of pixels empty.
const LEAST_CHANNELS: usize = 32;
const LEAST_TILES: usize = 32;
/// Where the turned weights are so many times larger than all that they are multiplied with, their memory is not worth
/// the time: C5 of a ResNet-50 at 800×1216 would take 54 MiB more, for one hundredth of the time.
const MOST_WEIGHTS: usize = 3;
/// Channels, and tiles of a piece, from which on a GPU is thought to gain: a quarter of the multiplications for points
/// that are written and read twice, in products that fill a block (reasoned: no GPU was at hand).
const LEAST_ON_GPUS: usize = 64;

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
    /// Whether those are maps one after the other ([`Conv2d::levels`]), be it one only; else the whole image.
    pub joined: bool,
    /// The first tile of the piece.
    pub first: usize,
    /// How many there are.
    pub count: usize,
}

impl Tiles {
    /// Tiles of an image.
    pub(super) fn per_image(&self) -> usize {
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

    /// How the grid follows live count `input` where a thread does one of `quads` parts of a tile, and a workgroup has
    /// 64 threads.
    pub(super) fn live_grid(&self, input: usize, quads: usize) -> LiveGrid {
        let [units, first, total] = [self.per_image(), self.first, self.count].map(|tiles| (tiles * quads) as u32);
        LiveGrid { input, axis: 0, rows: self.images as u32, units, first, total, block: 64 }
    }
}

/// A convolution as pieces of tiles, where it can be and is wanted.
pub(super) fn pieces(conv: &Conv2d, io: &Io, want: Want) -> Option<Pieces> {
    let (x, w) = (io.inputs[0].shape, io.inputs[1].shape);
    let (c, k) = (x.dim(3), w.dim(0));
    let (oh, ow) = conv.extents(&x, &w)?;
    let fits = (w.dim(1), w.dim(2)) == (3, 3)
        && conv.stride == (1, 1)
        && conv.dilation == (1, 1)
        && conv.groups == 1
        && conv.by_four()
        && !conv.enlarged(io)
        && c.is_multiple_of(4)
        && k.is_multiple_of(4);
    if !fits {
        return None;
    }
    let (images, maps) = (x.dim(0), conv.levels.or_else(|| Levels::new(&[(oh, ow)]))?);
    let all = Tiles { images, maps, joined: conv.levels.is_some(), first: 0, count: 0 };
    let total = images * all.per_image();
    let most = (PIECE_BYTES / (POINTS * POINTS * 4 * c.max(k))).max(1);
    let parts = total.div_ceil(most);
    // Whole blocks of the product, but for the last piece.
    let count = total.div_ceil(parts).next_multiple_of(128).min(total);
    let wanted = match want {
        Want::Best(caps) if caps.halves => false,
        Want::Best(_) if c * k > MOST_WEIGHTS * total * (c + k) => false,
        Want::Best(caps) if caps.cpu => caps.texels && c.min(k) >= LEAST_CHANNELS && total >= LEAST_TILES,
        Want::Best(_) => c.min(k) >= LEAST_ON_GPUS && count >= LEAST_ON_GPUS,
        Want::Method(name) => name == METHOD,
    };
    if !wanted {
        return None;
    }
    let points = |channels: usize| Info::f32(Shape::from([POINTS * POINTS, count, channels]));

    let counts = conv.live.then(|| Operand::Input(3 + usize::from(conv.residual)));
    let with = |inputs: &[Operand], residual: bool| {
        let residual = (residual && conv.residual).then_some(Operand::Input(3));
        inputs.iter().copied().chain(residual).chain(counts).collect::<Vec<_>>()
    };
    let mut pieces = Vec::new();
    for first in (0..total).step_by(count) {
        let tiles = Tiles { first, count: count.min(total - first), ..all };
        let part = |what: &str| if total > count { format!("{what} {}", first / count + 1) } else { what.into() };
        let share = tiles.count as f64 / total as f64;
        let flops = 2.0 * (images * oh * ow * k * 9 * c) as f64 * share;
        let input = WinogradIn { pad: conv.pad, tiles, live: conv.live, capacity: count };
        let gemm = WinogradGemm { tiles, live: conv.live, reference: flops };
        let y = Shape::from([images, oh, ow, k]);
        let (relu, residual, live, slice) = (conv.relu, conv.residual, conv.live, conv.slice);
        let output = WinogradOut { tiles, relu, residual, live, y, slice };
        let (v, m) = (Operand::Scratch(0), Operand::Scratch(1));
        pieces.extend([
            Piece {
                kernel: Arc::new(input),
                inputs: with(&[Operand::Input(0)], false),
                output: v,
                part: part("tiles"),
            },
            Piece {
                kernel: Arc::new(gemm),
                inputs: with(&[v, Operand::Input(1)], false),
                output: m,
                part: part("products"),
            },
            Piece {
                kernel: Arc::new(output),
                inputs: with(&[m, Operand::Input(2)], true),
                output: Operand::Output,
                part: part("outputs"),
            },
        ]);
    }
    Some(Pieces { scratch: vec![points(c), points(k)], pieces })
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
