//! What a network is given for a batch of images.

use std::borrow::Cow;

use super::{Given, Network, NetworkSize};
use crate::graph::Tensor;
use crate::ops::frame::Frame;
use crate::ops::sampling::Sampling;

/// Bytes, frames and neighbours of the images of a batch, as [`Network`] takes them.
#[derive(Clone, Debug)]
pub struct Input<'a> {
    bytes: Cow<'a, [u8]>,
    frames: Vec<Frame>,
    neighbours: Vec<u32>,
    given: Option<Given>,
}

impl<'a> Input<'a> {
    /// Images (RGB, 3 bytes a pixel, with their sizes on the way in) for a network whose padded input has `height` rows
    /// and `width` columns, and has so many words for the neighbours of each. One after the other, each from a whole word
    /// on, the pixels that the resize reads; a single image of which all are read is lent as it is.
    pub fn new(images: &[(&'a [u8], NetworkSize)], height: usize, width: usize, words: usize) -> Self {
        let least = |rgb: &[u8], size: &NetworkSize| match size.blackens() {
            true => rgb.iter().copied().min().unwrap_or(0),
            false => 0,
        };
        let samplings: Vec<Sampling> = images.iter().map(|(_, size)| size.sampling()).collect();
        let mut neighbours = Vec::with_capacity(words * images.len() * (height + width));
        samplings.iter().for_each(|s| s.neighbours(height, width, words, &mut neighbours));
        if let ([(rgb, size)], true) = (images, samplings.iter().all(Sampling::is_whole)) {
            return Self {
                bytes: (*rgb).into(),
                frames: vec![size.frame(0, size.input.1, least(rgb, size))],
                neighbours,
                given: None,
            };
        }
        let mut bytes = Vec::with_capacity(samplings.iter().map(|s| s.bytes() as usize + 4).sum());
        let mut frames = Vec::with_capacity(images.len());
        for ((rgb, size), sampling) in images.iter().zip(&samplings) {
            frames.push(size.frame((bytes.len() / 4) as u32, sampling.x.sent(), least(rgb, size)));
            sampling.gather(rgb, &mut bytes);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
        Self { bytes: bytes.into(), frames, neighbours, given: None }
    }

    /// What goes with one image whose pixels are on the device: no bytes.
    pub fn without_bytes(size: NetworkSize, height: usize, width: usize, taps: usize) -> Input<'static> {
        let mut neighbours = Vec::with_capacity(taps * (height + width));
        size.sampling().neighbours(height, width, taps, &mut neighbours);
        let sent_w = size.sampling().x.sent();
        let frames = vec![size.frame(0, sent_w, 0)];
        Input { bytes: Cow::Borrowed(&[]), frames, neighbours, given: None }
    }

    /// The same with what comes with the one image.
    pub fn with(self, given: Option<Given>) -> Self {
        Self { given, ..self }
    }

    /// The pixels.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// A frame an image.
    pub fn frames(&self) -> &[Frame] {
        &self.frames
    }

    /// What goes into the tensors of bytes, frames and neighbours.
    pub fn of_image(&self, [bytes, frames, neighbours]: [Tensor; 3]) -> [(Tensor, &[u8]); 3] {
        let rest = (bytemuck::cast_slice(&self.frames), bytemuck::cast_slice(&self.neighbours));
        [(bytes, &*self.bytes), (frames, rest.0), (neighbours, rest.1)]
    }

    /// What goes into which tensor.
    pub fn of(&self, network: &Network) -> Vec<(Tensor, &[u8])> {
        let pixels = self.of_image([network.bytes, network.frames, network.neighbours]);
        let given = self.given.iter().zip(&network.given).flat_map(|(given, to)| given.of(to));
        pixels.into_iter().chain(given).collect()
    }
}
