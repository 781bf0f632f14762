//! What the network costs in an app's own frame: the table of `docs/embedding.md`. `cargo bench --bench embedding`, on a machine that has
//! nothing else to do.
//!
//! Two devices, both as an app would make them: with all that [`Device::requirements`] wants, and with WebGPU's defaults. Medians.

use std::time::{Duration, Instant};

use maskrcnn::{Detector, Device, GpuImage, GpuTarget, Image, wgpu};

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// Frames of which the median is told, after a first that is not: as many as go into [`LONG`], three at the least.
const FRAMES: usize = 9;
const LONG: Duration = Duration::from_secs(10);

fn main() -> Outcome {
    let image = Image::open("assets/demo.png")?;
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let adapter = pollster::block_on(instance.request_adapter(&Default::default()))?;
    println!("assets/demo.png, {} x {}, on {}", image.width(), image.height(), adapter.get_info().name);
    let wanted = Device::requirements(&adapter);
    let least = wgpu::Limits::default();
    let better = least.clone().or_better_values_from(&wanted.wanted_limits);
    costs(&adapter, &image, "as `requirements` has it", wanted.wanted_features, better)?;
    costs(&adapter, &image, "WebGPU's defaults, no features", wgpu::Features::empty(), least)
}

fn costs(
    adapter: &wgpu::Adapter,
    image: &Image,
    name: &str,
    required_features: wgpu::Features,
    required_limits: wgpu::Limits,
) -> Outcome {
    println!("\n{name}");
    let asked = wgpu::DeviceDescriptor { required_features, required_limits, ..Default::default() };
    let (device, queue) = pollster::block_on(adapter.request_device(&asked))?;
    let ours = Device::from_wgpu(adapter, device.clone(), queue.clone())?;
    let (w, h) = (image.width(), image.height());
    let texture = |format, more| {
        device.create_texture(&wgpu::TextureDescriptor {
            label: None,
            size: wgpu::Extent3d { width: w, height: h, depth_or_array_layers: 1 },
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format,
            usage: wgpu::TextureUsages::COPY_DST | more,
            view_formats: &[],
        })
    };
    let picture = texture(wgpu::TextureFormat::Rgba8Unorm, wgpu::TextureUsages::COPY_SRC);
    let rgba: Vec<u8> = image.rgb().chunks(3).flat_map(|p| [p[0], p[1], p[2], 255]).collect();
    let rows = wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row: Some(4 * w), rows_per_image: Some(h) };
    queue.write_texture(picture.as_image_copy(), &rgba, rows, picture.size());
    let overlay = texture(wgpu::TextureFormat::Rgba8Unorm, wgpu::TextureUsages::empty());
    let ids = texture(wgpu::TextureFormat::R32Uint, wgpu::TextureUsages::empty());

    let begun = Instant::now();
    let detector = Detector::builder().device(&ours).build()?;
    let results = detector.gpu_results(w, h)?;
    tell("first: `gpu_results`", &[begun.elapsed()]);

    let bare = GpuTarget::new().results(&results);
    let drawn = GpuTarget::new().results(&results).overlay(&overlay).ids(&ids).above(0.5);
    let source = GpuImage::from_texture(&picture)?;
    for (what, target) in [("results alone", &bare), ("with overlay and ids", &drawn)] {
        let [mut record, mut finish, mut work] = [const { Vec::new() }; 3];
        for i in measured() {
            let begun = Instant::now();
            let mut encoder = device.create_command_encoder(&Default::default());
            detector.encode(&mut encoder, &source, target)?;
            let recorded = Instant::now();
            let commands = encoder.finish();
            let finished = Instant::now();
            queue.submit([commands]);
            device.poll(wgpu::PollType::wait_indefinitely())?;
            if i > 0 {
                record.push(recorded - begun);
                finish.push(finished - recorded);
                work.push(finished.elapsed());
            }
        }
        println!("  {what}");
        tell("  recording, `encode`", &record);
        tell("  `CommandEncoder::finish`", &finish);
        tell("  submit, and the device at it", &work);
    }
    held(&ours, "GPU memory, `encode` alone");

    let [mut asking, mut answer] = [const { Vec::new() }; 2];
    for i in measured() {
        let begun = Instant::now();
        let found = detector.detect_async(image);
        let asked = begun.elapsed();
        pollster::block_on(found)?;
        if i > 0 {
            asking.push(asked);
            answer.push(begun.elapsed());
        }
    }
    tell("asking by `detect_async`", &asking);
    tell("the answer to it", &answer);
    held(&ours, "GPU memory, `detect` besides");
    Ok(())
}

/// Numbers of frames, the first for warming.
fn measured() -> impl Iterator<Item = usize> {
    let begun = Instant::now();
    (0..=FRAMES).take_while(move |&i| i <= 3 || begun.elapsed() < LONG)
}

fn tell(what: &str, all: &[Duration]) {
    let mut ms: Vec<f64> = all.iter().map(|one| 1e3 * one.as_secs_f64()).collect();
    ms.sort_by(f64::total_cmp);
    println!("  {what:<32} {:>9.2} ms ({:.2} to {:.2})", ms[ms.len() / 2], ms[0], ms[ms.len() - 1]);
}

fn held(device: &Device, what: &str) {
    if let Some(held) = device.held() {
        println!("  {what:<32} {:>9.1} MB", held.used as f64 / 1e6);
    }
}
