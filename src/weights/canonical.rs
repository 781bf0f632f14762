//! The canonical form: what the network is built from, whoever trained it.
//!
//! Convolutions are `[K, R, S, C]` (output channel, kernel row, kernel column, input channel) and every one has a
//! bias: BatchNorm is folded in. The input is RGB. The background is class 0, and has deltas and a mask as every class has,
//! whatever the family's [`Conventions`](super::family::Conventions) are.

use std::sync::Arc;

use super::file::WeightsFile;
use super::fold::{channels_last, columns_last, transposed_channels_last};
use super::layers::Kind;
use super::mobilenet::Inverted;
use super::reader::LayerReader;
use crate::config::mobilenet::BLOCKS;
use crate::config::{Backbone, BodyKind, BoxHead, Config, MaskHead, Neck};
use crate::error::Result;
use crate::tensor::{ELEMENT_BYTES, HostTensor, Value};

/// A convolution (cross-correlation, as in torch).
#[derive(Clone, Debug, PartialEq)]
pub struct Conv {
    /// `[K, R, S, C]`: output channel, kernel row, kernel column, input channel.
    pub weight: Arc<Value>,
    /// K values.
    pub bias: Arc<Value>,
    /// What a GroupNorm after it makes of each channel; a BatchNorm is in weight and bias.
    pub group_norm: Option<Affine>,
}

/// A factor and a summand for each of K channels.
#[derive(Clone, Debug, PartialEq)]
pub struct Affine {
    /// K values.
    pub scale: Arc<Value>,
    /// K values.
    pub shift: Arc<Value>,
}

impl Conv {
    pub(super) fn new(weight: HostTensor, bias: Vec<f32>) -> Self {
        Self { weight: shared(weight), bias: vector(bias), group_norm: None }
    }

    /// The same with a GroupNorm after it.
    pub(super) fn then_normalized(self, scale: Vec<f32>, shift: Vec<f32>) -> Self {
        Self { group_norm: Some(Affine { scale: vector(scale), shift: vector(shift) }), ..self }
    }
}

fn vector(values: Vec<f32>) -> Arc<Value> {
    shared(HostTensor::new(&[values.len()], values))
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
        Self { weight: shared(weight), bias: vector(bias) }
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
    /// The body.
    pub body: Body,
    /// Feature pyramid; without levels where the network has none.
    pub fpn: Fpn,
    /// Region proposal network.
    pub rpn: RpnWeights,
    /// Box head.
    pub box_head: BoxHeadWeights,
    /// Mask head, if the network has one.
    pub mask_head: Option<MaskHeadWeights>,
}

/// The body. W below is a ResNet's base width.
#[derive(Clone, Debug, PartialEq)]
pub struct Body {
    /// `[W, 7, 7, 4]`, a MobileNetV3's `[16, 3, 3, 4]`: the input's three channels and one of zeros, since shaders read four at a time.
    pub stem: Conv,
    /// Blocks of each stage, from C2's on; none in a MobileNetV3.
    pub stages: Vec<Vec<Block>>,
    /// A MobileNetV3's blocks ([`BLOCKS`]).
    pub inverted: Vec<Inverted>,
    /// The 1×1 convolution after these, `[960, 1, 1, 160]`.
    pub last: Option<Conv>,
}

/// A residual block. P below is its width ([`Backbone::stage_width`]), I its input channels, O its outputs, G its groups.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// Basic: `[P, 3, 3, I]`; bottleneck: `[P, 1, 1, I]`.
    pub conv1: Conv,
    /// `[P, 3, 3, P / G]`.
    pub conv2: Conv,
    /// Bottleneck only: `[O, 1, 1, P]`.
    pub conv3: Option<Conv>,
    /// 1×1 on the shortcut, in the first block of a stage that changes size or channels.
    pub downsample: Option<Conv>,
}

/// The feature pyramid. F is `fpn_channels`; index 0 is the finest level.
#[derive(Clone, Debug, PartialEq)]
pub struct Fpn {
    /// Laterals, `[F, 1, 1, stage channels]`.
    pub inner: Vec<Conv>,
    /// Outputs, `[F, 3, 3, F]`.
    pub layer: Vec<Conv>,
}

/// The region proposal network, shared by all levels. A is the anchors at a pixel, F the maps' channels
/// ([`Config::map_channels`]).
#[derive(Clone, Debug, PartialEq)]
pub struct RpnWeights {
    /// `[F, 3, 3, F]`, all of `conv_depth` but the last.
    pub convs: Vec<Conv>,
    /// The last of them, `[F, 3, 3, F]`, and two 1×1 convolutions as matrices: logits `[A, F]`, and deltas `[4A, F]`, output
    /// channel = anchor · 4 + (dx, dy, dw, dh). In parts of the channels between them where the weights would pass
    /// [`MOST_BYTES`]: what is predicted is then the sum over the parts.
    pub last: Vec<(Conv, Predictor)>,
}

/// The box head. F is the maps' channels, R the features of a RoI ([`Config::box_features`]).
#[derive(Clone, Debug, PartialEq)]
pub struct BoxHeadWeights {
    /// 3×3 convolutions on the pooled features, from F channels through `convs` to C; none in the first models, where
    /// C is F.
    pub convs: Vec<Conv>,
    /// `[R, roi · roi · C]`, whose columns follow features flattened as (row, column, channel); then `[R, R]`. Each in parts,
    /// of one where the first does not pass [`MOST_BYTES`]: otherwise of rows of the first and of columns of the second,
    /// whose result is the sum over the parts.
    pub fcs: Vec<Vec<Linear>>,
    /// Logits `[classes, R]`, and deltas `[4 · classes, R]`, output = class · 4 + (dx, dy, dw, dh); `[4, R]` where they serve
    /// all classes.
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
    /// 1×1 convolution as a matrix, `[classes, D]`; `[1, D]` where one mask serves all classes.
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
            fpn: Fpn::load(&mut reader, config)?,
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
        if backbone.kind == BodyKind::MobilenetV3Large {
            let blocks = BLOCKS.iter().enumerate();
            let inverted = blocks.map(|(i, block)| Inverted::load(reader, i, block)).collect::<Result<_>>()?;
            let last = Some(reader.conv(Kind::LastConv.only())?);
            return Ok(Self { stem, stages: Vec::new(), inverted, last });
        }
        let mut stages = Vec::with_capacity(backbone.layers.len());
        for (stage, &blocks) in backbone.layers.iter().enumerate() {
            stages.push((0..blocks).map(|block| Block::load(reader, stage, block)).collect::<Result<_>>()?);
        }
        Ok(Self { stem, stages, inverted: Vec::new(), last: None })
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
    fn load(reader: &mut LayerReader, config: &Config) -> Result<Self> {
        let levels = if config.neck == Neck::Fpn { config.levels() - 1 } else { 0 };
        Ok(Self { inner: convs(reader, Kind::FpnInner, levels)?, layer: convs(reader, Kind::FpnLayer, levels)? })
    }
}

impl RpnWeights {
    fn load(reader: &mut LayerReader, config: &Config) -> Result<Self> {
        reader.expect_anchors(config.anchors_per_cell())?;
        let before = config.rpn.conv_depth - 1;
        let convs = convs(reader, Kind::RpnConv, before)?;
        let (weight, bias) = reader.layer(Kind::RpnConv.nth(before))?;
        let inputs = weight.shape[1];
        let weight = channels_last(&weight, inputs);
        let (predictor, biases, rows) = reader.predictor_rows(Kind::RpnLogits, Kind::RpnDeltas)?;
        let parts = parts_of(&weight);
        let columns = columns_of(predictor, biases, parts).into_iter();
        let columns = columns.map(|(weight, bias)| Predictor::new(weight, bias, rows));
        let rows = rows_of(weight, bias, parts).into_iter().map(|(weight, bias)| Conv::new(weight, bias));
        Ok(Self { convs, last: rows.zip(columns).collect() })
    }
}

impl BoxHeadWeights {
    fn load(reader: &mut LayerReader, head: &BoxHead) -> Result<Self> {
        let convs = convs(reader, Kind::BoxConv, head.convs.len())?;
        let mut fcs = Vec::with_capacity(head.fc_layers);
        let mut parts = 1;
        for i in 0..head.fc_layers {
            let (weight, bias) = reader.layer(Kind::BoxFc.nth(i))?;
            fcs.push(match i {
                0 => {
                    // Torch flattens pooled features as (channel, row, column), we as (row, column, channel).
                    let weight = columns_last(weight, head.roi_size * head.roi_size);
                    // What follows takes the parts up.
                    parts = if head.fc_layers > 1 { parts_of(&weight) } else { 1 };
                    rows_of(weight, bias, parts).into_iter().map(|(weight, bias)| Linear::new(weight, bias)).collect()
                }
                1 => {
                    let columns = columns_of(weight, bias, parts).into_iter();
                    columns.map(|(weight, bias)| Linear::new(weight, bias)).collect()
                }
                _ => vec![Linear::new(weight, bias)],
            });
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

/// Most bytes of one tensor of weights, as f32: what can be bound on every device (WebGPU's default limit). Of the networks
/// on a ResNet, those whose heads are on C5 have larger layers.
pub const MOST_BYTES: usize = 128 << 20;

/// Parts of the rows of weights of which none passes [`MOST_BYTES`], all alike and of multiples of 4.
fn parts_of(weight: &HostTensor) -> usize {
    let (bytes, rows) = (weight.data.len() * ELEMENT_BYTES, weight.shape[0]);
    let fits = |parts: &usize| bytes.div_ceil(*parts) <= MOST_BYTES && rows.is_multiple_of(4 * parts);
    (1..=rows).find(|parts| *parts == 1 && bytes <= MOST_BYTES || fits(parts)).unwrap_or(1)
}

/// A layer's rows and biases in parts.
fn rows_of(weight: HostTensor, bias: Vec<f32>, parts: usize) -> Vec<(HostTensor, Vec<f32>)> {
    if parts == 1 {
        return vec![(weight, bias)];
    }
    let mut shape = weight.shape.clone();
    shape[0] /= parts;
    let each = weight.data.chunks(weight.data.len() / parts).zip(bias.chunks(shape[0]));
    each.map(|(weight, bias)| (HostTensor::new(&shape, weight.to_vec()), bias.to_vec())).collect()
}

/// A matrix's columns in parts, of which the first has the biases.
fn columns_of(weight: HostTensor, bias: Vec<f32>, parts: usize) -> Vec<(HostTensor, Vec<f32>)> {
    let (rows, columns) = (weight.shape[0], weight.shape[1]);
    let width = columns / parts;
    let part = |part: usize| {
        let of_row = |row: &[f32]| row[part * width..][..width].to_vec();
        let data = weight.data.chunks(columns).flat_map(of_row).collect();
        (HostTensor::new(&[rows, width], data), if part == 0 { bias.clone() } else { vec![0.0; rows] })
    };
    (0..parts).map(part).collect()
}

/// The convolutions of a kind.
fn convs(reader: &mut LayerReader, kind: Kind, count: usize) -> Result<Vec<Conv>> {
    (0..count).map(|i| reader.conv(kind.nth(i))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_in_parts_add_up() {
        let (hidden, inputs, outputs) = (8, 3, 2);
        let values = |n: usize, by: f32| (0..n).map(|i| (i as f32 * by) % 7.0 - 3.0).collect::<Vec<_>>();
        let (w1, b1) = (HostTensor::new(&[hidden, inputs], values(hidden * inputs, 1.5)), values(hidden, 2.5));
        let (w2, b2) = (HostTensor::new(&[outputs, hidden], values(outputs * hidden, 3.5)), values(outputs, 0.5));
        let x = [1.0, -2.0, 0.5];
        let product = |w: &HostTensor, b: &[f32], x: &[f32]| -> Vec<f32> {
            let dot = |(row, b): (&[f32], &f32)| row.iter().zip(x).map(|(w, x)| w * x).sum::<f32>() + b;
            w.data.chunks(x.len()).zip(b).map(dot).collect()
        };
        let relu = |v: Vec<f32>| v.into_iter().map(|v| v.max(0.0)).collect::<Vec<_>>();
        let whole = product(&w2, &b2, &relu(product(&w1, &b1, &x)));
        for parts in [1, 2, 4] {
            let mut sums = vec![0.0; outputs];
            let (rows, columns) = (rows_of(w1.clone(), b1.clone(), parts), columns_of(w2.clone(), b2.clone(), parts));
            assert_eq!((rows.len(), columns.len()), (parts, parts));
            for ((w1, b1), (w2, b2)) in rows.iter().zip(&columns) {
                let part = product(w2, b2, &relu(product(w1, b1, &x)));
                sums.iter_mut().zip(part).for_each(|(sum, v)| *sum += v);
            }
            assert_eq!(sums, whole);
        }
    }

    #[test]
    fn parts_fit_every_device() {
        let parts = |shape: [usize; 2]| {
            // Zeros that are never touched take no memory.
            parts_of(&HostTensor::new(&shape, vec![0.0; shape[0] * shape[1]]))
        };
        assert_eq!(parts([1024, 12_544]), 1);
        assert_eq!(parts([1024, 32_768]), 1);
        assert_eq!(parts([1024, 100_352]), 4);
        assert_eq!(parts([2048, 18_432]), 2);
        assert_eq!(parts([4, 8]), 1);
    }
}
