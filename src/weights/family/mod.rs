//! Weight families: how the networks that one project trained are written down.
//!
//! A family is one file with one [`Family`]: what its layers are called and what it takes for granted. Loading, inference
//! of settings, `inspect`, `convert` and the messages all work from that; adding one is its file and a line in [`FAMILIES`].

mod conventions;
mod detectron1;
mod detectron2;
mod keras;
mod maskrcnn_benchmark;
mod matterport;
mod mm_config;
mod mmdetection;
mod onnx_zoo;
mod rows;
mod torchvision;

pub(super) use conventions::{Background, Conventions, Layout};
pub(super) use rows::{Row, Unit};

use super::bound::Bound;
use super::settings::{Epsilon, Finding, Origin};
pub(super) use crate::config::Colours;
use crate::config::Config;

/// Every family, the likeliest first.
pub(super) const FAMILIES: &[&Family] = &[
    &torchvision::TORCHVISION,
    &torchvision::ON_MOBILENET,
    &detectron2::DETECTRON2,
    &mmdetection::MMDETECTION,
    &mmdetection::MMDETECTION_1,
    &matterport::MATTERPORT,
    &maskrcnn_benchmark::MASKRCNN_BENCHMARK,
    &detectron1::DETECTRON,
    #[cfg(test)]
    &super::tests::families::MIRRORED,
];

/// The names that our own files have, synthetic and converted ones.
pub(super) const OURS: &Family = &torchvision::TORCHVISION;

/// Those on a MobileNet.
pub(super) const ON_MOBILENET: &Family = &torchvision::ON_MOBILENET;

/// torchvision's networks in ONNX files, which have the norms in the weights.
pub(super) const TORCHVISION_IN_ONNX: &Family = &torchvision::IN_ONNX;

/// The ONNX model zoo's.
pub(super) const ONNX_ZOO: &Family = &onnx_zoo::IN_ONNX;

/// Sets what an ONNX model's graph tells beside its tensors.
fn of_graph(bound: &Bound, config: &mut Config) -> Vec<Finding> {
    let of_pooling = "`sampling_ratio` of the graph's RoiAlign";
    let (graph, mut told) = (bound.file.told(), Vec::new());
    if let Some(stride) = graph.stride_in_1x1 {
        config.backbone.stride_in_1x1 = stride;
        told.push(Finding::new("backbone.stride_in_1x1", Origin::Read, "`strides` of the graph's convolutions"));
    }
    let ratio =
        |side: usize| graph.sampling.iter().find(|(of, ratio)| *of == side && *ratio <= 8).map(|(_, ratio)| *ratio);
    if let Some(ratio) = ratio(config.box_head.roi_size) {
        config.box_head.sampling_ratio = ratio;
        told.push(Finding::new("box.sampling_ratio", Origin::Read, of_pooling));
    }
    if let Some(mask) = &mut config.mask
        && let Some(ratio) = ratio(mask.roi_size)
    {
        mask.sampling_ratio = ratio;
        told.push(Finding::new("mask.sampling_ratio", Origin::Read, of_pooling));
    }
    told
}

/// How one project writes down its networks.
#[derive(Debug)]
pub(super) struct Family {
    /// What to call it in messages.
    pub name: &'static str,
    /// The tensors by which a network of this family is found, and of which it needs both: as likely to be there whatever
    /// the network, and found in no other family.
    pub signs: [&'static str; 2],
    /// What all names within a network begin with. What stands beside them in a state dict is no part of it.
    pub modules: &'static [&'static str],
    /// Names of layers, for a box head of so many convolutions: of several rows for one, the first is the present name.
    pub rows: fn(box_convs: usize) -> Vec<Row>,
    /// What ends the name of a layer's weight and bias.
    pub layer_ends: [&'static str; 2],
    /// What ends the name of a BatchNorm's scale, shift, running mean and running variance.
    pub norm_ends: [&'static str; 4],
    /// What ends the names of tensors that mean nothing outside of training.
    pub counters: &'static [&'static str],
    /// BatchNorm's epsilon of a file whose settings but for that are known, and how it was found.
    pub epsilon: fn(&Bound, &Config) -> (f32, Epsilon),
    /// What the project takes for granted and no tensor says: how it lays tensors out, and the colours that it expects.
    pub conventions: Conventions,
    /// These, as far as a file says otherwise.
    pub told: fn(&Bound, Conventions) -> Conventions,
    /// The same: its rules and defaults, for a network whose layers are known. Returns the settings that the file has
    /// among its tensors or beside them, and those that follow from these.
    pub defaults: fn(&Bound, &mut Config) -> Vec<Finding>,
    /// Parts of networks that are not supported, by a piece of their names: a sentence that goes on after "FILE: ",
    /// `{}` being the name found. Such a file is refused at once, since without the part it would find other things.
    pub refused: &'static [(&'static str, &'static str)],
    /// The same of what stands beside the boxes and masks and can be left out: the cure alone.
    pub left_out: &'static [(&'static str, &'static str)],
}

impl Family {
    /// Whether a tensor counts something in training.
    pub(super) fn is_counter(&self, name: &str) -> bool {
        self.counters.iter().any(|end| name.ends_with(end))
    }
}
