//! Softmax of rows.

use super::{Case, Kernel, Launch, Params as _, Tolerance, Variant, fold_grid};
use crate::ops::Io;
use crate::ops::softmax::Softmax;
use crate::params;
use crate::rng::Rng;
use crate::target::Target;
use crate::tensor::Value;

params! { n: u32, k: u32, images_per_batch: u32, grid_x: u32 }

/// Threads of a workgroup.
const THREADS: usize = 64;

/// Threads that share a row, and the classes from which on each has one.
const LANES: usize = 16;

impl Kernel for Softmax {
    fn variants(&self, io: &Io, target: &Target) -> Vec<Variant> {
        let mut all = vec![Variant::plain(), Variant::own("lanes", &[("LANES", LANES as u32)])];
        if target.pays.workgroup_memory && io.dim(0, 1) >= LANES {
            all.reverse();
        }
        all.into_iter().map(|v| v.flag("LIVE", self.live)).collect()
    }

    fn launch(&self, io: &Io, variant: &Variant) -> Launch {
        let (n, k) = (io.dim(0, 0), io.dim(0, 1));
        let batches = if self.live { io.inputs[1].shape.len() } else { 1 };
        let rows = THREADS / variant.find("LANES").unwrap_or(1) as usize;
        let grid = fold_grid(n.div_ceil(rows));
        let params = P { n: n as u32, k: k as u32, images_per_batch: (n / batches) as u32, grid_x: grid[0] };
        Launch { grid, params: params.bytes() }
    }
}

/// Two classes, ninety-one, one, as many as lanes, and large logits.
pub fn cases() -> Vec<Case> {
    let mut rng = Rng::new(7);
    let mut case = |name: &str, n: usize, k: usize, scale: f32, live: Option<Vec<u32>>| {
        let x = (0..n * k).map(|_| rng.uniform(-scale, scale)).collect();
        let mut inputs = vec![Value::f32([n, k], x)];
        let kernel = Softmax { live: live.is_some() };
        inputs.extend(live.map(|l| Value::u32([l.len()], l)));
        Case::new(name, kernel, inputs, Tolerance::Close { absolute: 1e-7, relative: 2e-5 })
    };
    vec![
        case("one class", 3, 1, 1.0, None),
        case("two classes", 130, 2, 12.0, Some(vec![77])),
        case("91 classes", 40, 91, 5.0, Some(vec![3, 20])),
        case("large logits", 5, 4, 60.0, None),
        case("a class a lane", 66, 16, 60.0, None),
        case("as many as LVIS has", 9, 1204, 30.0, Some(vec![5])),
    ]
}
