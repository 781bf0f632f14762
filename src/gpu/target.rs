//! Where results go that stay on the device.

use super::device::Device;
use super::picture::layout_of;
use crate::ops::Info;
use crate::ops::gather_pixels::PixelLayout;
use crate::{Error, Result};

/// Buffers that results lie in, on the device ([`Detector::gpu_results`](crate::Detector::gpu_results)). Numbers are 32-bit words,
/// little-endian, without gaps. What lies past the detections that were found is left from earlier frames, and means nothing.
///
/// Each buffer can be bound as storage, copied from and to, and read as vertices or as arguments of indirect calls.
#[derive(Clone, Debug)]
pub struct GpuResults {
    /// `[2]` u32: detections that were found, n; and words of mask bits that all of their masks need. Where that is more than
    /// [`GpuMasks::words`], the masks that found no room are left out: those whose bits would end past it.
    pub header: wgpu::Buffer,
    /// `[most, 4]` f32: x1, y1, x2, y2 in pixels of the picture, by falling score.
    pub boxes: wgpu::Buffer,
    /// `[most]` f32: scores, 0 to 1, falling.
    pub scores: wgpu::Buffer,
    /// `[most]` u32: classes, from 1 on.
    pub labels: wgpu::Buffer,
    /// Masks, where the network has a mask head.
    pub masks: Option<GpuMasks>,
    /// Detections that there is room for.
    pub most: u32,
}

/// Buffers of masks.
#[derive(Clone, Debug)]
pub struct GpuMasks {
    /// `[most, 8]` u32: x, y, width and height of the mask's rectangle in the picture; the word of [`GpuMasks::bits`] at which it
    /// begins; three words that are the engine's own.
    pub places: wgpu::Buffer,
    /// `[words]` u32: of each mask its rows from the top, ⌈width / 32⌉ words each, the leftmost pixel in the lowest bit.
    pub bits: wgpu::Buffer,
    /// Words that there is room for.
    pub words: u32,
}

impl GpuResults {
    /// Buffers for tensors such as these: the header, boxes, scores and labels; places and bits.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`], [`Error::Limit`].
    ///
    /// **Unstable**, as all of the [`engine`](crate::engine).
    pub fn new(device: &Device, [header, boxes, scores, labels]: [Info; 4], masks: Option<[Info; 2]>) -> Result<Self> {
        use wgpu::BufferUsages as U;
        let usage = U::STORAGE | U::COPY_SRC | U::COPY_DST | U::VERTEX | U::INDIRECT;
        let make = |what: &str, info: Info| device.buffer(what, info.bytes() as u64, usage);
        device.guarded(|| {
            Ok(Self {
                header: make("results' header", header)?,
                boxes: make("boxes", boxes)?,
                scores: make("scores", scores)?,
                labels: make("labels", labels)?,
                masks: match masks {
                    Some([places, bits]) => Some(GpuMasks {
                        places: make("masks' places", places)?,
                        bits: make("masks' bits", bits)?,
                        words: bits.shape.len() as u32,
                    }),
                    None => None,
                },
                most: labels.shape.len() as u32,
            })
        })
    }
}

/// How an overlay is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct OverlayStyle {
    /// How much of its colour the inside of an instance takes, 0 to 1.
    pub fill: f32,
    /// Width in pixels of the line along its rim, within it, in its full colour; 0 for none.
    pub line: u32,
    /// Colours go by the class, and not by the instance's number.
    pub by_class: bool,
    /// On the picture; else on nothing: the colour, not multiplied by alpha, and alpha, 0 where there is no instance.
    pub on_picture: bool,
}

impl Default for OverlayStyle {
    fn default() -> Self {
        Self { fill: 0.3, line: 1, by_class: false, on_picture: true }
    }
}

/// What is made of a picture on the device, and where it goes; nothing by default.
#[derive(Clone, Debug, Default)]
#[must_use = "nothing is made before it is given to `encode`"]
pub struct GpuTarget {
    pub(super) results: Option<GpuResults>,
    pub(super) overlay: Option<(wgpu::Texture, OverlayStyle)>,
    pub(super) ids: Option<wgpu::Texture>,
    pub(super) above: f32,
}

impl GpuTarget {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Boxes, scores, labels and masks go to these buffers.
    pub fn results(self, results: &GpuResults) -> Self {
        Self { results: Some(results.clone()), ..self }
    }

    /// The picture with its instances drawn goes to a texture of its size (its first level and layer): `Rgba8Unorm` or `Bgra8Unorm`,
    /// with or without `Srgb`, which may be copied to (`wgpu::TextureUsages::COPY_DST`). The bytes are the same with and without `Srgb`.
    pub fn overlay(self, texture: &wgpu::Texture) -> Self {
        self.styled_overlay(texture, OverlayStyle::default())
    }

    /// As [`GpuTarget::overlay`], drawn like this.
    pub fn styled_overlay(self, texture: &wgpu::Texture, style: OverlayStyle) -> Self {
        Self { overlay: Some((texture.clone(), style)), ..self }
    }

    /// The number of the instance that each pixel belongs to goes to a texture of the picture's size (`R32Uint`, `COPY_DST`): 0 for
    /// none, else 1 + the detection's. Where masks overlap, the one with the higher score wins.
    pub fn ids(self, texture: &wgpu::Texture) -> Self {
        Self { ids: Some(texture.clone()), ..self }
    }

    /// Overlay and ids are of detections that score so much or more. Results are of all.
    pub fn above(self, score: f32) -> Self {
        Self { above: score, ..self }
    }

    /// Where results go, if they are wanted.
    ///
    /// **Unstable**, as all of the [`engine`](crate::engine).
    pub fn wanted_results(&self) -> Option<&GpuResults> {
        self.results.as_ref()
    }

    /// Whether something is drawn.
    pub(crate) fn draws(&self) -> bool {
        self.overlay.is_some() || self.ids.is_some()
    }

    /// Whether the overlay's colours go by the class.
    pub(crate) fn is_by_class(&self) -> bool {
        self.overlay.as_ref().is_some_and(|(_, style)| style.by_class)
    }

    /// Looks at the textures; of the overlay's, how its texels lie.
    pub(crate) fn check(&self, width: u32, height: u32) -> Result<Option<PixelLayout>> {
        let sized = |what: &str, texture: &wgpu::Texture, formats: &str, fits: bool| {
            let refuse = |reason: String| Err(Error::Image { name: format!("the texture for {what}"), reason });
            let (w, h, format) = (texture.width(), texture.height(), texture.format());
            if !fits {
                return refuse(format!("is of {format:?}: give one of {formats}"));
            }
            if (w, h) != (width, height)
                || texture.dimension() != wgpu::TextureDimension::D2
                || texture.sample_count() != 1
            {
                return refuse(format!(
                    "is of {w}x{h} texels, and the picture of {width}x{height} pixels: give one of that size"
                ));
            }
            if !texture.usage().contains(wgpu::TextureUsages::COPY_DST) {
                return refuse("lacks the usage COPY_DST: make it with that".into());
            }
            Ok(())
        };
        if let Some(ids) = &self.ids {
            sized("ids", ids, "R32Uint", ids.format() == wgpu::TextureFormat::R32Uint)?;
        }
        let Some((overlay, _)) = &self.overlay else { return Ok(None) };
        let layout = layout_of(overlay.format());
        sized("an overlay", overlay, "Rgba8Unorm or Bgra8Unorm, with or without Srgb", layout.is_some())?;
        Ok(layout)
    }
}
