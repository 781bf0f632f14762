//! Tensors as textures, for devices that read texels faster than buffers: four elements a texel, rows of
//! [`TEXELS_A_ROW`] texels.

use super::device::Device;
use crate::target::TEXELS_A_ROW;
use crate::{Error, Result};

pub(super) const FORMAT: wgpu::TextureFormat = wgpu::TextureFormat::Rgba32Float;

/// Bytes of a texel and of a row.
const TEXEL: u64 = 16;
const ROW: u64 = TEXELS_A_ROW as u64 * TEXEL;

/// A texture that holds so many bytes of a tensor, or more.
#[derive(Clone)]
pub(super) struct Texture {
    texture: wgpu::Texture,
    pub view: wgpu::TextureView,
}

impl Texture {
    /// Bytes that it has room for.
    pub(super) fn bytes(&self) -> u64 {
        u64::from(self.texture.height()) * ROW
    }

    /// Copies the first `bytes` of `buffer`, which holds whole texels, to the first texels.
    pub(super) fn copy_from(&self, encoder: &mut wgpu::CommandEncoder, buffer: &wgpu::Buffer, bytes: u64) {
        let texels = bytes.div_ceil(TEXEL) as u32;
        let (rows, rest) = (texels / TEXELS_A_ROW as u32, texels % TEXELS_A_ROW as u32);
        for (first, width, height) in [(0, TEXELS_A_ROW as u32, rows), (rows, rest, 1)] {
            if width == 0 || height == 0 {
                continue;
            }
            let layout = wgpu::TexelCopyBufferLayout {
                offset: u64::from(first) * ROW,
                bytes_per_row: Some(ROW as u32),
                rows_per_image: None,
            };
            let mut target = self.texture.as_image_copy();
            target.origin.y = first;
            let extent = wgpu::Extent3d { width, height, depth_or_array_layers: 1 };
            encoder.copy_buffer_to_texture(wgpu::TexelCopyBufferInfo { buffer, layout }, target, extent);
        }
    }
}

impl Device {
    /// A texture with room for `bytes`.
    pub(super) fn texture(&self, label: &str, bytes: u64) -> Result<Texture> {
        // lavapipe compiles a shader anew for textures whose height is a power of two: none is.
        let (rows, most) = (bytes.div_ceil(ROW).max(3) | 1, u64::from(self.shared.max_texture));
        if rows > most {
            return Err(Error::Limit {
                what: label.into(),
                need: bytes,
                limit: most * ROW,
                cure: "use a smaller image or input size, or a device with larger textures".into(),
            });
        }
        self.check()?;
        let scope = self.shared.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let texture = self.shared.device.create_texture(&wgpu::TextureDescriptor {
            label: Some(label),
            size: wgpu::Extent3d { width: TEXELS_A_ROW as u32, height: rows as u32, depth_or_array_layers: 1 },
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format: FORMAT,
            usage: wgpu::TextureUsages::STORAGE_BINDING | wgpu::TextureUsages::COPY_DST,
            view_formats: &[],
        });
        if pollster::block_on(scope.pop()).is_some() {
            let reason = format!("out of memory for {label} ({bytes} bytes); use a smaller image or input size");
            return Err(Error::OutOfMemory { device: self.shared.name.clone(), reason });
        }
        let view = texture.create_view(&Default::default());
        Ok(Texture { texture, view })
    }
}
