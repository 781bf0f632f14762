//! The default model in an app that has its own wgpu device: a texture in, an overlay and a map of ids out, in the app's own
//! submit. `cargo run --release --example on_my_device -- assets/demo.png out/overlay.png`.

use maskrcnn::{Detector, Device, GpuImage, GpuTarget, Image, wgpu};

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome {
    let mut args = std::env::args().skip(1);
    let image = Image::open(args.next().unwrap_or_else(|| "assets/demo.png".into()))?;
    let (w, h) = (image.width(), image.height());

    // The app's own device, made as it likes: WebGPU's default limits would do, and what else there is makes it faster.
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let adapter = pollster::block_on(instance.request_adapter(&Default::default()))?;
    let helpful = Device::requirements(&adapter);
    let (device, queue) = pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor {
        required_features: helpful.wanted_features,
        required_limits: wgpu::Limits::default().or_better_values_from(&helpful.wanted_limits),
        ..Default::default()
    }))?;
    let detector = Detector::builder().device(&Device::from_wgpu(&adapter, device.clone(), queue.clone())?).build()?;

    // What the app draws or films: here, a file.
    let picture = texture(&device, w, h, wgpu::TextureFormat::Rgba8UnormSrgb);
    let rgba: Vec<u8> = image.rgb().chunks(3).flat_map(|p| [p[0], p[1], p[2], 255]).collect();
    let rows = wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row: Some(4 * w), rows_per_image: Some(h) };
    queue.write_texture(picture.as_image_copy(), &rgba, rows, picture.size());

    // Made once; compiles.
    let results = detector.gpu_results(w, h)?;
    let overlay = texture(&device, w, h, wgpu::TextureFormat::Rgba8UnormSrgb);
    let ids = texture(&device, w, h, wgpu::TextureFormat::R32Uint);
    let target = GpuTarget::new().results(&results).overlay(&overlay).ids(&ids).above(0.5);

    // A frame: the app's encoder, the app's submit. Passes of the app's may stand before and after, and read what is made.
    let mut encoder = device.create_command_encoder(&Default::default());
    detector.encode(&mut encoder, &GpuImage::from_texture(&picture)?, &target)?;
    let [seen, drawn] = [&ids, &overlay].map(|texture| read_back(&device, &mut encoder, texture));
    queue.submit([encoder.finish()]);

    let seen: std::collections::BTreeSet<u32> = words(&device, &seen, w)?.into_iter().filter(|&id| id > 0).collect();
    println!("{} instances are to be seen", seen.len());
    if let Some(file) = args.next() {
        if let Some(folder) = std::path::Path::new(&file).parent() {
            std::fs::create_dir_all(folder)?;
        }
        let pixels = words(&device, &drawn, w)?.into_iter().flat_map(u32::to_le_bytes).collect();
        image::RgbaImage::from_raw(w, h, pixels).ok_or("too few pixels")?.save(file)?;
    }
    Ok(())
}

fn texture(device: &wgpu::Device, width: u32, height: u32, format: wgpu::TextureFormat) -> wgpu::Texture {
    device.create_texture(&wgpu::TextureDescriptor {
        label: None,
        size: wgpu::Extent3d { width, height, depth_or_array_layers: 1 },
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format,
        usage: wgpu::TextureUsages::COPY_SRC | wgpu::TextureUsages::COPY_DST | wgpu::TextureUsages::TEXTURE_BINDING,
        view_formats: &[],
    })
}

/// Only because this app has no window: a buffer that the texture is copied to, its rows at multiples of 256 bytes.
fn read_back(device: &wgpu::Device, encoder: &mut wgpu::CommandEncoder, texture: &wgpu::Texture) -> wgpu::Buffer {
    let pitch = (4 * texture.width()).next_multiple_of(256);
    let buffer = device.create_buffer(&wgpu::BufferDescriptor {
        label: None,
        size: u64::from(pitch) * u64::from(texture.height()),
        usage: wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ,
        mapped_at_creation: false,
    });
    let layout = wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row: Some(pitch), rows_per_image: None };
    let to = wgpu::TexelCopyBufferInfo { buffer: &buffer, layout };
    encoder.copy_texture_to_buffer(texture.as_image_copy(), to, texture.size());
    buffer
}

/// The texels that were copied, without what fills the rows.
fn words(device: &wgpu::Device, buffer: &wgpu::Buffer, width: u32) -> Outcome<Vec<u32>> {
    buffer.slice(..).map_async(wgpu::MapMode::Read, |_| ());
    device.poll(wgpu::PollType::wait_indefinitely())?;
    let view = buffer.get_mapped_range(..)?;
    let rows = view.chunks((4 * width as usize).next_multiple_of(256));
    let texels = rows.flat_map(|row| row[..4 * width as usize].chunks(4));
    Ok(texels.map(|t| u32::from_le_bytes([t[0], t[1], t[2], t[3]])).collect())
}
