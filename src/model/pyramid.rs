//! The levels of an FPN in few tensors: levels that share weights lie one after the other.

use super::Builder;
use super::backbone::{Feature, level};
use crate::graph::Tensor;
use crate::ops::levels::Levels;
use crate::tensor::ELEMENT_BYTES;

/// Levels of the pyramid that are one tensor.
#[derive(Clone, Copy, Debug)]
pub(super) struct PyramidTensor {
    /// `[B,1,cells,C]`, or `[B,H,W,C]` where it is one map.
    pub tensor: Tensor,
    /// The maps in it, where they lie one after the other; none where it is one map.
    pub levels: Option<Levels>,
    /// The first of them, counted from the finest.
    pub first: usize,
    /// The letter and the number of the finest level of all, as in P2.
    finest: (char, usize),
}

impl PyramidTensor {
    /// What it holds, for people: "P2..P6".
    pub(super) fn name(&self) -> String {
        let (letter, finest) = self.finest;
        name(letter, finest + self.first, self.maps().len())
    }

    /// Rows and columns of its maps.
    pub(super) fn maps(&self) -> Vec<(usize, usize)> {
        match self.levels {
            Some(levels) => levels.maps().to_vec(),
            None => vec![(self.tensor.dim(1), self.tensor.dim(2))],
        }
    }

    /// The cell of each image at which a map of it begins.
    pub(super) fn first_cell(&self, map: usize) -> usize {
        self.levels.map_or(0, |levels| levels.first(map))
    }
}

/// The feature pyramid, or what stands for it.
#[derive(Clone, Debug)]
pub(super) struct Pyramid {
    /// Finest levels first.
    pub tensors: Vec<PyramidTensor>,
    /// Input pixels from one pixel to the next, of all levels but the pooled one.
    pub strides: Vec<usize>,
}

impl Pyramid {
    /// Capacity for maps of so many rows and columns, finest first, with `channels` each: as few tensors as can be of no
    /// more than `most` bytes, but for maps that are larger alone.
    pub(super) fn new(
        b: &mut Builder,
        maps: &[(usize, usize)],
        strides: &[usize],
        channels: usize,
        batch: usize,
        most: u64,
    ) -> Self {
        let finest = level(strides[0]);
        let bytes = |(h, w): (usize, usize)| (batch * h * w * channels * ELEMENT_BYTES) as u64;
        let mut groups: Vec<Vec<(usize, usize)>> = Vec::new();
        let mut held = 0;
        for &map in maps {
            match groups.last_mut() {
                Some(group) if held + bytes(map) <= most && group.len() < Levels::MOST => group.push(map),
                _ => {
                    groups.push(vec![map]);
                    held = 0;
                }
            }
            held += bytes(map);
        }
        let mut first = 0;
        let mut part = |group: &Vec<(usize, usize)>| {
            let levels = Levels::new(group).expect("maps of some pixels, no more than fit");
            let label = name('P', finest + first, group.len());
            let tensor = b.g.shared_output(&label, [batch, 1, levels.cells(), channels]);
            first += group.len();
            PyramidTensor { tensor, levels: Some(levels), first: first - group.len(), finest: ('P', finest) }
        };
        Self { tensors: groups.iter().map(&mut part).collect(), strides: strides.to_vec() }
    }

    /// Of maps that are there, each a tensor: those that RoIs are on, the finest first, and further ones. The finest is
    /// called by `letter` and `finest`.
    pub(super) fn of_maps(letter: char, finest: usize, features: &[Feature], more: &[Tensor]) -> Self {
        let maps = features.iter().map(|f| f.map).chain(more.iter().copied()).enumerate();
        let each = |(first, tensor)| PyramidTensor { tensor, levels: None, first, finest: (letter, finest) };
        Self { tensors: maps.map(each).collect(), strides: features.iter().map(|f| f.stride).collect() }
    }

    /// The strides of the levels that RoIs are on: those that are coarser than all before. torchvision's rule tells a
    /// level by the first's stride and the last's, so that of two maps of one stride none is on the second.
    pub(super) fn roi_strides(&self) -> Vec<usize> {
        let mut strides = self.strides.clone();
        strides.dedup();
        strides
    }

    /// Level `i`, counted from the finest, for people: "P2".
    pub(super) fn name(&self, i: usize) -> String {
        name('P', level(self.strides[0]) + i, 1)
    }

    /// Where level `i`, counted from the finest, lies: its part, and which of its maps it is.
    pub(super) fn home(&self, i: usize) -> (PyramidTensor, usize) {
        let part = self.tensors.iter().rev().find(|p| p.first <= i).expect("a level of the pyramid");
        (*part, i - part.first)
    }

    /// Rows and columns of all levels.
    pub(super) fn maps(&self) -> impl Iterator<Item = (usize, usize)> {
        self.tensors.iter().flat_map(PyramidTensor::maps)
    }
}

fn name(letter: char, first: usize, count: usize) -> String {
    let last = first + count - 1;
    if count == 1 { format!("{letter}{last}") } else { format!("{letter}{first}..{letter}{last}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Graph;

    #[test]
    fn levels_share_a_tensor_while_it_may_hold_them() {
        let maps = [(40, 60), (20, 30), (10, 15), (5, 8), (3, 4)];
        let parts = |batch, most| {
            let mut b = Builder { g: Graph::new(), taps: Vec::new() };
            let pyramid = Pyramid::new(&mut b, &maps, &[4, 8, 16, 32], 8, batch, most);
            assert_eq!(pyramid.maps().collect::<Vec<_>>(), maps);
            let (part, map) = pyramid.home(3);
            assert_eq!(part.maps()[map], maps[3]);
            pyramid.tensors.iter().map(PyramidTensor::name).collect::<Vec<_>>()
        };
        let cells = |maps: &[(usize, usize)]| maps.iter().map(|(h, w)| (h * w * 8 * ELEMENT_BYTES) as u64).sum::<u64>();
        assert_eq!(parts(1, cells(&maps)), ["P2..P6"]);
        assert_eq!(parts(1, cells(&maps) - 1), ["P2..P5", "P6"]);
        assert_eq!(parts(2, 2 * cells(&maps[1..])), ["P2", "P3..P6"]);
        // What is too large alone is left to the device to refuse.
        assert_eq!(parts(1, 1), ["P2", "P3", "P4", "P5", "P6"]);
    }
}
