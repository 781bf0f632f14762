//! Winograd's convolution, third part: points to outputs, with bias, residual and ReLU.

use crate::rng::Rng;
use super::winograd::{POINTS, TILE, Tiles, output_matrix};
use super::{Case, Kernel, Launch, LiveGrid, Params as _, Tolerance, Variant, fold_grid};
use crate::ops::conv2d::placed;
use crate::ops::levels::Levels;
use crate::ops::live;
use crate::ops::{Cost, Info, Io, Op, Operand, Setting, on, settings, slice, value};
use super::walks;
use crate::params;
use crate::target::Target;
use crate::tensor::{ELEMENT_BYTES, Shape, Value};

params! {
    levels: [[u32; 4]; Levels::MOST],
    total: u32, k: u32, h: u32, w: u32, y_offset: u32, y_image_stride: u32,
    columns: u32, per_image: u32, first: u32, capacity: u32, images_per_batch: u32, relu: u32, grid_x: u32,
}

/// `y[n, oh, ow, k] = act(bias[k] + residual + Aᵀ m A)` of each tile's 36 points m.
///
/// Inputs: m `[36,capacity,K]`, K a multiple of 4, bias `[K]`, then residual `[N,OH,OW,K]` and live `[B]` where said. Of
/// the output the piece's tiles of live images are written.
#[derive(Clone, Debug)]
pub struct WinogradOut {
    /// The piece.
    pub tiles: Tiles,
    /// Whether max(·, 0) follows.
    pub relu: bool,
    /// Whether a residual is added before the ReLU.
    pub residual: bool,
    /// Whether a live count is given.
    pub live: bool,
    /// The output: `[N,OH,OW,K]`, or `[N,1,cells,K]` where it is several maps.
    pub y: Shape,
    /// Where that is a part of a larger tensor ([`Conv2d::slice`](crate::ops::conv2d::Conv2d::slice)), places by four.
    pub slice: Option<(Shape, usize)>,
}

impl Op for WinogradOut {
    fn name(&self) -> &'static str {
        "winograd_out"
    }

    fn operands(&self) -> Vec<Operand> {
        let more = [self.residual.then_some(Operand::f32("residual", 4)), self.live.then_some(Operand::LIVE)];
        [Operand::f32("m", 3), Operand::f32("bias", 1)].into_iter().chain(more.into_iter().flatten()).collect()
    }

    fn infer(&self, inputs: &[Info]) -> Result<Vec<Info>, String> {
        let (m, k) = (inputs[0].shape, self.y.dim(3));
        if m.dim(0) != POINTS * POINTS || m.dim(1) < self.tiles.count || m.dim(2) != k || !k.is_multiple_of(4) {
            return Err(format!("takes m [36,T,{k}] of {} tiles, K a multiple of 4, not {m}", self.tiles.count));
        }
        if inputs[1].shape != Shape::from([k]) || (self.residual && inputs[2].shape != self.y) {
            return Err(format!("bias or residual do not fit the output {}: {inputs:?}", self.y));
        }
        if self.live {
            live::check(&inputs[inputs.len() - 1], self.tiles.images, "images")?;
        }
        if self.residual && self.tiles.levels().is_some() {
            return Err("takes no residual with several maps".into());
        }
        Ok(vec![Info::f32(self.slice.map_or(self.y, |s| s.0))])
    }

    /// No reference arithmetic: the convolution's stands with its products.
    fn cost(&self, _: &Io) -> Cost {
        let outputs = TILE * TILE * (1 + usize::from(self.residual));
        let elements = self.tiles.count * self.y.dim(3) * (POINTS * POINTS + outputs);
        Cost { flops: 0.0, bytes: (elements * ELEMENT_BYTES) as f64 }
    }

    fn twin(&self, inputs: &[Value]) -> Vec<Value> {
        let (m, bias, at) = (&inputs[0], inputs[1].floats(), output_matrix());
        let (images, k) = (self.y.dim(0), self.y.dim(3));
        let live = if self.live { inputs.last().map(Value::ints) } else { None };
        let image = self.y.len() / images;
        let (whole, offset) = self.slice.unwrap_or((self.y, 0));
        let mut y = vec![f32::NAN; whole.len()];
        for tile in walks::tiles(&self.tiles, live) {
            let (oh, ow) = self.tiles.maps.maps()[tile.map];
            for q in 0..TILE * TILE {
                let (i, j) = (q / TILE, q % TILE);
                if tile.row + i >= oh || tile.column + j >= ow {
                    continue;
                }
                for (ch, &bias) in bias.iter().enumerate() {
                    let point = |p: usize| m.floats()[(p * m.shape.dim(1) + tile.at) * k + ch] as f64;
                    let sum: f64 =
                        (0..POINTS * POINTS).map(|p| at[i][p / POINTS] * point(p) * at[j][p % POINTS]).sum();
                    let cell = tile.before + (tile.row + i) * ow + tile.column + j;
                    let out = cell * k + ch;
                    let residual = if self.residual { inputs[2].floats()[tile.image * image + out] as f64 } else { 0.0 };
                    let v = sum + bias as f64 + residual;
                    y[offset + tile.image * (whole.len() / images) + out] = (if self.relu { v.max(0.0) } else { v }) as f32;
                }
            }
        }
        vec![Value::f32(whole, y)]
    }

    fn settings(&self) -> Vec<Setting> {
        settings([
            ("tiles", value(self.tiles)),
            ("relu", on(self.relu)),
            ("residual", on(self.residual)),
            ("live", on(self.live)),
            ("y", value(self.y)),
            ("slice", slice(self.slice)),
        ])
    }
}

impl Kernel for WinogradOut {
    fn variants(&self, _: &Io, target: &Target) -> Vec<Variant> {
        let place = 2 + usize::from(self.residual);
        Tiles::by_twos(self.tiles.variant(place, self.live, true, target).flag("RESIDUAL", self.residual), target)
    }

    fn launch(&self, io: &Io, variant: &Variant) -> Launch {
        let channels = Tiles::channels(variant);
        let k = self.y.dim(3) / channels;
        let total = self.tiles.count * k;
        let grid = fold_grid(total.div_ceil(64));
        let batches = if self.live { io.inputs.last().map_or(1, |l| l.shape.len()) } else { 1 };
        let dense = self.y.len() / self.y.dim(0);
        let (offset, stride) = placed(self.slice, dense);
        let params = P {
            levels: self.tiles.table(),
            total: total as u32,
            k: k as u32,
            h: self.y.dim(1) as u32,
            w: self.y.dim(2) as u32,
            y_offset: (offset / channels) as u32,
            y_image_stride: (stride / channels) as u32,
            columns: self.tiles.columns() as u32,
            per_image: self.tiles.per_image() as u32,
            first: self.tiles.first as u32,
            capacity: io.dim(0, 1) as u32,
            images_per_batch: (self.tiles.images / batches) as u32,
            relu: u32::from(self.relu),
            grid_x: grid[0],
        };
        Launch { grid, params: params.bytes() }
    }

    fn live_grid(&self, io: &Io, variant: &Variant) -> Option<LiveGrid> {
        self.live.then(|| self.tiles.live_grid(io.inputs.len() - 1, self.y.dim(3) / Tiles::channels(variant)))
    }

    fn executed(&self, _: &Io, _: &Variant) -> f64 {
        // 10 times four outputs in 14 operations.
        (self.tiles.count * self.y.dim(3) * 10 * 14) as f64
    }
}

/// What a case is made of.
struct Setup {
    name: &'static str,
    y: [usize; 4],
    /// The maps that lie in each image one after the other; none where the image is the map.
    maps: &'static [(usize, usize)],
    /// The first tile, and room for so many.
    piece: (usize, usize),
    relu: bool,
    residual: bool,
    /// Whether the output is a part of something larger.
    sliced: bool,
    live: Option<Vec<u32>>,
}

/// Whole and ragged images, pieces, ReLU and residual each with and without the other, and live images.
pub fn cases() -> Vec<Case> {
    let mut rng = Rng::new(43);
    let mut case = |setup: Setup| {
        let Setup { name, y, maps, piece: (first, capacity), relu, residual, sliced, live } = setup;
        let joined = !maps.is_empty();
        let whole = [(y[1], y[2])];
        let maps = Levels::new(if joined { maps } else { &whole }).expect("maps");
        let all = Tiles { images: y[0], maps, joined, first, count: 0 };
        let tiles = Tiles { count: capacity.min(y[0] * all.per_image() - first), ..all };
        let slice = sliced.then(|| (Shape::from([y[0], y[1] * y[2] * y[3] + 20]), 12));
        let kernel = WinogradOut { tiles, relu, residual, live: live.is_some(), y: y.into(), slice };
        let mut inputs = vec![rng.tensor([POINTS * POINTS, capacity, y[3]]), rng.tensor([y[3]])];
        if residual {
            inputs.push(rng.tensor(y));
        }
        inputs.extend(live.map(|l| Value::u32([l.len()], l)));
        Case::new(name, kernel, inputs, Tolerance::Norm { relative: 5e-7 })
    };
    let linear = |name, y, piece| Setup {
        name,
        y,
        maps: &[],
        piece,
        relu: false,
        residual: false,
        sliced: false,
        live: None,
    };
    let relu = |name, y, piece| Setup { relu: true, ..linear(name, y, piece) };
    let both = |name, y, piece| Setup { residual: true, ..relu(name, y, piece) };
    const THREE: &[(usize, usize)] = &[(9, 6), (5, 3), (1, 1)];
    vec![
        case(linear("P2", [1, 40, 24, 64], (0, 60))),
        case(relu("body, relu", [2, 10, 13, 32], (0, 24))),
        case(both("ragged, residual", [2, 7, 9, 12], (0, 12))),
        case(Setup { residual: true, ..linear("residual alone", [1, 9, 6, 8], (0, 6)) }),
        case(linear("one pixel", [1, 1, 1, 4], (0, 1))),
        case(both("a piece", [1, 23, 31, 8], (17, 20))),
        case(Setup { live: Some(vec![4]), ..relu("mask head, some live", [6, 14, 14, 16], (0, 96)) }),
        case(Setup { sliced: true, ..both("into a slice, residual", [2, 7, 9, 8], (0, 12)) }),
        case(Setup { maps: &[(6, 9)], ..linear("one level", [2, 1, 54, 8], (0, 12)) }),
        case(Setup { maps: THREE, ..relu("three levels", [2, 1, 70, 8], (0, 18)) }),
        case(Setup { maps: THREE, sliced: true, ..linear("three levels into a slice, a piece", [2, 1, 70, 4], (5, 9)) }),
        case(Setup { live: Some(vec![3, 1]), ..both("batches, the last piece", [6, 5, 5, 8], (10, 20)) }),
    ]
}
