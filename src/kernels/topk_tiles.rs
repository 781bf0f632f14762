//! The k largest of each tile of each segment.

use crate::rng::Rng;
use super::{topk, Case, Kernel, Launch, Params as _, Tolerance, Variant};
use crate::ops::topk::{NONE, TopK};
use crate::ops::{Cost, Info, Io, Op, Operand, Setting, settings, value};
use crate::params;
use crate::target::Target;
use crate::tensor::{DType, Shape, Value};

params! { length: u32, segments: u32, k: u32, tile: u32, tiles: u32 }

/// The k largest of each tile of each segment: the first of the two steps of [`crate::lowering::by_tiles`].
///
/// Inputs: x `[B,L]`, segments `[S,2]` (begin and length within L). Outputs: values `[B,S,tiles,k]` by falling value, ties by
/// rising index, [`NONE`] past those that there are; indices `[B,S,tiles,k]` within the segment, 0 there. There are as many
/// tiles as the longest segment can have.
#[derive(Clone, Debug)]
pub struct TopKTiles {
    /// How many of each tile.
    pub k: usize,
    /// Elements of a tile.
    pub tile: usize,
}

impl TopKTiles {
    /// Tiles of x.
    pub(crate) fn tiles(&self, x: &Shape) -> usize {
        (x.len() / x.dim(0).max(1)).div_ceil(self.tile.max(1)).max(1)
    }
}

impl Op for TopKTiles {
    fn name(&self) -> &'static str {
        "topk_tiles"
    }

    fn operands(&self) -> Vec<Operand> {
        TopK { k: self.k }.operands()
    }

    fn infer(&self, inputs: &[Info]) -> Result<Vec<Info>, String> {
        TopK { k: self.k }.infer(inputs)?;
        if self.tile == 0 {
            return Err("a tile of nothing".into());
        }
        let (b, s) = (inputs[0].shape.dim(0), inputs[1].shape.dim(0));
        let shape: Shape = [b, s, self.tiles(&inputs[0].shape), self.k].into();
        Ok(vec![Info::f32(shape), Info { shape, dtype: DType::U32 }])
    }

    fn cost(&self, io: &Io) -> Cost {
        Cost::of(io, 5.0 * io.inputs[0].shape.len() as f64)
    }

    /// Sorts each tile whole.
    fn twin(&self, inputs: &[Value]) -> Vec<Value> {
        let (x, segments) = (&inputs[0], inputs[1].ints());
        let (b, tiles) = (x.shape.dim(0), self.tiles(&x.shape));
        let (mut values, mut indices) = (Vec::new(), Vec::new());
        for image in x.floats().chunks(x.shape.len() / b) {
            for segment in segments.chunks(2).map(|s| &image[s[0] as usize..][..s[1] as usize]) {
                for tile in 0..tiles {
                    let elements = segment.iter().enumerate().skip(tile * self.tile).take(self.tile);
                    let mut all: Vec<(usize, f32)> = elements.map(|(i, v)| (i, *v)).filter(|e| e.1 > NONE).collect();
                    all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
                    all.resize(self.k.max(all.len()), (0, NONE));
                    values.extend(all.iter().take(self.k).map(|e| e.1));
                    indices.extend(all.iter().take(self.k).map(|e| e.0 as u32));
                }
            }
        }
        let shape = [b, segments.len() / 2, tiles, self.k];
        vec![Value::f32(shape, values), Value::u32(shape, indices)]
    }

    fn settings(&self) -> Vec<Setting> {
        settings([("k", value(self.k)), ("tile", value(self.tile))])
    }
}

impl Kernel for TopKTiles {
    fn variants(&self, _: &Io, target: &Target) -> Vec<Variant> {
        topk::workgroups(["a workgroup a tile", "a large workgroup a tile"], self.k, target)
    }

    fn launch(&self, io: &Io, _: &Variant) -> Launch {
        let (b, s, tiles) = (io.dim(0, 0), io.dim(1, 0), self.tiles(&io.inputs[0].shape));
        let [length, segments, k, tile, tiles] =
            [io.inputs[0].shape.len() / b, s, self.k, self.tile, tiles].map(|n| n as u32);
        let params = P { length, segments, k, tile, tiles };
        Launch { grid: [tiles, segments, b as u32], params: params.bytes() }
    }
}

/// Several tiles and one; a last one that is short; segments that end before the last tile; ties, nothing, a batch.
pub fn cases() -> Vec<Case> {
    let mut rng = Rng::new(31);
    let mut case = |name: &str, (k, tile): (usize, usize), batch: usize, segments: Vec<u32>, some: usize| {
        let length = segments.chunks(2).map(|s| s[0] + s[1]).max().unwrap_or(1) as usize;
        let element = |r: &mut Rng| match r.below(some + some / 4) {
            i if i < some => i as f32 / some as f32 - 0.4,
            _ => NONE,
        };
        let x: Vec<f32> = (0..batch * length).map(|_| element(&mut rng)).collect();
        let inputs = vec![Value::f32([batch, length], x), Value::u32([segments.len() / 2, 2], segments)];
        Case::new(name, TopKTiles { k, tile }, inputs, Tolerance::Exact)
    };
    vec![
        case("levels", (1000, 4096), 1, vec![0, 19200, 19200, 4800, 24000, 1200, 25200, 300], 1 << 20),
        case("batch", (20, 64), 3, vec![5, 200, 205, 70], 1 << 20),
        case("ties", (30, 100), 1, vec![0, 950], 7),
        case("one tile", (10, 1024), 1, vec![3, 500], 1 << 20),
        case("more wanted than a tile has", (64, 16), 1, vec![0, 40], 50),
        case("one", (1, 1), 1, vec![0, 3], 4),
    ]
}
