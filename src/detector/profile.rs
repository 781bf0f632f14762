//! Where the time of one image goes.

use super::Detector;
use super::batch::SizedImage;
use crate::Result;
use crate::compiled::CompiledNetwork;
use crate::gpu::{Clock, Counts, Held, Roofs};
use crate::graph::{Graph, Node, Plan, Source, Step, Tensor};
use crate::kernels::Kernel;
use crate::model::Given;
use crate::ops::{Cost, Io};
use crate::tensor::ELEMENT_BYTES;
use crate::vision::Image;

/// Counts of live rows, by the tap that holds each, with what the rows are.
const LIVE: [(&str, &str); 2] = [("rpn.proposals.count", "proposals"), ("det.count", "detections")];

/// Times of one image's steps on the device, and what they worked on.
#[derive(Clone, Debug)]
pub struct Profile {
    /// The network's name.
    pub model: String,
    /// The device's name.
    pub device: String,
    /// How the steps were timed.
    pub clock: Clock,
    /// What was run.
    pub plan: Plan,
    /// What it holds on the device.
    pub counts: Counts,
    /// What the device holds in all, where it tells.
    pub held: Option<Held>,
    /// The steps, in the plan's order.
    pub steps: Vec<StepTime>,
    /// Seconds of the same work without any timing inside, from the submit of the one pass to its end: upload and all
    /// steps, without reading back and what the host does then. The median of the runs.
    pub whole: f64,
    /// Runs with and as many without timing.
    pub runs: usize,
    /// Detections that the configuration lets through …
    pub found: usize,
    /// … and the score from which on it does.
    pub score: f32,
    /// How many rows the heads had to work on.
    pub live: Vec<Live>,
}

/// One step's time and work.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepTime {
    /// The median of the runs.
    pub seconds: f64,
    /// Arithmetic and least traffic of the rows that were live.
    pub cost: Cost,
}

/// Consecutive steps of one stage of the network.
#[derive(Clone, Debug, PartialEq)]
pub struct StageTime {
    /// Its name.
    pub name: &'static str,
    /// The position of its first step, and how many there are.
    pub first: usize,
    /// Its steps.
    pub steps: usize,
    /// Sum over the steps.
    pub seconds: f64,
    /// Sum over the steps.
    pub cost: Cost,
}

/// Rows of which the first ones count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Live {
    /// What a row is: "proposals", "detections".
    pub what: &'static str,
    /// How many counted.
    pub count: usize,
    /// How many there is room for.
    pub capacity: usize,
    /// The tensor with the count.
    id: usize,
}

impl Detector {
    /// Runs an image `runs` times with a time taken of each step, and as many times without; gives the medians. Without
    /// a clock, the best that the device offers is taken.
    ///
    /// # Errors
    /// As [`Detector::detect`]; [`Error::Unsupported`](crate::Error::Unsupported) where the device does not offer such a clock.
    ///
    /// **Unstable**, as all of the [`engine`](crate::engine).
    pub fn profile(&self, image: &Image, runs: usize, clock: Option<Clock>) -> Result<Profile> {
        // This compiles the shaders, and makes room for the bits of all masks.
        let found = self.detect(image)?.len();
        self.profiled(SizedImage::new(&self.config, image.into())?, found, runs, clock)
    }

    /// As [`Detector::profile`], of [`Detector::detect_proposals`].
    ///
    /// # Errors
    /// As there.
    ///
    /// **Unstable**, as all of the [`engine`](crate::engine).
    pub fn profile_proposals(
        &self,
        image: &Image,
        proposals: &[[f32; 4]],
        runs: usize,
        clock: Option<Clock>,
    ) -> Result<Profile> {
        let found = self.detect_proposals(image, proposals)?.len();
        let image = SizedImage::new(&self.config, image.into())?;
        let rois = Given::proposals(proposals, &image.size)?;
        self.profiled(image.with(rois), found, runs, clock)
    }

    fn profiled(&self, image: SizedImage, found: usize, runs: usize, clock: Option<Clock>) -> Result<Profile> {
        let mut plans = self.lock();
        let network = self.ready(&mut plans, image.capacity)?;
        let clock = clock.unwrap_or(self.device.clock());
        let timed = time(network, &image, runs.max(1), clock);
        let (plan, counts) = (network.plan().clone(), network.counts());
        let (steps, whole, live) = match timed {
            Ok(timed) => timed,
            Err(e) => {
                plans.forget();
                return Err(e);
            }
        };
        let cost = |(step, seconds): (&Step, f64)| {
            let cost = live_cost(&plan.graph, step, &live);
            StepTime { seconds, cost }
        };
        let steps = plan.steps.iter().zip(steps).map(cost).collect();
        let (model, device) = (self.config.name.clone(), self.device.name().to_string());
        let held = self.device.held();
        let score = self.config.box_head.score_thresh;
        Ok(Profile { model, device, clock, counts, held, steps, whole, runs: runs.max(1), found, score, live, plan })
    }
}

/// Median seconds of each step and of the whole, and the live rows.
fn time(
    network: &mut CompiledNetwork,
    image: &SizedImage,
    runs: usize,
    clock: Clock,
) -> Result<(Vec<f64>, f64, Vec<Live>)> {
    let ends = network.network().clone();
    let input = network.input(&[image.given()]).with(image.rois.clone());
    let (inputs, runner) = (input.of(&ends), network.runner());
    let (mut whole, mut steps) = (Vec::new(), vec![Vec::new(); runner.plan().steps.len()]);
    // By turns, so that what else the machine does falls on both alike.
    for _ in 0..runs {
        whole.push(runner.wall(&inputs)?);
        let seconds = runner.profile(&inputs, clock)?;
        steps.iter_mut().zip(seconds).for_each(|(all, s)| all.push(s));
    }
    let counts: Vec<(Tensor, &'static str)> = LIVE
        .iter()
        .filter_map(|(tap, what)| Some((ends.taps.iter().find(|t| t.name == *tap)?.tensor, *what)))
        .collect();
    let tensors: Vec<Tensor> = counts.iter().map(|c| c.0).collect();
    let values = runner.run(&inputs, &tensors)?;
    let ops = &runner.plan().graph.nodes;
    let live = counts.iter().zip(values).filter_map(|((t, what), value)| {
        // The selection that counts gives as many scores as there is room for.
        let op = ops.iter().find(|op| op.outputs.iter().any(|o| o.id == t.id))?;
        let capacity = op.outputs[0].shape().len();
        Some(Live { what, count: (value.ints()[0] as usize).min(capacity), capacity, id: t.id })
    });
    let live = live.collect();
    Ok((steps.into_iter().map(median).collect(), median(whole), live))
}

impl Profile {
    /// Seconds of all steps together.
    pub fn sum(&self) -> f64 {
        self.steps.iter().map(|s| s.seconds).sum()
    }

    /// The stages, in the network's order.
    pub fn stages(&self) -> Vec<StageTime> {
        let mut out: Vec<StageTime> = Vec::new();
        for (i, (step, time)) in self.plan.steps.iter().zip(&self.steps).enumerate() {
            let name = self.plan.graph.nodes[step.op].stage;
            if out.last().is_none_or(|s| s.name != name) {
                out.push(StageTime { name, first: i, steps: 0, seconds: 0.0, cost: Cost::default() });
            }
            if let Some(stage) = out.last_mut() {
                stage.steps += 1;
                stage.seconds += time.seconds;
                stage.cost.flops += time.cost.flops;
                stage.cost.bytes += time.cost.bytes;
            }
        }
        out
    }

    /// Least seconds that the device needs for a step.
    pub fn floor(&self, roofs: &Roofs, step: usize) -> f64 {
        roofs.floor(&self.steps[step].cost, &self.plan.steps[step].variant)
    }

    /// Whether a step did more arithmetic in its time than these roofs allow: they are too low then.
    pub fn passes(&self, roofs: &Roofs, step: usize) -> bool {
        let StepTime { seconds, cost } = &self.steps[step];
        roofs.are_passed(cost, &self.plan.steps[step].variant, *seconds)
    }

    /// The op of a step.
    pub fn node(&self, step: usize) -> &Node<dyn Kernel> {
        &self.plan.graph.nodes[self.plan.steps[step].op]
    }
}

/// What a step costs, less what the rows would that were not live.
fn live_cost(graph: &Graph<dyn Kernel>, step: &Step, live: &[Live]) -> Cost {
    let (op, cost) = (&graph.nodes[step.op], step.cost);
    let Some(rows) = op.inputs.iter().find_map(|t| live.iter().find(|l| l.id == t.id)) else { return cost };
    let (inputs, outputs) = op.infos();
    // Of an op that was taken apart, one piece may be live throughout, and the next not at all.
    let grid = op.op.live_grid(&Io { inputs: &inputs, outputs: &outputs }, &step.variant);
    let share = match grid {
        Some(grid) => grid.share(rows.count),
        None => rows.count as f64 / rows.capacity.max(1) as f64,
    };
    // Weights and feature maps are read whatever is live.
    let constant = |t: &&Tensor| matches!(graph.tensors[t.id].source, Source::Constant(_));
    let of_rows = |t: &&Tensor| {
        let shape = t.shape();
        let listed = shape.rank() <= 3 && shape.dims().contains(&(rows.capacity as u32));
        !constant(t) && t.id != rows.id && (listed || shape.dim(0) == rows.capacity)
    };
    let bytes = |ts: &mut dyn Iterator<Item = &Tensor>| -> f64 { ts.map(|t| t.info.bytes() as f64).sum() };
    let of_rows = match grid {
        // Rows along the pixels: all that it reads and writes.
        Some(grid) if grid.axis == 0 => {
            cost.bytes
                - bytes(&mut op.inputs.iter().filter(constant))
                - (ELEMENT_BYTES * inputs[grid.input].shape.len()) as f64
        }
        _ => bytes(&mut op.inputs.iter().chain(&op.outputs).filter(of_rows)),
    };
    Cost { flops: cost.flops * share, bytes: cost.bytes - of_rows * (1.0 - share) }
}

/// The middle of a list that is not empty.
fn median(mut list: Vec<f64>) -> f64 {
    list.sort_by(f64::total_cmp);
    let n = list.len();
    (list[(n - 1) / 2] + list[n / 2]) / 2.0
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::ops::Info;
    use crate::ops::linear::Linear;
    use crate::target::{Target, policy};
    use crate::tensor::{Shape, Value};

    #[test]
    fn rows_that_are_not_live_cost_nothing_but_weights_do() {
        let mut g = Graph::new();
        let x = g.input("x", Info::f32([10, 8]));
        let count = g.input("count", Info::u32([1, 1]));
        let w = g.constant("w", Arc::new(Value::f32([10, 8], vec![0.0; 80])));
        let b = g.constant("b", Arc::new(Value::f32([10], vec![0.0; 10])));
        g.op1("fc", Linear { bias: true, live: true, ..Linear::default() }, &[x, w, b, count]).unwrap();
        let plan = Plan::new(g, &crate::target::Target::MINIMUM, &[]).unwrap();
        let (step, all) = (&plan.steps[0], plan.steps[0].cost);
        let of = |live: usize| {
            let live = [Live { what: "rows", count: live, capacity: 10, id: count.id }];
            live_cost(&plan.graph, step, &live)
        };
        assert_eq!(of(10), all);
        // x and y shrink by 8 and 10 floats a row.
        assert_eq!(of(5), Cost { flops: all.flops / 2.0, bytes: all.bytes - 4.0 * 90.0 });
        assert_eq!(of(0), Cost { flops: 0.0, bytes: all.bytes - 4.0 * 180.0 });
        assert_eq!(live_cost(&plan.graph, step, &[]), all);
    }

    #[test]
    fn the_first_pieces_of_an_op_are_live_before_the_last() {
        let mut g = Graph::new();
        // More points than a piece may have.
        let x = g.input("x", Info::f32([24, 28, 28, 256]));
        let count = g.input("count", Info::u32([1]));
        let zeros = |shape: Shape| Arc::new(Value::f32(shape, vec![0.0; shape.len()]));
        let (w, b) = (zeros([256, 3, 3, 256].into()), zeros([256].into()));
        g.conv2d("conv", x, &w, &b).pad(1).live(count).done().unwrap();
        let target = Target { pays: &policy::WIDE_CPU, ..Target::MINIMUM };
        let plan = Plan::new(g, &target, &["winograd"]).unwrap();
        let products: Vec<&Step> = plan.steps.iter().filter(|s| s.cost.flops > 0.0).collect();
        assert!(products.len() > 1);
        let shares = |live: usize| {
            let live = [Live { what: "rows", count: live, capacity: 24, id: count.id }];
            let share = |s: &&Step| live_cost(&plan.graph, s, &live).flops / s.cost.flops;
            products.iter().map(share).collect::<Vec<f64>>()
        };
        assert!(shares(24).iter().all(|&s| s == 1.0) && shares(0).iter().all(|&s| s == 0.0));
        // All of the first pieces, none of the last, and a part of one between them at most.
        let some = shares(8);
        assert!(some[0] == 1.0 && some[products.len() - 1] == 0.0, "{some:?}");
        assert!(some.is_sorted_by(|a, b| a >= b) && some.iter().filter(|s| ![0.0, 1.0].contains(*s)).count() <= 1);
    }

    #[test]
    fn medians_lie_in_the_middle() {
        assert_eq!(median(vec![3.0]), 3.0);
        assert_eq!(median(vec![9.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 9.0]), 3.0);
    }
}
