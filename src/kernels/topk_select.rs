//! The k largest of each segment, not yet in order.

use crate::rng::Rng;
use super::topk_sort::CHUNK;
use super::{topk, Case, Kernel, Launch, Params as _, Tolerance, Variant};
use crate::ops::topk::{NONE, TopK};
use crate::ops::{Cost, Info, Io, Op, Operand, Setting, settings, value};
use crate::params;
use crate::target::Target;
use crate::tensor::Value;

params! { length: u32, segments: u32, k: u32, room: u32 }

/// The k largest of each segment by rising index; of equal ones the first. The first of three steps that do what
/// [`TopK`] does, for any k.
///
/// Inputs: x `[B,L]`, segments `[S,2]` (begin and length within L). Outputs: pairs `[B,S,room,2]` of a key that orders as
/// the floats do and an index within the segment, room being k rounded up to whole runs; counts `[B,S]`.
#[derive(Clone, Debug)]
pub struct TopKSelect {
    /// How many.
    pub k: usize,
}

impl TopKSelect {
    fn room(&self) -> usize {
        self.k.next_multiple_of(CHUNK)
    }
}

impl Op for TopKSelect {
    fn name(&self) -> &'static str {
        "topk_select"
    }

    fn operands(&self) -> Vec<Operand> {
        vec![Operand::f32("x", 0).of_any_rank(), Operand::u32("segments", 2)]
    }

    fn infer(&self, inputs: &[Info]) -> Result<Vec<Info>, String> {
        // What the whole selection takes, its first step takes.
        let [b, s] = TopK { k: self.k }.infer(inputs)?[2].shape.dims()[..] else { return Err("has no counts".into()) };
        let [b, s] = [b, s].map(|n| n as usize);
        Ok(vec![Info::u32([b, s, self.room(), 2]), Info::u32([b, s])])
    }

    fn cost(&self, io: &Io) -> Cost {
        Cost::of(io, io.inputs[0].shape.len() as f64)
    }

    /// Sorts, takes the first k, and sorts those by index.
    fn twin(&self, inputs: &[Value]) -> Vec<Value> {
        let (x, b, s) = (inputs[0].floats(), inputs[0].shape.dim(0), inputs[1].shape.dim(0));
        let (mut pairs, mut counts) = (Vec::new(), Vec::new());
        for image in x.chunks(x.len() / b) {
            for segment in inputs[1].ints().chunks(2) {
                let part = &image[segment[0] as usize..][..segment[1] as usize];
                let mut order: Vec<usize> = (0..part.len()).filter(|&i| part[i] > NONE).collect();
                order.sort_by(|&a, &b| part[b].total_cmp(&part[a]));
                order.truncate(self.k);
                order.sort_unstable();
                counts.push(order.len() as u32);
                let end = pairs.len() + 2 * self.room();
                pairs.extend(order.iter().flat_map(|&i| [key(part[i]), i as u32]));
                pairs.resize(end, u32::MAX);
            }
        }
        vec![Value::u32([b, s, self.room(), 2], pairs), Value::u32([b, s], counts)]
    }

    fn settings(&self) -> Vec<Setting> {
        settings([("k", value(self.k))])
    }
}

impl Kernel for TopKSelect {
    fn variants(&self, _: &Io, _: &Target) -> Vec<Variant> {
        vec![Variant::own("one workgroup", &[("THREADS", topk::THREADS[0])])]
    }

    fn launch(&self, io: &Io, _: &Variant) -> Launch {
        let (b, s) = (io.dim(0, 0), io.dim(1, 0));
        let length = (io.inputs[0].shape.len() / b) as u32;
        let params = P { length, segments: s as u32, k: self.k as u32, room: self.room() as u32 };
        Launch { grid: [s as u32, b as u32, 1], params: params.bytes() }
    }
}

/// A number that orders as the floats do, -0 before 0: counts the floats from the lowest on.
pub(super) fn key(v: f32) -> u32 {
    let steps = i64::from(v.abs().to_bits());
    let below = if v.is_sign_negative() { -steps - 1 } else { steps };
    (below + (1 << 31)) as u32
}

/// More than a workgroup sorts, ties across the limit, too few, none, batches.
pub fn cases() -> Vec<Case> {
    let mut rng = Rng::new(21);
    let mut out = Vec::new();
    let mut case = |name: &str, k: usize, batch: usize, segments: Vec<u32>, mut value: Box<dyn FnMut(&mut Rng) -> f32>| {
        let length = segments.chunks(2).map(|s| s[0] + s[1]).max().unwrap_or(1) as usize;
        let x: Vec<f32> = (0..batch * length).map(|_| value(&mut rng)).collect();
        let inputs = vec![Value::f32([batch, length], x), Value::u32([segments.len() / 2, 2], segments)];
        out.push(Case::new(name, TopKSelect { k }, inputs, Tolerance::Exact));
    };
    let logits = || Box::new(|r: &mut Rng| r.uniform(-15.0, 9.0));
    case("rpn levels", 6000, 1, vec![0, 19200, 19200, 4800, 24000, 1200], logits());
    case("ties", 2000, 2, vec![0, 3000, 500, 2500], Box::new(|r| r.below(7) as f32 - 3.0));
    case("zeros of both signs", 1500, 1, vec![0, 4000], Box::new(|r| if r.below(2) == 0 { 0.0 } else { -0.0 }));
    case("half is nothing", 2048, 1, vec![0, 3000], Box::new(|r| if r.below(2) == 0 { NONE } else { r.uniform(-1.0, 1.0) }));
    case("nothing, and three", 1025, 1, vec![0, 0, 7, 3], logits());
    case("few", 9, 1, vec![0, 777], logits());
    out
}
