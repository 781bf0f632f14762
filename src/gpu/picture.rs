//! Pictures that are on the device already: in a texture of the app's, or in a buffer.

use super::device::Device;
use crate::ops::gather_pixels::{PixelLayout, PixelRows};
use crate::vision::{Image, PixelFormat};
use crate::{Error, Result};

/// A picture that is on the device already. Nothing of it goes through the host: its bytes are read where they lie, or copied
/// within the device.
///
/// ```no_run
/// use maskrcnn::{Detector, GpuImage, wgpu};
///
/// # fn find(detector: &Detector, texture: &wgpu::Texture) -> maskrcnn::Result<()> {
/// let found = detector.detect_gpu(&GpuImage::from_texture(texture)?.region(64, 0, 640, 480)?)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct GpuImage {
    pub(super) place: Place,
    width: u32,
    height: u32,
}

/// Where a picture lies.
#[derive(Clone, Debug)]
pub(super) enum Place {
    /// A part of a texture, from this texel of this layer on.
    Texture { texture: wgpu::Texture, origin: wgpu::Origin3d, layout: PixelLayout },
    /// Rows of a buffer, from this byte on.
    Buffer { buffer: wgpu::Buffer, offset: u64, stride: u32, layout: PixelLayout },
}

/// What a shader reads of a buffer: the bytes that are bound, and the rows in them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Bound {
    pub begin: u64,
    pub bytes: u64,
    pub rows: PixelRows,
}

/// Bindings of storage begin at multiples of this on every device.
const ALIGN: u64 = 256;

fn refuse(reason: impl Into<String>) -> Error {
    Error::Image { name: "on the device".into(), reason: reason.into() }
}

/// How the texels of a format lie in memory, where it is one of those that are read.
pub(super) fn layout_of(format: wgpu::TextureFormat) -> Option<PixelLayout> {
    use wgpu::TextureFormat::{Bgra8Unorm, Bgra8UnormSrgb, Rgba8Unorm, Rgba8UnormSrgb};
    match format {
        Rgba8Unorm | Rgba8UnormSrgb => Some(PixelLayout::RGBA),
        Bgra8Unorm | Bgra8UnormSrgb => Some(PixelLayout::BGRA),
        _ => None,
    }
}

impl GpuImage {
    /// The first level of a texture, its first layer: `Rgba8Unorm` or `Bgra8Unorm`, with or without `Srgb`. The network is given the
    /// bytes as they lie in the texture, which are the same with and without; alpha is not looked at.
    ///
    /// # Errors
    /// [`Error::Image`] for a texture of another format, dimension or number of samples, and for one that cannot be copied from
    /// (`wgpu::TextureUsages::COPY_SRC`).
    pub fn from_texture(texture: &wgpu::Texture) -> Result<Self> {
        let Some(layout) = layout_of(texture.format()) else {
            return Err(refuse(format!(
                "a texture of {:?} is not read: give one of Rgba8Unorm or Bgra8Unorm, with or without Srgb",
                texture.format()
            )));
        };
        if texture.dimension() != wgpu::TextureDimension::D2 || texture.sample_count() != 1 {
            let (dimension, samples) = (texture.dimension(), texture.sample_count());
            return Err(refuse(format!(
                "a texture of {dimension:?} with {samples} samples a texel is not read: give a plain one of two dimensions"
            )));
        }
        if !texture.usage().contains(wgpu::TextureUsages::COPY_SRC) {
            return Err(refuse(
                "the texture lacks the usage COPY_SRC, by which its texels are read: make it with that",
            ));
        }
        Image::check_size(texture.width(), texture.height())?;
        let place = Place::Texture { texture: texture.clone(), origin: wgpu::Origin3d::ZERO, layout };
        Ok(Self { place, width: texture.width(), height: texture.height() })
    }

    /// Rows of pixels without gaps, from a buffer's first byte on.
    ///
    /// # Errors
    /// [`Error::Image`] where a side is 0, the image is too large, or the buffer ends before it; and for a buffer that shaders
    /// cannot read (`wgpu::BufferUsages::STORAGE`).
    pub fn from_buffer(buffer: &wgpu::Buffer, format: PixelFormat, width: u32, height: u32) -> Result<Self> {
        let stride = u64::from(width) * format.bytes() as u64;
        Self::from_rows(buffer, format, (width, height), 0, u32::try_from(stride).unwrap_or(u32::MAX))
    }

    /// Rows of pixels of so many (columns, rows), the first from byte `offset` on, each `stride` bytes after the one before.
    ///
    /// # Errors
    /// As [`GpuImage::from_buffer`]; and where the stride is shorter than a row.
    pub fn from_rows(
        buffer: &wgpu::Buffer,
        format: PixelFormat,
        (width, height): (u32, u32),
        offset: u64,
        stride: u32,
    ) -> Result<Self> {
        Image::check_size(width, height)?;
        let layout = match format {
            PixelFormat::Rgb => PixelLayout::RGB,
            PixelFormat::Rgba => PixelLayout::RGBA,
            PixelFormat::Bgra => PixelLayout::BGRA,
            PixelFormat::Grey => PixelLayout::GREY,
        };
        let row = u64::from(width) * u64::from(layout.bytes);
        if u64::from(stride) < row {
            return Err(refuse(format!(
                "a row of {width} {format:?} pixels takes {row} bytes, and the stride is {stride}"
            )));
        }
        let rows = u64::from(height - 1) * u64::from(stride) + row;
        // Shaders read whole words.
        let end = offset.checked_add(rows).and_then(|end| end.checked_next_multiple_of(4));
        if end.is_none_or(|end| end > buffer.size()) {
            return Err(refuse(format!(
                "{height} rows of {width} {format:?} pixels, {stride} bytes apart from byte {offset} on, do not end within the {} \
                 bytes of the buffer, in whole words of 4 bytes",
                buffer.size()
            )));
        }
        if !buffer.usage().contains(wgpu::BufferUsages::STORAGE) {
            return Err(refuse("the buffer lacks the usage STORAGE, by which its pixels are read: make it with that"));
        }
        Ok(Self { place: Place::Buffer { buffer: buffer.clone(), offset, stride, layout }, width, height })
    }

    /// A part of it: `width` × `height` pixels, from column `x` and row `y` on.
    ///
    /// # Errors
    /// [`Error::Image`] where that is empty, or not all within the picture.
    pub fn region(self, x: u32, y: u32, width: u32, height: u32) -> Result<Self> {
        let within = |at: u32, size: u32, all: u32| at.checked_add(size).is_some_and(|end| size > 0 && end <= all);
        if !within(x, width, self.width) || !within(y, height, self.height) {
            return Err(refuse(format!(
                "{width}x{height} pixels from ({x}, {y}) on are not a part of {}x{}",
                self.width, self.height
            )));
        }
        let place = match self.place {
            Place::Texture { texture, origin, layout } => {
                let origin = wgpu::Origin3d { x: origin.x + x, y: origin.y + y, ..origin };
                Place::Texture { texture, origin, layout }
            }
            Place::Buffer { buffer, offset, stride, layout } => {
                let skipped = u64::from(y) * u64::from(stride) + u64::from(x) * u64::from(layout.bytes);
                Place::Buffer { buffer, offset: offset + skipped, stride, layout }
            }
        };
        Ok(Self { place, width, height })
    }

    /// The same part of another layer of the texture.
    ///
    /// # Errors
    /// [`Error::Image`] where there is no such layer, or no texture.
    pub fn layer(mut self, layer: u32) -> Result<Self> {
        match &mut self.place {
            Place::Texture { texture, origin, .. } if layer < texture.depth_or_array_layers() => origin.z = layer,
            Place::Texture { texture, .. } => {
                let layers = texture.depth_or_array_layers();
                return Err(refuse(format!("layer {layer} is not among the {layers} of the texture")));
            }
            Place::Buffer { .. } => return Err(refuse("a buffer has no layers: say where the rows begin")),
        }
        Ok(self)
    }

    /// Width in pixels, at least 1.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Height in pixels, at least 1.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// What a shader reads: of the buffer itself, or of one that the texels are copied to.
    pub(super) fn bound(&self, device: &Device) -> Result<Bound> {
        let bound = match &self.place {
            Place::Texture { layout, .. } => {
                let stride = (layout.bytes * self.width).next_multiple_of(wgpu::COPY_BYTES_PER_ROW_ALIGNMENT);
                let rows = PixelRows { layout: *layout, offset: 0, stride };
                // Copies write whole rows, but for the last.
                Bound { begin: 0, bytes: u64::from(stride) * u64::from(self.height), rows }
            }
            Place::Buffer { offset, stride, layout, .. } => {
                let begin = offset / ALIGN * ALIGN;
                let rows = PixelRows { layout: *layout, offset: (offset - begin) as u32, stride: *stride };
                Bound { begin, bytes: rows.end(self.height, self.width).next_multiple_of(4), rows }
            }
        };
        // Shaders count bytes in 32 bits.
        let limit = device.max_binding().min(u64::from(u32::MAX));
        if bound.bytes > limit {
            return Err(Error::Limit {
                what: format!("a picture of {}x{} pixels on the device", self.width, self.height),
                need: bound.bytes,
                limit,
                cure: "give a part of it, or a device with larger bindings".into(),
            });
        }
        Ok(bound)
    }
}
