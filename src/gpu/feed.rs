//! From a picture on the device to a plan's inputs.

use super::aside::Aside;
use super::device::{Device, lock};
use super::picture::{Bound, GpuImage, Place};
use super::runner::Runner;
use crate::graph::Tensor;
use crate::ops::Info;
use crate::ops::gather_pixels::GatherPixels;
use crate::{Error, Result};

/// What turns pictures of one size, which lie alike, into a plan's inputs. All that it writes it holds from the start: nothing
/// comes from the host when it is used.
pub struct Feed {
    key: FeedKey,
    gather: Aside,
    /// Which rows and columns are read.
    places: wgpu::Buffer,
    /// The plan's image bytes.
    bytes: Tensor,
    /// What is the same for every picture of the size, and where it goes.
    fixed: Vec<(Tensor, wgpu::Buffer)>,
}

/// What a [`Feed`] is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeedKey {
    width: u32,
    height: u32,
    bytes: u64,
    rows: crate::ops::gather_pixels::PixelRows,
}

impl FeedKey {
    /// For a picture.
    ///
    /// # Errors
    /// [`Error::Limit`] for one that is too large for a binding.
    pub fn of(device: &Device, image: &GpuImage) -> Result<Self> {
        let Bound { bytes, rows, .. } = image.bound(device)?;
        Ok(Self { width: image.width(), height: image.height(), bytes, rows })
    }

    /// Whether a feed is for this.
    pub fn is_of(&self, feed: &Feed) -> bool {
        *self == feed.key
    }
}

/// A plan's inputs, of which the image bytes are gathered: which rows and columns of the picture are, as many as there are of
/// each, rows first; and the contents of the others.
pub struct Fed<'a> {
    /// The image bytes.
    pub bytes: Tensor,
    /// Rows, then columns, of the picture.
    pub places: &'a [u32],
    /// How many of them are rows.
    pub rows: usize,
    /// The other inputs.
    pub fixed: &'a [(Tensor, &'a [u8])],
}

impl Feed {
    /// Makes one for the plan of a runner on this device.
    ///
    /// # Errors
    /// [`Error::Shader`], [`Error::OutOfMemory`], [`Error::Device`] where the device fails.
    pub fn new(device: &Device, key: FeedKey, fed: &Fed) -> Result<Self> {
        device.guarded(|| {
            let op = GatherPixels { from: key.rows, rows: fed.rows, columns: fed.places.len() - fed.rows };
            let inputs = [Info::u32([key.bytes as usize / 4]), Info::u32([fed.places.len()])];
            let gather = Aside::new(device, &op, &inputs)?;
            let storage = wgpu::BufferUsages::STORAGE;
            let places = device.filled("places of pixels", bytemuck::cast_slice(fed.places), storage)?;
            let copied = wgpu::BufferUsages::COPY_SRC;
            let fixed =
                fed.fixed.iter().map(|(t, content)| Ok((*t, device.filled("an image's sizes", content, copied)?)));
            Ok(Self { key, gather, places, bytes: fed.bytes, fixed: fixed.collect::<Result<_>>()? })
        })
    }
}

/// A buffer of a pool that whoever records next may write over.
#[derive(Clone, Copy, Debug)]
pub(super) enum Scratch {
    /// A texture's texels.
    Texels,
    /// A number an instance, for each pixel.
    Ids,
    /// A drawn picture.
    Drawn,
}

impl Runner {
    /// The pool's buffer of that kind, of so many bytes at least.
    pub(super) fn scratch(&self, which: Scratch, bytes: u64) -> Result<wgpu::Buffer> {
        let mut all = lock(&self.pool.scratch);
        let kept = &mut all[which as usize];
        if let Some(buffer) = kept.as_ref().filter(|b| b.size() >= bytes) {
            return Ok(buffer.clone());
        }
        let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
        let made = self.device.buffer("a picture on the device", bytes, usage)?;
        *kept = Some(made.clone());
        Ok(made)
    }

    /// The buffer that a shader reads a picture in, and from which byte on: the app's, or the one that its texels are copied to.
    pub(super) fn pixels(&self, image: &GpuImage, bound: &Bound) -> Result<(wgpu::Buffer, u64)> {
        match &image.place {
            Place::Texture { .. } => Ok((self.scratch(Scratch::Texels, bound.bytes)?, 0)),
            Place::Buffer { buffer, .. } => Ok((buffer.clone(), bound.begin)),
        }
    }

    /// Records a plan's inputs: all that [`Runner::run`] would upload.
    pub(super) fn feed(&self, encoder: &mut wgpu::CommandEncoder, feed: &Feed, image: &GpuImage) -> Result<()> {
        let bound = image.bound(&self.device)?;
        let (pixels, begin) = self.pixels(image, &bound)?;
        if let Place::Texture { texture, origin, .. } = &image.place {
            let layout = wgpu::TexelCopyBufferLayout {
                offset: 0,
                bytes_per_row: Some(bound.rows.stride),
                rows_per_image: Some(image.height()),
            };
            let from = wgpu::TexelCopyTextureInfo { origin: *origin, ..texture.as_image_copy() };
            let extent = wgpu::Extent3d { width: image.width(), height: image.height(), depth_or_array_layers: 1 };
            encoder.copy_texture_to_buffer(from, wgpu::TexelCopyBufferInfo { buffer: &pixels, layout }, extent);
        }
        let slots = lock(&self.pool.slots);
        let missing = || Error::Internal("an input has no buffer".into());
        let bytes = self.place(&slots, feed.bytes).ok_or_else(missing)?;
        let whole = |buffer| wgpu::BufferBinding { buffer, offset: 0, size: None };
        let source = wgpu::BufferBinding { buffer: &pixels, offset: begin, size: None };
        feed.gather.record(&self.device, encoder, &[source, whole(&feed.places), whole(bytes)], None)?;
        for (tensor, content) in &feed.fixed {
            let to = self.place(&slots, *tensor).ok_or_else(missing)?;
            encoder.copy_buffer_to_buffer(content, 0, to, 0, content.size().min(self.lies(*tensor).bytes() as u64));
        }
        Ok(())
    }
}
