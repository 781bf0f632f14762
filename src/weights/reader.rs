//! Takes layers out of a weights file by what they are, in the canonical layout, and remembers which tensors were taken.

use std::collections::{HashMap, HashSet};

use super::bound::Bound;
use super::canonical::{Conv, Predictor};
use super::family::Layout;
use super::file::WeightsFile;
use super::fold::{BatchNorm, channels_last, fold};
use super::layers::{Kind, Layer, LayerSpec, Norm, Role, layers};
use super::names::{counted, shown};
use crate::config::{Backbone, Config};
use crate::error::{Error, Result};
use crate::tensor::HostTensor;

/// A weights file being read for a network.
pub(super) struct LayerReader<'a> {
    bound: Bound<'a>,
    /// The layers that the network has.
    forms: HashMap<Layer, LayerSpec>,
    backbone: &'a Backbone,
    used: HashSet<String>,
}

impl<'a> LayerReader<'a> {
    /// The epsilon of every BatchNorm is the backbone's, and the order of the colours is what the settings say, whatever the
    /// file's project has.
    pub(super) fn new(file: &'a WeightsFile, config: &'a Config) -> Self {
        let forms = layers(config).into_iter().map(|form| (form.layer, form)).collect();
        let mut bound = Bound::of(file);
        bound.conventions.colours = config.transform.colours;
        Self { bound, forms, backbone: &config.backbone, used: HashSet::new() }
    }

    /// One tensor, with torch's axes: with what of Keras's layers the canonical ones do not have gone up in it.
    pub(super) fn tensor(&mut self, layer: Layer, role: Role, shape: &[usize]) -> Result<HostTensor> {
        let mut tensor = self.own(layer, role, shape)?;
        if self.bound.conventions.layout == Layout::Keras {
            match (role, layer.kind) {
                // x + b less the mean is x less (the mean less b).
                (Role::NormMean, _) => {
                    let bias = self.own(layer, Role::Bias, shape)?.data;
                    let less = |(mean, bias): (&mut f32, f32)| *mean = (f64::from(*mean) - f64::from(bias)) as f32;
                    tensor.data.iter_mut().zip(bias).for_each(less);
                }
                (Role::Weight, Kind::BoxFc) => drop(self.fold(layer, &mut tensor)?),
                (Role::Bias, Kind::BoxFc) => {
                    let mut unused = HostTensor::new(&[shape[0], 1], vec![0.0; shape[0]]);
                    tensor.data = self.fold(layer, &mut unused)?;
                }
                _ => {}
            }
        }
        Ok(tensor)
    }

    /// One tensor of the file's, with torch's axes.
    fn own(&mut self, layer: Layer, role: Role, shape: &[usize]) -> Result<HostTensor> {
        if self.bound.is_folded(layer, role) {
            let value = if role == Role::NormVar { 1.0 } else { 0.0 };
            return Ok(HostTensor::new(shape, vec![value; shape.iter().product()]));
        }
        let name = self.bound.name(layer, role);
        let stored = self.bound.file.tensor(&name, &self.bound.stored(layer, role, shape))?;
        self.used.insert(name);
        Ok(self.bound.conventions.canonical(layer, role, shape, stored))
    }

    /// The weight with torch's axes, and the bias, which takes in the BatchNorm where there is one; zeros where a GroupNorm
    /// follows.
    ///
    /// # Panics
    /// Where the network has no such layer.
    pub(super) fn layer(&mut self, layer: Layer) -> Result<(HostTensor, Vec<f32>)> {
        let LayerSpec { shape, outputs, norm, .. } = self.forms[&layer].clone();
        let mut weight = self.tensor(layer, Role::Weight, &shape)?;
        let bias = match norm {
            Norm::None => self.tensor(layer, Role::Bias, &[outputs])?.data,
            Norm::Group => vec![0.0; outputs],
            Norm::Batch => self.fold(layer, &mut weight)?,
        };
        Ok((weight, bias))
    }

    /// Folds the BatchNorm of a layer into its weight; returns the bias.
    fn fold(&mut self, layer: Layer, weight: &mut HostTensor) -> Result<Vec<f32>> {
        let outputs = weight.shape[0];
        let mut vector = |role| Ok(self.tensor(layer, role, &[outputs])?.data);
        let [scale, shift, mean, var] = Role::NORM;
        let norm = BatchNorm { weight: vector(scale)?, bias: vector(shift)?, mean: vector(mean)?, var: vector(var)? };
        let eps = self.backbone.bn_eps;
        if let Some(channel) = norm.degenerate(eps) {
            let (var, eps) = (norm.var[channel], self.backbone.eps_text());
            let reason = format!(
                "is {var} in channel {channel}, and with eps {eps} that has no square root to divide \
                                  by: the file is corrupt, or `backbone.norm` states the wrong eps"
            );
            return Err(self.fault(layer, Role::NormVar, reason));
        }
        let bias = fold(weight, &norm, eps);
        if let Some(i) = weight.data.iter().chain(&bias).position(|v| !v.is_finite()) {
            let scale = self.bound.name(layer, Role::NormWeight);
            let reason = format!(
                "passes the range of f32 when the BatchNorm of `{scale}` is folded into it (flat index {i}): the file is \
                 corrupt"
            );
            return Err(self.fault(layer, Role::Weight, reason));
        }
        Ok(bias)
    }

    /// A convolution. The stem's three input channels become four, of which the last is zeros.
    pub(super) fn conv(&mut self, layer: Layer) -> Result<Conv> {
        let (weight, bias) = self.layer(layer)?;
        // Those of grouped convolutions are a group's.
        let inputs = if layer.kind == Kind::Stem { weight.shape[1].next_multiple_of(4) } else { weight.shape[1] };
        let mut conv = Conv::new(channels_last(&weight, inputs), bias);
        if self.forms[&layer].norm == Norm::Group {
            let mut vector = |role| Ok(self.tensor(layer, role, &[weight.shape[0]])?.data);
            conv = conv.then_normalized(vector(Role::NormWeight)?, vector(Role::NormBias)?);
        }
        Ok(conv)
    }

    /// A convolution that not every network has.
    pub(super) fn conv_if_any(&mut self, layer: Layer) -> Result<Option<Conv>> {
        self.forms.contains_key(&layer).then(|| self.conv(layer)).transpose()
    }

    /// A layer of logits and one of deltas, fully connected or 1×1 convolutions, as one.
    pub(super) fn predictor(&mut self, logits: Kind, deltas: Kind) -> Result<Predictor> {
        let (weight, bias, rows) = self.predictor_rows(logits, deltas)?;
        Ok(Predictor::new(weight, bias, rows))
    }

    /// The same as a matrix with biases, and the rows of each.
    pub(super) fn predictor_rows(&mut self, logits: Kind, deltas: Kind) -> Result<(HostTensor, Vec<f32>, [usize; 2])> {
        let ((mut weight, mut bias), (more, biases)) = (self.layer(logits.only())?, self.layer(deltas.only())?);
        let rows = [bias.len(), biases.len()];
        weight.data.extend(more.data);
        bias.extend(biases);
        Ok((HostTensor::new(&[bias.len(), weight.shape[1]], weight.data), bias, rows))
    }

    /// Refuses a file whose RPN was made for another number of anchors: its tensors do not tell which those are.
    pub(super) fn expect_anchors(&self, anchors: usize) -> Result<()> {
        match self.bound.axes(Kind::RpnLogits.only(), Role::Weight).as_deref() {
            Some(&[has, _, _, _]) if has != anchors => {
                let setting = "anchor_sizes".into();
                let reason = format!(
                    "times anchor_ratios makes {} at a pixel, and {} was trained with {has}: state both as they were in \
                     training",
                    counted(anchors, "anchor"),
                    self.bound.file.name()
                );
                Err(Error::Config { setting, reason })
            }
            _ => Ok(()),
        }
    }

    /// Refuses a file with tensors that nothing took: it was made for another network, and would run and be wrong.
    pub(super) fn finish(self) -> Result<()> {
        let (file, family) = (self.bound.file, self.bound.family);
        let left = |name: &&str| !self.used.contains(*name) && !self.bound.is_no_layer(name);
        let left: Vec<&str> = file.names().filter(left).collect();
        if left.is_empty() {
            return Ok(());
        }
        let some: Vec<String> = left.iter().take(4).map(|name| format!("`{}`", shown(name))).collect();
        let more = if left.len() > some.len() { ", …" } else { "" };
        let (count, some) = (left.len(), some.join(", "));
        // A part that nothing here runs: what it changes in training cannot be told from here.
        let known = family.left_out.iter().find(|(begins, _)| left.iter().any(|name| name.starts_with(begins)));
        let cure = known.map_or(
            "it is of another network than these settings say. Correct them, if they do not come from the file; other \
             networks than Mask and Faster R-CNN on a ResNet, as torchvision, detectron2 and matterport build them, are not \
             supported",
            |(_, cure)| cure,
        );
        let has = if count == 1 { "has" } else { "have" };
        let reason = format!(
            "{count} of its tensors {has} no place in the network that its settings describe ({some}{more}): {cure}"
        );
        Err(Error::Weights { file: file.name().into(), reason })
    }

    /// An error about a tensor.
    pub(super) fn fault(&self, layer: Layer, role: Role, reason: String) -> Error {
        Error::Tensor { file: self.bound.file.name().into(), tensor: self.bound.name(layer, role), reason }
    }
}
