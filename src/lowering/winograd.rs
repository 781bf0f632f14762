//! A 3×3 convolution by Winograd's products: tiles of the image to points, products at each point, points to outputs
//! (`kernels/winograd.rs`).

use std::sync::Arc;

use super::{Launchable, Link, Lowered, Lowering};
use crate::kernels::winograd::{POINTS, Tiles};
use crate::kernels::winograd_gemm::WinogradGemm;
use crate::kernels::winograd_in::WinogradIn;
use crate::kernels::winograd_out::WinogradOut;
use crate::ops::activation::Activation;
use crate::ops::conv2d::Conv2d;
use crate::ops::levels::Levels;
use crate::ops::{Info, Io, Op};
use crate::target::Target;
use crate::tensor::Shape;

/// Where the turned weights are so many times larger than all that they are multiplied with, their memory is not worth
/// the time: C5 of a ResNet-50 at 800×1216 would take 54 MiB more, for one hundredth of the time.
const MOST_WEIGHTS: usize = 3;

/// See the module.
#[derive(Debug)]
pub struct Winograd;

/// A convolution that can be done so, and its tiles.
struct Tiled<'a> {
    conv: &'a Conv2d,
    /// Channels and rows of weights.
    c: usize,
    k: usize,
    /// Output rows and columns.
    oh: usize,
    ow: usize,
    /// The tiles of all pieces, and how many there are.
    all: Tiles,
    total: usize,
    /// Tiles of a piece.
    count: usize,
}

impl<'a> Tiled<'a> {
    fn of(op: &'a dyn Op, io: &Io, target: &Target) -> Option<Self> {
        let conv = op.downcast::<Conv2d>()?;
        let (x, w) = (io.inputs[0].shape, io.inputs[1].shape);
        let (c, k) = (x.dim(3), w.dim(0));
        let (oh, ow) = conv.extents(&x, &w)?;
        let fits = (w.dim(1), w.dim(2)) == (3, 3)
            && conv.stride == (1, 1)
            && conv.dilation == (1, 1)
            && conv.groups == 1
            && matches!(conv.activation, Activation::Identity | Activation::Relu)
            && conv.bias
            && conv.by_four()
            && !conv.enlarged(io)
            && c.is_multiple_of(4)
            && k.is_multiple_of(4);
        if !fits {
            return None;
        }
        let (images, maps) = (x.dim(0), conv.levels.or_else(|| Levels::new(&[(oh, ow)]))?);
        let all = Tiles { images, maps, joined: conv.levels.is_some(), first: 0, count: 0 };
        let total = images * all.per_image();
        let most = (target.pays.winograd.piece_bytes / (POINTS * POINTS * 4 * c.max(k))).max(1);
        let parts = total.div_ceil(most);
        // Whole blocks of the product, but for the last piece.
        let count = total.div_ceil(parts).next_multiple_of(128).min(total);
        Some(Self { conv, c, k, oh, ow, all, total, count })
    }
}

impl Winograd {
    /// Whether so few multiplications are worth the turning, where products are made in f32.
    pub(super) fn saves(op: &dyn Op, io: &Io, target: &Target) -> bool {
        let Some(Tiled { c, k, total, count, .. }) = Tiled::of(op, io, target) else { return false };
        let policy = &target.pays.winograd;
        c * k <= MOST_WEIGHTS * total * (c + k)
            && (target.reads_texels() || !policy.by_texels)
            && c.min(k) >= policy.least_channels
            && total >= policy.least_tiles
            && count >= policy.least_of_a_piece
    }
}

impl Lowering for Winograd {
    fn name(&self) -> &'static str {
        "winograd"
    }

    /// Where f16 is wanted, what lies between the parts would still be of f32.
    fn pays(&self, op: &dyn Op, io: &Io, target: &Target) -> bool {
        !target.wants_f16() && Self::saves(op, io, target)
    }

    fn lower(&self, op: &dyn Op, io: &Io, target: &Target) -> Option<Lowered> {
        let Tiled { conv, c, k, oh, ow, all, total, count } = Tiled::of(op, io, target)?;
        let images = all.images;
        let points = |channels: usize| Info::f32(Shape::from([POINTS * POINTS, count, channels]));

        let counts = conv.live.then(|| Link::Input(io.inputs.len() - 1));
        let with = |inputs: &[Link], residual: bool| {
            let residual = (residual && conv.residual).then_some(Link::Input(conv.residual_at()));
            inputs.iter().copied().chain(residual).chain(counts).collect::<Vec<_>>()
        };
        let mut launches = Vec::new();
        for first in (0..total).step_by(count) {
            let tiles = Tiles { first, count: count.min(total - first), ..all };
            let part = |what: &str| if total > count { format!("{what} {}", first / count + 1) } else { what.into() };
            let share = tiles.count as f64 / total as f64;
            let flops = 2.0 * (images * oh * ow * k * 9 * c) as f64 * share;
            let input = WinogradIn { pad: conv.pad, tiles, live: conv.live, capacity: count };
            let gemm = WinogradGemm { tiles, live: conv.live, reference: flops };
            let y = Shape::from([images, oh, ow, k]);
            let (relu, residual, live, slice) = (conv.activation == Activation::Relu, conv.residual, conv.live, conv.slice);
            let output = WinogradOut { tiles, relu, residual, live, y, slice };
            let (v, m) = (Link::Scratch(0), Link::Scratch(1));
            launches.extend([
                Launchable {
                    kernel: Arc::new(input),
                    inputs: with(&[Link::Input(0)], false),
                    outputs: vec![v],
                    part: part("tiles"),
                },
                Launchable {
                    kernel: Arc::new(gemm),
                    inputs: with(&[v, Link::Input(1)], false),
                    outputs: vec![m],
                    part: part("products"),
                },
                Launchable {
                    kernel: Arc::new(output),
                    inputs: with(&[m, Link::Input(2)], true),
                    outputs: vec![Link::Output(0)],
                    part: part("outputs"),
                },
            ]);
        }
        Some(Lowered { scratch: vec![points(c), points(k)], launches })
    }
}
