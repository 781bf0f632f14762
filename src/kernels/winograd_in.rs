//! Winograd's convolution, first part: inputs to points.

use crate::rng::Rng;
use super::winograd::{POINTS, TILE, Tiles, input_matrix};
use super::{Case, Kernel, Launch, LiveGrid, Params as _, Tolerance, Variant, fold_grid};
use crate::ops::levels::Levels;
use crate::ops::live;
use crate::ops::{Cost, Info, Io, Op, Operand, Setting, on, pair, settings, value};
use super::walks;
use crate::params;
use crate::target::Target;
use crate::tensor::{ELEMENT_BYTES, Value};

params! {
    levels: [[u32; 4]; Levels::MOST],
    total: u32, h: u32, w: u32, cells: u32, c: u32, pad_h: u32, pad_w: u32,
    columns: u32, per_image: u32, first: u32, capacity: u32, images_per_batch: u32, grid_x: u32,
}

/// `v[point, tile, c]`: Bᵀ d B of each tile's 6×6 inputs d, zero outside the image.
///
/// Inputs: x `[N,H,W,C]`, or `[N,1,cells,C]` where it is several maps, C a multiple of 4, and live `[B]` where said.
/// Output `[36, capacity, C]`; of it the piece's tiles of live images are written.
#[derive(Clone, Debug)]
pub struct WinogradIn {
    /// Zeros assumed around the image, (top and bottom, left and right).
    pub pad: (usize, usize),
    /// The piece.
    pub tiles: Tiles,
    /// Whether a live count is given.
    pub live: bool,
    /// Tiles that the output has room for.
    pub capacity: usize,
}

impl Op for WinogradIn {
    fn name(&self) -> &'static str {
        "winograd_in"
    }

    fn operands(&self) -> Vec<Operand> {
        vec![Operand::f32("x", 4)].into_iter().chain(self.live.then_some(Operand::LIVE)).collect()
    }

    fn infer(&self, inputs: &[Info]) -> Result<Vec<Info>, String> {
        let x = inputs[0].shape;
        if !x.dim(3).is_multiple_of(4) || x.dim(0) != self.tiles.images {
            return Err(format!("takes x [{},H,W,C] with C a multiple of 4, not {x}", self.tiles.images));
        }
        if self.tiles.levels().is_some_and(|l| (x.dim(1), x.dim(2)) != (1, l.cells())) {
            return Err(format!("takes x [N,1,{},C] of several maps, not {x}", self.tiles.maps.cells()));
        }
        if self.live {
            live::check(&inputs[1], x.dim(0), "images")?;
        }
        if self.tiles.count > self.capacity {
            return Err(format!("{} tiles do not fit room for {}", self.tiles.count, self.capacity));
        }
        Ok(vec![Info::f32([POINTS * POINTS, self.capacity, x.dim(3)])])
    }

    /// No reference arithmetic: the convolution's stands with its products.
    fn cost(&self, io: &Io) -> Cost {
        let c = io.dim(0, 3);
        let elements = self.tiles.count * c * (TILE * TILE + POINTS * POINTS);
        Cost { flops: 0.0, bytes: (elements * ELEMENT_BYTES) as f64 }
    }

    fn twin(&self, inputs: &[Value]) -> Vec<Value> {
        let (c, bt) = (inputs[0].shape.dim(3), input_matrix());
        let maps = match self.tiles.joined {
            false => vec![inputs[0].clone()],
            true => walks::maps_of(&inputs[0], self.tiles.maps.maps()),
        };
        let live = self.live.then(|| inputs[1].ints());
        let mut out = vec![f32::NAN; POINTS * POINTS * self.capacity * c];
        for tile in walks::tiles(&self.tiles, live) {
            let x = &maps[tile.map];
            let (h, w) = (x.shape.dim(1), x.shape.dim(2));
            for ch in 0..c {
                let d = |i: usize, j: usize| {
                    let y = (tile.row + i).checked_sub(self.pad.0).filter(|&y| y < h);
                    let z = (tile.column + j).checked_sub(self.pad.1).filter(|&z| z < w);
                    y.zip(z).map_or(0.0, |(y, z)| x.floats()[((tile.image * h + y) * w + z) * c + ch] as f64)
                };
                for a in 0..POINTS {
                    for b in 0..POINTS {
                        let sum: f64 = (0..POINTS * POINTS)
                            .map(|i| bt[a][i / POINTS] * d(i / POINTS, i % POINTS) * bt[b][i % POINTS])
                            .sum();
                        out[((a * POINTS + b) * self.capacity + tile.at) * c + ch] = sum as f32;
                    }
                }
            }
        }
        vec![Value::f32([POINTS * POINTS, self.capacity, c], out)]
    }

    fn settings(&self) -> Vec<Setting> {
        settings([("pad", pair(0, self.pad)), ("tiles", value(self.tiles)), ("live", on(self.live)), ("capacity", value(self.capacity))])
    }
}

impl Kernel for WinogradIn {
    fn variants(&self, _: &Io, target: &Target) -> Vec<Variant> {
        // A map's sizes are the input's, where padding keeps them.
        let plain = self.tiles.variant(1, self.live, self.pad == (1, 1), target);
        // An input has a part in 36 / 16 tiles.
        let texels = plain.clone().called("texels").texture(0, "X_TEXTURE", true);
        if target.reads_texels() { vec![texels, plain] } else { Tiles::by_twos(plain, target) }
    }

    fn launch(&self, io: &Io, variant: &Variant) -> Launch {
        let x = io.inputs[0].shape;
        let parts = x.dim(3) / Tiles::channels(variant);
        let total = self.tiles.count * parts;
        let grid = fold_grid(total.div_ceil(64));
        let batches = if self.live { io.inputs[1].shape.len() } else { 1 };
        let params = P {
            levels: self.tiles.table(),
            total: total as u32,
            h: x.dim(1) as u32,
            w: x.dim(2) as u32,
            cells: (x.dim(1) * x.dim(2)) as u32,
            c: parts as u32,
            pad_h: self.pad.0 as u32,
            pad_w: self.pad.1 as u32,
            columns: self.tiles.columns() as u32,
            per_image: self.tiles.per_image() as u32,
            first: self.tiles.first as u32,
            capacity: self.capacity as u32,
            images_per_batch: (x.dim(0) / batches) as u32,
            grid_x: grid[0],
        };
        Launch { grid, params: params.bytes() }
    }

    fn live_grid(&self, io: &Io, variant: &Variant) -> Option<LiveGrid> {
        self.live.then(|| self.tiles.live_grid(1, io.dim(0, 3) / Tiles::channels(variant)))
    }

    fn executed(&self, io: &Io, _: &Variant) -> f64 {
        // 12 times six points in 20 operations.
        (self.tiles.count * io.dim(0, 3) * 12 * 20) as f64
    }
}

/// What a case is made of.
struct Setup {
    name: &'static str,
    x: [usize; 4],
    pad: (usize, usize),
    /// The maps that lie in each image one after the other; none where the image is the map.
    maps: &'static [(usize, usize)],
    /// The first tile, and room for so many.
    piece: (usize, usize),
    live: Option<Vec<u32>>,
}

/// Whole and ragged images, padding on no side, one or both, pieces, and live images.
pub fn cases() -> Vec<Case> {
    let mut rng = Rng::new(41);
    let mut case = |Setup { name, x, pad, maps, piece: (first, capacity), live }: Setup| {
        let joined = !maps.is_empty();
        let whole = [(x[1] + 2 * pad.0 - 2, x[2] + 2 * pad.1 - 2)];
        let maps = Levels::new(if joined { maps } else { &whole }).expect("maps");
        let all = Tiles { images: x[0], maps, joined, first, count: 0 };
        let tiles = Tiles { count: capacity.min(x[0] * all.per_image() - first), ..all };
        let kernel = WinogradIn { pad, tiles, live: live.is_some(), capacity };
        let mut inputs = vec![rng.tensor(x)];
        inputs.extend(live.map(|l| Value::u32([l.len()], l)));
        Case::new(name, kernel, inputs, Tolerance::Norm { relative: 5e-7 })
    };
    let whole = |name, x, piece| Setup { name, x, pad: (1, 1), maps: &[], piece, live: None };
    const THREE: &[(usize, usize)] = &[(9, 6), (5, 3), (1, 1)];
    vec![
        case(whole("P2", [1, 40, 24, 64], (0, 60))),
        case(whole("ragged", [2, 7, 9, 12], (0, 16))),
        case(whole("one pixel", [1, 1, 1, 4], (0, 1))),
        case(Setup { pad: (0, 0), ..whole("no padding", [1, 11, 6, 8], (0, 3)) }),
        case(Setup { pad: (2, 0), ..whole("wide padding", [1, 5, 9, 8], (0, 4)) }),
        case(whole("a piece", [1, 23, 31, 8], (17, 20))),
        case(Setup { live: Some(vec![4]), ..whole("mask head, some live", [6, 14, 14, 16], (0, 96)) }),
        case(Setup { maps: &[(6, 9)], ..whole("one level", [2, 1, 54, 4], (0, 12)) }),
        case(Setup { maps: THREE, ..whole("three levels", [2, 1, 70, 8], (0, 18)) }),
        case(Setup { maps: THREE, ..whole("three levels, a piece", [2, 1, 70, 4], (5, 9)) }),
        case(Setup { live: Some(vec![3, 1]), ..whole("batches, the last piece", [6, 5, 5, 8], (10, 20)) }),
    ]
}
