//! How long a plan should take on a device that is not there: a bound for each step from what it multiplies, moves and waits
//! for, on the speeds of a [`Profile`](crate::target::Profile).
//!
//! A step takes as long as its slowest pipe, and a third of what the others would take beside it: pipes overlap, but not
//! wholly. Blocks of a product go round by round over the cores; a workgroup alone on a core waits for its loads. What one
//! workgroup does in turns is counted turn by turn. The constants beside the speeds are instructions of the shaders as
//! AMD's compiler makes them.

use super::{Plan, Source, Step};
use crate::kernels::{BLOCK_STEP, Schedule};
use crate::ops::Io;
use crate::target::Speeds;
use crate::tensor::ELEMENT_BYTES;

/// What keeps a step from being faster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bound {
    /// Memory, or the loads that wait for it.
    Memory,
    /// The last cache.
    Cache,
    /// f32 multiply-adds.
    MultiplyAdds,
    /// Matrix units.
    Matrices,
    /// Workgroup memory.
    WorkgroupMemory,
    /// Instructions beside those that count.
    Instructions,
    /// Loads that a core has too few blocks to hide.
    Latency,
    /// Turns of few workgroups, one after the other.
    Turns,
    /// Being started.
    Start,
}

impl Bound {
    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Cache => "cache",
            Self::MultiplyAdds => "multiply-adds",
            Self::Matrices => "matrices",
            Self::WorkgroupMemory => "workgroup memory",
            Self::Instructions => "instructions",
            Self::Latency => "latency",
            Self::Turns => "turns",
            Self::Start => "start",
        }
    }
}

/// What a step should take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prediction {
    /// Seconds when all rows are live, the wait for the step before included.
    pub seconds: f64,
    /// What most of it is.
    pub bound: Bound,
}

impl Plan {
    /// What each step should take on a device of these speeds.
    pub fn predict(&self, speeds: &Speeds) -> Vec<Prediction> {
        self.steps.iter().map(|step| self.predict_step(step, speeds)).collect()
    }

    /// The seconds of each stage, in order, and its steps.
    pub fn predicted_stages(&self, predictions: &[Prediction]) -> Vec<(&'static str, f64, usize)> {
        let mut out: Vec<(&'static str, f64, usize)> = Vec::new();
        for (step, prediction) in self.steps.iter().zip(predictions) {
            let stage = self.graph.nodes[step.op].stage;
            match out.iter_mut().find(|(name, ..)| *name == stage) {
                Some((_, seconds, steps)) => (*seconds, *steps) = (*seconds + prediction.seconds, *steps + 1),
                None => out.push((stage, prediction.seconds, 1)),
            }
        }
        out
    }

    fn predict_step(&self, step: &Step, d: &Speeds) -> Prediction {
        let node = &self.graph.nodes[step.op];
        let (inputs, outputs): (Vec<_>, Vec<_>) =
            (node.inputs.iter().map(|t| t.info).collect(), node.outputs.iter().map(|t| t.info).collect());
        let io = Io { inputs: &inputs, outputs: &outputs };
        let memory = step.cost.bytes / d.memory;
        let workgroups = step.launch.grid.iter().map(|&n| f64::from(n)).product::<f64>().max(1.0);
        let (seconds, bound) = match (node.op.name(), step.variant.schedule) {
            ("topk" | "topk_select", _) => (turns_of_topk(step, self.selection(step), d), Bound::Turns),
            ("topk_tiles", _) => {
                let tile = (inputs[0].shape.len() / io.dim(0, 0)).div_ceil(outputs[0].shape.dim(2));
                (turns_of_topk(step, self.selection(step).min(tile), d), Bound::Turns)
            }
            ("topk_join", _) => (turns_of_topk(step, io.dim(0, 2) * io.dim(0, 3), d), Bound::Turns),
            ("nms", _) => (suppression(io.dim(1, inputs[1].shape.rank() - 1), d), Bound::Turns),
            // Two barriers, the chain of 32, and a round of loads for each 32 boxes.
            ("nms_sweep", _) => (d.clocks((io.dim(0, 2) as f64) * (d.latency + 600.0) + 3000.0), Bound::Turns),
            ("nms_pairs", _) => {
                let rate = 0.5 * d.multiply_adds * d.cores * d.clock;
                larger((memory, Bound::Memory), (step.cost.flops / 2.0 / rate, Bound::MultiplyAdds))
            }
            // Three passes over a row by one thread, of which there are few, or by several that meet twice.
            ("softmax", _) => {
                let lanes = step.variant.find("LANES").map_or(1, |n| n as usize);
                let meet = if lanes > 1 { 2.0 * (150.0 + 30.0 * lanes as f64) } else { 0.0 };
                (d.clocks(3.0 * 150.0 * io.dim(0, 1).div_ceil(lanes) as f64 + meet), Bound::Turns)
            }
            ("paste_layout", _) => (d.clocks(12e3), Bound::Turns),
            // Of the eight operations of a sample and channel, 16 bytes: a corner of four channels is a load.
            ("roi_align", _) => {
                let half = if step.variant.find("MAPS_0_F16").is_some() { 0.5 } else { 1.0 };
                let gathered = 2.0 * half * step.cost.flops;
                larger((memory, Bound::Memory), (1.5 * gathered / d.cache, Bound::Cache))
            }
            ("winograd_conv2d", _) => {
                larger((memory, Bound::Memory), whole_points(step, io.dim(0, 3) as f64, workgroups, d))
            }
            ("winograd_matrix", _) => {
                larger((memory, Bound::Memory), points_on_matrices(step, io.dim(0, 3) as f64, workgroups, d))
            }
            (_, Schedule::Blocked(_) | Schedule::Matrix(_)) => {
                let products = node.op.executed(&io, &step.variant) / 2.0;
                larger((memory, Bound::Memory), blocks(step, products, workgroups, d))
            }
            // A load for each few multiply-adds.
            (_, schedule) if schedule.tile().is_some() => {
                let rate = 0.25 * d.multiply_adds * d.cores * d.clock;
                larger((memory, Bound::Memory), (step.cost.flops / 2.0 / rate, Bound::MultiplyAdds))
            }
            // Threads too few to keep the memory busy.
            _ => (memory * (256.0 * d.cores / (64.0 * workgroups)).clamp(1.0, 3.0), Bound::Memory),
        };
        let bound = if d.gap > seconds { Bound::Start } else { bound };
        Prediction { seconds: seconds + d.gap, bound }
    }

    /// Elements of the longest segment that a selection goes through.
    fn selection(&self, step: &Step) -> usize {
        let node = &self.graph.nodes[step.op];
        let [x, segments, ..] = &node.inputs[..] else { return 0 };
        match &self.graph.tensors[segments.id].source {
            Source::Constant(value) => value.ints().chunks(2).map(|s| s[1] as usize).max().unwrap_or(0),
            _ => x.shape().len(),
        }
    }
}

impl Speeds {
    /// Seconds of so many clocks.
    fn clocks(&self, clocks: f64) -> f64 {
        clocks / self.clock
    }
}

/// Vector instructions that turn a channel of a tile to points, and points to a row of its outputs, as AMD's compiler makes
/// them: 87 for a row of two channels, a conversion more for each of its 12 inputs where they are f16, and 28 for a column; then 28 for
/// a column and 111 for a row of outputs.
const TURNING: f64 = 6.0 * (0.5 * 87.0 + 28.0);
const CONVERTED: f64 = 6.0 * 0.5 * 12.0;
const TURNED_BACK: f64 = 6.0 * 28.0 + 4.0 * 111.0;
/// The same where outputs become f16: a bound and a conversion for each.
const ROUNDED: f64 = 4.0 * 8.0;

fn larger(a: (f64, Bound), b: (f64, Bound)) -> (f64, Bound) {
    if b.0 > a.0 { b } else { a }
}

/// The turns of a selection's threads, of three passes with an atomic each and two of a range a thread, and what does not
/// depend on how many elements there are: the sort, and counts that are added up.
fn turns_of_topk(step: &Step, elements: usize, d: &Speeds) -> f64 {
    let threads = f64::from(step.variant.find("THREADS").unwrap_or(256));
    let turn = 3.0 * (d.latency + 60.0) + 2.0 * (0.3 * d.latency).max(160.0);
    d.clocks(elements as f64 / threads * turn + 2.4e4)
}

/// Boxes in chunks of 32: one thread follows the chain of each, 32 compare, all others apply what is left.
fn suppression(boxes: usize, d: &Speeds) -> f64 {
    d.clocks((boxes as f64 / 32.0).ceil() * (3680.0 + boxes as f64 / 512.0 * 960.0))
}

/// A product in blocks that pass through workgroup memory.
fn blocks(step: &Step, products: f64, workgroups: f64, d: &Speeds) -> (f64, Bound) {
    let schedule = step.variant.schedule;
    let Some([pixels, rows]) = schedule.extents().map(|e| e.map(|n| n as f64)) else {
        return (0.0, Bound::MultiplyAdds);
    };
    let of_units = match schedule {
        Schedule::Matrix(shares) if d.matrix > 0.0 => Some(shares),
        _ => None,
    };
    let step_channels = 4.0 * f64::from(of_units.map_or(BLOCK_STEP, |shares| shares.step()));
    let area = pixels * rows;
    let depth = products / workgroups / area;
    let steps = (depth / step_channels).max(1.0);
    // Clocks of a step of one block, on each pipe of a core.
    let half = if step.variant.f16 { 0.5 } else { 1.0 };
    let element = ELEMENT_BYTES as f64;
    let of_x = if step.variant.find("X_F16").is_some() { 0.5 } else { 1.0 };
    let pipe = area * step_channels / if of_units.is_some() { d.matrix } else { d.multiply_adds };
    let cache = step_channels * element * (pixels * of_x + rows * half) / (d.cache / d.cores / d.clock);
    let (loads, stores, instructions, barriers) = match (of_units, schedule) {
        (Some(shares), _) => {
            // Fragments of 16 × 16 that each share loads for its products; stores of four, some two on a bank.
            let bytes = 4.0 * half;
            let fragments = shares.matrices.map(|n| f64::from(n * shares.size) / 16.0).iter().sum::<f64>();
            let of_all = f64::from(shares.shares[0] * shares.shares[1]);
            let loads = of_all * fragments * 256.0 * bytes * step_channels / 16.0 / d.workgroup;
            let stores = 1.5 * (pixels + rows) * step_channels * bytes / d.workgroup;
            // Eight instructions for each product of 16 × 16 × 16, as AMD's compiler makes them; nine and more where x is rounded
            // on the way.
            let beside = if of_x < 1.0 || half == 1.0 { 200.0 } else { 240.0 };
            (loads, stores, beside * (area / 16384.0).sqrt(), f64::from(3 - shares.buffers))
        }
        (None, Schedule::Blocked(block)) => {
            // Fours that a thread loads for its multiply-adds, about half of them by common address.
            let [tg, th] = block.fours.map(f64::from);
            let fours = (tg + th) / (16.0 * tg * th);
            let loads = area * step_channels * fours * 16.0 * 0.45 / d.workgroup * half;
            let stores = 1.5 * (pixels + rows) * step_channels * element / d.workgroup * half;
            let beside = if step.variant.f16 { 190.0 } else { 120.0 } * 64.0 / d.multiply_adds;
            (loads, stores, 1.35 * pipe + beside, 2.0)
        }
        _ => (0.0, 0.0, 1.35 * pipe, 2.0),
    };
    let pipes = [
        (pipe, if of_units.is_some() { Bound::Matrices } else { Bound::MultiplyAdds }),
        (loads + stores, Bound::WorkgroupMemory),
        (cache, Bound::Cache),
        (instructions, Bound::Instructions),
    ];
    let most = pipes.iter().copied().fold((0.0, Bound::Latency), larger);
    let beside: f64 = if of_units.is_some() { 0.35 * (pipes.iter().map(|p| p.0).sum::<f64>() - most.0) } else { 0.0 };
    let floor = most.0 + beside;
    let latency = d.latency + 40.0 * barriers;
    // Registers of a block's sums: of those of 256 × 128 a core holds half as many.
    let resident = (d.resident * if area < 16384.0 { 2.0 } else { 16384.0 / area }).max(1.0);
    let alone = floor.max(latency);
    // Before the loop and after it; matrices hand their sums over in rounds of two barriers.
    let around = 900.0
        + match of_units {
            Some(s) => {
                let [along, across] = s.matrices.map(f64::from);
                let turns = f64::from(s.shares[0] * s.shares[1] * s.held * s.size * s.size / 4) / f64::from(s.threads);
                along * across / f64::from(s.held) * (200.0 + 60.0 * turns)
            }
            None => 800.0,
        };
    let bound = if latency > resident * floor { Bound::Latency } else { most.1 };
    (d.clocks(rounds(workgroups, resident, (steps, floor, alone), around, d)), bound)
}

/// Clocks of whole rounds of all cores, and of a last one that is not full: of workgroups of which a core holds so many, and
/// which go through steps of `floor` clocks on the busiest pipe and of `alone` for one that has the core for itself, with
/// something around them.
fn rounds(workgroups: f64, resident: f64, (steps, floor, alone): (f64, f64, f64), around: f64, d: &Speeds) -> f64 {
    let together = floor.max(alone / resident);
    let of_a_core = workgroups / d.cores;
    let whole = (of_a_core / resident).floor();
    let rest = of_a_core - whole * resident;
    let mut clocks = whole * resident * (steps * together + around / resident);
    if rest > 1e-9 {
        let last = rest.ceil().clamp(1.0, resident);
        clocks += last * steps * floor.max(alone / last) + around;
    }
    clocks
}

/// Winograd's products whole (`shaders/winograd_conv2d.wgsl`), four channels a step.
fn whole_points(step: &Step, channels: f64, workgroups: f64, d: &Speeds) -> (f64, Bound) {
    let [lp, lk, tg, th] = ["LP", "LK", "TG", "TH"].map(|name| f64::from(step.variant.get(name)));
    let (tiles, rows, element) = (4.0 * lp * tg, 4.0 * lk * th, ELEMENT_BYTES as f64);
    let sums = 36.0 * tiles * rows;
    let pipe = 4.0 * sums / d.multiply_adds;
    let (of_x, converted) = if step.variant.find("X_F16").is_some() { (0.5, CONVERTED) } else { (1.0, 0.0) };
    let operands = 4.0 * 36.0 * (tiles * of_x + rows) * element;
    let cache = operands / (d.cache / d.cores / d.clock);
    // As in blocks: fours that a thread loads for its multiply-adds.
    let fours = (tg + th) / (16.0 * tg * th);
    // What is turned is stored by rows, read by columns and stored again; weights lie as they are stored.
    let placed = 4.0 * 36.0 * (3.0 * tiles + rows) * element;
    let shared = (sums * 4.0 * fours * 16.0 * 0.45 + placed) / d.workgroup;
    let turned = (TURNING + converted) * 4.0 * tiles / d.multiply_adds;
    // Of a turn of the products AMD's compiler makes 288 instructions for 256 multiply-adds, and 155 for 128 where TH is one.
    let products = if th > 1.0 { 288.0 / 256.0 } else { 155.0 / 128.0 };
    let instructions = products * pipe + turned + 120.0 * 64.0 / d.multiply_adds * (36.0 * lp * lk / 256.0);
    let pipes = [
        (pipe, Bound::MultiplyAdds),
        (shared, Bound::WorkgroupMemory),
        (cache, Bound::Cache),
        (instructions, Bound::Instructions),
    ];
    let most = pipes.into_iter().fold((0.0, Bound::Latency), larger);
    // Nothing is loaded while sums are made, but by another workgroup.
    let alone = most.0 + d.latency + 120.0;
    let resident = (d.resident * 16384.0 / sums).max(1.0);
    let back = TURNED_BACK + if step.variant.find("Y_F16").is_some() { ROUNDED } else { 0.0 };
    // The start, and four rounds of outputs, each of a quarter of the rows.
    let around = 900.0 + 4.0 * (300.0 + tiles * rows / 4.0 * back / d.multiply_adds);
    let clocks = rounds(workgroups, resident, (channels / 4.0, most.0, alone), around, d);
    (d.clocks(clocks), if alone > resident * 2.0 * most.0 { Bound::Latency } else { most.1 })
}

/// Vector instructions that turn half of a tile's points, four channels, as they stand in the text: 12 loads, 48 conversions, 64
/// sums, 32 roundings with their bounds, 8 stores.
const HALF_TURNED: f64 = 260.0;

/// Winograd's products on matrix units (`shaders/winograd_matrix.wgsl`), 16 channels a step.
fn points_on_matrices(step: &Step, channels: f64, workgroups: f64, d: &Speeds) -> (f64, Bound) {
    let Some([size, threads, mp, mk]) = constants(step, ["SIZE", "WG", "MP", "MK"]) else {
        return (0.0, Bound::MultiplyAdds);
    };
    let (tiles, rows) = (size * mp, size * mk);
    let pipe = 16.0 * tiles * rows * 16.0 / d.matrix.max(1.0);
    // Halves of points, 12 inputs of the 16 each; weights as f16.
    let half = if step.variant.find("X_F16").is_some() { 2.0 } else { 4.0 };
    let cache = (tiles * 2.0 * 12.0 * 16.0 * half + 16.0 * rows * 16.0 * 2.0) / (d.cache / d.cores / d.clock);
    let shared = (1.5 + 1.0) * 16.0 * tiles * 16.0 * 2.0 / d.workgroup;
    // What turns tiles, and as in blocks what stands beside so many sums.
    let turned = tiles * 8.0 * HALF_TURNED / d.multiply_adds;
    let instructions = turned + 200.0 * (16.0 * tiles * rows / 32.0 / 16384.0).sqrt();
    let pipes = [
        (pipe, Bound::Matrices),
        (shared, Bound::WorkgroupMemory),
        (cache, Bound::Cache),
        (instructions, Bound::Instructions),
    ];
    let most = pipes.into_iter().fold((0.0, Bound::Latency), larger);
    let floor = most.0 + 0.35 * (pipes.iter().map(|p| p.0).sum::<f64>() - most.0);
    let resident = (d.resident * 16384.0 / (16.0 * tiles * rows)).max(1.0);
    let alone = floor.max(d.latency + 80.0);
    // The start, and a round of two barriers for each matrix of a point: eight sums of four to four outputs, by a share of the threads.
    let outputs = (2.0 * size * size / 4.0 / threads).ceil() * 300.0;
    let around = 900.0 + mp * mk * (200.0 + outputs);
    let clocks = rounds(workgroups, resident, (channels / 16.0, floor, alone), around, d);
    (d.clocks(clocks), if alone > resident * floor { Bound::Latency } else { most.1 })
}

/// Constants of a step's text; none where it lacks one.
fn constants<const N: usize>(step: &Step, names: [&str; N]) -> Option<[f64; N]> {
    let all = names.map(|name| step.variant.find(name).map(f64::from));
    all.iter().all(Option::is_some).then(|| all.map(Option::unwrap_or_default))
}
