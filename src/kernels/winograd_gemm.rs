//! Winograd's convolution, second part: at each point, channels times weights.

use crate::rng::Rng;
use super::schedule::{Schedule, Tile};
use super::tiled::Product;
use super::winograd::{POINTS, TILE, Tiles, weight_matrix};
use super::{Case, Kernel, Launch, LiveGrid, Params as _, Tolerance, Variant, tiled};
use crate::ops::levels::Levels;
use crate::ops::live;
use crate::ops::{Cost, Info, Io, Op, Operand, Setting, on, settings, value};
use super::walks;
use crate::params;
use crate::target::{Caps, Factors, Matrices, Target};
use crate::tensor::{ELEMENT_BYTES, Shape, Value};

params! {
    tiles: u32, c: u32, k: u32, blocks: u32, per_image: u32, first: u32, capacity: u32, images_per_batch: u32,
    grid_x: u32,
}

/// `m[point, tile, k] = Σ v[point, tile, c] · (G w[k] Gᵀ)[point, c]`.
///
/// Inputs: v `[36,capacity,C]`, weight `[K,3,3,C]`, and live `[B]` where said. Output `[36,capacity,K]`; of it the
/// piece's tiles of live images are written.
#[derive(Clone, Debug)]
pub struct WinogradGemm {
    /// The piece.
    pub tiles: Tiles,
    /// Whether a live count is given.
    pub live: bool,
    /// Operations of that part of the convolution, as its definition has them.
    pub reference: f64,
}

/// G w Gᵀ: `[36,K,C]` of weights `[K,3,3,C]`.
pub(super) fn turned(weight: &Value) -> Vec<f64> {
    turned_by(weight, &weight_matrix())
}

/// The same by any G of so many points along each side.
pub(super) fn turned_by<const SIDE: usize>(weight: &Value, g: &[[f64; 3]; SIDE]) -> Vec<f64> {
    let (k, c) = (weight.shape.dim(0), weight.shape.dim(3));
    let mut out = vec![0.0; SIDE * SIDE * k * c];
    for (row, taps) in weight.floats().chunks_exact(9 * c).enumerate() {
        for point in 0..SIDE * SIDE {
            let target = &mut out[(point * k + row) * c..][..c];
            for tap in 0..9 {
                let factor = g[point / SIDE][tap / 3] * g[point % SIDE][tap % 3];
                if factor != 0.0 {
                    let sums = target.iter_mut().zip(&taps[tap * c..][..c]);
                    sums.for_each(|(sum, &w)| *sum += factor * w as f64);
                }
            }
        }
    }
    out
}

/// The same by the definition of Toom and Cook, for the twin: `[36][K][C]`. A filter is a polynomial of its taps, whose
/// value at each point is divided by the distances to all other points; the last point is at infinity, where its highest
/// tap alone counts. Nothing of [`turned`] is used, which packs what the shader multiplies with.
fn interpolated(weight: &Value) -> Vec<Vec<Vec<f64>>> {
    const FINITE: [f64; POINTS - 1] = [0.0, 0.75, -0.75, 1.5, -1.5];
    let at = |point: usize, taps: [f64; 3]| -> f64 {
        let Some(&x) = FINITE.get(point) else { return taps[2] };
        let others = FINITE.iter().filter(|&&other| other != x);
        (taps[0] + x * taps[1] + x * x * taps[2]) / others.map(|other| x - other).product::<f64>()
    };
    let (k, c) = (weight.shape.dim(0), weight.shape.dim(3));
    let filter = |row: usize, ch: usize, y: usize, x: usize| weight.floats()[((row * 3 + y) * 3 + x) * c + ch] as f64;
    let value = |point: (usize, usize), row: usize, ch: usize| {
        let across = |y: usize| at(point.1, [0, 1, 2].map(|x| filter(row, ch, y, x)));
        at(point.0, [0, 1, 2].map(across))
    };
    let points = (0..POINTS).flat_map(|down| (0..POINTS).map(move |across| (down, across)));
    points.map(|p| (0..k).map(|row| (0..c).map(|ch| value(p, row, ch)).collect()).collect()).collect()
}

impl Op for WinogradGemm {
    fn name(&self) -> &'static str {
        "winograd_gemm"
    }

    fn operands(&self) -> Vec<Operand> {
        vec![Operand::f32("v", 3), Operand::f32("weight", 4)].into_iter().chain(self.live.then_some(Operand::LIVE)).collect()
    }

    fn infer(&self, inputs: &[Info]) -> Result<Vec<Info>, String> {
        let (v, w) = (inputs[0].shape, inputs[1].shape);
        if v.dim(0) != POINTS * POINTS || v.dim(1) < self.tiles.count || !v.dim(2).is_multiple_of(4) {
            return Err(format!("takes v [36,T,C] of {} tiles, C a multiple of 4, not {v}", self.tiles.count));
        }
        if w != Shape::from([w.dim(0), 3, 3, v.dim(2)]) || !w.dim(0).is_multiple_of(4) {
            return Err(format!("weight {w} is not [K,3,3,{}], K a multiple of 4", v.dim(2)));
        }
        if self.live {
            live::check(&inputs[2], self.tiles.images, "images")?;
        }
        Ok(vec![Info::f32([v.dim(0), v.dim(1), w.dim(0)])])
    }

    fn cost(&self, io: &Io) -> Cost {
        let (c, k) = (io.dim(0, 2), io.dim(1, 0));
        let elements = POINTS * POINTS * (self.tiles.count * (c + k) + c * k);
        Cost { flops: self.reference, bytes: (elements * ELEMENT_BYTES) as f64 }
    }

    fn twin(&self, inputs: &[Value]) -> Vec<Value> {
        let (v, u) = (&inputs[0], interpolated(&inputs[1]));
        let (capacity, c, k) = (v.shape.dim(1), v.shape.dim(2), inputs[1].shape.dim(0));
        let live = self.live.then(|| inputs[2].ints());
        let mut out = vec![f32::NAN; POINTS * POINTS * capacity * k];
        for point in 0..POINTS * POINTS {
            for tile in walks::tiles(&self.tiles, live) {
                let channels = &v.floats()[(point * capacity + tile.at) * c..][..c];
                for (row, weights) in u[point].iter().enumerate() {
                    let sum: f64 = channels.iter().zip(weights).map(|(&a, &b)| a as f64 * b).sum();
                    out[(point * capacity + tile.at) * k + row] = sum as f32;
                }
            }
        }
        vec![Value::f32([POINTS * POINTS, capacity, k], out)]
    }

    fn settings(&self) -> Vec<Setting> {
        settings([("tiles", value(self.tiles)), ("live", on(self.live))])
    }
}

impl Kernel for WinogradGemm {
    fn variants(&self, io: &Io, target: &Target) -> Vec<Variant> {
        let n = POINTS * POINTS * self.tiles.count;
        // Copies are made for dead pieces too: in the second half of the rows, which are rarely live, they do not pay.
        let rare = self.live && 2 * self.tiles.first >= self.tiles.images * self.tiles.per_image();
        let product = Product { n, c: io.dim(0, 2), k: io.dim(1, 0), taps: usize::from(!rare), quads: true, plain: true };
        // Points are more than f16 can tell apart: sums of them cancel. Of matrix units there is no text.
        let can = Caps { matrices: Matrices::NONE, ..target.can };
        let target = &Target { can, ..target.with(Factors::F32) };
        // The last runs anywhere.
        let least = Tile { threads: 64, pixels: 1, times: 1, lanes: 4, step: 1 };
        let least = Variant::of(Schedule::Small(least)).flag("QUADS", true);
        let live = |v: Variant| match target.pays.fewer_texts {
            true => v.optional("LIVE", 2, self.live),
            false => v.flag("LIVE", self.live),
        };
        tiled::variants(product, target).into_iter().chain([least]).map(live).collect()
    }

    fn launch(&self, io: &Io, variant: &Variant) -> Launch {
        let k = io.dim(1, 0);
        let mut grid = tiled::grid(self.tiles.count, k, variant);
        let blocks = grid[2];
        grid[2] *= (POINTS * POINTS) as u32;
        let batches = if self.live { io.inputs[2].shape.len() } else { 1 };
        let params = P {
            tiles: self.tiles.count as u32,
            c: (io.dim(0, 2) / 4) as u32,
            k: k as u32,
            blocks,
            per_image: self.tiles.per_image() as u32,
            first: self.tiles.first as u32,
            capacity: io.dim(0, 1) as u32,
            images_per_batch: (self.tiles.images / batches) as u32,
            grid_x: grid[0],
        };
        Launch { grid, params: params.bytes() }
    }

    fn live_grid(&self, _: &Io, variant: &Variant) -> Option<LiveGrid> {
        let grid = tiled::live_grid(2, self.tiles.per_image(), self.tiles.count, variant).filter(|_| self.live)?;
        Some(LiveGrid { rows: self.tiles.images as u32, first: self.tiles.first as u32, ..grid })
    }

    fn executed(&self, io: &Io, variant: &Variant) -> f64 {
        tiled::executed(self.tiles.count, io.dim(1, 0), io.dim(0, 2), variant) * (POINTS * POINTS) as f64
    }

    fn weight_layout(&self, index: usize, variant: &Variant) -> Option<String> {
        tiled::weight_layout(variant).filter(|_| index == 1).map(|layout| format!("Winograd's points, {layout}"))
    }

    /// `[36, K/TK, C/4, TK, 4]`, zero past K.
    fn pack(&self, _: usize, value: &Value, variant: &Variant) -> Value {
        let (k, c) = (value.shape.dim(0), value.shape.dim(3));
        let points: Vec<f32> = turned(value).into_iter().map(|v| v as f32).collect();
        let packed: Vec<f32> = points
            .chunks_exact(k * c)
            .flat_map(|rows| tiled::pack_rows(rows, k, c, variant).floats().to_vec())
            .collect();
        Value::f32([packed.len() / c, c], packed)
    }
}

/// Small and ragged products, pieces, and live images.
pub fn cases() -> Vec<Case> {
    let mut rng = Rng::new(42);
    let mut case = |name: &str, c: usize, k: usize, tiles: Tiles, capacity: usize, live: Option<Vec<u32>>| {
        let kernel = WinogradGemm { tiles, live: live.is_some(), reference: (tiles.count * 16 * 18 * c * k) as f64 };
        let mut inputs = vec![rng.tensor([POINTS * POINTS, capacity, c]), rng.tensor([k, 3, 3, c])];
        inputs.extend(live.map(|l| Value::u32([l.len()], l)));
        Case::new(name, kernel, inputs, Tolerance::Norm { relative: 1e-6 })
    };
    let tiles = |images, rows, columns, first, count| {
        let maps = Levels::new(&[(rows * TILE, columns * TILE)]).expect("a map");
        Tiles { images, maps, joined: false, first, count }
    };
    vec![
        case("C2", 32, 32, tiles(1, 10, 13, 0, 130), 130, None),
        case("P2, a piece", 64, 128, tiles(1, 12, 15, 40, 100), 128, None),
        case("ragged", 12, 20, tiles(2, 3, 3, 0, 18), 18, None),
        case("least", 4, 4, tiles(1, 1, 1, 0, 1), 1, None),
        case("mask head, some live", 16, 24, tiles(20, 4, 4, 0, 320), 320, Some(vec![13])),
        case("batches, the last piece", 8, 8, tiles(6, 2, 2, 9, 15), 16, Some(vec![3, 1])),
        case("none live", 8, 16, tiles(3, 2, 2, 0, 12), 12, Some(vec![0])),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is packed, and what the twin takes, against G·g·Gᵀ (Lavin and Gray, equation 8), G being that of the points
    /// 0, ±3/4, ±3/2 and ∞ in fractions worked out by hand.
    #[test]
    fn turned_weights_are_ggg() {
        let g = [
            [64.0 / 81.0, 0.0, 0.0],
            [-128.0 / 243.0, -32.0 / 81.0, -8.0 / 27.0],
            [-128.0 / 243.0, 32.0 / 81.0, -8.0 / 27.0],
            [32.0 / 243.0, 16.0 / 81.0, 8.0 / 27.0],
            [32.0 / 243.0, -16.0 / 81.0, 8.0 / 27.0],
            [0.0, 0.0, 1.0f64],
        ];
        let (k, c) = (3, 2);
        let weight = Rng::new(5).tensor([k, 3, 3, c]);
        let (packed, twin) = (turned(&weight), interpolated(&weight));
        for (down, left) in g.iter().enumerate() {
            for (across, right) in g.iter().enumerate() {
                for (row, ch) in (0..k * c).map(|i| (i / c, i % c)) {
                    let mut want = 0.0;
                    for (y, a) in left.iter().enumerate() {
                        for (x, b) in right.iter().enumerate() {
                            want += a * weight.floats()[((row * 3 + y) * 3 + x) * c + ch] as f64 * b;
                        }
                    }
                    let point = down * POINTS + across;
                    for got in [packed[(point * k + row) * c + ch], twin[point][row][ch]] {
                        assert!((got - want).abs() < 1e-14, "point {point}, {row}, {ch}: {got} instead of {want}");
                    }
                }
            }
        }
    }
}
