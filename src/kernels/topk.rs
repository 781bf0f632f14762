//! The k largest of each segment.

use crate::rng::Rng;
use super::{Case, Kernel, Launch, Params as _, Tolerance, Variant};
use crate::ops::topk::{NONE, TopK};
use crate::ops::{Info, Io};
use crate::params;
use crate::target::Target;
use crate::tensor::Value;

params! { length: u32, segments: u32, k: u32 }

/// Most elements that one segment can give: what a sort in 16 KiB of workgroup memory holds. More take three steps
/// ([`crate::lowering::radix`]).
pub const MAX_K: usize = 1024;

/// Threads of a workgroup that selects.
pub(super) const THREADS: [u32; 2] = [256, 1024];

/// Bytes of workgroup memory that so many threads take: bins, two counts a thread and their sums, and what they agree on.
fn workgroup_bytes(threads: u32) -> u32 {
    8192 + 8 * threads + 128 + 8
}

/// The variants of a selection of `k` by such workgroups, of the first name by the fewest threads: more have fewer turns to
/// wait for memory in.
pub(super) fn workgroups(names: [&'static str; 2], k: usize, target: &Target) -> Vec<Variant> {
    let can = &target.can;
    let pays = |threads: u32| threads == THREADS[0] || target.pays.a_workgroup_s_elements.is_some();
    let fits = |threads: u32| threads <= can.max_invocations && workgroup_bytes(threads) <= can.workgroup_bytes;
    let sort = k.next_power_of_two().max(2) as u32;
    let all = names.into_iter().zip(THREADS).rev().filter(|(_, threads)| pays(*threads) && fits(*threads));
    all.map(|(name, threads)| Variant::own(name, &[("SORT", sort), ("THREADS", threads)])).collect()
}

impl Kernel for TopK {
    fn takes(&self, _: &[Info]) -> bool {
        self.k <= MAX_K
    }

    fn variants(&self, _: &Io, target: &Target) -> Vec<Variant> {
        workgroups(["one workgroup", "one large workgroup"], self.k, target)
    }

    fn launch(&self, io: &Io, _: &Variant) -> Launch {
        let (b, s) = (io.dim(0, 0), io.dim(1, 0));
        let length = (io.inputs[0].shape.len() / b) as u32;
        let params = P { length, segments: s as u32, k: self.k as u32 };
        Launch { grid: [s as u32, b as u32, 1], params: params.bytes() }
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
