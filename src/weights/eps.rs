//! BatchNorm's epsilon, which no file of torchvision's states.
//!
//! torchvision's frozen BatchNorm has 1e-5 since version 0.9. Its loader sets 0 for just two files, the first COCO
//! models (`overwrite_eps` in `models/detection/{mask_rcnn,faster_rcnn}.py`), so 0 is right for these and for what was
//! fine-tuned from them: ResNet-50 bodies whose frozen norms are still those of ResNet-50's first ImageNet weights,
//! since a frozen norm never changes. Before 0.9 there was no epsilon at all.

use super::bound::Bound;
use super::layers::{Kind, Role};
use super::settings::{Doubt, Epsilon, Origin};
use crate::config::{Backbone, BlockKind, Config, Neck};

/// What torch's BatchNorm has, and torchvision's frozen one.
const USUAL: f32 = 1e-5;

/// What MobileNetV3's classifier has.
const OF_CLASSIFIER: f32 = 1e-3;

/// The first digits of these files' hashes, which stand in their names.
const WITHOUT_EPS: [&str; 2] = ["bf2d0c1e", "258fb6c6"];

/// A channel whose mean lies further from 0 than this, once it is scaled, was no part of any training: it would drown
/// all others (the default model has at most 3.3). The scale alone tells nothing, as channels that died have next to no
/// variance, mean and inputs.
const MOST_SHIFT: f64 = 1e4;

/// Means over the 64 channels of a ResNet-50's first BatchNorm: weight, bias, running variance. The first ImageNet
/// weights' are as DETR's detectors carry them frozen, the second's as the classifier has them; both to three places,
/// as the samples of PaddlePaddle's GraphNet list them.
const FIRST_STEM: [f64; 3] = [0.257, 0.211, 2.653];
const SECOND_STEM: [f64; 3] = [2.632, 2.743, 9.835];

/// The epsilon of a file of torchvision's whose settings but for that are `config`, and how it was found.
pub(super) fn of(bound: &Bound, config: &Config) -> (f32, Epsilon) {
    let file = bound.file;
    let known = |eps, origin, because: &str| (eps, Epsilon { origin, because: because.into(), doubt: None });
    if config.backbone.group_norm > 0 {
        return known(USUAL, Origin::Assumed, "its norms are GroupNorms, which have it in torch unless told otherwise");
    }
    let counts = file.names().any(|name| bound.family.is_counter(name));
    if bound.is_on_mobilenet() {
        return mobilenet(bound, counts);
    }
    if counts {
        return known(USUAL, Origin::Inferred, "its BatchNorms count batches, as torch's own do");
    }
    let norms = Norms::read(bound);
    let resnet50 = first_version(config);
    if resnet50 && WITHOUT_EPS.iter().any(|hash| file.name().contains(hash)) {
        return known(0.0, Origin::Inferred, "its name is that of a file for which torchvision's loader sets 0");
    }
    let (eps, because) = if norms.cannot_be_without() {
        (USUAL, "one of its channels does not vary, so it cannot have been trained with 0")
    } else if file.is_legacy() && bound.is_older(Kind::FpnInner.nth(0)) {
        (0.0, "it was written by PyTorch before 1.6, when torchvision's frozen BatchNorm had no epsilon")
    } else if !resnet50 {
        (
            USUAL,
            "only the body of torchvision's first COCO models, a ResNet-50 with frozen BatchNorm and a plain FPN, was \
             ever loaded with 0",
        )
    } else if norms.stem_is(SECOND_STEM) {
        (
            USUAL,
            "its frozen BatchNorms are those of ResNet-50's second ImageNet weights, and the models with 0 have the \
             first's",
        )
    } else if norms.stem_is(FIRST_STEM) {
        (
            0.0,
            "a ResNet-50 with these frozen BatchNorms is most often fine-tuned from torchvision's first COCO models, \
             which have 0",
        )
    } else if config.num_classes == 91 {
        (
            0.0,
            "a ResNet-50 with frozen BatchNorm and COCO's 91 classes is most often one of torchvision's first COCO \
             models, which have 0",
        )
    } else {
        (
            USUAL,
            "its frozen BatchNorms are not those of ResNet-50's first ImageNet weights, and the models with 0 have these",
        )
    };
    let other = if eps == 0.0 { USUAL } else { 0.0 };
    let doubt = Some(norms.doubt(eps, other));
    (eps, Epsilon { origin: Origin::Assumed, because: because.into(), doubt })
}

/// The epsilon of a MobileNetV3 in a detector. torchvision's builders (`mobilenet_backbone`,
/// `fasterrcnn_mobilenet_v3_large_fpn`) hand it norms that have torch's, frozen or not; the classifier on its own has another
/// (`models/mobilenetv3.py`), and with it a body that somebody took out of it.
fn mobilenet(bound: &Bound, counts: bool) -> (f32, Epsilon) {
    let (origin, because, doubt) = match counts {
        false => {
            (Origin::Inferred, "its BatchNorms are frozen, as torchvision's builders of detectors make them", None)
        }
        true => {
            let because =
                "torchvision's builders of detectors give these norms torch's own, and the classifier alone has 1e-3";
            (Origin::Assumed, because, Some(Norms::read(bound).doubt(USUAL, OF_CLASSIFIER)))
        }
    };
    (USUAL, Epsilon { origin, because: because.into(), doubt })
}

/// The epsilon of a file that torchvision publishes, by its hash.
#[cfg(feature = "pull")]
pub(super) fn of_published(sha256: &str) -> f32 {
    if WITHOUT_EPS.iter().any(|digits| sha256.starts_with(digits)) { 0.0 } else { USUAL }
}

/// Whether a network could be one of the first COCO models, as far as the parts go that fine-tuning leaves.
fn first_version(config: &Config) -> bool {
    let Backbone { layers, block, base_width, inner_width, first_level, .. } = &config.backbone;
    (&layers[..], *block, *base_width) == (&[3, 4, 6, 3], BlockKind::Bottleneck, 64)
        && (*inner_width, *first_level, config.neck) == (0, 0, Neck::Fpn)
        && config.fpn_channels == 256
        && !config.fpn_norm
}

/// One channel of a BatchNorm.
struct Channel {
    weight: f64,
    mean: f64,
    var: f64,
}

/// All channels of all BatchNorms, and the means of the first one's vectors.
struct Norms {
    channels: Vec<Channel>,
    stem: Option<[f64; 3]>,
}

impl Norms {
    /// What cannot be read is left out: loading will say so.
    fn read(bound: &Bound) -> Self {
        let vector = |layer, role| {
            let shape = bound.shape(layer, role).filter(|shape| shape.len() == 1)?;
            let values = bound.file.tensor(&bound.name(layer, role), shape).ok()?.data;
            Some(values.into_iter().map(f64::from))
        };
        let norms = bound.known().filter(|(_, role, _)| *role == Role::NormVar);
        let channels = norms.filter_map(|(layer, var, _)| {
            let (weight, mean) = (vector(layer, Role::NormWeight)?, vector(layer, Role::NormMean)?);
            let parts = weight.zip(mean).zip(vector(layer, var)?);
            Some(parts.map(|((weight, mean), var)| Channel { weight, mean, var }))
        });
        let mean = |role| {
            let values = vector(Kind::Stem.only(), role).filter(|values| values.len() > 0)?;
            let count = values.len() as f64;
            Some(values.sum::<f64>() / count)
        };
        let stem = (|| Some([mean(Role::NormWeight)?, mean(Role::NormBias)?, mean(Role::NormVar)?]))();
        Self { channels: channels.flatten().collect(), stem }
    }

    /// Whether the first BatchNorm's means are these. Halves of such numbers would still be.
    fn stem_is(&self, means: [f64; 3]) -> bool {
        self.stem.is_some_and(|stem| stem.iter().zip(means).all(|(has, due)| (has - due).abs() <= 0.01 * due))
    }

    /// Whether an epsilon of 0 makes no number of some channel, or none that a network could go on with.
    fn cannot_be_without(&self) -> bool {
        let shift = |c: &Channel| c.mean.abs() * c.weight.abs() / c.var.sqrt();
        self.channels.iter().any(|c| c.var <= 0.0 || shift(c) > MOST_SHIFT)
    }

    fn doubt(&self, eps: f32, other: f32) -> Doubt {
        let ratio = |c: &Channel| {
            let [a, b] = [eps, other].map(|eps| (c.var + f64::from(eps)).sqrt());
            let ratio = a.max(b) / a.min(b) - 1.0;
            if ratio.is_nan() { f64::INFINITY } else { ratio }
        };
        let ratios: Vec<f64> = self.channels.iter().map(ratio).collect();
        Doubt {
            other,
            channels: ratios.len(),
            changed: ratios.iter().filter(|ratio| **ratio > 0.01).count(),
            most: ratios.iter().copied().fold(0.0, f64::max) as f32,
        }
    }
}
