//! How Keras lays tensors out, and what matterport's heads are made of, beside the canonical layout.
//!
//! | tensor | there | here |
//! |---|---|---|
//! | a convolution's kernel | `[R, S, C, K]` | `[K, C, R, S]` |
//! | a transposed convolution's | `[R, S, K, C]` | `[C, K, R, S]` |
//! | a fully connected layer's | `[inputs, outputs]`, or the kernel of a convolution as large as what is pooled | `[outputs, inputs]`, flattened as (channel, row, column) |
//! | the RPN's logits | two an anchor, background and object, of which a softmax is taken | one, object less background: a sigmoid of that is the same |
//! | deltas | dy, dx, dh, dw | dx, dy, dw, dh |
//! | the RPN's deltas | multiplied by 0.1, 0.1, 0.2, 0.2 once they are made | made as they are used |
//!
//! A convolution that a BatchNorm follows has a bias all the same: it is taken from the norm's mean
//! ([`LayerReader`](crate::weights::reader)), as are the norms of fully connected layers folded into these.

use crate::tensor::HostTensor;
use crate::weights::layers::{Kind, Role};

/// What the RPN's deltas are multiplied by (matterport, `config.py: RPN_BBOX_STD_DEV`), in our order.
const RPN_SPREAD: [f32; 4] = [0.1, 0.1, 0.2, 0.2];

/// The canonical axes of a tensor of `stored` ones.
pub(super) fn axes(kind: Kind, role: Role, stored: &[usize]) -> Vec<usize> {
    match (role, kind, stored) {
        (Role::Weight, Kind::BoxFc, &[r, s, c, k]) => vec![k, c.saturating_mul(r).saturating_mul(s)],
        (Role::Weight, Kind::RpnLogits, &[r, s, c, k]) if k.is_multiple_of(2) => vec![k / 2, c, r, s],
        (Role::Bias, Kind::RpnLogits, &[k]) if k.is_multiple_of(2) => vec![k / 2],
        (Role::Weight, _, &[r, s, c, k]) => vec![k, c, r, s],
        (Role::Weight, _, &[inputs, outputs]) => vec![outputs, inputs],
        _ => stored.to_vec(),
    }
}

/// The shape that a tensor of canonical `shape` should have in a file that has it as `has`.
pub(super) fn stored(kind: Kind, role: Role, shape: &[usize], has: Option<&[usize]>) -> Vec<usize> {
    // How what is flattened was before cannot be told from what it is.
    if let Some(has) = has.filter(|has| axes(kind, role, has) == shape) {
        return has.to_vec();
    }
    match (role, kind, shape) {
        (Role::Weight, Kind::BoxFc, &[k, c]) => vec![1, 1, c, k],
        (Role::Weight, Kind::RpnLogits, &[k, c, r, s]) => vec![r, s, c, 2 * k],
        (Role::Bias, Kind::RpnLogits, &[k]) => vec![2 * k],
        (Role::Weight, _, &[k, c, r, s]) => vec![r, s, c, k],
        (Role::Weight, _, &[outputs, inputs]) => vec![inputs, outputs],
        _ => shape.to_vec(),
    }
}

/// A tensor of a shape that [`stored`] allows, in the canonical layout, of `shape`.
pub(super) fn canonical(kind: Kind, role: Role, shape: &[usize], stored: HostTensor) -> HostTensor {
    let turned = match (role, stored.shape.as_slice()) {
        (Role::Weight, &[_, _, _, _]) => permuted(&stored, &[3, 2, 0, 1]),
        (Role::Weight, &[_, _]) => permuted(&stored, &[1, 0]),
        _ => stored.data,
    };
    let row = shape[1..].iter().product::<usize>().max(1);
    let data = match kind {
        Kind::RpnLogits => differences(&turned, row),
        Kind::RpnDeltas => {
            let mut data = in_our_order(&turned, row);
            let spread = |output: usize| RPN_SPREAD[output % 4];
            data.chunks_mut(row).enumerate().for_each(|(i, row)| row.iter_mut().for_each(|v| *v *= spread(i)));
            data
        }
        Kind::BoxDeltas => in_our_order(&turned, row),
        _ => turned,
    };
    HostTensor::new(shape, data)
}

/// Of each two rows the second less the first. `row` is a row's length.
fn differences(data: &[f32], row: usize) -> Vec<f32> {
    let less = |pair: &[f32]| (0..row).map(|i| pair[row + i] - pair[i]).collect::<Vec<_>>();
    data.chunks_exact(2 * row).flat_map(less).collect()
}

/// Rows of (dy, dx, dh, dw) as (dx, dy, dw, dh).
fn in_our_order(data: &[f32], row: usize) -> Vec<f32> {
    data.chunks_exact(2 * row).flat_map(|pair| [&pair[row..], &pair[..row]].concat()).collect()
}

/// The values with axis `order[i]` as axis `i`.
fn permuted(tensor: &HostTensor, order: &[usize]) -> Vec<f32> {
    let mut strides = vec![1; tensor.shape.len()];
    for axis in (1..strides.len()).rev() {
        strides[axis - 1] = strides[axis] * tensor.shape[axis];
    }
    let mut places = vec![0];
    for &axis in order {
        let steps = (0..tensor.shape[axis]).map(|i| i * strides[axis]);
        places = places.iter().flat_map(|place| steps.clone().map(move |step| place + step)).collect();
    }
    places.into_iter().map(|place| tensor.data[place]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(shape: &[usize]) -> HostTensor {
        HostTensor::new(shape, (0..shape.iter().product::<usize>()).map(|i| i as f32).collect())
    }

    /// Each value by its indices there and here.
    #[test]
    fn kernels_are_turned() {
        let (r, s, c, k) = (2, 3, 4, 5);
        let there = counted(&[r, s, c, k]);
        let at = |ri: usize, si: usize, ci: usize, ki: usize| there.data[((ri * s + si) * c + ci) * k + ki];
        let conv = canonical(Kind::Stem, Role::Weight, &[k, c, r, s], there.clone());
        let fc = canonical(Kind::BoxFc, Role::Weight, &[k, c * r * s], there.clone());
        // A transposed one has its outputs before its inputs.
        let up = canonical(Kind::MaskDeconv, Role::Weight, &[k, c, r, s], there.clone());
        for (ri, si, ci, ki) in (0..r * s * c * k).map(|i| (i % r, i / r % s, i / (r * s) % c, i / (r * s * c))) {
            let here = ((ki * c + ci) * r + ri) * s + si;
            assert_eq!([conv.data[here], fc.data[here], up.data[here]], [at(ri, si, ci, ki); 3]);
        }
        let dense = canonical(Kind::BoxLogits, Role::Weight, &[3, 2], counted(&[2, 3]));
        assert_eq!(dense.data, [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
        for (kind, stored_as) in
            [(Kind::Stem, [r, s, c, k]), (Kind::RpnLogits, [1, 1, c, 6]), (Kind::MaskDeconv, [2, 2, k, c])]
        {
            assert_eq!(stored(kind, Role::Weight, &axes(kind, Role::Weight, &stored_as), None), stored_as);
        }
        assert_eq!(stored(Kind::BoxFc, Role::Weight, &[k, 24], Some(&[r, s, c, k])), [r, s, c, k]);
        assert_eq!(stored(Kind::BoxFc, Role::Weight, &[k, 25], Some(&[r, s, c, k])), [1, 1, 25, k]);
    }

    /// A sigmoid of object less background is the object's part of the softmax of both.
    #[test]
    fn a_pair_of_logits_is_their_difference() {
        let there = HostTensor::new(&[1, 1, 2, 4], vec![1.0, 4.0, 10.0, 30.0, 2.0, 7.0, -1.0, 0.5]);
        let here = canonical(Kind::RpnLogits, Role::Weight, &[2, 2, 1, 1], there);
        assert_eq!(here.data, [3.0, 5.0, 20.0, 1.5]);
        let bias = canonical(Kind::RpnLogits, Role::Bias, &[2], HostTensor::new(&[4], vec![1.0, 3.0, -2.0, 5.0]));
        assert_eq!(bias.data, [2.0, 7.0]);
        for (background, object) in [(0.3f64, -1.2f64), (-5.0, 6.0), (2.0, 2.0)] {
            let softmax = object.exp() / (background.exp() + object.exp());
            assert!((softmax - 1.0 / (1.0 + (background - object).exp())).abs() < 1e-15);
        }
    }

    #[test]
    fn deltas_get_our_order_and_size() {
        let there = HostTensor::new(&[1, 8], (1..9).map(|v| v as f32 * 10.0).collect());
        let boxes = canonical(Kind::BoxDeltas, Role::Weight, &[8, 1], there.clone());
        assert_eq!(boxes.data, [20.0, 10.0, 40.0, 30.0, 60.0, 50.0, 80.0, 70.0]);
        let bias = canonical(Kind::RpnDeltas, Role::Bias, &[8], HostTensor::new(&[8], there.data));
        assert_eq!(bias.data, [2.0, 1.0, 8.0, 6.0, 6.0, 5.0, 16.0, 14.0]);
    }
}
