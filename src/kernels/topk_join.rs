//! The k largest of each segment, of those of its tiles.

use crate::rng::Rng;
use super::{topk, Case, Kernel, Launch, Params as _, Tolerance, Variant};
use crate::ops::topk::NONE;
use crate::ops::{Cost, Info, Io, Op, Operand, Setting, settings};
use crate::params;
use crate::target::Target;
use crate::tensor::{DType, Value};

params! { segments: u32, k: u32, length: u32 }

/// What [`super::topk_tiles::TopKTiles`] found, as one: the second step of two.
///
/// Inputs: values `[B,S,tiles,k]`, indices `[B,S,tiles,k]`. Outputs: values `[B,S,k]` ([`NONE`] past the count), indices
/// `[B,S,k]` (0 past the count), counts `[B,S]`.
#[derive(Clone, Debug)]
pub struct TopKJoin;

impl Op for TopKJoin {
    fn name(&self) -> &'static str {
        "topk_join"
    }

    fn operands(&self) -> Vec<Operand> {
        vec![Operand::f32("values", 4), Operand::u32("indices", 4)]
    }

    fn infer(&self, inputs: &[Info]) -> Result<Vec<Info>, String> {
        let [values, indices] = inputs else { return Err(format!("takes values and indices, not {inputs:?}")) };
        let v = values.shape;
        if indices.shape != v {
            return Err(format!("takes values and indices [B,S,tiles,k], not {inputs:?}"));
        }
        let (b, s, k) = (v.dim(0), v.dim(1), v.dim(3));
        let ints = |shape: &[usize]| Info { shape: crate::tensor::Shape::new(shape), dtype: DType::U32 };
        Ok(vec![Info::f32([b, s, k]), ints(&[b, s, k]), ints(&[b, s])])
    }

    fn cost(&self, io: &Io) -> Cost {
        Cost::of(io, 5.0 * io.inputs[0].shape.len() as f64)
    }

    /// By index among equals, whatever the order that they come in.
    fn twin(&self, inputs: &[Value]) -> Vec<Value> {
        let shape = inputs[0].shape;
        let (b, s, k) = (shape.dim(0), shape.dim(1), shape.dim(3));
        let (mut values, mut indices, mut counts) = (Vec::new(), Vec::new(), Vec::new());
        let a_segment = shape.dim(2) * k;
        for (v, i) in inputs[0].floats().chunks(a_segment).zip(inputs[1].ints().chunks(a_segment)) {
            let mut all: Vec<(f32, u32)> = v.iter().copied().zip(i.iter().copied()).filter(|e| e.0 > NONE).collect();
            all.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            all.truncate(k);
            counts.push(all.len() as u32);
            all.resize(k, (NONE, 0));
            values.extend(all.iter().map(|e| e.0));
            indices.extend(all.iter().map(|e| e.1));
        }
        vec![Value::f32([b, s, k], values), Value::u32([b, s, k], indices), Value::u32([b, s], counts)]
    }

    fn settings(&self) -> Vec<Setting> {
        settings([])
    }
}

impl Kernel for TopKJoin {
    fn variants(&self, io: &Io, target: &Target) -> Vec<Variant> {
        topk::workgroups(["one workgroup", "one large workgroup"], io.dim(0, 3), target)
    }

    fn launch(&self, io: &Io, _: &Variant) -> Launch {
        let [b, s, tiles, k] = [0, 1, 2, 3].map(|axis| io.dim(0, axis) as u32);
        Launch { grid: [s, b, 1], params: P { segments: s, k, length: tiles * k }.bytes() }
    }
}

/// What tiles give: sorted, ties by rising index, nothing past those that there are.
pub fn cases() -> Vec<Case> {
    let mut rng = Rng::new(32);
    let mut case = |name: &str, shape: [usize; 4], some: usize| {
        let (mut values, mut indices) = (Vec::new(), Vec::new());
        for tile in 0..shape[0] * shape[1] * shape[2] {
            let n = rng.below(shape[3] + 1);
            let mut all: Vec<(f32, u32)> = (0..n)
                .map(|i| (rng.below(some) as f32 / some as f32 - 0.5, (tile % shape[2] * 5000 + 2 * i) as u32))
                .collect();
            all.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            all.resize(shape[3], (NONE, 0));
            values.extend(all.iter().map(|e| e.0));
            indices.extend(all.iter().map(|e| e.1));
        }
        let inputs = vec![Value::f32(shape, values), Value::u32(shape, indices)];
        Case::new(name, TopKJoin, inputs, Tolerance::Exact)
    };
    vec![
        case("levels", [1, 5, 15, 1000], 1 << 20),
        case("batch", [3, 2, 4, 20], 1 << 20),
        case("ties", [1, 1, 9, 30], 5),
        case("one tile", [1, 1, 1, 10], 1 << 20),
        case("one", [1, 1, 3, 1], 4),
    ]
}
