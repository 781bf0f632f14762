//! How many workgroups the launches need that follow a live count.

use super::{Case, Kernel, Launch, Params as _, Tolerance, Variant};
use crate::ops::{Cost, Info, Io, Op, Operand};
use crate::params;
use crate::target::Target;
use crate::tensor::{DType, Value};

params! { count: u32, batches: u32 }

/// Numbers of a launch in the table: units a row, units before its first, units a workgroup, the axis that rows lie along,
/// the whole grid, and the rows of a batch (0 where each batch has the whole axis).
pub const COLUMNS: usize = 8;

/// Grids for indirect dispatches: of the axis along which rows lie, the workgroups up to the last that has a live unit.
///
/// Inputs: live `[B]`, and a table `[n, 8]` of units a row, units that belong to other launches before it, units a
/// workgroup, axis, the grid of all rows (x, y, z), and the rows of a batch. Output `[n,4]`: x, y, z, and one unused.
#[derive(Clone, Debug)]
pub struct LiveGrids;

impl Op for LiveGrids {
    fn name(&self) -> &'static str {
        "live_grids"
    }

    fn operands(&self) -> Vec<Operand> {
        vec![Operand::LIVE, Operand::u32("table", 2)]
    }

    fn infer(&self, inputs: &[Info]) -> Result<Vec<Info>, String> {
        let table = inputs[1];
        if table.shape.dim(1) != COLUMNS {
            return Err(format!("takes live [B] and a table [n,8], not {inputs:?}"));
        }
        Ok(vec![Info { shape: [table.shape.dim(0), 4].into(), dtype: DType::U32 }])
    }

    fn cost(&self, io: &Io) -> Cost {
        Cost::of(io, 0.0)
    }

    /// Looks at the units of each workgroup, from the last one on.
    fn twin(&self, inputs: &[Value]) -> Vec<Value> {
        let live = inputs[0].ints();
        let grid = |row: &[u32]| {
            let [units, first, block, rows] = [0, 1, 2, 7].map(|i| u64::from(row[i]));
            let mut grid = [row[4], row[5], row[6], 0];
            let axis = row[3] as usize;
            let is_live = |unit: u64| {
                let row = unit / units;
                match rows {
                    0 => live.iter().any(|&n| row < u64::from(n)),
                    _ => live.get((row / rows) as usize).is_some_and(|&n| row % rows < u64::from(n)),
                }
            };
            let busy = |b: &u64| (first + b * block..first + (b + 1) * block).any(is_live);
            grid[axis] = (0..u64::from(grid[axis])).rev().find(busy).map_or(0, |b| b as u32 + 1);
            grid
        };
        let rows = inputs[1].shape.dim(0);
        vec![Value::u32([rows, 4], inputs[1].ints().chunks(COLUMNS).flat_map(grid).collect())]
    }
}

impl Kernel for LiveGrids {
    fn variants(&self, _: &Io, _: &Target) -> Vec<Variant> {
        vec![Variant::plain()]
    }

    fn launch(&self, io: &Io, _: &Variant) -> Launch {
        let (count, batches) = (io.dim(1, 0) as u32, io.inputs[0].shape.len() as u32);
        Launch { grid: [count.div_ceil(64), 1, 1], params: P { count, batches }.bytes() }
    }
}

/// All, some and no rows live, pieces, every axis, one batch and several.
pub fn cases() -> Vec<Case> {
    let table = |rows: u32| {
        let launches: [[u32; COLUMNS]; 6] = [
            [196, 0, 128, 0, 460, 1, 16, rows],
            [512, 53_248, 64, 0, 832, 1, 1, rows],
            [16, 1_664, 128, 0, 13, 1, 144, rows],
            [1, 0, 1, 1, 25, 300, 1, rows],
            [1, 0, 1, 1, 25, rows, 300 / rows, 0],
            [7, 3, 5, 2, 2, 3, 4, rows],
        ];
        Value::u32([6, COLUMNS], launches.concat())
    };
    let case = |name: &str, live: &[u32]| {
        let rows = 300 / live.len() as u32;
        Case::new(name, LiveGrids, vec![Value::u32([live.len()], live.to_vec()), table(rows)], Tolerance::Exact)
    };
    vec![
        case("all live", &[300]),
        case("some live", &[84]),
        case("one live", &[1]),
        case("none live", &[0]),
        case("batches", &[40, 0, 75, 3]),
        case("batches, the last dead", &[1, 100, 0]),
    ]
}
