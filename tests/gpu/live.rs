//! Grids that follow a live count: as large as they must be, and no larger.

use crate::common::{Twins, device, difference, graph_of, run_plan, target};
use maskrcnn::engine::graph::Plan;
use maskrcnn::engine::kernels::live_grids::LiveGrids;
use maskrcnn::engine::kernels::{Case, REGISTRY};
use maskrcnn::engine::ops::{Info, Io, Op};
use maskrcnn::engine::tensor::Value;

/// Each case that has a live count, once by each grid of its variants: with the workgroups that the count asks for it gives what its
/// twin gives, with one fewer it does not, and where all rows are live none is left out.
#[test]
fn grids_have_the_workgroups_that_live_rows_need() {
    let (mut ran, mut cut) = (Vec::new(), 0);
    for (entry, case) in REGISTRY.iter().flat_map(|entry| (entry.cases)().into_iter().map(move |case| (entry, case))) {
        let infos: Vec<Info> = case.inputs.iter().map(|v| Info { shape: v.shape, dtype: v.dtype() }).collect();
        let outputs = case.kernel.infer(&infos).unwrap();
        let io = Io { inputs: &infos, outputs: &outputs };
        let mut seen = Vec::new();
        for variant in case.kernel.variants(&io, &target()) {
            let Some(follows) = case.kernel.live_grid(&io, &variant).filter(|g| !seen.contains(g)) else { continue };
            seen.push(follows);
            let (graph, kept) = graph_of(&case);
            let plan = Plan::new(graph, &target(), &[variant.name]).unwrap();
            let [x, y, z] = plan.steps[0].launch.grid;
            // A grid that is folded along two axes stays whole.
            if plan.steps.len() > 1 || follows.axis == 0 && y > 1 {
                continue;
            }
            let counts = &case.inputs[follows.input];
            let each = follows.rows / counts.shape.len().max(1) as u32;
            let grid = |counts: &Value| -> [u32; 3] {
                let row = vec![follows.units, follows.first, follows.block, follows.axis as u32, x, y, z, each];
                let made = LiveGrids.twin(&[counts.clone(), Value::u32([1, 8], row)]);
                made[0].ints()[..3].try_into().unwrap()
            };
            let label = format!("{}, {}, {variant}: {follows:?}", entry.name, case.name);
            if each > 0 {
                assert_eq!(
                    follows.total.div_ceil(follows.block),
                    [x, y, z][follows.axis],
                    "{label}: all units of the launch"
                );
            }
            let all = Value::u32(counts.shape, vec![u32::MAX; counts.shape.len()]);
            assert_eq!(grid(&all), [x, y, z], "{label}: all are live");
            let none = Value::u32(counts.shape, vec![0; counts.shape.len()]);
            assert_eq!(grid(&none)[follows.axis], 0, "{label}: none is live");

            let wrong = |case: &Case, plan: &Plan, grid: [u32; 3]| {
                let mut plan = plan.clone();
                plan.steps[0].launch.grid = grid;
                let got = run_plan(device(), plan, &kept, false, 1, &case.name).remove(0);
                let twins = Twins::new(case);
                got.iter().zip(twins.of(&variant)).find_map(|(got, want)| difference(got, want, case.tolerance))
            };
            let mut needed = grid(counts);
            assert_eq!(wrong(&case, &plan, needed), None, "{label}: by {needed:?}");
            if needed[follows.axis] > 1 {
                needed[follows.axis] -= 1;
                assert!(wrong(&case, &plan, needed).is_some(), "{label}: {needed:?} would have done");
                cut += 1;
            }
        }
        if !seen.is_empty() {
            ran.push(entry.name);
        }
    }
    ran.dedup();
    println!("{ran:?}, {cut} grids");
    assert!(ran.len() > 12 && cut > 20, "{ran:?}, {cut} grids");
}
