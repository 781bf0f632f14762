//! The mask head's last two layers.

use std::sync::Arc;

use super::{Fused, Pair};
use crate::kernels::deconv_predict::DeconvPredict;
use crate::ops::deconv2d::Deconv2d;
use crate::ops::mask_predict::MaskPredict;

/// Inputs of [`Deconv2d`] and of [`MaskPredict`] by name.
const DECONV: [&str; 4] = ["x", "weight", "bias", "live"];
const PREDICT: [&str; 3] = ["weight", "bias", "labels"];

/// A transposed convolution and the mask of the class that was found: on a CPU driver, where what lies between would be
/// stored and read lane by lane.
pub(super) fn of_class(pair: &Pair) -> Option<Fused> {
    let deconv = pair.first.op.downcast::<Deconv2d>()?;
    let predict = pair.next.op.downcast::<MaskPredict>()?;
    let w = pair.first.inputs[1].shape();
    let whole = (w.dim(1), w.dim(2), deconv.pad) == (deconv.stride, deconv.stride, 0);
    let by_four = w.dim(3).is_multiple_of(4) && w.dim(0).is_multiple_of(4);
    if !pair.target.pays.fused_mask_head
        || pair.named
        || !(whole && by_four && deconv.bias && deconv.relu && deconv.live)
    {
        return None;
    }
    let [x, weight, bias, live] = pair.first.named_inputs(deconv, DECONV)?;
    let [last_weight, last_bias, labels] = pair.next.named_inputs(predict, PREDICT)?;
    let label = format!("{}+{}", pair.first.label, pair.next.label.rsplit('.').next().unwrap_or_default());
    Some(Fused {
        op: Arc::new(DeconvPredict { stride: deconv.stride }),
        inputs: vec![x, weight, bias, last_weight, last_bias, labels, live],
        label,
    })
}
