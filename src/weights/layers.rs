//! The layers of a network with weights: what each is, and the shapes of its tensors. Whoever trained it, and whatever
//! the layers are called in a file, the loader, `inspect`, `convert` and synthetic weights go by this one list.

use crate::config::mobilenet::{BLOCKS, LAST, STEM};
use crate::config::{Backbone, BlockKind, BodyKind, Config, Neck};

/// What a layer is in the network. Of several alike, a [`Layer`]'s numbers tell which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Kind {
    /// The body's first convolution.
    Stem,
    /// A convolution in a residual block: stage, block, convolution.
    BlockConv,
    /// The convolution on a block's shortcut: stage, block.
    Shortcut,
    /// A convolution of a block of depthwise convolution: block, and its place among the block's parts.
    InvertedConv,
    /// A layer of squeeze and excitation: block, its place among the block's parts, and which of the two.
    Squeeze,
    /// The 1×1 convolution that ends such a body.
    LastConv,
    /// A lateral convolution of the FPN, 1×1: level, the finest first.
    FpnInner,
    /// An output convolution of the FPN, 3×3: level.
    FpnLayer,
    /// A convolution before the RPN's two predictors: which.
    RpnConv,
    /// The RPN's logits, one an anchor.
    RpnLogits,
    /// The RPN's deltas, row = anchor · 4 + (dx, dy, dw, dh).
    RpnDeltas,
    /// A convolution of the box head: which.
    BoxConv,
    /// A fully connected layer of the box head: which.
    BoxFc,
    /// The box head's logits, one a class, the background's first.
    BoxLogits,
    /// The box head's deltas, row = class · 4 + (dx, dy, dw, dh).
    BoxDeltas,
    /// A convolution of the mask head: which.
    MaskConv,
    /// The mask head's transposed convolution.
    MaskDeconv,
    /// The mask head's logits, one map a class.
    MaskLogits,
    /// No layer, but a setting that some projects keep among the tensors: what is subtracted from the colours.
    PixelMean,
    /// The same: what they are divided by.
    PixelStd,
    /// The same: a level's anchors round the origin, `[A, 4]`.
    CellAnchors,
}

/// A layer: what it is, and its numbers, counted from 0; those that its kind has not are 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Layer {
    pub kind: Kind,
    pub numbers: [usize; 3],
}

impl Kind {
    /// The only one of its kind.
    pub(super) const fn only(self) -> Layer {
        Layer { kind: self, numbers: [0; 3] }
    }

    /// The one of this number.
    pub(super) const fn nth(self, number: usize) -> Layer {
        Layer { kind: self, numbers: [number, 0, 0] }
    }

    /// The one in this block of this stage.
    pub(super) const fn in_block(self, stage: usize, block: usize, conv: usize) -> Layer {
        Layer { kind: self, numbers: [stage, block, conv] }
    }
}

/// What a tensor is to its layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Role {
    /// The layer's own weight.
    Weight,
    /// The layer's own bias.
    Bias,
    /// The scale of the norm after it.
    NormWeight,
    /// The shift of the norm after it.
    NormBias,
    /// A BatchNorm's running mean.
    NormMean,
    /// A BatchNorm's running variance.
    NormVar,
    /// The whole of what is no layer.
    Setting,
}

impl Role {
    /// The vectors of a BatchNorm.
    pub(super) const NORM: [Self; 4] = [Self::NormWeight, Self::NormBias, Self::NormMean, Self::NormVar];
}

/// A layer's tensors in the canonical layout, which is torch's: `[K, C, R, S]`, transposed `[C, K, R, S]`, fully connected
/// `[M, K]` on features flattened as (channel, row, column).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LayerSpec {
    pub layer: Layer,
    /// Of the weight.
    pub shape: Vec<usize>,
    /// Output channels.
    pub outputs: usize,
    /// What follows: a norm, and then there is no bias, or nothing.
    pub norm: Norm,
}

/// The norm after a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Norm {
    /// None: the layer has a bias.
    None,
    /// BatchNorm, whose statistics the file has: it is folded into the layer.
    Batch,
    /// GroupNorm, which takes its statistics from each image, so that only scale and shift are in the file.
    Group,
}

impl Norm {
    /// BatchNorm, or GroupNorm where there are groups.
    fn of(groups: usize) -> Self {
        if groups > 0 { Self::Group } else { Self::Batch }
    }

    /// That norm where there is one.
    fn where_any(self, any: bool) -> Self {
        if any { self } else { Self::None }
    }
}

impl LayerSpec {
    /// Its tensors, in the order of a state dict.
    pub(super) fn tensors(&self) -> Vec<(Role, Vec<usize>)> {
        let vectors: &[Role] = match self.norm {
            Norm::None => &[Role::Bias],
            Norm::Batch => &Role::NORM,
            Norm::Group => &Role::NORM[..2],
        };
        let vectors = vectors.iter().map(|&role| (role, vec![self.outputs]));
        [(Role::Weight, self.shape.clone())].into_iter().chain(vectors).collect()
    }
}

/// All layers of the network that `config` describes, from the body to the mask head.
pub(super) fn layers(config: &Config) -> Vec<LayerSpec> {
    let mut list = LayerSpecs(Vec::new());
    let (backbone, f) = (&config.backbone, config.map_channels());
    let of_rest = Norm::of(config.group_norm);
    match backbone.kind {
        BodyKind::Resnet => resnet(&mut list, backbone),
        BodyKind::MobilenetV3Large => mobilenet(&mut list),
    }
    if config.neck == Neck::Fpn {
        let norm = of_rest.where_any(config.fpn_norm);
        let features = backbone.stage_channels().into_iter().skip(backbone.first_level);
        let levels = features.clone().count();
        for (level, channels) in features.enumerate() {
            list.conv(Kind::FpnInner.nth(level), norm, [f, channels, 1]);
        }
        for level in 0..levels {
            list.conv(Kind::FpnLayer.nth(level), norm, [f, f, 3]);
        }
    }
    let (anchors, of_rpn) = (config.anchors_per_cell(), config.rpn_channels());
    for depth in 0..config.rpn.conv_depth {
        let inputs = if depth == 0 { f } else { of_rpn };
        list.conv(Kind::RpnConv.nth(depth), Norm::None, [of_rpn, inputs, 3]);
    }
    list.conv(Kind::RpnLogits.only(), Norm::None, [anchors, of_rpn, 1]);
    list.conv(Kind::RpnDeltas.only(), Norm::None, [4 * anchors, of_rpn, 1]);
    let (head, classes) = (&config.box_head, config.num_classes);
    let mut inputs = f;
    for (i, &outputs) in head.convs.iter().enumerate() {
        list.conv(Kind::BoxConv.nth(i), of_rest, [outputs, inputs, 3]);
        inputs = outputs;
    }
    let mut columns = inputs * head.roi_size * head.roi_size;
    for i in 0..head.fc_layers {
        list.linear(Kind::BoxFc.nth(i), [head.representation, columns]);
        columns = head.representation;
    }
    let features = config.box_features();
    list.linear(Kind::BoxLogits.only(), [classes, features]);
    list.linear(Kind::BoxDeltas.only(), [if head.class_agnostic { 4 } else { 4 * classes }, features]);
    if let Some(mask) = &config.mask {
        // With C4 the mask head begins with the body's last stage, too.
        let mut inputs = if config.neck == Neck::C4 { features } else { f };
        for (i, &outputs) in mask.layers.iter().enumerate() {
            list.conv(Kind::MaskConv.nth(i), of_rest.where_any(mask.norm), [outputs, inputs, 3]);
            inputs = outputs;
        }
        let d = mask.dim_reduced;
        let shape = vec![inputs, d, 2, 2];
        list.0.push(LayerSpec { layer: Kind::MaskDeconv.only(), shape, outputs: d, norm: Norm::None });
        list.conv(Kind::MaskLogits.only(), Norm::None, [if mask.class_agnostic { 1 } else { classes }, d, 1]);
    }
    list.0
}

/// The layers of a ResNet.
fn resnet(list: &mut LayerSpecs, backbone: &Backbone) {
    let of_body = Norm::of(backbone.group_norm);
    list.conv(Kind::Stem.only(), of_body, [backbone.base_width, 3, 7]);
    let mut inputs = backbone.base_width;
    for (stage, outputs) in backbone.stage_channels().into_iter().enumerate() {
        let width = backbone.stage_width(stage);
        for block in 0..backbone.layers[stage] {
            let convs = match backbone.block {
                BlockKind::Basic => vec![[width, inputs, 3], [width, width, 3]],
                BlockKind::Bottleneck => {
                    vec![[width, inputs, 1], [width, width / backbone.groups, 3], [outputs, width, 1]]
                }
            };
            for (conv, shape) in convs.into_iter().enumerate() {
                list.conv(Kind::BlockConv.in_block(stage, block, conv), of_body, shape);
            }
            // Later stages start with stride 2, so even equal channels need a shortcut of another size.
            if block == 0 && (stage > 0 || inputs != outputs) {
                list.conv(Kind::Shortcut.in_block(stage, block, 0), of_body, [outputs, inputs, 1]);
            }
            inputs = outputs;
        }
    }
}

/// The layers of a MobileNetV3-large.
fn mobilenet(list: &mut LayerSpecs) {
    list.conv(Kind::Stem.only(), Norm::Batch, [STEM, 3, 3]);
    let mut inputs = STEM;
    for (i, block) in BLOCKS.iter().enumerate() {
        let wide = block.expanded;
        let expand = block.expands(inputs).then_some([wide, inputs, 1]);
        let mut convs = expand.into_iter().chain([[wide, 1, block.side]]);
        let mut part = 0;
        for shape in convs.by_ref() {
            list.conv(Kind::InvertedConv.in_block(i, part, 0), Norm::Batch, shape);
            part += 1;
        }
        if block.squeezes {
            let between = block.squeezed();
            list.conv(Kind::Squeeze.in_block(i, part, 0), Norm::None, [between, wide, 1]);
            list.conv(Kind::Squeeze.in_block(i, part, 1), Norm::None, [wide, between, 1]);
            part += 1;
        }
        list.conv(Kind::InvertedConv.in_block(i, part, 0), Norm::Batch, [block.outputs, wide, 1]);
        inputs = block.outputs;
    }
    list.conv(Kind::LastConv.only(), Norm::Batch, [LAST, inputs, 1]);
}

/// The list under construction.
struct LayerSpecs(Vec<LayerSpec>);

impl LayerSpecs {
    /// A square convolution; `shape`: outputs, inputs, side.
    fn conv(&mut self, layer: Layer, norm: Norm, shape: [usize; 3]) {
        let [outputs, inputs, side] = shape;
        self.0.push(LayerSpec { layer, shape: vec![outputs, inputs, side, side], outputs, norm });
    }

    fn linear(&mut self, layer: Layer, shape: [usize; 2]) {
        self.0.push(LayerSpec { layer, shape: shape.to_vec(), outputs: shape[0], norm: Norm::None });
    }
}
