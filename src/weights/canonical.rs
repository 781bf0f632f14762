//! The canonical form: what the network is built from, whoever trained it.
//!
//! Convolutions are `[K, R, S, C]` (output channel, kernel row, kernel column, input channel) and every one has a
//! bias: BatchNorm is folded in. Tensor names are those of torchvision's state dicts, today's and the older ones
//! (`torchvision/models/detection/*.py`, `ops/feature_pyramid_network.py`; the renamings are in their
//! `_load_from_state_dict`).

use std::sync::Arc;

use super::file::WeightsFile;
use super::fold::{columns_last, transposed_channels_last};
use super::source::Source;
use crate::config::Config;
use crate::config::{Backbone, BlockKind, BoxHead, MaskHead};
use crate::error::Result;
use crate::tensor::{HostTensor, Value};

/// A convolution (cross-correlation, as in torch).
#[derive(Clone, Debug, PartialEq)]
pub struct Conv {
    /// `[K, R, S, C]`: output channel, kernel row, kernel column, input channel.
    pub weight: Arc<Value>,
    /// K values.
    pub bias: Arc<Value>,
}

impl Conv {
    pub(super) fn new(weight: HostTensor, bias: Vec<f32>) -> Self {
        Self { weight: shared(weight), bias: shared(HostTensor::new(&[bias.len()], bias)) }
    }
}

/// Graphs of all sizes share one copy of each tensor, on the host and on the device.
fn shared(tensor: HostTensor) -> Arc<Value> {
    Arc::new(tensor.into())
}

/// A fully connected layer: y = weight · x + bias.
#[derive(Clone, Debug, PartialEq)]
pub struct Linear {
    /// `[M, K]`: output, input.
    pub weight: Arc<Value>,
    /// M values.
    pub bias: Arc<Value>,
}

impl Linear {
    pub(super) fn new(weight: HostTensor, bias: Vec<f32>) -> Self {
        Self { weight: shared(weight), bias: shared(HostTensor::new(&[bias.len()], bias)) }
    }
}

/// Two fully connected layers of the same inputs as one, so that these are read once.
#[derive(Clone, Debug, PartialEq)]
pub struct Predictor {
    /// `[M, K]`: output, input; the rows of the first layer, then those of the second.
    pub weight: Arc<Value>,
    /// M values.
    pub bias: Arc<Value>,
    /// Rows of each layer.
    pub rows: [usize; 2],
}

impl Predictor {
    pub(super) fn new(weight: HostTensor, bias: Vec<f32>, rows: [usize; 2]) -> Self {
        let Linear { weight, bias } = Linear::new(weight, bias);
        Self { weight, bias, rows }
    }
}

/// All weights of one network.
#[derive(Clone, Debug, PartialEq)]
pub struct NetworkWeights {
    /// ResNet.
    pub body: Body,
    /// Feature pyramid.
    pub fpn: Fpn,
    /// Region proposal network.
    pub rpn: RpnWeights,
    /// Box head.
    pub box_head: BoxHeadWeights,
    /// Mask head, if the network has one.
    pub mask_head: Option<MaskHeadWeights>,
}

/// The ResNet body. W below is the base width.
#[derive(Clone, Debug, PartialEq)]
pub struct Body {
    /// `[W, 7, 7, 4]`: the input's three channels and one of zeros, since shaders read four at a time.
    pub stem: Conv,
    /// Blocks of each stage, from C2's on.
    pub stages: Vec<Vec<Block>>,
}

/// A residual block. P below is its width (W shifted left by the stage), I its input channels.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// Basic: `[P, 3, 3, I]`; bottleneck: `[P, 1, 1, I]`.
    pub conv1: Conv,
    /// `[P, 3, 3, P]`.
    pub conv2: Conv,
    /// Bottleneck only: `[4P, 1, 1, P]`.
    pub conv3: Option<Conv>,
    /// 1×1 on the shortcut, in the first block of a stage that changes size or channels.
    pub downsample: Option<Conv>,
}

/// The feature pyramid. F is `fpn_channels`; index 0 is the finest level (C2, P2).
#[derive(Clone, Debug, PartialEq)]
pub struct Fpn {
    /// Laterals, `[F, 1, 1, stage channels]`.
    pub inner: Vec<Conv>,
    /// Outputs, `[F, 3, 3, F]`.
    pub layer: Vec<Conv>,
}

/// The region proposal network, shared by all levels. A is the anchors at a pixel.
#[derive(Clone, Debug, PartialEq)]
pub struct RpnWeights {
    /// `conv_depth` times `[F, 3, 3, F]`.
    pub convs: Vec<Conv>,
    /// Two 1×1 convolutions as matrices: logits `[A, F]`, and deltas `[4A, F]`, output channel = anchor · 4 + (dx, dy,
    /// dw, dh).
    pub predictor: Predictor,
}

/// The box head. R is `representation`.
#[derive(Clone, Debug, PartialEq)]
pub struct BoxHeadWeights {
    /// 3×3 convolutions on the pooled features, from F channels through `convs` to C; none in the first models, where
    /// C is F.
    pub convs: Vec<Conv>,
    /// `[R, roi · roi · C]`, whose columns follow features flattened as (row, column, channel); then `[R, R]`.
    pub fcs: Vec<Linear>,
    /// Logits `[classes, R]`, and deltas `[4 · classes, R]`, output = class · 4 + (dx, dy, dw, dh).
    pub predictor: Predictor,
}

/// The mask head. D is `dim_reduced`, L the last of `layers`.
#[derive(Clone, Debug, PartialEq)]
pub struct MaskHeadWeights {
    /// 3×3 convolutions, from F channels through `layers` to L.
    pub convs: Vec<Conv>,
    /// Transposed 2×2 convolution with stride 2, `[D, 2, 2, L]`: output channel, row and column within the 2×2 output
    /// pixels of an input pixel, input channel.
    pub deconv: Conv,
    /// 1×1 convolution as a matrix, `[classes, D]`.
    pub logits: Linear,
}

impl NetworkWeights {
    /// Reads the network that `config` describes. Memory: the result, and one tensor more.
    ///
    /// # Errors
    /// [`Error::Config`](crate::Error::Config) for a configuration that cannot be;
    /// [`Error::Tensor`](crate::Error::Tensor) for a tensor that is missing or wrong ([`WeightsFile::tensor`]) or
    /// whose variance and epsilon add up to nothing;
    /// [`Error::Weights`](crate::Error::Weights) for tensors that this network has no use for.
    pub fn load(file: &WeightsFile, config: &Config) -> Result<Self> {
        config.validate()?;
        let mut source = Source::new(file, &config.backbone);
        let weights = Self {
            body: Body::load(&mut source, &config.backbone)?,
            fpn: Fpn::load(&mut source, config)?,
            rpn: RpnWeights::load(&mut source, config)?,
            box_head: BoxHeadWeights::load(&mut source, config, &config.box_head)?,
            mask_head: match &config.mask {
                Some(mask) => Some(MaskHeadWeights::load(&mut source, config, mask)?),
                None => None,
            },
        };
        source.finish()?;
        Ok(weights)
    }
}

impl Body {
    fn load(source: &mut Source, backbone: &Backbone) -> Result<Self> {
        let width = backbone.base_width;
        let stem = source.conv_bn("backbone.body.conv1", "backbone.body.bn1", width, 3, 7)?;
        let mut stages = vec![Vec::new(); backbone.layers.len()];
        let mut inputs = width;
        for (stage, blocks) in stages.iter_mut().enumerate() {
            let (width, outputs) = (width << stage, backbone.stage_channels()[stage]);
            for index in 0..backbone.layers[stage] {
                let stem = format!("backbone.body.layer{}.{index}", stage + 1);
                // Later stages start with stride 2, so even equal channels need a shortcut of another size.
                let resized = index == 0 && (stage > 0 || inputs != outputs);
                blocks.push(Block::load(source, &stem, backbone.block, [inputs, width, outputs], resized)?);
                inputs = outputs;
            }
        }
        Ok(Self { stem, stages })
    }
}

impl Block {
    /// `channels`: of the input, of the 3×3 convolution, of the output.
    fn load(source: &mut Source, stem: &str, kind: BlockKind, channels: [usize; 3], resized: bool) -> Result<Self> {
        let [inputs, width, outputs] = channels;
        let mut conv = |n: usize, outputs, inputs, side| {
            source.conv_bn(&format!("{stem}.conv{n}"), &format!("{stem}.bn{n}"), outputs, inputs, side)
        };
        let (first_side, third) = match kind {
            BlockKind::Basic => (3, false),
            BlockKind::Bottleneck => (1, true),
        };
        Ok(Self {
            conv1: conv(1, width, inputs, first_side)?,
            conv2: conv(2, width, width, 3)?,
            conv3: third.then(|| conv(3, outputs, width, 1)).transpose()?,
            downsample: resized
                .then(|| {
                    let (conv, bn) = (format!("{stem}.downsample.0"), format!("{stem}.downsample.1"));
                    source.conv_bn(&conv, &bn, outputs, inputs, 1)
                })
                .transpose()?,
        })
    }
}

impl Fpn {
    fn load(source: &mut Source, config: &Config) -> Result<Self> {
        let (f, stages) = (config.fpn_channels, config.backbone.stage_channels());
        let mut level = |blocks: &str, level: usize, inputs, side| {
            // Older files have the convolution itself where there now is a block of it and what follows.
            let block = format!("backbone.fpn.{blocks}.{level}");
            source.block(&block, &block, config.fpn_norm, [f, inputs, side])
        };
        let mut inner = |i: usize| level("inner_blocks", i, stages[i], 1);
        let inner = (0..stages.len()).map(&mut inner).collect::<Result<_>>()?;
        let mut layer = |i: usize| level("layer_blocks", i, f, 3);
        let layer = (0..stages.len()).map(&mut layer).collect::<Result<_>>()?;
        Ok(Self { inner, layer })
    }
}

impl RpnWeights {
    fn load(source: &mut Source, config: &Config) -> Result<Self> {
        let (f, anchors) = (config.fpn_channels, config.anchors_per_cell());
        source.expect_anchors("rpn.head.cls_logits.weight", anchors)?;
        let convs = (0..config.rpn.conv_depth).map(|i| {
            let now = format!("rpn.head.conv.{i}.0");
            // Before it could be deep, the head had one convolution without a number.
            let stems: &[&str] = if i == 0 { &[&now, "rpn.head.conv"] } else { &[&now] };
            source.conv(stems, f, f, 3)
        });
        Ok(Self {
            convs: convs.collect::<Result<_>>()?,
            predictor: source.predictor(["rpn.head.cls_logits", "rpn.head.bbox_pred"], anchors, f, &[1, 1])?,
        })
    }
}

impl BoxHeadWeights {
    fn load(source: &mut Source, config: &Config, head: &BoxHead) -> Result<Self> {
        let mut channels = config.fpn_channels;
        let mut convs = Vec::with_capacity(head.convs.len());
        for (i, &outputs) in head.convs.iter().enumerate() {
            let (stem, bn) = (format!("roi_heads.box_head.{i}.0"), format!("roi_heads.box_head.{i}.1"));
            convs.push(source.conv_bn(&stem, &bn, outputs, channels, 3)?);
            channels = outputs;
        }
        let (r, area) = (head.representation, head.roi_size * head.roi_size);
        let mut fcs = Vec::with_capacity(head.fc_layers);
        for (i, name) in head.fc_names().into_iter().enumerate() {
            let columns = if i == 0 { channels * area } else { r };
            let (weight, bias) = source.pair(&[&format!("roi_heads.box_head.{name}")], &[r, columns], r)?;
            // Torch flattens pooled features as (channel, row, column), we as (row, column, channel).
            fcs.push(Linear::new(if i == 0 { columns_last(weight, area) } else { weight }, bias));
        }
        let stems = ["roi_heads.box_predictor.cls_score", "roi_heads.box_predictor.bbox_pred"];
        Ok(Self { convs, fcs, predictor: source.predictor(stems, config.num_classes, r, &[])? })
    }
}

impl MaskHeadWeights {
    fn load(source: &mut Source, config: &Config, head: &MaskHead) -> Result<Self> {
        let mut inputs = config.fpn_channels;
        let mut convs = Vec::with_capacity(head.layers.len());
        for (i, &outputs) in head.layers.iter().enumerate() {
            let now = format!("roi_heads.mask_head.{i}");
            let old = format!("roi_heads.mask_head.mask_fcn{}", i + 1);
            convs.push(source.block(&now, &old, head.norm, [outputs, inputs, 3])?);
            inputs = outputs;
        }
        let (d, classes) = (head.dim_reduced, config.num_classes);
        let (deconv, bias) = source.pair(&["roi_heads.mask_predictor.conv5_mask"], &[inputs, d, 2, 2], d)?;
        let deconv = Conv::new(transposed_channels_last(&deconv), bias);
        let stem = "roi_heads.mask_predictor.mask_fcn_logits";
        let (logits, bias) = source.pair(&[stem], &[classes, d, 1, 1], classes)?;
        let logits = Linear::new(HostTensor::new(&[classes, d], logits.data), bias);
        Ok(Self { convs, deconv, logits })
    }
}
