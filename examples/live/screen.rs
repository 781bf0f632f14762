//! The app's own device and drawing: rectangles with textures, on the window and in a screenshot.

use std::path::Path;
use std::sync::Arc;

use maskrcnn::{Device, wgpu};
use winit::dpi::PhysicalSize;
use winit::event_loop::OwnedDisplayHandle;
use winit::window::Window;

use crate::Outcome;
use crate::detection::CLOCK;

/// Rectangles that a frame may have.
const MOST: u64 = 16;

/// Uniforms begin at multiples of this, which every device accepts.
const ALIGN: u64 = 256;

/// A rectangle of the window, in pixels from its top left corner: x, y, width and height.
pub(crate) type Rect = [f32; 4];

/// A texture that can be drawn.
pub(crate) struct Drawn(wgpu::BindGroup);

/// A window, and what it is drawn with.
pub(crate) struct Screen {
    pub(crate) window: Arc<Window>,
    pub(crate) adapter: wgpu::Adapter,
    pub(crate) device: wgpu::Device,
    pub(crate) queue: wgpu::Queue,
    surface: wgpu::Surface<'static>,
    config: wgpu::SurfaceConfiguration,
    pipeline: wgpu::RenderPipeline,
    sampler: wgpu::Sampler,
    edges: wgpu::Buffer,
}

impl Screen {
    /// Opens a device for a window: one with what the engine has use for, where the adapter has it.
    pub(crate) fn new(window: Arc<Window>, display: OwnedDisplayHandle, choice: Option<&str>) -> Outcome<Self> {
        let instance =
            wgpu::Instance::new(wgpu::InstanceDescriptor::new_with_display_handle_from_env(Box::new(display)));
        let surface = instance.create_surface(window.clone())?;
        let wanted = choice.unwrap_or_default().to_lowercase();
        let mut all = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::PRIMARY));
        all.retain(|a| a.is_surface_supported(&surface) && a.get_info().name.to_lowercase().contains(&wanted));
        // A GPU of its own before one on the processor before none.
        all.sort_by_key(|a| match a.get_info().device_type {
            wgpu::DeviceType::DiscreteGpu => 0,
            wgpu::DeviceType::IntegratedGpu => 1,
            wgpu::DeviceType::Cpu => 3,
            _ => 2,
        });
        let adapter = all.into_iter().next().ok_or("no GPU (or not the one asked for) can draw to the window")?;
        let helpful = Device::requirements(&adapter);
        let (device, queue) = pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor {
            required_features: helpful.wanted_features | adapter.features() & CLOCK,
            required_limits: wgpu::Limits::default().or_better_values_from(&helpful.wanted_limits),
            ..Default::default()
        }))?;

        let PhysicalSize { width, height } = window.inner_size();
        let mut config = surface
            .get_default_config(&adapter, width.max(1), height.max(1))
            .ok_or("the window cannot be drawn to by that GPU")?;
        // Bytes go to the window as they are: textures here are of no `Srgb` format either.
        let formats = surface.get_capabilities(&adapter).formats;
        config.format = formats
            .into_iter()
            .find(|f| matches!(f, wgpu::TextureFormat::Bgra8Unorm | wgpu::TextureFormat::Rgba8Unorm))
            .unwrap_or(config.format);
        config.present_mode = wgpu::PresentMode::AutoVsync;
        config.desired_maximum_frame_latency = 1;
        surface.configure(&device, &config);

        let shader = device.create_shader_module(wgpu::include_wgsl!("sprite.wgsl"));
        let pipeline = device.create_render_pipeline(&wgpu::RenderPipelineDescriptor {
            label: Some("sprites"),
            layout: Some(&layout(&device)),
            vertex: wgpu::VertexState {
                module: &shader,
                entry_point: None,
                compilation_options: Default::default(),
                buffers: &[],
            },
            fragment: Some(wgpu::FragmentState {
                module: &shader,
                entry_point: None,
                compilation_options: Default::default(),
                targets: &[Some(wgpu::ColorTargetState {
                    format: config.format,
                    // An overlay's colour is not multiplied by its alpha.
                    blend: Some(wgpu::BlendState::ALPHA_BLENDING),
                    write_mask: wgpu::ColorWrites::ALL,
                })],
            }),
            primitive: wgpu::PrimitiveState { topology: wgpu::PrimitiveTopology::TriangleStrip, ..Default::default() },
            depth_stencil: None,
            multisample: Default::default(),
            multiview_mask: None,
            cache: None,
        });
        let sampler = device.create_sampler(&wgpu::SamplerDescriptor {
            // Pixels are to be seen where they are large, and not to flicker where they are small.
            min_filter: wgpu::FilterMode::Linear,
            ..Default::default()
        });
        let edges = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("edges"),
            size: ALIGN * MOST,
            usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        Ok(Self { window, adapter, device, queue, surface, config, pipeline, sampler, edges })
    }

    /// Its width and height in pixels.
    pub(crate) fn size(&self) -> (u32, u32) {
        (self.config.width, self.config.height)
    }

    /// The window has another size.
    pub(crate) fn resize(&mut self, size: PhysicalSize<u32>) {
        (self.config.width, self.config.height) = (size.width.max(1), size.height.max(1));
        self.surface.configure(&self.device, &self.config);
    }

    /// Makes a texture one that can be drawn.
    pub(crate) fn drawn(&self, texture: &wgpu::Texture) -> Drawn {
        let edges = wgpu::BufferBinding { buffer: &self.edges, offset: 0, size: std::num::NonZeroU64::new(16) };
        let view = texture.create_view(&Default::default());
        let entries = [
            wgpu::BindGroupEntry { binding: 0, resource: wgpu::BindingResource::Buffer(edges) },
            wgpu::BindGroupEntry { binding: 1, resource: wgpu::BindingResource::TextureView(&view) },
            wgpu::BindGroupEntry { binding: 2, resource: wgpu::BindingResource::Sampler(&self.sampler) },
        ];
        let layout = &self.pipeline.get_bind_group_layout(0);
        Drawn(self.device.create_bind_group(&wgpu::BindGroupDescriptor { label: None, layout, entries: &entries }))
    }

    /// Writes RGBA to a texture.
    pub(crate) fn write(&self, texture: &wgpu::Texture, rgba: &[u8]) {
        let (bytes_per_row, rows_per_image) = (Some(4 * texture.width()), Some(texture.height()));
        let rows = wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row, rows_per_image };
        self.queue.write_texture(texture.as_image_copy(), rgba, rows, texture.size());
    }

    /// Where the next frame is drawn; none where the window cannot have one now.
    pub(crate) fn next(&mut self) -> Outcome<Option<wgpu::SurfaceTexture>> {
        use wgpu::CurrentSurfaceTexture as Next;
        match self.surface.get_current_texture() {
            Next::Success(texture) | Next::Suboptimal(texture) => return Ok(Some(texture)),
            Next::Timeout | Next::Occluded => (),
            Next::Outdated => self.surface.configure(&self.device, &self.config),
            Next::Lost | Next::Validation => return Err("the window's surface is lost".into()),
        }
        Ok(None)
    }

    /// Records the drawing of rectangles, in their order, on black.
    pub(crate) fn draw(&self, encoder: &mut wgpu::CommandEncoder, onto: &wgpu::Texture, sprites: &[(&Drawn, Rect)]) {
        let view = onto.create_view(&Default::default());
        let (w, h) = (onto.width() as f32, onto.height() as f32);
        let mut pass = encoder.begin_render_pass(&wgpu::RenderPassDescriptor {
            color_attachments: &[Some(wgpu::RenderPassColorAttachment {
                view: &view,
                depth_slice: None,
                resolve_target: None,
                ops: wgpu::Operations { load: wgpu::LoadOp::Clear(wgpu::Color::BLACK), store: wgpu::StoreOp::Store },
            })],
            ..Default::default()
        });
        pass.set_pipeline(&self.pipeline);
        for (at, (drawn, [x, y, width, height])) in (0..MOST).map(|i| ALIGN * i).zip(sprites) {
            let edges = [x / w, y / h, (x + width) / w, (y + height) / h].map(|share| 2.0 * share - 1.0);
            let edges = [edges[0], -edges[1], edges[2], -edges[3]];
            self.queue.write_buffer(&self.edges, at, bytemuck::cast_slice(&edges));
            pass.set_bind_group(0, &drawn.0, &[at as u32]);
            pass.draw(0..4, 0..1);
        }
    }

    /// Draws rectangles once more, into a file.
    pub(crate) fn save(&self, sprites: &[(&Drawn, Rect)], file: &Path) -> Outcome {
        let (width, height) = self.size();
        let texture = self.device.create_texture(&wgpu::TextureDescriptor {
            label: Some("screenshot"),
            size: wgpu::Extent3d { width, height, depth_or_array_layers: 1 },
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format: self.config.format,
            usage: wgpu::TextureUsages::RENDER_ATTACHMENT | wgpu::TextureUsages::COPY_SRC,
            view_formats: &[],
        });
        let pitch = (4 * width).next_multiple_of(256);
        let buffer = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("screenshot"),
            size: u64::from(pitch) * u64::from(height),
            usage: wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ,
            mapped_at_creation: false,
        });
        let mut encoder = self.device.create_command_encoder(&Default::default());
        self.draw(&mut encoder, &texture, sprites);
        let layout = wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row: Some(pitch), rows_per_image: None };
        let to = wgpu::TexelCopyBufferInfo { buffer: &buffer, layout };
        encoder.copy_texture_to_buffer(texture.as_image_copy(), to, texture.size());
        self.queue.submit([encoder.finish()]);
        buffer.slice(..).map_async(wgpu::MapMode::Read, |_| ());
        self.device.poll(wgpu::PollType::wait_indefinitely())?;
        let rows = buffer.get_mapped_range(..)?;
        let mut pixels: Vec<u8> =
            rows.chunks(pitch as usize).flat_map(|row| row[..4 * width as usize].to_vec()).collect();
        if matches!(self.config.format, wgpu::TextureFormat::Bgra8Unorm | wgpu::TextureFormat::Bgra8UnormSrgb) {
            pixels.chunks_mut(4).for_each(|texel| texel.swap(0, 2));
        }
        pixels.chunks_mut(4).for_each(|texel| texel[3] = 255);
        let picture = image::RgbaImage::from_raw(width, height, pixels).ok_or("too few pixels")?;
        let told = |e: &dyn std::fmt::Display| format!("{}: {e}", file.display());
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder).map_err(|e| told(&e))?;
        }
        picture.save(file).map_err(|e| told(&e))?;
        Ok(())
    }
}

/// One group: a rectangle's edges, a texture and how it is read.
fn layout(device: &wgpu::Device) -> wgpu::PipelineLayout {
    let entry = |binding, ty| wgpu::BindGroupLayoutEntry {
        binding,
        visibility: wgpu::ShaderStages::VERTEX_FRAGMENT,
        ty,
        count: None,
    };
    let entries = [
        entry(
            0,
            wgpu::BindingType::Buffer {
                ty: wgpu::BufferBindingType::Uniform,
                has_dynamic_offset: true,
                min_binding_size: std::num::NonZeroU64::new(16),
            },
        ),
        entry(
            1,
            wgpu::BindingType::Texture {
                sample_type: wgpu::TextureSampleType::Float { filterable: true },
                view_dimension: wgpu::TextureViewDimension::D2,
                multisampled: false,
            },
        ),
        entry(2, wgpu::BindingType::Sampler(wgpu::SamplerBindingType::Filtering)),
    ];
    let group = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: None, entries: &entries });
    device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
        label: None,
        bind_group_layouts: &[Some(&group)],
        immediate_size: 0,
    })
}
