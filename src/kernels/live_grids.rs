//! How many workgroups the launches need that follow a live count.

use super::{Caps, Case, Cost, Info, Io, Kernel, Launch, Params as _, Tolerance, Variant};
use crate::params;
use crate::tensor::{DType, Value};

params! { count: u32 }

/// Numbers of a launch in the table: units a row, units before its first, units a workgroup, the axis that rows lie along,
/// and the whole grid.
pub const COLUMNS: usize = 8;

/// Grids for indirect dispatches: of the axis along which rows lie, as many workgroups as the live rows need.
///
/// Inputs: live `[1]`, and a table `[n, 8]` of units a row, units that belong to other launches before it, units a
/// workgroup, axis, and the grid of all rows (x, y, z). Output `[n,4]`: x, y, z, and one unused.
#[derive(Clone, Debug)]
pub struct LiveGrids;

impl Kernel for LiveGrids {
    fn name(&self) -> &'static str {
        "live_grids"
    }

    fn infer(&self, inputs: &[Info]) -> Result<Vec<Info>, String> {
        let [live, table] = inputs else { return Err(format!("takes live and a table, not {inputs:?}")) };
        let fits = live.shape.len() == 1 && table.shape.rank() == 2 && table.shape.dim(1) == COLUMNS;
        if !fits || table.shape.is_empty() {
            return Err(format!("takes live [1] and a table [n,8], not {inputs:?}"));
        }
        Ok(vec![Info { shape: [table.shape.dim(0), 4].into(), dtype: DType::U32 }])
    }

    fn integers(&self) -> Vec<usize> {
        vec![0, 1]
    }

    fn variants(&self, _: &Io, _: &Caps) -> Vec<Variant> {
        vec![Variant::new("plain", &[])]
    }

    fn launch(&self, io: &Io, _: &Variant) -> Launch {
        let count = io.dim(1, 0) as u32;
        Launch { grid: [count.div_ceil(64), 1, 1], params: P { count }.bytes() }
    }

    fn cost(&self, io: &Io) -> Cost {
        Cost::of(io, 0.0)
    }

    /// Counts the workgroups that have a live unit, one after the other.
    fn twin(&self, inputs: &[Value]) -> Vec<Value> {
        let live = u64::from(inputs[0].ints()[0]);
        let grid = |row: &[u32]| {
            let [units, first, block] = [0, 1, 2].map(|i| u64::from(row[i]));
            let mut grid = [row[4], row[5], row[6], 0];
            let axis = row[3] as usize;
            grid[axis] = (0..u64::from(grid[axis])).filter(|b| first + b * block < live * units).count() as u32;
            grid
        };
        let rows = inputs[1].shape.dim(0);
        vec![Value::u32([rows, 4], inputs[1].ints().chunks(COLUMNS).flat_map(grid).collect())]
    }
}

/// All, some and no rows live, pieces, every axis.
pub fn cases() -> Vec<Case> {
    let table = || {
        let rows: [[u32; COLUMNS]; 5] = [
            [196, 0, 128, 0, 460, 1, 16, 0],
            [512, 53_248, 64, 0, 832, 1, 1, 0],
            [16, 1_664, 128, 0, 13, 1, 144, 0],
            [1, 0, 1, 1, 25, 300, 1, 0],
            [7, 3, 5, 2, 2, 3, 4, 0],
        ];
        Value::u32([5, COLUMNS], rows.concat())
    };
    let case = |name: &str, live| Case::new(name, LiveGrids, vec![Value::u32([1], vec![live]), table()], Tolerance::Exact);
    vec![case("all live", 300), case("some live", 84), case("one live", 1), case("none live", 0)]
}
