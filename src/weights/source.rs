//! Takes layers out of a weights file by name and remembers which tensors were taken.

use std::collections::HashSet;

use super::canonical::{Conv, Predictor};
use super::file::WeightsFile;
use super::fold::{BatchNorm, channels_last, fold};
use super::names::{counted, shown};
use crate::config::Backbone;
use crate::error::{Error, Result};
use crate::tensor::HostTensor;

/// A weights file being read. A layer goes by its `stem`, the tensor name up to `.weight`; where torchvision renamed
/// layers over the years there are several, the current one first.
pub(super) struct Source<'a> {
    file: &'a WeightsFile,
    backbone: &'a Backbone,
    used: HashSet<String>,
}

impl<'a> Source<'a> {
    /// The epsilon of every BatchNorm is the backbone's.
    pub(super) fn new(file: &'a WeightsFile, backbone: &'a Backbone) -> Self {
        Self { file, backbone, used: HashSet::new() }
    }

    /// One tensor as it is in the file.
    fn tensor(&mut self, name: String, shape: &[usize]) -> Result<HostTensor> {
        let tensor = self.file.tensor(&name, shape)?;
        self.used.insert(name);
        Ok(tensor)
    }

    fn vector(&mut self, name: String, length: usize) -> Result<Vec<f32>> {
        Ok(self.tensor(name, &[length])?.data)
    }

    /// The stem that the file uses; the current one if it has none of them, so that the error will name that.
    fn stem<'s>(&self, stems: &[&'s str]) -> &'s str {
        let known = |stem: &str| ["weight", "bias"].iter().any(|part| self.file.contains(&format!("{stem}.{part}")));
        stems.iter().copied().find(|stem| known(stem)).unwrap_or(stems.first().copied().unwrap_or_default())
    }

    /// Weight of torch's `shape` and the bias of length `outputs`, both in torch's order.
    pub(super) fn pair(&mut self, stems: &[&str], shape: &[usize], outputs: usize) -> Result<(HostTensor, Vec<f32>)> {
        let stem = self.stem(stems);
        let weight = self.tensor(format!("{stem}.weight"), shape)?;
        Ok((weight, self.vector(format!("{stem}.bias"), outputs)?))
    }

    /// A square convolution with a bias.
    pub(super) fn conv(&mut self, stems: &[&str], outputs: usize, inputs: usize, side: usize) -> Result<Conv> {
        let (weight, bias) = self.pair(stems, &[outputs, inputs, side, side], outputs)?;
        Ok(Conv::new(channels_last(&weight, inputs), bias))
    }

    /// A block of torchvision's `Conv2dNormActivation`: its convolution, with BatchNorm or a bias, in older files under
    /// the name `old`. `shape`: outputs, inputs, side.
    pub(super) fn block(&mut self, block: &str, old: &str, norm: bool, shape: [usize; 3]) -> Result<Conv> {
        let [outputs, inputs, side] = shape;
        let conv = format!("{block}.0");
        match norm {
            true => self.conv_bn(&conv, &format!("{block}.1"), outputs, inputs, side),
            false => self.conv(&[&conv, old], outputs, inputs, side),
        }
    }

    /// A layer of `logits` outputs and one of four deltas for each, fully connected or, with a `window` of `[1, 1]`,
    /// 1×1 convolutions; columns as in the file.
    pub(super) fn predictor(
        &mut self,
        stems: [&str; 2],
        logits: usize,
        inputs: usize,
        window: &[usize],
    ) -> Result<Predictor> {
        let rows = [logits, 4 * logits];
        let (mut weights, mut biases) = (Vec::new(), Vec::new());
        for (stem, rows) in stems.into_iter().zip(rows) {
            let (weight, bias) = self.pair(&[stem], &[&[rows, inputs], window].concat(), rows)?;
            weights.extend(weight.data);
            biases.extend(bias);
        }
        Ok(Predictor::new(HostTensor::new(&[biases.len(), inputs], weights), biases, rows))
    }

    /// A square convolution without bias and the BatchNorm after it, as one; `inputs` is rounded up to a multiple
    /// of 4 with zeros, which only the stem's 3 needs.
    pub(super) fn conv_bn(&mut self, conv: &str, bn: &str, outputs: usize, inputs: usize, side: usize) -> Result<Conv> {
        let name = format!("{conv}.weight");
        let mut weight = self.tensor(name.clone(), &[outputs, inputs, side, side])?;
        let norm = BatchNorm {
            weight: self.vector(format!("{bn}.weight"), outputs)?,
            bias: self.vector(format!("{bn}.bias"), outputs)?,
            mean: self.vector(format!("{bn}.running_mean"), outputs)?,
            var: self.vector(format!("{bn}.running_var"), outputs)?,
        };
        let eps = self.backbone.bn_eps;
        if let Some(channel) = norm.degenerate(eps) {
            let (var, eps) = (norm.var[channel], self.backbone.eps_text());
            let reason = format!(
                "is {var} in channel {channel}, and with eps {eps} that has no square root to divide \
                                  by: the file is corrupt, or `backbone.norm` states the wrong eps"
            );
            return Err(self.fault(format!("{bn}.running_var"), reason));
        }
        let bias = fold(&mut weight, &norm, eps);
        if let Some(i) = weight.data.iter().chain(&bias).position(|v| !v.is_finite()) {
            let reason = format!(
                "passes the range of f32 when `{bn}` is folded into it (flat index {i}): the file is \
                                  corrupt"
            );
            return Err(self.fault(name, reason));
        }
        Ok(Conv::new(channels_last(&weight, inputs.next_multiple_of(4)), bias))
    }

    /// Refuses a file whose RPN was made for another number of anchors: its tensors do not tell which those are.
    pub(super) fn expect_anchors(&self, logits: &str, anchors: usize) -> Result<()> {
        match self.file.shape(logits) {
            Some(&[has, _, _, _]) if has != anchors => {
                let setting = "anchor_sizes".into();
                let reason = format!(
                    "times anchor_ratios makes {} at a pixel, and {} was trained with {has}: state both as they were in \
                     training",
                    counted(anchors, "anchor"),
                    self.file.name()
                );
                Err(Error::Config { setting, reason })
            }
            _ => Ok(()),
        }
    }

    /// Refuses a file with tensors that nothing took: it was made for another network, and would run and be wrong.
    pub(super) fn finish(self) -> Result<()> {
        // Training's step counter is in every BatchNorm of torch and means nothing here.
        let left = |name: &&str| !self.used.contains(*name) && !name.ends_with(".num_batches_tracked");
        let left: Vec<&str> = self.file.names().filter(left).collect();
        if left.is_empty() {
            return Ok(());
        }
        let some: Vec<String> = left.iter().take(4).map(|name| format!("`{}`", shown(name))).collect();
        let more = if left.len() > some.len() { ", …" } else { "" };
        let (count, some) = (left.len(), some.join(", "));
        // A part that nothing here runs: what it changes in training cannot be told from here.
        let keypoints = left.iter().any(|name| name.starts_with("roi_heads.keypoint"));
        let cure = match keypoints {
            true => "Keypoint R-CNN is not supported; its boxes alone can be had by leaving these out when saving",
            false => {
                "it is of another network than these settings say. Correct them, if they do not come from the file; other \
                 networks than torchvision's Mask and Faster R-CNN on a ResNet with FPN are not supported"
            }
        };
        let has = if count == 1 { "has" } else { "have" };
        let reason = format!(
            "{count} of its tensors {has} no place in the network that its settings describe ({some}{more}): {cure}"
        );
        Err(Error::Weights { file: self.file.name().into(), reason })
    }

    fn fault(&self, tensor: String, reason: String) -> Error {
        Error::Tensor { file: self.file.name().into(), tensor, reason }
    }
}
