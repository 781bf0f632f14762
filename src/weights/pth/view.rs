//! From a tensor as the pickle describes it to a place in the file, every number checked.

use std::ops::Range;

use super::DOWNLOAD;
use super::pickle::{Arena, Chain, Node, Storage, Tensor};
use crate::weights::entry::Entry;

/// Most elements of a tensor. The largest of Mask R-CNN has 2^24.
const MOST_ELEMENTS: u64 = 1 << 28;

/// Most axes of a tensor.
const MOST_AXES: usize = 8;

/// What to do about a tensor that is sound, but no part of such networks.
const LEAVE_OUT: &str = "no weights of this network do, so leave it out when saving";

/// Where `tensor` lies in a file that has the elements of its `storage` at `data`.
///
/// # Errors
/// A clause that reads on after the tensor's name.
pub(super) fn entry(arena: &Arena, tensor: &Tensor, storage: &Storage, data: Range<usize>) -> Result<Entry, String> {
    let corrupt = |what: String| format!("{what}: the file is corrupt, {DOWNLOAD}");
    let overflow = || corrupt("reaches past the end of any file".into());
    let size = (storage.dtype.bitsize() / 8) as u64;
    if storage.count.checked_mul(size) != Some(data.len() as u64) {
        let (count, have) = (storage.count, data.len());
        return Err(corrupt(format!("has a storage of {count} elements of {size} bytes, and {have} bytes of it")));
    }
    // A part of a storage bounds its tensors as a whole storage does.
    let (first, count) = storage.part.unwrap_or((0, storage.count));
    if first.checked_add(count).is_none_or(|end| end > storage.count) {
        return Err(corrupt(format!("is in part {first}+{count} of a storage of {} elements", storage.count)));
    }

    let shape = axes(arena, tensor.shape)?;
    let strides = axes(arena, tensor.strides)?;
    if shape.len() != strides.len() {
        return Err(corrupt(format!("has {} axes and {} strides", shape.len(), strides.len())));
    }
    elements(&shape)?;
    let reach = |sum: u64, (axis, stride): (&u64, &u64)| sum.checked_add((axis - 1).checked_mul(*stride)?);
    let end = match shape.contains(&0) {
        true => Some(tensor.offset),
        false => shape.iter().zip(&strides).try_fold(tensor.offset, reach).and_then(|last| last.checked_add(1)),
    };
    if end.is_none_or(|end| end > count) {
        let offset = tensor.offset;
        return Err(corrupt(format!(
            "reaches past its storage of {count} elements (offset {offset}, shape {shape:?}, strides {strides:?})"
        )));
    }

    // Within `data` by now, so the file would have to be larger than memory for this to fail.
    let start = first.checked_add(tensor.offset).and_then(|element| element.checked_mul(size));
    let start = start.and_then(|bytes| usize::try_from(bytes).ok()).and_then(|bytes| data.start.checked_add(bytes));
    let index = |axes: &[u64]| axes.iter().map(|&axis| usize::try_from(axis).ok()).collect::<Option<Vec<usize>>>();
    match (start, index(&shape), index(&strides)) {
        (Some(start), Some(shape), Some(strides)) => Ok(Entry { dtype: storage.dtype, shape, strides, start }),
        _ => Err(overflow()),
    }
}

/// How many elements a shape has.
pub(super) fn elements(shape: &[u64]) -> Result<u64, String> {
    // Empty axes count as 1: the product over any of the axes then fits, whatever the others are.
    let most = shape.iter().try_fold(1u64, |product, &axis| product.checked_mul(axis.max(1)));
    match most.filter(|&most| most <= MOST_ELEMENTS) {
        Some(most) => Ok(if shape.contains(&0) { 0 } else { most }),
        None => Err(format!("has shape {shape:?}, more than {MOST_ELEMENTS} elements: {LEAVE_OUT}")),
    }
}

/// A tensor's shape or strides.
pub(super) fn axes(arena: &Arena, tuple: Chain) -> Result<Vec<u64>, String> {
    let Some((nodes, count)) = arena.few::<MOST_AXES>(tuple) else {
        return Err(format!("has more than {MOST_AXES} axes: {LEAVE_OUT}"));
    };
    let natural = |node: &Node| match *node {
        Node::Int(value) => u64::try_from(value).map_err(|_| format!("has the size or stride {value}")),
        _ => Err("has a size or stride that is no integer".into()),
    };
    let axes: Result<Vec<u64>, String> = nodes.iter().take(count).map(natural).collect();
    axes.map_err(|what| format!("{what}: the file is corrupt, {DOWNLOAD}"))
}
