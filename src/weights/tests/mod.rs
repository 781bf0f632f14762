//! Tests of the room as a whole, on small networks made by [`synth`](super::synth).

mod canonical;
mod detectron;
mod detectron2;
pub(super) mod families;
mod file;
mod forms;
mod h5;
mod infer;
mod matterport;
mod mmdetection;
mod settings;

use std::collections::BTreeMap;

use safetensors::tensor::{Dtype, TensorView};

use crate::config::Config;
use crate::config::{Backbone, BlockKind, BoxHead, MaskHead};

/// A tensor as bytes, to be altered.
#[derive(Clone)]
struct Raw {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

type Tensors = BTreeMap<String, Raw>;

/// The smallest configuration with every kind of layer; `bottleneck` or basic blocks.
fn tiny_config(block: BlockKind) -> Config {
    Config {
        name: "tiny".into(),
        backbone: Backbone { layers: vec![2, 1, 1, 1], block, base_width: 4, ..Default::default() },
        fpn_channels: 4,
        num_classes: 3,
        class_names: ["background", "a", "b"].map(String::from).to_vec(),
        box_head: BoxHead { roi_size: 2, representation: 8, ..Default::default() },
        mask: Some(MaskHead { roi_size: 2, output_size: 4, layers: vec![8, 4], dim_reduced: 8, ..Default::default() }),
        ..Default::default()
    }
}

/// The same in the manner of torchvision's second versions.
fn tiny_v2_config() -> Config {
    let mut config = tiny_config(BlockKind::Bottleneck);
    config.fpn_norm = true;
    config.rpn.conv_depth = 2;
    (config.box_head.convs, config.box_head.fc_layers) = (vec![12, 8], 2);
    config.mask.as_mut().unwrap().norm = true;
    config
}

/// All tensors of a network, f32.
fn tiny_model(config: &Config) -> Tensors {
    let raw = |data: Vec<f32>| data.iter().flat_map(|v| v.to_le_bytes()).collect();
    let tensors = super::synth::synthetic(config, 1).into_iter();
    tensors.map(|(name, t)| (name, Raw { dtype: Dtype::F32, shape: t.shape, bytes: raw(t.data) })).collect()
}

/// A safetensors file with these tensors and, if given, a `config`.
fn serialize(tensors: &Tensors, config: Option<&str>) -> Vec<u8> {
    let views = tensors.iter().map(|(name, t)| (name, TensorView::new(t.dtype, t.shape.clone(), &t.bytes).unwrap()));
    let metadata = config.map(|json| [("config".to_string(), json.to_string())].into());
    safetensors::serialize(views, metadata).unwrap()
}

/// A file of one tensor named `x`.
fn single(dtype: Dtype, shape: &[usize], bytes: Vec<u8>) -> Vec<u8> {
    serialize(&Tensors::from([("x".to_string(), Raw { dtype, shape: shape.to_vec(), bytes })]), None)
}

/// The file of the default model, where the environment or the checkout has it.
fn nuclei() -> std::path::PathBuf {
    let beside = || std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/nuclei.safetensors");
    std::env::var_os("MASKRCNN_NUCLEI").map_or_else(beside, Into::into)
}
