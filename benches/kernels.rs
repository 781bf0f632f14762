//! Every kernel's cases, best variant first, by the GPU's own clock: `cargo bench --bench kernels -- conv2d`.
//!
//! Where a device has no time stamps within a pass, it is the wall's. `maskrcnn bench` measures a network's own shapes.

use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use maskrcnn::engine::gpu::{Device, Runner};
use maskrcnn::engine::graph::{Graph, Plan, Tensor};
use maskrcnn::engine::kernels::REGISTRY;

/// Runs in one submit at most: a watchdog may kill what lasts for seconds.
const MOST: u64 = 200;

fn kernels(c: &mut Criterion) {
    let device = Device::open(None).expect("a GPU");
    for entry in REGISTRY {
        let mut group = c.benchmark_group(entry.name);
        for case in (entry.cases)() {
            let mut g = Graph::new();
            let inputs: Vec<Tensor> = case.inputs.iter().map(|v| g.constant("input", Arc::new(v.clone()))).collect();
            let outputs = g.op_shared(&case.name, case.kernel.clone(), &inputs).expect("a case that fits");
            outputs.iter().for_each(|&t| g.keep(t));
            let mut runner = Runner::new(&device, Plan::new(g, &device.target(), &[]).unwrap()).expect("a runner");
            group.bench_function(&case.name, |b| {
                b.iter_custom(|iterations| {
                    let mut seconds = 0.0;
                    let mut left = iterations;
                    while left > 0 {
                        let times = left.min(MOST);
                        let replay = runner.replay(times as usize).expect("a run");
                        seconds += replay.gpu.unwrap_or(replay.wall) * times as f64;
                        left -= times;
                    }
                    Duration::from_secs_f64(seconds)
                })
            });
        }
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10).warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_secs(1));
    targets = kernels
}
criterion_main!(benches);
