//! The canonical form: what the network is built from, whoever trained it.
//!
//! Convolutions are `[K, R, S, C]` (output channel, kernel row, kernel column, input channel) and every one has a
//! bias: BatchNorm is folded in. The input is RGB. The background is class 0, and every class has deltas and a mask of
//! its own, whatever the family's [`Conventions`](super::family::Conventions) are.

use std::sync::Arc;

use super::file::WeightsFile;
use super::fold::{columns_last, transposed_channels_last};
use super::layers::Kind;
use super::reader::LayerReader;
use crate::config::{Backbone, BoxHead, Config, MaskHead};
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
        let mut reader = LayerReader::new(file, config);
        let weights = Self {
            body: Body::load(&mut reader, &config.backbone)?,
            fpn: Fpn::load(&mut reader, &config.backbone)?,
            rpn: RpnWeights::load(&mut reader, config)?,
            box_head: BoxHeadWeights::load(&mut reader, &config.box_head)?,
            mask_head: config.mask.as_ref().map(|mask| MaskHeadWeights::load(&mut reader, mask)).transpose()?,
        };
        reader.finish()?;
        Ok(weights)
    }
}

impl Body {
    fn load(reader: &mut LayerReader, backbone: &Backbone) -> Result<Self> {
        let stem = reader.conv(Kind::Stem.only())?;
        let mut stages = Vec::with_capacity(backbone.layers.len());
        for (stage, &blocks) in backbone.layers.iter().enumerate() {
            stages.push((0..blocks).map(|block| Block::load(reader, stage, block)).collect::<Result<_>>()?);
        }
        Ok(Self { stem, stages })
    }
}

impl Block {
    fn load(reader: &mut LayerReader, stage: usize, block: usize) -> Result<Self> {
        let conv = |conv| Kind::BlockConv.in_block(stage, block, conv);
        Ok(Self {
            conv1: reader.conv(conv(0))?,
            conv2: reader.conv(conv(1))?,
            conv3: reader.conv_if_any(conv(2))?,
            downsample: reader.conv_if_any(Kind::Shortcut.in_block(stage, block, 0))?,
        })
    }
}

impl Fpn {
    fn load(reader: &mut LayerReader, backbone: &Backbone) -> Result<Self> {
        let levels = backbone.layers.len();
        Ok(Self { inner: convs(reader, Kind::FpnInner, levels)?, layer: convs(reader, Kind::FpnLayer, levels)? })
    }
}

impl RpnWeights {
    fn load(reader: &mut LayerReader, config: &Config) -> Result<Self> {
        reader.expect_anchors(config.anchors_per_cell())?;
        Ok(Self {
            convs: convs(reader, Kind::RpnConv, config.rpn.conv_depth)?,
            predictor: reader.predictor(Kind::RpnLogits, Kind::RpnDeltas)?,
        })
    }
}

impl BoxHeadWeights {
    fn load(reader: &mut LayerReader, head: &BoxHead) -> Result<Self> {
        let convs = convs(reader, Kind::BoxConv, head.convs.len())?;
        let mut fcs = Vec::with_capacity(head.fc_layers);
        for i in 0..head.fc_layers {
            let (weight, bias) = reader.layer(Kind::BoxFc.nth(i))?;
            // Torch flattens pooled features as (channel, row, column), we as (row, column, channel).
            let area = head.roi_size * head.roi_size;
            fcs.push(Linear::new(if i == 0 { columns_last(weight, area) } else { weight }, bias));
        }
        Ok(Self { convs, fcs, predictor: reader.predictor(Kind::BoxLogits, Kind::BoxDeltas)? })
    }
}

impl MaskHeadWeights {
    fn load(reader: &mut LayerReader, head: &MaskHead) -> Result<Self> {
        let convs = convs(reader, Kind::MaskConv, head.layers.len())?;
        let (deconv, bias) = reader.layer(Kind::MaskDeconv.only())?;
        let deconv = Conv::new(transposed_channels_last(&deconv), bias);
        let (logits, bias) = reader.layer(Kind::MaskLogits.only())?;
        let matrix = [logits.shape[0], logits.shape[1]];
        Ok(Self { convs, deconv, logits: Linear::new(HostTensor::new(&matrix, logits.data), bias) })
    }
}

/// The convolutions of a kind.
fn convs(reader: &mut LayerReader, kind: Kind, count: usize) -> Result<Vec<Conv>> {
    (0..count).map(|i| reader.conv(kind.nth(i))).collect()
}
