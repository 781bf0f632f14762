//! Arithmetic and index permutations between torch's layouts and ours. Torch's are channels-first (`[K, C, R, S]`:
//! output channel, input channel, kernel row, kernel column), ours channels-last, as the shaders read activations.

use crate::tensor::HostTensor;

/// The four vectors of a BatchNorm, one value a channel each.
pub(super) struct BatchNorm {
    pub weight: Vec<f32>,
    pub bias: Vec<f32>,
    pub mean: Vec<f32>,
    pub var: Vec<f32>,
}

impl BatchNorm {
    /// The first channel whose `var + eps` has no square root to divide by.
    pub(super) fn degenerate(&self, eps: f32) -> Option<usize> {
        self.var.iter().position(|&var| f64::from(var) + f64::from(eps) <= 0.0)
    }
}

/// Folds a BatchNorm into the bias-free convolution `weight` (`[K, …]`) before it; returns the bias of the result.
///
/// As torchvision's FrozenBatchNorm2d (`ops/misc.py`): `s = w / sqrt(var + eps)`, weight · s and b − mean · s, in f64
/// and rounded once.
pub(super) fn fold(weight: &mut HostTensor, bn: &BatchNorm, eps: f32) -> Vec<f32> {
    let channels = bn.weight.len();
    let row = weight.data.len() / channels.max(1);
    let mut folded = Vec::with_capacity(channels);
    for (k, values) in weight.data.chunks_exact_mut(row.max(1)).enumerate() {
        let scale = f64::from(bn.weight[k]) / (f64::from(bn.var[k]) + f64::from(eps)).sqrt();
        for value in values {
            *value = (f64::from(*value) * scale) as f32;
        }
        folded.push((f64::from(bn.bias[k]) - f64::from(bn.mean[k]) * scale) as f32);
    }
    folded
}

/// `[K, C, R, S]` to `[K, R, S, padded]`, the channels from C on zero. `padded` is at least C.
pub(super) fn channels_last(weight: &HostTensor, padded: usize) -> HostTensor {
    let [k, c, r, s] = four(weight);
    let mut data = vec![0.0; k * r * s * padded];
    for (k, plane) in weight.data.chunks_exact(c * r * s).enumerate() {
        for (c, kernel) in plane.chunks_exact(r * s).enumerate() {
            for (tap, &value) in kernel.iter().enumerate() {
                data[(k * r * s + tap) * padded + c] = value;
            }
        }
    }
    HostTensor::new(&[k, r, s, padded], data)
}

/// Torch's transposed convolution `[C, K, R, S]` (input channel first) to `[K, R, S, C]`.
pub(super) fn transposed_channels_last(weight: &HostTensor) -> HostTensor {
    let [c, k, r, s] = four(weight);
    let mut data = vec![0.0; weight.data.len()];
    for (channel, planes) in weight.data.chunks_exact(k * r * s).enumerate() {
        for (tap, &value) in planes.iter().enumerate() {
            data[tap * c + channel] = value;
        }
    }
    HostTensor::new(&[k, r, s, c], data)
}

/// Columns of a fully connected layer on flattened features, `[M, C·H·W]` to `[M, H·W·C]`, with `area` = H·W.
pub(super) fn columns_last(weight: HostTensor, area: usize) -> HostTensor {
    let columns = weight.shape[1];
    let channels = columns / area;
    let mut data = Vec::with_capacity(weight.data.len());
    for row in weight.data.chunks_exact(columns) {
        for position in 0..area {
            data.extend((0..channels).map(|c| row[c * area + position]));
        }
    }
    HostTensor::new(&weight.shape, data)
}

/// The shape of a tensor that was loaded with four axes.
fn four(tensor: &HostTensor) -> [usize; 4] {
    std::array::from_fn(|axis| tensor.shape[axis])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A tensor whose values tell their place.
    fn counted(shape: &[usize]) -> HostTensor {
        HostTensor::new(shape, (0..shape.iter().product::<usize>()).map(|i| i as f32 + 1.0).collect())
    }

    proptest! {
        #[test]
        fn permutations_follow_the_index_formula(k in 1usize..5, c in 1usize..5, r in 1usize..4, s in 1usize..4, pad in 0usize..3) {
            let torch = counted(&[k, c, r, s]);
            let p = c + pad;
            let ours = channels_last(&torch, p);
            prop_assert_eq!(&ours.shape, &[k, r, s, p]);
            let deconv = counted(&[c, k, r, s]);
            let ours_deconv = transposed_channels_last(&deconv);
            prop_assert_eq!(&ours_deconv.shape, &[k, r, s, c]);
            let fc = columns_last(counted(&[k, c * r * s]), r * s);
            prop_assert_eq!(&fc.shape, &[k, c * r * s]);
            for ki in 0..k {
                for ri in 0..r {
                    for si in 0..s {
                        for ci in 0..p {
                            let expected = if ci < c { torch.data[((ki * c + ci) * r + ri) * s + si] } else { 0.0 };
                            prop_assert_eq!(ours.data[((ki * r + ri) * s + si) * p + ci], expected);
                        }
                        for ci in 0..c {
                            let at = ((ki * r + ri) * s + si) * c + ci;
                            prop_assert_eq!(ours_deconv.data[at], deconv.data[((ci * k + ki) * r + ri) * s + si]);
                            prop_assert_eq!(fc.data[at], torch.data[((ki * c + ci) * r + ri) * s + si]);
                        }
                    }
                }
            }
        }

        /// Convolving a patch and normalising the sum is what the folded convolution does at once.
        #[test]
        fn folding_is_convolution_then_batch_norm(
            w in prop::collection::vec(-2f32..2.0, 12),
            x in prop::collection::vec(-2f32..2.0, 6),
            bn in prop::collection::vec((-2f32..2.0, -2f32..2.0, -2f32..2.0, 0.01f32..4.0), 2),
        ) {
            let bn = BatchNorm {
                weight: bn.iter().map(|v| v.0).collect(),
                bias: bn.iter().map(|v| v.1).collect(),
                mean: bn.iter().map(|v| v.2).collect(),
                var: bn.iter().map(|v| v.3).collect(),
            };
            let eps = 1e-3f32;
            let mut folded = HostTensor::new(&[2, 3, 1, 2], w.clone());
            let bias = fold(&mut folded, &bn, eps);
            for k in 0..2 {
                let dot = |w: &[f32]| (0..6).map(|i| f64::from(w[k * 6 + i]) * f64::from(x[i])).sum::<f64>();
                let centred = (dot(&w) - f64::from(bn.mean[k])) / (f64::from(bn.var[k]) + f64::from(eps)).sqrt();
                let expected = centred * f64::from(bn.weight[k]) + f64::from(bn.bias[k]);
                let got = dot(&folded.data) + f64::from(bias[k]);
                // One rounding a weight and one for the bias, of values up to 20·2 and 42.
                prop_assert!((got - expected).abs() < 3e-5, "{got} {expected}");
            }
        }
    }

    #[test]
    fn folds_by_hand() {
        // s = 3 / sqrt(3.75 + .25) = 1.5 in the first channel, −1 / 2 in the second.
        let bn =
            BatchNorm { weight: vec![3.0, -1.0], bias: vec![1.0, 2.0], mean: vec![2.0, 4.0], var: vec![3.75, 3.75] };
        let mut weight = HostTensor::new(&[2, 2, 1, 1], vec![2.0, -4.0, 6.0, 8.0]);
        assert_eq!(fold(&mut weight, &bn, 0.25), [-2.0, 4.0]);
        assert_eq!(weight.data, [3.0, -6.0, -3.0, -4.0]);
    }

    #[test]
    fn finds_a_variance_without_a_root() {
        let bn =
            |var: f32| BatchNorm { weight: vec![1.0; 2], bias: vec![0.0; 2], mean: vec![0.0; 2], var: vec![1.0, var] };
        assert_eq!(bn(0.0).degenerate(0.0), Some(1));
        assert_eq!(bn(-1e-4).degenerate(1e-5), Some(1));
        assert_eq!(bn(0.0).degenerate(1e-5), None);
    }
}
