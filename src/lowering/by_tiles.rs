//! A selection from more elements than one workgroup should walk through: the k largest of each tile, and of those the k
//! largest. Which are taken, and the order of ties, are the same.

use std::sync::Arc;

use super::{Launchable, Link, Lowered, Lowering};
use crate::kernels::topk::MAX_K;
use crate::kernels::topk_join::TopKJoin;
use crate::kernels::topk_tiles::TopKTiles;
use crate::ops::topk::TopK;
use crate::ops::{Io, Op};
use crate::target::Target;

/// See the module.
#[derive(Debug)]
pub struct ByTiles;

/// Elements of the smallest and of the largest tile.
const TILES: [usize; 2] = [1024, 16384];

/// Elements of a tile of so many, for k of them: both steps then take as long.
fn tile(elements: usize, k: usize) -> usize {
    (elements * k).isqrt().next_power_of_two().clamp(TILES[0], TILES[1])
}

impl Lowering for ByTiles {
    fn name(&self) -> &'static str {
        "tiles"
    }

    fn lower(&self, op: &dyn Op, io: &Io, _: &Target) -> Option<Lowered> {
        let k = op.downcast::<TopK>().filter(|op| op.k <= MAX_K)?.k;
        let tiles = TopKTiles { k, tile: tile(io.inputs[0].shape.len() / io.dim(0, 0), k) };
        let scratch = tiles.infer(io.inputs).ok()?;
        let found = vec![Link::Scratch(0), Link::Scratch(1)];
        let launches = vec![
            Launchable {
                kernel: Arc::new(tiles),
                inputs: vec![Link::Input(0), Link::Input(1)],
                outputs: found.clone(),
                part: "tiles".into(),
            },
            Launchable {
                kernel: Arc::new(TopKJoin),
                inputs: found,
                outputs: vec![Link::Output(0), Link::Output(1), Link::Output(2)],
                part: "join".into(),
            },
        ];
        Some(Lowered { scratch, launches })
    }

    fn pays(&self, op: &dyn Op, io: &Io, target: &Target) -> bool {
        let Some(most) = op.downcast::<TopK>().filter(|op| op.k <= MAX_K).and(target.pays.a_workgroup_s_elements) else {
            return false;
        };
        io.inputs[0].shape.len() / (io.dim(0, 0) * io.dim(1, 0)) > most
    }
}

#[cfg(test)]
mod tests {
    use super::tile;

    #[test]
    fn both_steps_take_as_long() {
        assert_eq!(tile(242_991, 1000), 16384);
        assert_eq!(tile(90_000, 100), 4096);
        assert_eq!(tile(5000, 10), 1024);
        assert_eq!(tile(1 << 30, 1000), 16384);
    }
}
