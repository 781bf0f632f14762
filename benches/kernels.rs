//! Every kernel's cases, best variant first: `cargo bench --bench kernels -- conv2d`.

use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use maskrcnn::gpu::{Device, Runner};
use maskrcnn::graph::{Graph, Plan, Tensor};
use maskrcnn::kernels::REGISTRY;

fn kernels(c: &mut Criterion) {
    let device = Device::open(None).expect("a GPU");
    for entry in REGISTRY {
        let mut group = c.benchmark_group(entry.name);
        for case in (entry.cases)() {
            let mut g = Graph::new();
            let inputs: Vec<Tensor> = case.inputs.iter().map(|v| g.constant("input", Arc::new(v.clone()))).collect();
            let outputs = g.op_shared(&case.name, case.kernel.clone(), &inputs).expect("a case that fits");
            outputs.iter().for_each(|&t| g.keep(t));
            let mut runner = Runner::new(&device, Plan::new(g, &device.caps(), &[])).expect("a runner");
            group.bench_function(&case.name, |b| b.iter(|| runner.run(&[], &[]).expect("a run")));
        }
        group.finish();
    }
}

criterion_group! { name = benches; config = Criterion::default().sample_size(10); targets = kernels }
criterion_main!(benches);
