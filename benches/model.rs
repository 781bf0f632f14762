//! The default model on the demo image: `cargo bench --bench model`.

use criterion::{Criterion, criterion_group, criterion_main};
use maskrcnn::{Detector, Image};

fn model(c: &mut Criterion) {
    let detector = Detector::embedded().expect("a GPU");
    let image = Image::open(concat!(env!("CARGO_MANIFEST_DIR"), "/assets/demo.png")).expect("the demo image");
    c.bench_function("nuclei, demo image", |b| b.iter(|| detector.detect(&image).expect("a run")));
}

criterion_group! { name = benches; config = Criterion::default().sample_size(10); targets = model }
criterion_main!(benches);
