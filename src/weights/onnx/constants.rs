//! Values that do not depend on the image: weights as they are in the file, and what exporters leave to be computed of
//! them: frozen norms as square roots and products, weights of 8 bits with their scales.

use std::cell::Cell;
use std::collections::HashMap;

use super::model::{Graph, Node, Tensor};
use crate::tensor::HostTensor;

/// How many operations deep a constant may be computed.
const DEEPEST: usize = 16;
/// Most elements of a tensor that is computed element by element: vectors of norms. Weights are larger, and are read only.
const MOST_COMPUTED: usize = 1 << 16;
/// Most work for all constants of a file, in elements, and what a step counts as: a hostile graph may have every value computed
/// of others twice.
const MOST_WORK: usize = 1 << 31;
const STEP: usize = 1 << 10;

/// A graph, asked for constants.
pub(super) struct Constants<'g, 'a> {
    pub graph: &'g Graph<'a>,
    /// By the name of what it makes: the node's number.
    producers: HashMap<&'a str, usize>,
    /// Work that is left.
    work: Cell<usize>,
}

impl<'g, 'a> Constants<'g, 'a> {
    pub(super) fn of(graph: &'g Graph<'a>) -> Self {
        let made = graph.nodes.iter().enumerate();
        let producers = made.flat_map(|(i, node)| node.outputs.iter().map(move |&name| (name, i))).collect();
        Self { graph, producers, work: Cell::new(MOST_WORK) }
    }

    /// The node that makes a value, and its number.
    pub(super) fn producer(&self, name: &str) -> Option<(usize, &'g Node<'a>)> {
        let &i = self.producers.get(name)?;
        Some((i, self.graph.nodes.get(i)?))
    }

    /// The tensor in the file that a value is, by its name there: through copies, and through what undoes a quantisation.
    pub(super) fn stored(&self, name: &'a str) -> Option<(&'a str, &'g Tensor<'a>)> {
        let mut name = name;
        for _ in 0..DEEPEST {
            if let Some(tensor) = self.graph.tensors.get(name) {
                return Some((name, tensor));
            }
            let (_, node) = self.producer(name)?;
            match node.op {
                "Identity" | "DequantizeLinear" | "Cast" | "Transpose" => name = node.inputs.first()?,
                _ => return None,
            }
        }
        None
    }

    /// Whether a value is the same for all images.
    pub(super) fn is_constant(&self, name: &str) -> bool {
        self.constant(name, DEEPEST)
    }

    /// Counts work; whether there was any left.
    fn worked(&self, elements: usize) -> bool {
        let left = self.work.get().checked_sub(elements.saturating_add(STEP));
        self.work.set(left.unwrap_or(0));
        left.is_some()
    }

    fn constant(&self, name: &str, deep: usize) -> bool {
        if self.graph.tensors.contains_key(name) {
            return true;
        }
        let Some((_, node)) = self.producer(name).filter(|_| deep > 0 && self.worked(0)) else { return false };
        COMPUTED.contains(&node.op)
            && (1..=3).contains(&node.inputs.len())
            && node.inputs.iter().all(|input| input.is_empty() || self.constant(input, deep - 1))
    }

    /// A value's elements; `None` where it depends on the image, or is computed in a way that is not known here.
    pub(super) fn value(&self, name: &str) -> Result<Option<HostTensor>, String> {
        self.computed(name, DEEPEST)
    }

    fn computed(&self, name: &str, deep: usize) -> Result<Option<HostTensor>, String> {
        if let Some(tensor) = self.graph.tensors.get(name) {
            if !self.worked(tensor.len().unwrap_or(usize::MAX)) {
                return Ok(None);
            }
            return Ok(Some(HostTensor::new(&tensor.shape, tensor.floats(name)?)));
        }
        let Some((_, node)) = self.producer(name).filter(|(_, node)| deep > 0 && self.worked(node.attribute_bytes))
        else {
            return Ok(None);
        };
        let input = |i: usize| match node.inputs.get(i) {
            Some(name) if !name.is_empty() => self.computed(name, deep - 1),
            _ => Ok(None),
        };
        let Some(first) = input(0)? else { return Ok(None) };
        let each = |f: fn(f32) -> f32, of: HostTensor| {
            let data = of.data.into_iter().map(f).collect();
            HostTensor::new(&of.shape, data)
        };
        Ok(match node.op {
            // Of a vector, only the elements matter, not along which axis they lie.
            "Identity" | "Cast" | "Reshape" | "Unsqueeze" | "Squeeze" | "Flatten" => Some(first),
            "Transpose" => transposed(first),
            "Sqrt" => Some(each(f32::sqrt, first)),
            "Reciprocal" => Some(each(|v| 1.0 / v, first)),
            "Neg" => Some(each(|v| -v, first)),
            "DequantizeLinear" => {
                let Some(scale) = input(1)? else { return Ok(None) };
                dequantised(
                    first,
                    &scale.data,
                    input(2)?.as_ref().map(|zero| &zero.data[..]),
                    node.integer("axis").unwrap_or(1),
                )
            }
            "Add" | "Sub" | "Mul" | "Div" => {
                let f = match node.op {
                    "Add" => |a: f32, b: f32| a + b,
                    "Sub" => |a: f32, b: f32| a - b,
                    "Mul" => |a: f32, b: f32| a * b,
                    _ => |a: f32, b: f32| a / b,
                };
                input(1)?.and_then(|second| both(&first, &second, f))
            }
            _ => None,
        })
    }
}

/// Operations on constants that are known here.
const COMPUTED: [&str; 15] = [
    "Identity",
    "Cast",
    "Reshape",
    "Unsqueeze",
    "Squeeze",
    "Flatten",
    "Transpose",
    "Sqrt",
    "Reciprocal",
    "Neg",
    "DequantizeLinear",
    "Add",
    "Sub",
    "Mul",
    "Div",
];

/// Element by element, where both are vectors of one length or one of them is a single number.
fn both(a: &HostTensor, b: &HostTensor, f: fn(f32, f32) -> f32) -> Option<HostTensor> {
    let count = a.data.len().max(b.data.len());
    if count > MOST_COMPUTED {
        return None;
    }
    match (&a.data[..], &b.data[..]) {
        (_, [one]) => Some(HostTensor::new(&a.shape, a.data.iter().map(|v| f(*v, *one)).collect())),
        ([one], _) => Some(HostTensor::new(&b.shape, b.data.iter().map(|v| f(*one, *v)).collect())),
        (x, y) if x.len() == y.len() => {
            Some(HostTensor::new(&a.shape, x.iter().zip(y).map(|(x, y)| f(*x, *y)).collect()))
        }
        _ => None,
    }
}

/// `(q − zero) · scale`, by one scale or by one for each index of `axis`.
pub(super) fn dequantised(q: HostTensor, scale: &[f32], zero: Option<&[f32]>, axis: i64) -> Option<HostTensor> {
    let rank = q.shape.len() as i64;
    let axis = if axis < 0 { axis + rank } else { axis };
    let extent = usize::try_from(axis).ok().and_then(|axis| q.shape.get(axis)).copied().unwrap_or(1);
    let inner: usize = q.shape.iter().skip(usize::try_from(axis).ok()?.saturating_add(1)).product();
    let fits = |values: &[f32]| values.len() == 1 || values.len() == extent;
    if !fits(scale) || !zero.is_none_or(fits) {
        return None;
    }
    let at = |values: &[f32], i: usize| if values.len() == 1 { values[0] } else { values[i / inner.max(1) % extent] };
    let value = |(i, q): (usize, f32)| (q - zero.map_or(0.0, |zero| at(zero, i))) * at(scale, i);
    Some(HostTensor::new(&q.shape, q.data.into_iter().enumerate().map(value).collect()))
}

/// A matrix with its axes changed over.
pub(super) fn transposed(matrix: HostTensor) -> Option<HostTensor> {
    let [rows, columns] = matrix.shape[..] else { return None };
    let mut data = Vec::with_capacity(matrix.data.len());
    for column in 0..columns {
        data.extend((0..rows).map(|row| matrix.data[row * columns + column]));
    }
    Some(HostTensor::new(&[columns, rows], data))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_go_along_their_axis() {
        let q = HostTensor::new(&[2, 3], vec![1., 2., 3., 4., 5., 6.]);
        let made =
            |scale: &[f32], zero: Option<&[f32]>, axis| dequantised(q.clone(), scale, zero, axis).map(|t| t.data);
        assert_eq!(made(&[2.], Some(&[1.]), 1).unwrap(), [0., 2., 4., 6., 8., 10.]);
        assert_eq!(made(&[1., 10.], None, 0).unwrap(), [1., 2., 3., 40., 50., 60.]);
        assert_eq!(made(&[1., 10., 100.], Some(&[0., 1., 2.]), -1).unwrap(), [1., 10., 100., 4., 40., 400.]);
        assert_eq!(made(&[1., 10.], None, 1), None);
        assert_eq!(made(&[1.], Some(&[0., 0.]), 1), None);
        assert_eq!(made(&[2.], None, 9).unwrap(), [2., 4., 6., 8., 10., 12.]);
        let turned = transposed(q.clone()).unwrap();
        assert_eq!((turned.shape, turned.data), (vec![3, 2], vec![1., 4., 2., 5., 3., 6.]));
    }
}
