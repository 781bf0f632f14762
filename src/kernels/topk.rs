//! The k largest of each segment.

use super::case::Rng;
use super::{Caps, Case, Cost, Info, Io, Kernel, Launch, Params as _, Tolerance, Variant};
use crate::params;
use crate::tensor::{DType, Value};

params! { length: u32, segments: u32, k: u32 }

/// A score that stands for nothing: the lowest finite float.
pub const NONE: f32 = f32::MIN;

/// Most elements that one segment can give: what a sort in 16 KiB of workgroup memory holds. More take three steps, from
/// [`super::topk_select::TopKSelect`] on: [`crate::graph::Graph::top_k`].
pub const MAX_K: usize = 1024;

/// The k largest of each segment, by falling value, ties by rising index; [`NONE`] and NaN are never taken.
///
/// Inputs: x `[B,L]`, segments `[S,2]` (begin and length within L). Outputs: values `[B,S,k]` ([`NONE`] past the
/// count), indices `[B,S,k]` within the segment (0 past the count), counts `[B,S]`.
#[derive(Clone, Debug)]
pub struct TopK {
    /// How many; at most [`MAX_K`].
    pub k: usize,
}

impl Kernel for TopK {
    fn name(&self) -> &'static str {
        "topk"
    }

    fn infer(&self, inputs: &[Info]) -> Result<Vec<Info>, String> {
        let [x, s] = inputs else { return Err(format!("takes x [B,L] and segments [S,2], not {inputs:?}")) };
        if x.shape.rank() < 2 || x.shape.is_empty() || s.dtype != DType::U32 || s.shape.rank() != 2 || s.shape.dim(1) != 2 {
            return Err(format!("takes x [B,L] and segments [S,2], not {inputs:?}"));
        }
        if self.k == 0 || self.k > MAX_K {
            return Err(format!("k = {} is not in 1..={MAX_K}", self.k));
        }
        let (b, s) = (x.shape.dim(0), s.shape.dim(0));
        Ok(vec![Info::f32([b, s, self.k]), Info::u32([b, s, self.k]), Info::u32([b, s])])
    }

    fn integers(&self) -> Vec<usize> {
        vec![1]
    }

    fn variants(&self, _: &Io, _: &Caps) -> Vec<Variant> {
        vec![Variant::new("one workgroup", &[("SORT", self.k.next_power_of_two().max(2) as u32)])]
    }

    fn launch(&self, io: &Io, _: &Variant) -> Launch {
        let (b, s) = (io.dim(0, 0), io.dim(1, 0));
        let length = (io.inputs[0].shape.len() / b) as u32;
        let params = P { length, segments: s as u32, k: self.k as u32 };
        Launch { grid: [s as u32, b as u32, 1], params: params.bytes() }
    }

    fn cost(&self, io: &Io) -> Cost {
        Cost::of(io, io.inputs[0].shape.len() as f64)
    }

    /// A full stable sort.
    fn twin(&self, inputs: &[Value]) -> Vec<Value> {
        let (x, b, s) = (inputs[0].floats(), inputs[0].shape.dim(0), inputs[1].shape.dim(0));
        let (mut values, mut indices, mut counts) = (Vec::new(), Vec::new(), Vec::new());
        for image in x.chunks(x.len() / b) {
            for segment in inputs[1].ints().chunks(2) {
                let part = &image[segment[0] as usize..][..segment[1] as usize];
                let mut order: Vec<usize> = (0..part.len()).filter(|&i| part[i] > NONE).collect();
                order.sort_by(|&a, &b| part[b].total_cmp(&part[a]));
                order.truncate(self.k);
                counts.push(order.len() as u32);
                values.extend(order.iter().map(|&i| part[i]).chain(std::iter::repeat(NONE)).take(self.k));
                indices.extend(order.iter().map(|&i| i as u32).chain(std::iter::repeat(0)).take(self.k));
            }
        }
        vec![
            Value::f32([b, s, self.k], values),
            Value::u32([b, s, self.k], indices),
            Value::u32([b, s], counts),
        ]
    }
}

/// The network's levels, ties, too few, none, one.
pub fn cases() -> Vec<Case> {
    let mut rng = Rng::new(8);
    let mut out = Vec::new();
    let mut case = |name: &str, k: usize, batch: usize, segments: Vec<u32>, mut value: Box<dyn FnMut(&mut Rng) -> f32>| {
        let length = segments.chunks(2).map(|s| s[0] + s[1]).max().unwrap_or(1) as usize;
        let x: Vec<f32> = (0..batch * length).map(|_| value(&mut rng)).collect();
        let inputs = vec![Value::f32([batch, length], x), Value::u32([segments.len() / 2, 2], segments)];
        out.push(Case::new(name, TopK { k }, inputs, Tolerance::Exact));
    };
    let logits = || Box::new(|r: &mut Rng| r.uniform(-15.0, 9.0));
    case("rpn levels", 1000, 1, vec![0, 19200, 19200, 4800, 24000, 1200, 25200, 300, 25500, 75], logits());
    case("batch", 100, 2, vec![0, 500, 500, 70], logits());
    case("ties", 300, 1, vec![0, 3000], Box::new(|r| r.below(7) as f32 - 3.0));
    case("all equal", 17, 1, vec![5, 600], Box::new(|_| 0.25));
    case("zeros of both signs and tiny ones", 64, 1, vec![0, 500], Box::new(|r| r.uniform(-1e-6, 1e-6)));
    case("half is nothing", 1000, 1, vec![0, 1500], Box::new(|r| if r.below(2) == 0 { NONE } else { r.uniform(-1.0, 1.0) }));
    case("fewer than k", 1000, 1, vec![0, 3], logits());
    case("nothing", 10, 1, vec![0, 50], Box::new(|_| NONE));
    case("one", 1, 1, vec![0, 1], logits());
    case("one of many", 1, 1, vec![0, 777], logits());
    case("large logits", 128, 1, vec![0, 999], Box::new(|r| r.uniform(-1e30, 1e30)));
    out
}
