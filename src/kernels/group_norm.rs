//! GroupNorm.

use super::{Case, Kernel, Launch, Params as _, Tolerance, Variant, fold_grid};
use crate::ops::Io;
use crate::ops::group_norm::GroupNorm;
use crate::params;
use crate::rng::Rng;
use crate::target::Target;
use crate::tensor::Value;

params! { total: u32, pixels: u32, c: u32, width: u32, groups: u32, images_per_batch: u32, eps: f32, grid_x: u32 }

impl Kernel for GroupNorm {
    fn variants(&self, io: &Io, _: &Target) -> Vec<Variant> {
        let by_four = (io.dim(0, 3) / self.groups).is_multiple_of(4);
        let quads = by_four.then(|| Variant::own("quads", &[("QUADS", 1)]));
        let all = quads.into_iter().chain([Variant::plain()]);
        all.map(|v| v.flag("LIVE", self.live).flag("RESIDUAL", self.residual).flag("RELU", self.relu)).collect()
    }

    fn launch(&self, io: &Io, variant: &Variant) -> Launch {
        let lanes = variant.find("QUADS").map_or(1, |_| 4);
        let x = io.inputs[0].shape;
        let batches = if self.live { io.inputs[io.inputs.len() - 1].shape.len() } else { 1 };
        let grid = fold_grid(x.dim(0) * self.groups);
        let params = P {
            total: (x.dim(0) * self.groups) as u32,
            pixels: (x.dim(1) * x.dim(2)) as u32,
            c: (x.dim(3) / lanes) as u32,
            width: (x.dim(3) / self.groups / lanes) as u32,
            groups: self.groups as u32,
            images_per_batch: (x.dim(0) / batches) as u32,
            eps: self.eps,
            grid_x: grid[0],
        };
        Launch { grid, params: params.bytes() }
    }
}

/// A stem's map, RoIs, groups of one and of all channels, and values far from 0, whose squares would cancel.
pub fn cases() -> Vec<Case> {
    let mut rng = Rng::new(72);
    let mut case = |name: &str, x: [usize; 4], op: GroupNorm, live: Option<Vec<u32>>, offset: f32| {
        let values = rng.tensor(x);
        let values = Value::f32(x, values.floats().iter().map(|v| v + offset).collect());
        let mut inputs = vec![values, rng.tensor([x[3]]), rng.tensor([x[3]])];
        if op.residual {
            inputs.push(rng.tensor(x));
        }
        let op = GroupNorm { live: live.is_some(), ..op };
        inputs.extend(live.map(|l| Value::u32([l.len()], l)));
        // Values of 100 are known to 8e-6, and are told apart by as much.
        let absolute = if offset > 0.0 { 1e-4 } else { 2e-6 };
        Case::new(name, op, inputs, Tolerance::Close { absolute, relative: 1e-5 })
    };
    let op = |groups| GroupNorm { groups, eps: 1e-5, residual: false, relu: false, live: false };
    vec![
        case("stem", [1, 21, 18, 64], GroupNorm { relu: true, ..op(32) }, None, 0.0),
        case("end of a block", [2, 9, 11, 128], GroupNorm { residual: true, relu: true, ..op(32) }, None, 0.0),
        case("RoIs", [10, 7, 7, 32], GroupNorm { relu: true, ..op(8) }, Some(vec![3, 5]), 0.0),
        case("a group a channel", [1, 5, 4, 6], op(6), None, 0.0),
        case("one group, odd", [2, 3, 3, 5], GroupNorm { residual: true, ..op(1) }, None, 0.0),
        case("far from 0", [1, 16, 16, 16], op(4), None, 100.0),
        case("none live", [4, 2, 2, 8], op(2), Some(vec![0]), 0.0),
    ]
}
