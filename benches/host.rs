//! The host's share of a frame, with kernels that do nothing: `cargo bench --bench host`.

use std::time::Instant;

use maskrcnn::engine::compiled::{CompiledNetwork, PlannedNetwork};
use maskrcnn::engine::gpu::Pool;
use maskrcnn::engine::weights::NetworkWeights;
use maskrcnn::{Detector, Device, Image, Tuning};

/// CPU milliseconds of this thread so far, by the system's account; none where it keeps none. A driver's threads are not
/// in it.
fn cpu() -> Option<f64> {
    let account = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    account.split(' ').next()?.parse::<f64>().ok().map(|ns| ns * 1e-6)
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

/// One frame after the other; prints what each takes.
fn frames(
    name: &str,
    network: &mut CompiledNetwork,
    image: &Image,
    size: maskrcnn::engine::model::NetworkSize,
    n: usize,
) {
    let mut parts: [Vec<f64>; 4] = Default::default();
    let mut before = None;
    for frame in 0..n + 5 {
        if frame == 5 {
            parts = Default::default();
            before = cpu();
        }
        let mut begin = Instant::now();
        let mut lap = |part: usize| {
            parts[part].push(begin.elapsed().as_secs_f64() * 1e3);
            begin = Instant::now();
        };
        let input = network.input(&[(image.rgb(), size)]);
        lap(0);
        let run = network.submit(&input, false).expect("a run");
        lap(1);
        let mut values = network.wait(run).expect("an answer");
        lap(2);
        network.masks(&mut values).expect("masks");
        lap(3);
    }
    let cpu = before.zip(cpu()).map_or("?".into(), |(before, now)| format!("{:.3}", (now - before) / n as f64));
    let [input, submit, wait, masks] = parts.map(median);
    println!(
        "{name}: {cpu} ms of CPU time a frame; by the clock: input {input:.3}, submit {submit:.3}, wait {wait:.3} \
         (the device's work is in it), masks {masks:.3} ms"
    );
}

fn main() {
    let device = Device::open(std::env::var("MASKRCNN_DEVICE").ok().as_deref()).expect("a GPU");
    let file = Detector::embedded_weights().expect("the model");
    let config = file.config().expect("its settings");
    let weights = NetworkWeights::load(&file, &config).expect("its weights");
    let image = Image::open(concat!(env!("CARGO_MANIFEST_DIR"), "/assets/demo.png")).expect("the demo image");
    let sides = (image.height(), image.width());
    let (target, tuning) = (device.target(), Tuning::default());
    for empty in [true, false] {
        let planned = PlannedNetwork::for_image(&config, &weights, &target, &tuning, sides);
        let (size, mut planned) = planned.expect("a plan");
        if empty {
            // No workgroups: grids that follow live counts find zeros, as nothing is written.
            planned.plan.steps.iter_mut().for_each(|step| step.launch.grid = [0; 3]);
        }
        let mut network = planned.compile(&device, &Pool::new()).expect("a network");
        let steps = network.plan().steps.len();
        let name = format!("{steps} steps, {}", if empty { "no workgroups" } else { "all of them" });
        frames(&name, &mut network, &image, size, if empty { 500 } else { 20 });
    }
}
