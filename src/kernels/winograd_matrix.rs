//! Winograd's convolution F(2×2, 3×3) on matrix units, in one launch: 16 products for the 36 of 2×2 outputs.
//!
//! Points are sums and differences of four inputs, and quarters of sums of nine weights: of factors of f16 they lose a bit or
//! two, where those of F(4×4, 3×3) lose more than f16 has. An output is the sum of nine points' sums, which are of f32.

use super::winograd_conv2d::{Setup, WinogradConv2d};
use super::winograd_gemm::turned_by;
use super::{Case, Kernel, Launch, LiveGrid, Params as _, Tolerance, Variant, fold_grid, packed_f16};
use crate::ops::activation::Activation;
use crate::ops::conv2d::Conv2d;
use crate::ops::levels::Levels;
use crate::ops::{Cost, Info, Io, Op, Operand, Setting};
use crate::params;
use crate::rng::Rng;
use crate::target::{Factors, Target};
use crate::tensor::{Shape, Value};

params! {
    levels: [[u32; 4]; Levels::MOST],
    tiles: u32, c: u32, k: u32, cells: u32, h: u32, w: u32, y_offset: u32, y_image_stride: u32, columns: u32,
    per_image: u32, first: u32, images_per_batch: u32, relu: u32, grid_x: u32,
}

/// A 3×3 convolution of stride 1 and padding 1, with a bias, C a multiple of 16 and K of 4, that ends with ReLU or nothing.
/// Inputs, output and settings are those of [`Conv2d`].
#[derive(Clone, Debug)]
pub struct WinogradMatrix(pub Conv2d);

/// Outputs of a tile along each side.
const SIDE: usize = 2;

/// Points of a tile.
const POINTS: usize = 16;

/// Points of a subgroup. With one, workgroups of subgroups of 32 lanes have 512 threads, of which each has 128 registers on NVIDIA's
/// GPUs, and their compiler spills; with two, lanes of small subgroups hold too much: Mesa 26's lavapipe crashes.
const fn points_of(lanes: u32) -> u32 {
    if lanes < 32 { 1 } else { 2 }
}

/// Channels of a step.
const STEP: usize = 16;

/// G: from three weights to the four points 0, 1, -1 and ∞.
const WEIGHT_MATRIX: [[f64; 3]; 4] = [[1.0, 0.0, 0.0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.0, 0.0, 1.0]];

/// How a workgroup is cut where it has matrix units: rows and columns of a matrix, threads, points of a subgroup, and matrices
/// along tiles and along rows of weights.
#[derive(Clone, Copy, Debug)]
struct Cut {
    size: u32,
    threads: u32,
    points: u32,
    matrices: [u32; 2],
}

impl Cut {
    /// Tiles of a workgroup, and rows of weights.
    fn extents(&self) -> [usize; 2] {
        self.matrices.map(|n| (n * self.size) as usize)
    }

    /// Bytes of workgroup memory (`xs` and `ms` of the shader).
    fn bytes(&self) -> u32 {
        let [tiles, _] = self.extents();
        POINTS as u32 * (48 * tiles as u32 + 4 * self.size * self.size)
    }

    /// Halves of a tile's points, four channels each, that a thread turns in a step.
    fn items(&self) -> u32 {
        let [tiles, _] = self.extents();
        (2 * STEP / 4 * tiles).div_ceil(self.threads as usize) as u32
    }

    /// Those that a device can run: as many sums a lane as blocks of matrices have.
    fn of(target: &Target) -> impl Iterator<Item = Self> {
        let can = &target.can;
        let lanes = can.lanes_of_matrices();
        let points = points_of(lanes);
        let threads = POINTS as u32 / points * lanes;
        let cut = move |size| Self { size, threads, points, matrices: [2, 4] };
        let able = |cut: &Self| cut.threads <= can.max_invocations && cut.bytes() <= can.workgroup_bytes;
        let sizes = can.matrices.iter().filter(|m| m.serves(Factors::F16) && !can.matrix_scalars).map(|m| m.size);
        sizes.map(cut).filter(able).collect::<Vec<_>>().into_iter()
    }

    /// That of a variant; none where it has no matrices.
    fn in_variant(variant: &Variant) -> Option<Self> {
        let [size, threads, points] = ["SIZE", "WG", "PS"].map(|name| variant.find(name));
        let matrices = ["MP", "MK"].map(|name| variant.find(name).unwrap_or(0));
        Some(Self { size: size?, threads: threads?, points: points?, matrices })
    }

    fn variant(self) -> Variant {
        let Self { size, threads, points, matrices: [mp, mk] } = self;
        let sizes = [("SIZE", size), ("WG", threads), ("PS", points), ("MP", mp), ("MK", mk), ("XL", self.items())];
        let name = if size == 16 { "matrix-16" } else { "matrix-8" };
        Variant { subgroups: true, matrices: true, f16: true, ..Variant::own(name, &sizes) }
    }
}

/// Tiles of a workgroup of a variant, and rows of weights.
fn extents(variant: &Variant) -> [usize; 2] {
    Cut::in_variant(variant).map_or([64, 4], |cut| cut.extents())
}

impl WinogradMatrix {
    /// Of an op, where it is such a convolution.
    pub(crate) fn of(op: &dyn Op, io: &Io) -> Option<Self> {
        let conv = op.downcast::<Conv2d>()?;
        Self::fits(conv, io.inputs).then(|| Self(conv.clone())).filter(|_| !conv.enlarged(io))
    }

    fn fits(conv: &Conv2d, inputs: &[Info]) -> bool {
        WinogradConv2d::fits(conv, inputs) && conv.by_four() && inputs[1].shape.dim(3).is_multiple_of(STEP)
    }

    fn maps(&self, x: Shape) -> Levels {
        self.0.levels.or_else(|| Levels::new(&[(x.dim(1), x.dim(2))])).expect("x is not empty")
    }

    /// Tiles of an image.
    fn per_image(&self, x: Shape) -> usize {
        self.maps(x).maps().iter().map(|&(h, w)| h.div_ceil(SIDE) * w.div_ceil(SIDE)).sum()
    }

    /// Workgroups on matrix units; none where the device has none that can do it.
    pub(crate) fn workgroups(&self, io: &Io, target: &Target) -> Option<usize> {
        let [tiles, rows] = Cut::of(target).next()?.extents();
        let x = io.inputs[0].shape;
        Some((x.dim(0) * self.per_image(x)).div_ceil(tiles) * io.dim(1, 0).div_ceil(rows))
    }
}

impl Op for WinogradMatrix {
    fn name(&self) -> &'static str {
        "winograd_matrix"
    }

    fn operands(&self) -> Vec<Operand> {
        self.0.operands()
    }

    fn infer(&self, inputs: &[Info]) -> Result<Vec<Info>, String> {
        let outputs = self.0.infer(inputs)?;
        match Self::of(&self.0, &Io { inputs, outputs: &outputs }) {
            Some(_) => Ok(outputs),
            None => Err(format!(
                "takes a 3×3 convolution of stride and padding 1, C by 16 and K by 4, and a residual of the output's size, not {inputs:?}"
            )),
        }
    }

    fn cost(&self, io: &Io) -> Cost {
        let points = POINTS * io.dim(1, 0) * io.dim(1, 3);
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

impl Kernel for WinogradMatrix {
    fn variants(&self, _: &Io, target: &Target) -> Vec<Variant> {
        let units = Cut::of(target).filter(|_| target.wants_f16()).map(Cut::variant);
        let flags = |mut v: Variant| {
            v.features.extend(self.0.levels.map(|l| l.define()));
            v.flag("QUADS", true).flag("WHOLE", true).flag("RESIDUAL", self.0.residual).flag("LIVE", self.0.live)
        };
        units.chain([Variant::plain()]).map(flags).collect()
    }

    fn f16_operands(&self, io: &Io) -> Vec<(usize, &'static str)> {
        let residual = self.0.residual.then_some((self.0.residual_at(), "R_F16"));
        [(0, "X_F16")].into_iter().chain(residual).chain([(io.inputs.len(), "Y_F16")]).collect()
    }

    fn launch(&self, io: &Io, variant: &Variant) -> Launch {
        let (x, k) = (io.inputs[0].shape, io.dim(1, 0));
        let (maps, per_image) = (self.maps(x), self.per_image(x));
        let tiles = x.dim(0) * per_image;
        let [of_one, rows] = extents(variant);
        let [grid_x, grid_y, _] = fold_grid(tiles.div_ceil(of_one));
        let batches = if self.0.live { io.inputs.last().map_or(1, |l| l.shape.len()) } else { 1 };
        let (offset, stride) = self.0.place(x.dim(1) * x.dim(2) * k);
        let params = P {
            levels: maps.table(SIDE),
            tiles: tiles as u32,
            c: x.dim(3) as u32,
            k: k as u32,
            cells: (x.dim(1) * x.dim(2)) as u32,
            h: x.dim(1) as u32,
            w: x.dim(2) as u32,
            y_offset: offset as u32,
            y_image_stride: stride as u32,
            columns: x.dim(2).div_ceil(SIDE) as u32,
            per_image: per_image as u32,
            first: 0,
            images_per_batch: (x.dim(0) / batches) as u32,
            relu: u32::from(self.0.activation == Activation::Relu),
            grid_x,
        };
        Launch { grid: [grid_x, grid_y, k.div_ceil(rows) as u32], params: params.bytes() }
    }

    fn live_grid(&self, io: &Io, variant: &Variant) -> Option<LiveGrid> {
        let x = io.inputs[0].shape;
        let [block, _] = extents(variant).map(|n| n as u32);
        let [rows, units] = [x.dim(0), self.per_image(x)].map(|n| n as u32);
        let input = io.inputs.len() - 1;
        self.0.live.then_some(LiveGrid { input, axis: 0, rows, units, first: 0, total: rows * units, block })
    }

    /// The products; what turns tiles, and the sums, is beside them.
    fn executed(&self, io: &Io, variant: &Variant) -> f64 {
        let x = io.inputs[0].shape;
        let [tiles, rows] = extents(variant);
        let padded = (x.dim(0) * self.per_image(x)).next_multiple_of(tiles) * io.dim(1, 0).next_multiple_of(rows);
        2.0 * (padded * x.dim(3) * POINTS) as f64
    }

    fn weight_layout(&self, index: usize, variant: &Variant) -> Option<String> {
        let layout = match Cut::in_variant(variant) {
            Some(cut) => format!("points of 2×2, 16 channels by {}{}", cut.extents()[1], super::PACKED_F16),
            None => "points of 2×2, rows by 4".into(),
        };
        (index == 1).then_some(layout)
    }

    /// `[K/rows, C/16, 16, rows, 16]` of f16, zero past K, or `[K/4, C, 16, 4]`.
    fn pack(&self, _: usize, value: &Value, variant: &Variant) -> Value {
        let (k, c) = (value.shape.dim(0), value.shape.dim(3));
        let points = turned_by(value, &WEIGHT_MATRIX);
        let each = points.iter().enumerate().map(|(i, &v)| ((i / (k * c), i / c % k, i % c), v as f32));
        let Some(cut) = Cut::in_variant(variant) else {
            let mut out = vec![0.0f32; POINTS * k * c];
            for ((point, row, ch), v) in each {
                out[((row / 4 * c + ch) * POINTS + point) * 4 + row % 4] = v;
            }
            return Value::f32([POINTS * k, c], out);
        };
        let [_, rows] = cut.extents();
        let mut out = vec![0.0f32; k.next_multiple_of(rows) * POINTS * c];
        for ((point, row, ch), v) in each {
            let block = (row / rows * (c / STEP) + ch / STEP) * POINTS + point;
            out[(block * rows + row % rows) * STEP + ch % STEP] = v;
        }
        packed_f16(&Value::f32([out.len()], out))
    }
}

/// Whole and ragged images and rows, levels, residuals, slices and live images; of numbers whose points f16 holds, so that what
/// is rounded is no part of what is compared.
pub fn cases() -> Vec<Case> {
    let mut rng = Rng::new(45);
    let mut case = |setup: Setup| {
        let name = setup.name;
        let (conv, inputs) = setup.made(|shape, operand| {
            let (v, of_one) = (rng.tensor(shape), [16.0, 8.0, 8.0][operand]);
            Value::f32(v.shape, v.floats().iter().map(|v| (v.clamp(-2.0, 2.0) * of_one).round() / of_one).collect())
        });
        Case::new(name, WinogradMatrix(conv), inputs, Tolerance::Norm { relative: 3e-6 })
    };
    let (plain, both) = (Setup::plain, Setup::both);
    const THREE: &[(usize, usize)] = &[(9, 6), (5, 3), (1, 1)];
    vec![
        case(plain("P2", [1, 24, 20, 32, 64])),
        case(both("ragged, residual", [2, 7, 9, 16, 20])),
        case(plain("one pixel", [1, 1, 1, 16, 4])),
        case(Setup { relu: true, live: Some(vec![4]), ..plain("mask head, some live", [6, 14, 14, 16, 36]) }),
        case(Setup { sliced: true, ..both("into a slice, residual", [2, 7, 9, 16, 8]) }),
        case(Setup { maps: THREE, relu: true, ..plain("three levels", [2, 1, 70, 16, 12]) }),
        case(Setup { maps: THREE, sliced: true, ..plain("three levels into a slice", [2, 1, 70, 48, 68]) }),
        // Of tiles 16 to 31 nine are dead.
        case(Setup { live: Some(vec![2, 1]), ..both("batches", [6, 5, 5, 16, 8]) }),
        case(Setup { live: Some(vec![0]), ..plain("none live", [3, 5, 5, 16, 8]) }),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::{Caps, Factors, Matrices, Matrix, policy};

    /// Two outputs of four inputs by the points 0, 1, -1 and ∞, and by the definition; the shader's Bᵀ and Aᵀ are written here as
    /// they stand in it.
    #[test]
    fn the_points_convolve() {
        let (d, w) = ([1.0, -2.0, 3.5, 0.25], [0.5, -1.5, 2.0]);
        let v = [d[0] - d[2], d[1] + d[2], d[2] - d[1], d[1] - d[3]];
        let m: Vec<f64> =
            WEIGHT_MATRIX.iter().zip(v).map(|(g, v)| v * g.iter().zip(w).map(|(g, w)| g * w).sum::<f64>()).collect();
        let want = |i: usize| d[i..].iter().zip(w).map(|(d, w)| d * w).sum::<f64>();
        assert_eq!([m[0] + m[1] + m[2], m[1] - m[2] - m[3]], [want(0), want(1)]);
    }

    #[test]
    fn workgroups_fit_the_device() {
        let with = |can: Caps| Target { can, wants: Factors::F16, pays: &policy::GPU };
        let of = |size| -> Matrices { Matrix::ALL.into_iter().filter(|m| m.size == size && m.serves(Factors::F16)).collect() };
        let large = Caps { f16: true, max_invocations: 1024, workgroup_bytes: 49152, ..Caps::MINIMUM };
        let cut = |can: Caps| Cut::of(&with(can)).next().map(|c| (c.size, c.threads, c.bytes()));
        let nvidia = Caps { subgroup: Some(32), matrices: of(16), ..large };
        assert_eq!(cut(nvidia), Some((16, 256, 40960)));
        assert_eq!(cut(Caps { matrix_lanes: Some(64), ..nvidia }), Some((16, 512, 40960)));
        assert_eq!(cut(Caps { workgroup_bytes: 32768, ..nvidia }), None);
        assert_eq!(cut(Caps { matrix_scalars: true, ..nvidia }), None);
        let least = Caps { subgroup: Some(8), matrices: of(8), f16: true, ..Caps::MINIMUM };
        assert_eq!(cut(least), Some((8, 128, 16384)));
    }
}
