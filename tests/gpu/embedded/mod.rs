//! The engine in an app that has a device of its own.

#[cfg(feature = "embedded-model")]
mod frames;
#[cfg(feature = "embedded-model")]
mod futures;
mod opened;
#[cfg(feature = "embedded-model")]
mod pictures;

use maskrcnn::{Image, wgpu};

/// An adapter such as an app finds: `MASKRCNN_DEVICE` chooses it by its name, as it chooses ours.
pub(crate) fn app_adapter() -> wgpu::Adapter {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.backends = wgpu::Backends::PRIMARY;
    let instance = wgpu::Instance::new(descriptor);
    let mut all = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::PRIMARY));
    let wanted = std::env::var("MASKRCNN_DEVICE").unwrap_or_default().to_lowercase();
    let at = all.iter().position(|a| a.get_info().name.to_lowercase().contains(&wanted));
    all.swap_remove(at.expect("an adapter"))
}

/// A device that an app made, whose handler of uncaptured errors ends the test.
pub(crate) fn app_device(
    adapter: &wgpu::Adapter,
    features: wgpu::Features,
    limits: wgpu::Limits,
) -> (wgpu::Device, wgpu::Queue) {
    let descriptor =
        wgpu::DeviceDescriptor { required_features: features, required_limits: limits, ..Default::default() };
    let (device, queue) = pollster::block_on(adapter.request_device(&descriptor)).expect("a device");
    device.on_uncaptured_error(std::sync::Arc::new(|e: wgpu::Error| panic!("an error reached the app: {e}")));
    (device, queue)
}

/// One of WebGPU's default limits and no features.
pub(crate) fn app_device_of_least() -> (wgpu::Adapter, wgpu::Device, wgpu::Queue) {
    let adapter = app_adapter();
    let (device, queue) = app_device(&adapter, wgpu::Features::empty(), wgpu::Limits::default());
    (adapter, device, queue)
}

/// Where a picture lies in its texture.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Layout {
    /// It is all of it.
    Whole,
    /// From column 13 and row 5 of the second layer on.
    Part,
}

/// A texture that holds a picture.
pub(crate) fn texture_of(
    device: &wgpu::Device,
    queue: &wgpu::Queue,
    image: &Image,
    format: wgpu::TextureFormat,
    layout: Layout,
) -> wgpu::Texture {
    let (w, h) = (image.width(), image.height());
    let part = layout == Layout::Part;
    let more = if part { (13 + 9, 5 + 4, 3) } else { (0, 0, 1) };
    let size = wgpu::Extent3d { width: w + more.0, height: h + more.1, depth_or_array_layers: more.2 };
    let texture = device.create_texture(&wgpu::TextureDescriptor {
        label: None,
        size,
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format,
        usage: wgpu::TextureUsages::COPY_SRC | wgpu::TextureUsages::COPY_DST | wgpu::TextureUsages::TEXTURE_BINDING,
        view_formats: &[],
    });
    let blue_first = matches!(format, wgpu::TextureFormat::Bgra8Unorm | wgpu::TextureFormat::Bgra8UnormSrgb);
    let texel = |p: &[u8]| if blue_first { [p[2], p[1], p[0], 9] } else { [p[0], p[1], p[2], 9] };
    let bytes: Vec<u8> = image.rgb().chunks(3).flat_map(texel).collect();
    let mut to = texture.as_image_copy();
    if part {
        to.origin = wgpu::Origin3d { x: 13, y: 5, z: 1 };
    }
    let rows = wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row: Some(4 * w), rows_per_image: Some(h) };
    queue.write_texture(to, &bytes, rows, wgpu::Extent3d { width: w, height: h, depth_or_array_layers: 1 });
    texture
}
