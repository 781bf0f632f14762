//! Steps that are cut into several dispatches, each in a submit of its own: the same results, to the bit.

use std::time::Duration;

use maskrcnn::engine::gpu::Runner;
use maskrcnn::engine::graph::Plan;
use maskrcnn::engine::kernels::{self, REGISTRY};
use maskrcnn::engine::ops::{Info, Io};

use crate::common::{device, graph_of, same_bits, target};

/// So short that everything is cut as far as it can be.
const SHORTEST: Duration = Duration::from_nanos(1);

/// Each kernel's cases, in one variant after the other.
#[test]
fn every_kernel_does_its_grid_in_shares() {
    let (mut cut, mut failures) = (0, Vec::new());
    for (i, case) in REGISTRY.iter().flat_map(|entry| (entry.cases)()).enumerate() {
        let infos: Vec<Info> = case.inputs.iter().map(|v| Info { shape: v.shape, dtype: v.dtype() }).collect();
        let outputs = case.kernel.infer(&infos).unwrap();
        let io = Io { inputs: &infos, outputs: &outputs };
        let variants = kernels::variants(case.kernel.as_ref(), &io, &target());
        let variant = &variants[i % variants.len()];
        // What a workgroup leaves unwritten is another's, and of a new buffer 0.
        let run = |slice: bool| {
            let (graph, kept) = graph_of(&case);
            let mut runner = Runner::new(device(), Plan::new(graph, &target(), &[variant.name]).unwrap()).unwrap();
            if slice {
                runner.slice(SHORTEST);
            }
            (runner.run(&[], &kept).unwrap(), runner.submits())
        };
        let ((whole, one), (shares, several)) = (run(false), run(true));
        assert_eq!(one, 1);
        cut += usize::from(several > 1);
        if !same_bits(&whole, &shares) {
            failures.push(format!("{}, {variant}: {several} submits", case.name));
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
    assert!(cut > 100, "{cut} cases of several workgroups");
}
