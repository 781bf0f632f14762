//! Winograd's convolution in one launch: what the three parts hand each other stays in a workgroup.

use super::winograd::{POINTS, Tiles};
use super::winograd_gemm::turned;
use super::{Case, Kernel, Launch, LiveGrid, Params as _, Tolerance, Variant, fold_grid};
use crate::ops::activation::Activation;
use crate::ops::conv2d::Conv2d;
use crate::ops::levels::Levels;
use crate::ops::{Cost, Info, Io, Op, Operand, Setting};
use crate::params;
use crate::rng::Rng;
use crate::target::Target;
use crate::tensor::{Shape, Value};

params! {
    levels: [[u32; 4]; Levels::MOST],
    tiles: u32, c: u32, k: u32, h: u32, w: u32, cells: u32, pad_h: u32, pad_w: u32, y_offset: u32, y_image_stride: u32,
    columns: u32, per_image: u32, first: u32, images_per_batch: u32, relu: u32, grid_x: u32,
}

/// A 3×3 convolution of stride 1 and padding 1, with a bias, C and K multiples of 4, that ends with ReLU or nothing. Inputs,
/// output and settings are those of [`Conv2d`].
#[derive(Clone, Debug)]
pub struct WinogradConv2d(pub Conv2d);

/// How a workgroup's points are cut: threads along tiles and along rows, fours of tiles and of rows a thread.
const LARGE: [u32; 4] = [2, 8, 2, 2];
/// Half of the sums a thread.
const NARROW: [u32; 4] = [2, 8, 2, 1];
/// What runs anywhere.
const LEAST: [u32; 4] = [1, 4, 1, 1];

/// Where each of four channels lies in workgroup memory.
const ORDER: [usize; 4] = [0, 2, 1, 3];

/// Tiles of a workgroup, and rows of weights.
fn extents([lp, lk, tg, th]: [u32; 4]) -> [usize; 2] {
    [4 * lp * tg, 4 * lk * th].map(|n| n as usize)
}

/// Bytes of workgroup memory (`xs` and `ws` of the shader).
fn bytes(cut: [u32; 4]) -> usize {
    let [tiles, rows] = extents(cut);
    POINTS * POINTS * (4 * (4 * tiles + 8) + 16 * rows)
}

fn threads([lp, lk, ..]: [u32; 4]) -> u32 {
    (POINTS * POINTS) as u32 * lp * lk
}

impl WinogradConv2d {
    /// Of an op, where it is such a convolution.
    pub(crate) fn of(op: &dyn Op, io: &Io) -> Option<Self> {
        let conv = op.downcast::<Conv2d>()?;
        Self::fits(conv, io.inputs).then(|| Self(conv.clone())).filter(|_| !conv.enlarged(io))
    }

    pub(super) fn fits(conv: &Conv2d, inputs: &[Info]) -> bool {
        let w = inputs[1].shape;
        (w.dim(1), w.dim(2)) == (3, 3)
            && (conv.stride, conv.pad, conv.dilation) == ((1, 1), (1, 1), (1, 1))
            && conv.groups == 1
            && conv.bias
            && matches!(conv.activation, Activation::Identity | Activation::Relu)
            && w.dim(0).is_multiple_of(4)
            && w.dim(3).is_multiple_of(4)
    }

    /// All tiles of x.
    fn tiles(&self, x: Shape) -> Tiles {
        let maps = self.0.levels.or_else(|| Levels::new(&[(x.dim(1), x.dim(2))])).expect("x is not empty");
        let all = Tiles { images: x.dim(0), maps, joined: self.0.levels.is_some(), first: 0, count: 0 };
        Tiles { count: x.dim(0) * all.per_image(), ..all }
    }

    /// Workgroups of the least cut.
    pub(crate) fn most_workgroups(&self, io: &Io) -> usize {
        workgroups(NARROW, self.tiles(io.inputs[0].shape).count, io.dim(1, 0))
    }

    /// Whether a device can run what is worth it.
    pub(crate) fn runs_on(&self, target: &Target) -> bool {
        self.can_run(NARROW, target)
    }

    fn can_run(&self, cut: [u32; 4], target: &Target) -> bool {
        // AMD's GPUs before RDNA, known by subgroups of 64 lanes and no others, have 84 registers for each thread of so large a workgroup.
        let crowded = target.can.subgroup == Some(64) && cut == LARGE;
        let fits = threads(cut) <= target.can.max_invocations && bytes(cut) <= target.can.workgroup_bytes as usize;
        !crowded && fits
    }
}

fn workgroups(cut: [u32; 4], tiles: usize, k: usize) -> usize {
    let [of_one, rows] = extents(cut);
    tiles.div_ceil(of_one) * k.div_ceil(rows)
}

/// The cut of a variant.
fn cut(variant: &Variant) -> [u32; 4] {
    ["LP", "LK", "TG", "TH"].map(|name| variant.get(name))
}

impl Op for WinogradConv2d {
    fn name(&self) -> &'static str {
        "winograd_conv2d"
    }

    fn operands(&self) -> Vec<Operand> {
        self.0.operands()
    }

    fn infer(&self, inputs: &[Info]) -> Result<Vec<Info>, String> {
        let outputs = self.0.infer(inputs)?;
        match Self::of(&self.0, &Io { inputs, outputs: &outputs }) {
            Some(_) => Ok(outputs),
            None => Err(format!(
                "takes a 3×3 convolution of stride and padding 1, C and K multiples of 4, and a residual of the output's size, not {inputs:?}"
            )),
        }
    }

    fn cost(&self, io: &Io) -> Cost {
        let points = POINTS * POINTS * io.dim(1, 0) * io.dim(1, 3);
        let mut cost = self.0.cost(io);
        // The weights are read as points.
        cost.bytes += ((points - io.inputs[1].shape.len()) * io.inputs[1].dtype.bytes()) as f64;
        cost
    }

    /// The convolution by its definition.
    fn twin(&self, inputs: &[Value]) -> Vec<Value> {
        self.0.twin(inputs)
    }

    fn settings(&self) -> Vec<Setting> {
        self.0.settings()
    }
}

impl Kernel for WinogradConv2d {
    fn variants(&self, io: &Io, target: &Target) -> Vec<Variant> {
        let policy = &target.pays.blocks;
        let (tiles, k) = (self.tiles(io.inputs[0].shape).count, io.dim(1, 0));
        let [large, narrow] = [("large", LARGE), ("narrow", NARROW)];
        // Large ones load less for a product, where there are enough of them and registers to hold them.
        let fills = workgroups(LARGE, tiles, k) >= policy.fills && k > extents(NARROW)[1];
        let all = if policy.sums >= 64 && fills { [large, narrow] } else { [narrow, large] };
        let able = all.into_iter().filter(|(_, cut)| self.can_run(*cut, target)).chain([("least", LEAST)]);
        let variant = |(name, cut): (&'static str, [u32; 4])| {
            let [lp, lk, tg, th] = cut;
            let [tiles, rows] = extents(cut).map(|n| n as u32);
            // What a thread does of what the whole workgroup does: rows and columns of a step's tiles that it turns, fours of weights
            // that it loads, columns and rows of the sums that are turned back together.
            let of_one = |all: u32| all.div_ceil(threads(cut));
            let sums = 4 * tiles * (rows / tiles);
            let sizes = [
                ("LP", lp),
                ("LK", lk),
                ("TG", tg),
                ("TH", th),
                ("XL", of_one(12 * tiles)),
                ("XC", of_one(24 * tiles)),
                ("WL", of_one(36 * rows)),
                ("CL", of_one(6 * sums)),
                ("RL", of_one(4 * sums)),
                ("WHOLE", 1),
            ];
            let levels = self.0.levels.map(|l| l.define());
            let mut variant = Variant::own(name, &sizes);
            variant.features.extend(levels);
            variant.flag("RESIDUAL", self.0.residual).flag("LIVE", self.0.live)
        };
        able.map(variant).collect()
    }

    /// Tiles and sums are turned in f32, and weights stay so.
    fn f16_operands(&self, io: &Io) -> Vec<(usize, &'static str)> {
        let residual = self.0.residual.then_some((self.0.residual_at(), "R_F16"));
        [(0, "X_F16")].into_iter().chain(residual).chain([(io.inputs.len(), "Y_F16")]).collect()
    }

    fn launch(&self, io: &Io, variant: &Variant) -> Launch {
        let (x, k) = (io.inputs[0].shape, io.dim(1, 0));
        let tiles = self.tiles(x);
        let [of_one, rows] = extents(cut(variant));
        let [grid_x, grid_y, _] = fold_grid(tiles.count.div_ceil(of_one));
        let batches = if self.0.live { io.inputs.last().map_or(1, |l| l.shape.len()) } else { 1 };
        let (offset, stride) = self.0.place(x.dim(1) * x.dim(2) * k);
        let params = P {
            levels: tiles.table(),
            tiles: tiles.count as u32,
            c: x.dim(3) as u32,
            k: k as u32,
            h: x.dim(1) as u32,
            w: x.dim(2) as u32,
            cells: (x.dim(1) * x.dim(2)) as u32,
            pad_h: 1,
            pad_w: 1,
            y_offset: offset as u32,
            y_image_stride: stride as u32,
            columns: tiles.columns() as u32,
            per_image: tiles.per_image() as u32,
            first: 0,
            images_per_batch: (tiles.images / batches) as u32,
            relu: u32::from(self.0.activation == Activation::Relu),
            grid_x,
        };
        Launch { grid: [grid_x, grid_y, k.div_ceil(rows) as u32], params: params.bytes() }
    }

    fn live_grid(&self, io: &Io, variant: &Variant) -> Option<LiveGrid> {
        let tiles = self.tiles(io.inputs[0].shape);
        let [block, _] = extents(cut(variant)).map(|n| n as u32);
        let [rows, units, total] = [tiles.images, tiles.per_image(), tiles.count].map(|n| n as u32);
        self.0.live.then_some(LiveGrid { input: io.inputs.len() - 1, axis: 0, rows, units, first: 0, total, block })
    }

    /// The products; what turns tiles, and the sums, is beside them.
    fn executed(&self, io: &Io, variant: &Variant) -> f64 {
        let tiles = self.tiles(io.inputs[0].shape).count;
        let [of_one, rows] = extents(cut(variant));
        let padded = tiles.next_multiple_of(of_one) * io.dim(1, 0).next_multiple_of(rows) * io.dim(0, 3);
        2.0 * (padded * POINTS * POINTS) as f64
    }

    fn weight_layout(&self, index: usize, variant: &Variant) -> Option<String> {
        (index == 1).then(|| format!("Winograd's points, four channels by {}", extents(cut(variant))[1]))
    }

    /// `[K/rows, C/4, 36, 4, rows]`, zero past K, each four channels in the shader's order.
    fn pack(&self, _: usize, value: &Value, variant: &Variant) -> Value {
        let (k, c) = (value.shape.dim(0), value.shape.dim(3));
        let [_, rows] = extents(cut(variant));
        let blocks = k.div_ceil(rows);
        let points = turned(value);
        let mut out = vec![0.0f32; blocks * rows * c * POINTS * POINTS];
        for (i, &v) in points.iter().enumerate() {
            let (point, row, ch) = (i / (k * c), i / c % k, i % c);
            let four = row / rows * (c / 4) + ch / 4;
            out[((four * POINTS * POINTS + point) * 4 + ORDER[ch % 4]) * rows + row % rows] = v as f32;
        }
        Value::f32([blocks * rows * POINTS * POINTS, c], out)
    }
}

/// What a case is made of.
pub(super) struct Setup {
    pub name: &'static str,
    /// N, H, W, C and K.
    pub sizes: [usize; 5],
    pub maps: &'static [(usize, usize)],
    pub relu: bool,
    pub residual: bool,
    pub sliced: bool,
    pub live: Option<Vec<u32>>,
}

impl Setup {
    pub(super) fn plain(name: &'static str, sizes: [usize; 5]) -> Self {
        Self { name, sizes, maps: &[], relu: false, residual: false, sliced: false, live: None }
    }

    /// With a residual and a ReLU.
    pub(super) fn both(name: &'static str, sizes: [usize; 5]) -> Self {
        Self { relu: true, residual: true, ..Self::plain(name, sizes) }
    }

    /// The convolution and its inputs, of numbers that `value` gives for x and the residual, weights, and bias.
    pub(super) fn made(self, mut value: impl FnMut(Shape, usize) -> Value) -> (Conv2d, Vec<Value>) {
        let Self { sizes: [n, h, w, c, k], maps, relu, residual, sliced, live, .. } = self;
        let slice = sliced.then(|| (Shape::from([n, h * w * k + 20]), 12));
        let activation = if relu { Activation::Relu } else { Activation::Identity };
        let levels = Levels::new(maps).filter(|_| !maps.is_empty());
        let conv = Conv2d { pad: (1, 1), activation, residual, live: live.is_some(), slice, levels, ..Conv2d::default() };
        let mut inputs = vec![value([n, h, w, c].into(), 0), value([k, 3, 3, c].into(), 1), value([k].into(), 2)];
        if residual {
            inputs.push(value([n, h, w, k].into(), 0));
        }
        inputs.extend(live.map(|l| Value::u32([l.len()], l)));
        (conv, inputs)
    }
}

/// Whole and ragged images, rows and channels, levels, residuals, slices and live images.
pub fn cases() -> Vec<Case> {
    let mut rng = Rng::new(44);
    let mut case = |setup: Setup| {
        let name = setup.name;
        let (conv, inputs) = setup.made(|shape, _| rng.tensor(shape));
        Case::new(name, WinogradConv2d(conv), inputs, Tolerance::Norm { relative: 3e-6 })
    };
    let (plain, both) = (Setup::plain, Setup::both);
    const THREE: &[(usize, usize)] = &[(9, 6), (5, 3), (1, 1)];
    vec![
        case(plain("P2", [1, 24, 20, 32, 64])),
        case(both("ragged, residual", [2, 7, 9, 12, 20])),
        case(plain("one pixel", [1, 1, 1, 4, 4])),
        case(Setup { relu: true, live: Some(vec![4]), ..plain("mask head, some live", [6, 14, 14, 8, 36]) }),
        case(Setup { sliced: true, ..both("into a slice, residual", [2, 7, 9, 8, 8]) }),
        case(Setup { maps: THREE, relu: true, ..plain("three levels", [2, 1, 70, 8, 12]) }),
        case(Setup { maps: THREE, sliced: true, ..plain("three levels into a slice", [2, 1, 70, 4, 68]) }),
        // Of the first 16 tiles four are dead.
        case(Setup { live: Some(vec![2, 1]), ..both("batches", [6, 5, 5, 8, 8]) }),
        case(Setup { live: Some(vec![0]), ..plain("none live", [3, 5, 5, 8, 8]) }),
    ]
}
