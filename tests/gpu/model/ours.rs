//! The library's network with every stage kept.

use std::collections::HashMap;

use maskrcnn::Mask;
use maskrcnn::engine::compiled::{CompiledNetwork, PlannedNetwork, masks_of};
use maskrcnn::engine::gpu::Pool;
use maskrcnn::engine::graph::{Node, Tensor, Tuning};
use maskrcnn::engine::kernels::Kernel;
use maskrcnn::engine::model::{Capacity, Network, RoiSource, Tap};
use maskrcnn::engine::tensor::Value;

use super::golden::{Golden, boxes, swap};
use crate::common::device;

/// A network made for one golden's image.
pub(super) struct Ours {
    network: CompiledNetwork,
    taps: HashMap<String, Tap>,
    /// What it last computed, by tap; also "places" and "bits", and "post.boxes".
    pub values: HashMap<String, Value>,
}

impl Ours {
    /// Builds it and runs it from the pixels.
    pub(super) fn run(golden: &Golden) -> Self {
        let (config, image) = (&golden.config, &golden.image);
        let capacity = Capacity {
            height: golden.size.padded.0 as usize,
            width: golden.size.padded.1 as usize,
            batch: 1,
            roi_shift: golden.size.roi_shift(config.roi_levels),
            taps: golden.size.sampling().words(),
            image_words: golden.size.sampling().bytes().div_ceil(4) as usize,
            mask_words: config.box_head.detections_per_img * (image.height() * image.width().div_ceil(32)) as usize,
            pyramid_bytes: Capacity::PYRAMID_BYTES,
            rois: RoiSource::Rpn,
        };
        let taps = |network: &Network| -> HashMap<String, Tap> {
            let mut taps: HashMap<String, Tap> = network.taps.iter().map(|t| (t.name.clone(), t.clone())).collect();
            let mut more = |name: &str, tensor| taps.insert(name.into(), Tap { name: name.into(), tensor, map: None });
            more("post.boxes", network.outputs.boxes);
            if let Some(masks) = network.outputs.masks {
                more("places", masks.places);
                more("bits", masks.bits);
            }
            taps
        };
        let kept = |network: &Network| taps(network).values().map(|t| t.tensor).collect();
        let (target, guess) = (device().target(), Tuning::default());
        let planned = PlannedNetwork::keeping(config, &golden.weights, capacity, &target, &guess, kept).unwrap();
        let network = planned.compile(device(), &Pool::new()).unwrap();
        let mut ours = Self { taps: taps(network.network()), network, values: HashMap::new() };
        let (input, ends) = (ours.network.input(&[(image.rgb(), golden.size)]), ours.network.network().clone());
        let all = 0..ours.network.plan().steps.len();
        ours.execute(all, &input.of(&ends));
        ours
    }

    /// Runs again from the step of that name up to, and without, the one of the other name (or to the end), with the
    /// golden's tensors in place of what our own stages made.
    pub(super) fn rerun(&mut self, step: &str, until: Option<&str>, golden: &Golden, fed: &[&str]) {
        let ops = &self.network.plan().graph.nodes;
        // An op that was taken apart begins with its first piece.
        let named = |op: &Node<dyn Kernel>, label: &str| {
            op.label.strip_prefix(label).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
        };
        let at = |label: &str| ops.iter().position(|op| named(op, label)).unwrap_or_else(|| panic!("{label}"));
        let steps = at(step)..until.map_or(ops.len(), at);
        let frame = golden.frame();
        let values = self.fed(golden, fed);
        let mut inputs: Vec<(Tensor, &[u8])> = values.iter().map(|(t, v)| (*t, v.bytes())).collect();
        // Nobody's memory is kept past its last reader, so the frames come in anew.
        inputs.push((self.network.network().frames, bytemuck::bytes_of(&frame)));
        self.execute(steps, &inputs);
    }

    fn execute(&mut self, steps: std::ops::Range<usize>, inputs: &[(Tensor, &[u8])]) {
        let taps: Vec<&Tap> = self.taps.values().collect();
        let tensors: Vec<Tensor> = taps.iter().map(|t| t.tensor).collect();
        let values = self.network.runner().run_steps(steps, inputs, &tensors).unwrap();
        self.values = taps.iter().zip(&values).map(|(tap, value)| (tap.name.clone(), tap.of(value))).collect();
    }

    /// The golden's tensors as ours: where ours holds several maps, those together, with zeros for the ones not named.
    fn fed(&self, golden: &Golden, names: &[&str]) -> Vec<(Tensor, Value)> {
        let mut out: Vec<(Tensor, Value)> = Vec::new();
        for tap in names.iter().map(|name| &self.taps[*name]) {
            if out.iter().any(|(t, _)| t.id == tap.tensor.id) {
                continue;
            }
            let value = match tap.map {
                None => golden.tap(&tap.name),
                Some((levels, _)) => {
                    let map = |i: usize| {
                        let at = |t: &&Tap| t.tensor.id == tap.tensor.id && t.map.is_some_and(|m| m.1 == i);
                        let this = self.taps.values().find(at).expect("each map has a tap");
                        let (h, w) = levels.maps()[i];
                        let zeros = || vec![0.0; h * w * tap.tensor.dim(3)];
                        let given = names.contains(&this.name.as_str()).then(|| golden.tap(&this.name));
                        Value::f32([1, h, w, tap.tensor.dim(3)], given.map_or_else(zeros, |v| v.floats().to_vec()))
                    };
                    levels.joined(&(0..levels.maps().len()).map(map).collect::<Vec<_>>())
                }
            };
            out.push((tap.tensor, value));
        }
        out
    }

    /// How many proposals, or detections, there are.
    pub(super) fn count(&self, tap: &str) -> usize {
        self.values[tap].ints()[0] as usize
    }

    /// The boxes that count.
    pub(super) fn boxes(&self, tap: &str) -> Vec<[f32; 4]> {
        let n = self.count(if tap.starts_with("rpn") { "rpn.proposals.count" } else { "det.count" });
        boxes(&self.values[tap].floats()[..4 * n])
    }

    /// Anchors on each level of the pyramid, and in all before it.
    pub(super) fn level(&self, level: usize) -> (usize, usize) {
        let cells = |l: usize| self.values[&format!("p{}", l + 2)].shape;
        let size = |l: usize| cells(l).dim(1) * cells(l).dim(2) * 3;
        ((0..level).map(size).sum(), size(level))
    }

    /// A stage in the oracle's layout and under its name. Rows of RoIs come in the order of `rows`.
    pub(super) fn as_torch(&self, stage: &str, rows: &[usize]) -> Vec<f32> {
        if let Some((tap, level)) = stage.rsplit_once('.').filter(|s| s.0 == "rpn.logits" || s.0 == "rpn.deltas") {
            let (first, size) = self.level(level.parse().unwrap());
            let each = if tap == "rpn.deltas" { 4 } else { 1 };
            let part = &self.values[tap].floats()[each * first..][..each * size];
            return swap(part, size / 3, 3 * each);
        }
        let value = &self.values[stage];
        let s = value.shape;
        match (stage, s.rank()) {
            // The network's input has a fourth channel, of zeros, which torch's has not.
            ("transform", _) => {
                let mut planes = swap(value.floats(), s.dim(1) * s.dim(2), 4);
                let fourth = planes.split_off(3 * s.dim(1) * s.dim(2));
                assert!(fourth.iter().all(|&v| v == 0.0), "the fourth channel is not zero");
                planes
            }
            (_, 4) if s.dim(0) == 1 && !stage.contains('.') => swap(value.floats(), s.dim(1) * s.dim(2), s.dim(3)),
            _ => {
                let roi = s.len() / s.dim(0);
                let row = |&r: &usize| &value.floats()[r * roi..][..roi];
                match s.rank() {
                    4 => rows.iter().flat_map(|r| swap(row(r), s.dim(1) * s.dim(2), s.dim(3))).collect(),
                    _ => rows.iter().flat_map(row).copied().collect(),
                }
            }
        }
    }

    /// The masks of the detections.
    pub(super) fn masks(&self) -> Vec<Mask> {
        masks_of(&self.values["places"], &self.values["bits"], 0, self.count("det.count")).unwrap()
    }
}
