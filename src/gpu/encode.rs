//! A plan in somebody else's encoder: from a picture on the device to results on the device.

use std::time::Duration;

use super::aside::Aside;
use super::cut::Dispatch;
use super::device::{Device, lock};
use super::feed::{Feed, Scratch};
use super::picture::GpuImage;
use super::record::Recorded;
use super::runner::Runner;
use super::slices::DRAWN;
use super::target::{GpuTarget, OverlayStyle};
use crate::graph::Tensor;
use crate::ops::Info;
use crate::ops::gather_pixels::PixelLayout;
use crate::ops::instance_ids::{InstanceIds, ROW_WORDS};
use crate::ops::tint::{Tint, WHOLE};
use crate::{Error, Result};

/// A plan's results of one image, which are drawn.
#[derive(Clone, Copy, Debug)]
pub struct Drawable {
    /// `[1,n,8]`.
    pub places: Tensor,
    /// `[1,words]`.
    pub bits: Tensor,
    /// `[1,1,n]`.
    pub scores: Tensor,
    /// `[1,2]`.
    pub header: Tensor,
    /// `[1,n]`.
    pub labels: Tensor,
}

/// Colours, as shaders read them: red in the lowest byte.
pub struct Colours(wgpu::Buffer);

impl Colours {
    /// On a device.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`], [`Error::Device`].
    pub fn new(device: &Device, colours: &[[u8; 3]]) -> Result<Self> {
        let words: Vec<u32> = colours.iter().map(|&[r, g, b]| u32::from_le_bytes([r, g, b, 0])).collect();
        let make = || device.filled("colours", bytemuck::cast_slice(&words), wgpu::BufferUsages::STORAGE);
        Ok(Self(device.guarded(make)?))
    }

    fn info(&self) -> Info {
        Info::u32([self.0.size() as usize / 4])
    }
}

/// How far a run was recorded that is cut.
#[derive(Default)]
pub struct SoFar {
    slices: usize,
    drawn: usize,
    recorded: Recorded,
}

impl SoFar {
    /// Slices of the network that were recorded.
    pub fn slices(&self) -> usize {
        self.slices
    }

    /// The slice of the drawing that comes next, which is thereby taken as recorded.
    pub fn next_drawn(&mut self) -> usize {
        self.drawn += 1;
        self.drawn - 1
    }
}

/// How a picture is drawn: made once for all pictures that lie alike.
pub struct Drawing {
    key: DrawingKey,
    ids: Aside,
    tint: Option<Aside>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct DrawingKey {
    width: u32,
    height: u32,
    above: f32,
    /// Where the picture lies, how it is drawn, and the texture's layout.
    overlay: Option<(u64, crate::ops::gather_pixels::PixelRows, OverlayStyle, PixelLayout)>,
    bits: Info,
}

/// Steps of drawing, in their order.
const IDS: usize = 0;
const TINT: usize = 1;

fn whole(buffer: &wgpu::Buffer) -> wgpu::BufferBinding<'_> {
    wgpu::BufferBinding { buffer, offset: 0, size: None }
}

impl Runner {
    /// Records a whole run: nothing is submitted, mapped or written by the host. `results` go where they are told to.
    ///
    /// # Errors
    /// As [`Runner::run`].
    pub fn encode(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        feed: &Feed,
        image: &GpuImage,
        results: &[(Tensor, &wgpu::Buffer)],
    ) -> Result<()> {
        let device = self.device.clone();
        device.guarded(|| {
            self.bind_all()?;
            self.feed(encoder, feed, image)?;
            let all = (0..self.steps.len()).map(Dispatch::whole);
            self.record(encoder, all, &mut Recorded::default(), |_, _| {});
            self.copy_results(encoder, results)
        })
    }

    /// Cuts the next run that [`Runner::encode_slice`] records, and then [`Runner::draw`], into parts that take no longer than
    /// `within`, as far as times can be told; says how many.
    ///
    /// # Errors
    /// As [`Runner::run`].
    pub fn begin_slices(&mut self, (image, target): (&GpuImage, &GpuTarget), within: Duration) -> Result<usize> {
        let device = self.device.clone();
        device.guarded(|| {
            self.bind_all()?;
            self.slice(within);
            self.cut()?;
            let pixels = u64::from(image.width()) * u64::from(image.height());
            if !target.draws() {
                return Ok(self.submits());
            }
            Ok(self.submits() + self.cut_drawing(pixels, target.overlay.is_some(), within.as_secs_f64()))
        })
    }

    /// Records the next part of a run, the inputs with the first and the results with the last. Until then, nothing else may run
    /// in the pool.
    ///
    /// # Errors
    /// As [`Runner::run`].
    pub fn encode_slice(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        so_far: &mut SoFar,
        (feed, image): (&Feed, &GpuImage),
        results: &[(Tensor, &wgpu::Buffer)],
    ) -> Result<()> {
        self.device.guarded(|| {
            if so_far.slices == 0 {
                self.feed(encoder, feed, image)?;
            }
            if let Some(slice) = self.slicing.slices().nth(so_far.slices) {
                self.record(encoder, slice.iter().copied(), &mut so_far.recorded, |_, _| {});
            }
            so_far.slices += 1;
            if so_far.slices >= self.submits() {
                self.copy_results(encoder, results)?;
            }
            Ok(())
        })
    }

    /// Copies results out before another run writes over them.
    pub(super) fn copy_results(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        results: &[(Tensor, &wgpu::Buffer)],
    ) -> Result<()> {
        let slots = lock(&self.pool.slots);
        for (tensor, to) in results {
            let bytes = self.lies(*tensor).bytes() as u64;
            if !to.usage().contains(wgpu::BufferUsages::COPY_DST) {
                let reason = "a buffer for results lacks the usage COPY_DST: make it with that".into();
                return Err(Error::Device { device: self.device.name().into(), reason });
            }
            if let Some(from) = self.place(&slots, *tensor) {
                encoder.copy_buffer_to_buffer(from, 0, to, 0, bytes.min(to.size()) / 4 * 4);
            }
        }
        Ok(())
    }

    /// Records what is drawn of the run that was recorded before, or a slice of that, by `kept` where it is alike.
    ///
    /// # Errors
    /// [`Error::Image`] for textures that do not fit, [`Error::Limit`] for a picture that is too large, and as [`Runner::run`].
    pub fn draw(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        (image, target): (&GpuImage, &GpuTarget),
        of: &Drawable,
        colours: &Colours,
        (kept, slice): (&mut Option<Drawing>, Option<usize>),
    ) -> Result<()> {
        let layout = target.check(image.width(), image.height())?;
        if !target.draws() {
            return Ok(());
        }
        let device = self.device.clone();
        device.guarded(|| {
            let bound = image.bound(&self.device)?;
            let overlay = target.overlay.as_ref().zip(layout);
            let overlay = overlay.map(|((_, style), layout)| (bound.bytes, bound.rows, *style, layout));
            let (width, height, above) = (image.width(), image.height(), target.above);
            let key = DrawingKey { width, height, above, overlay, bits: self.lies(of.bits) };
            let drawing = match kept.take().filter(|drawing| drawing.key == key) {
                Some(drawing) => drawing,
                None => self.drawing(key, of, colours)?,
            };
            let drawing = kept.insert(drawing);
            let pitch = (width as usize).next_multiple_of(ROW_WORDS);
            let bytes = (pitch * height as usize * 4) as u64;
            let ids = self.scratch(Scratch::Ids, bytes)?;
            let (pixels, begin) = self.pixels(image, &bound)?;
            let slots = lock(&self.pool.slots);
            let lies = |t: Tensor| {
                let missing = || Error::Internal("a result has no buffer".into());
                self.place(&slots, t).map(whole).ok_or_else(missing)
            };
            let copy = |encoder: &mut wgpu::CommandEncoder, buffer: &wgpu::Buffer, texture: &wgpu::Texture| {
                let layout = wgpu::TexelCopyBufferLayout {
                    offset: 0,
                    bytes_per_row: Some(4 * pitch as u32),
                    rows_per_image: Some(height),
                };
                let extent = wgpu::Extent3d { width, height, depth_or_array_layers: 1 };
                let from = wgpu::TexelCopyBufferInfo { buffer, layout };
                encoder.copy_buffer_to_texture(from, texture.as_image_copy(), extent);
            };
            let both = [IDS, TINT].map(Dispatch::whole);
            let cut = &self.slicing.drawing;
            let dispatches = slice.map_or(Some(&both[..]), |slice| cut.slices().nth(slice)).unwrap_or_default();
            for &Dispatch { step, share } in dispatches {
                let spans = share.map_or(&[][..], |_| cut.spans(step));
                let is_last = share.is_none_or(|share| share + 1 == spans.len());
                if step == IDS {
                    let inputs = [lies(of.places)?, lies(of.bits)?, lies(of.scores)?, lies(of.header)?, whole(&ids)];
                    drawing.ids.share(&self.device, DRAWN, spans)?;
                    drawing.ids.record(&self.device, encoder, &inputs, share)?;
                    if let Some(texture) = target.ids.as_ref().filter(|_| is_last) {
                        copy(encoder, &ids, texture);
                    }
                } else if let (Some((texture, style)), Some(tint)) = (&target.overlay, &mut drawing.tint) {
                    let drawn = self.scratch(Scratch::Drawn, bytes)?;
                    let source = match style.on_picture {
                        true => wgpu::BufferBinding { buffer: &pixels, offset: begin, size: None },
                        false => whole(&colours.0),
                    };
                    let inputs = [whole(&ids), source, lies(of.labels)?, whole(&colours.0), whole(&drawn)];
                    tint.share(&self.device, DRAWN, spans)?;
                    tint.record(&self.device, encoder, &inputs, share)?;
                    if is_last {
                        copy(encoder, &drawn, texture);
                    }
                }
            }
            Ok(())
        })
    }

    fn drawing(&self, key: DrawingKey, of: &Drawable, colours: &Colours) -> Result<Drawing> {
        let (width, height) = (key.width as usize, key.height as usize);
        let op = InstanceIds { height, width, above: key.above };
        let inputs = [of.places, of.bits, of.scores, of.header].map(|t| self.lies(t));
        let ids = Aside::new(&self.device, &op, &inputs)?;
        let tint = key.overlay.map(|(bytes, rows, style, layout)| {
            let part = |share: f32| (share.clamp(0.0, 1.0) * WHOLE as f32).round() as u32;
            let op = Tint {
                picture: style.on_picture.then_some(rows),
                width,
                fill: part(style.fill),
                rim: WHOLE,
                // A wider one is no rim, and takes long.
                line: style.line.min(64),
                by_class: style.by_class,
                bgra: layout == PixelLayout::BGRA,
            };
            let source = if style.on_picture { Info::u32([bytes as usize / 4]) } else { colours.info() };
            Aside::new(&self.device, &op, &[ids.output, source, self.lies(of.labels), colours.info()])
        });
        Ok(Drawing { key, ids, tint: tint.transpose()? })
    }
}
