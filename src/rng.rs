//! Reproducible noise.

use crate::tensor::{Shape, Value};

/// Reproducible numbers for cases and tests (splitmix64).
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// A stream of its own for each seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in `low..high`.
    pub fn uniform(&mut self, low: f32, high: f32) -> f32 {
        let unit = (self.bits() >> 40) as f32 / (1u64 << 24) as f32;
        low + (high - low) * unit
    }

    /// An integer in `0..n`.
    pub fn below(&mut self, n: usize) -> usize {
        (self.bits() % n.max(1) as u64) as usize
    }

    /// A tensor with elements uniform in -1..1.
    pub fn tensor(&mut self, shape: impl Into<Shape>) -> Value {
        let shape = shape.into();
        Value::f32(shape, (0..shape.len()).map(|_| self.uniform(-1.0, 1.0)).collect())
    }

    /// `n` boxes (x1, y1, x2, y2) in a picture of `w` × `h`, sides from 1 pixel to a third of the picture.
    pub fn boxes(&mut self, n: usize, w: f32, h: f32) -> Vec<f32> {
        let mut out = Vec::with_capacity(4 * n);
        for _ in 0..n {
            let (bw, bh) = (self.uniform(1.0, w / 3.0), self.uniform(1.0, h / 3.0));
            let (x, y) = (self.uniform(0.0, w - bw), self.uniform(0.0, h - bh));
            out.extend([x, y, x + bw, y + bh]);
        }
        out
    }
}
