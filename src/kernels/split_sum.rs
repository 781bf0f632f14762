//! The parts of a sum put together, with bias, residual and activation.

use crate::rng::Rng;
use super::{Case, Kernel, Launch, LiveGrid, Params as _, Tolerance, Variant, fold_grid};
use crate::ops::activation::Activation;
use crate::ops::conv2d::placed;
use crate::ops::live;
use crate::ops::{Cost, Info, Io, Op, Operand, Setting, on, settings, slice, value};
use crate::params;
use crate::target::Target;
use crate::tensor::{Shape, Value};

params! { count: u32, k: u32, row: u32, y_offset: u32, y_row_stride: u32, parts: u32, images_per_batch: u32, relu: u32, grid_x: u32 }

/// `y[n,…,k] = act(bias[k] + residual + Σ x[part,n,…,k])`, the parts added in order: the same sum on every run.
///
/// Inputs: x `[S, …]` with the elements of y in each of the S parts, bias `[K]`, then residual (as y) and live `[B]`
/// where said: N is B times a capacity, and rows past a batch's count are not written.
#[derive(Clone, Debug)]
pub struct SplitSum {
    /// The output's shape, N first and K last.
    pub y: Shape,
    /// Where that is a part of a larger tensor: that tensor's shape (N outermost), and the element of each row at which
    /// this part begins.
    pub slice: Option<(Shape, usize)>,
    /// What ends it.
    pub activation: Activation,
    /// Whether a residual is added before that.
    pub residual: bool,
    /// Whether a live count is given.
    pub live: bool,
}

impl SplitSum {
    fn k(&self) -> usize {
        self.y.dim(self.y.rank() - 1)
    }

    /// The output's shape.
    fn whole(&self) -> Shape {
        self.slice.map_or(self.y, |s| s.0)
    }

    /// Where each row begins, and the elements from one to the next.
    fn place(&self) -> (usize, usize) {
        placed(self.slice, self.y.len() / self.y.dim(0))
    }
}

impl Op for SplitSum {
    fn name(&self) -> &'static str {
        "split_sum"
    }

    fn operands(&self) -> Vec<Operand> {
        let more = [
            self.residual.then_some(Operand::f32("residual", 0).of_any_rank()),
            self.live.then_some(Operand::LIVE),
        ];
        let x = Operand::f32("x", 0).of_any_rank();
        [x, Operand::f32("bias", 1)].into_iter().chain(more.into_iter().flatten()).collect()
    }

    fn infer(&self, inputs: &[Info]) -> Result<Vec<Info>, String> {
        let x = inputs[0].shape;
        if self.y.rank() < 2 || x.rank() == 0 || x.len() != x.dim(0) * self.y.len() {
            return Err(format!("x {x} is not whole parts of {}", self.y));
        }
        if inputs[1].shape != Shape::from([self.k()]) {
            return Err(format!("bias {} does not fit {}", inputs[1].shape, self.y));
        }
        if self.residual && inputs[2].shape != self.y {
            return Err(format!("residual {} does not fit {}", inputs[2].shape, self.y));
        }
        if self.live {
            live::check(&inputs[inputs.len() - 1], self.y.dim(0), "rows of the output")?;
        }
        let whole = self.whole();
        if whole.dim(0) != self.y.dim(0) {
            return Err(format!("output {} has other rows than {whole}", self.y));
        }
        let (offset, row) = self.place();
        if offset + self.y.len() / self.y.dim(0) > row {
            return Err(format!("output {} does not fit {whole} from element {offset} on", self.y));
        }
        Ok(vec![Info::f32(whole)])
    }

    fn cost(&self, io: &Io) -> Cost {
        Cost::of(io, io.inputs[0].shape.len() as f64)
    }

    /// Part by part, over all elements.
    fn twin(&self, inputs: &[Value]) -> Vec<Value> {
        let bias = inputs[1].floats();
        let mut sums = vec![0.0f64; self.y.len()];
        for part in inputs[0].floats().chunks_exact(self.y.len()) {
            sums.iter_mut().zip(part).for_each(|(sum, &v)| *sum += v as f64);
        }
        let row = self.y.len() / self.y.dim(0);
        let value = |(i, sum): (usize, f64)| {
            if self.live {
                let live = inputs[inputs.len() - 1].ints();
                let capacity = self.y.dim(0) / live.len();
                if i / row % capacity >= live[i / row / capacity] as usize {
                    return f32::NAN;
                }
            }
            let more = if self.residual { inputs[2].floats()[i] as f64 } else { 0.0 };
            let sum = sum + bias[i % bias.len()] as f64 + more;
            self.activation.of(sum) as f32
        };
        let (whole, offset) = self.slice.unwrap_or((self.y, 0));
        let mut y = vec![f32::NAN; whole.len()];
        for (n, rows) in y.chunks_exact_mut(whole.len() / whole.dim(0)).enumerate() {
            rows[offset..][..row].iter_mut().enumerate().for_each(|(e, y)| *y = value((n * row + e, sums[n * row + e])));
        }
        vec![Value::f32(whole, y)]
    }

    fn settings(&self) -> Vec<Setting> {
        settings([
            ("y", value(self.y)),
            ("slice", slice(self.slice)),
            self.activation.setting(),
            ("residual", on(self.residual)),
            ("live", on(self.live)),
        ])
    }
}

impl Kernel for SplitSum {
    fn variants(&self, _: &Io, _: &Target) -> Vec<Variant> {
        let variant = |name, quads| {
            let v = Variant::own(name, &[("WG", 64)]).flag("QUADS", quads).flag("RESIDUAL", self.residual);
            v.flag("LIVE", self.live).ending_with(self.activation)
        };
        let (offset, row) = self.place();
        let quads = [self.k(), offset, row].iter().all(|n| n.is_multiple_of(4)).then(|| variant("quads", true));
        quads.into_iter().chain([variant("plain", false)]).collect()
    }

    fn f16_operands(&self, io: &Io) -> Vec<(usize, &'static str)> {
        let residual = self.residual.then_some((2, "R_F16"));
        residual.into_iter().chain([(io.inputs.len(), "Y_F16")]).collect()
    }

    fn launch(&self, io: &Io, variant: &Variant) -> Launch {
        let by = if variant.find("QUADS").is_some() { 4 } else { 1 };
        let count = self.y.len() / by;
        let grid = fold_grid(count.div_ceil(variant.get("WG") as usize));
        let batches = if self.live { io.inputs.last().map_or(1, |i| i.shape.len()) } else { 1 };
        let params = P {
            count: count as u32,
            k: (self.k() / by) as u32,
            row: (count / self.y.dim(0)) as u32,
            y_offset: (self.place().0 / by) as u32,
            y_row_stride: (self.place().1 / by) as u32,
            parts: io.dim(0, 0) as u32,
            images_per_batch: (self.y.dim(0) / batches) as u32,
            relu: u32::from(self.activation == Activation::Relu),
            grid_x: grid[0],
        };
        Launch { grid, params: params.bytes() }
    }

    fn live_grid(&self, io: &Io, variant: &Variant) -> Option<LiveGrid> {
        let by = if variant.find("QUADS").is_some() { 4 } else { 1 };
        let [units, total] = [self.y.len() / self.y.dim(0) / by, self.y.len() / by].map(|n| n as u32);
        let grid = LiveGrid { input: io.inputs.len() - 1, axis: 0, rows: self.y.dim(0) as u32, units, first: 0, total, block: variant.get("WG") };
        self.live.then_some(grid)
    }
}

/// What a case is made of.
struct Setup {
    name: &'static str,
    parts: usize,
    y: &'static [usize],
    activation: Activation,
    residual: bool,
    /// Whether the output is a part of something larger.
    sliced: bool,
    live: Option<Vec<u32>>,
}

/// Rows of a fully connected layer and images, with every feature.
pub fn cases() -> Vec<Case> {
    let mut rng = Rng::new(44);
    let mut case = |setup: Setup| {
        let Setup { name, parts, y, activation, residual, sliced, live } = setup;
        let (y, k) = (Shape::new(y), y[y.len() - 1]);
        let slice = sliced.then(|| (Shape::from([y.dim(0), y.len() / y.dim(0) + 24]), 8));
        let kernel = SplitSum { y, slice, activation, residual, live: live.is_some() };
        let mut inputs = vec![rng.tensor([parts, y.len() / k, k]), rng.tensor([k])];
        if residual {
            inputs.push(rng.tensor(y));
        }
        inputs.extend(live.map(|l| Value::u32([l.len()], l)));
        Case::new(name, kernel, inputs, Tolerance::Norm { relative: 1e-6 })
    };
    let ending = |activation, name, parts, y| Setup { name, parts, y, activation, residual: false, sliced: false, live: None };
    let linear = |name, parts, y| ending(Activation::Identity, name, parts, y);
    let relu = |name, parts, y| ending(Activation::Relu, name, parts, y);
    let both = |name, parts, y| Setup { residual: true, ..relu(name, parts, y) };
    let live = |counts: &[u32]| Some(counts.to_vec());
    vec![
        case(linear("one part of one", 1, &[1, 1])),
        case(Setup { live: live(&[37]), ..relu("fc6", 4, &[50, 64]) }),
        case(linear("P5", 8, &[1, 13, 10, 32])),
        case(both("body, residual", 2, &[2, 5, 7, 12])),
        case(Setup { live: live(&[1, 3]), ..both("batches, residual", 3, &[6, 3, 3, 8]) }),
        case(Setup { sliced: true, ..relu("P5 into a slice, batch", 2, &[2, 3, 5, 8]) }),
        case(Setup {
            residual: true,
            sliced: true,
            live: live(&[2]),
            ..linear("ragged into a slice", 3, &[2, 7, 5])
        }),
        case(Setup { live: live(&[0]), ..linear("ragged, none live", 16, &[5, 7]) }),
        case(relu("ragged", 5, &[13, 9])),
        case(Setup { residual: true, ..ending(Activation::HardSwish, "hard swish", 4, &[1, 5, 5, 12]) }),
        case(ending(Activation::HardSigmoid, "hard sigmoid, ragged", 2, &[3, 7])),
    ]
}
