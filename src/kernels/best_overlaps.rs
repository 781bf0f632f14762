//! The largest IoU of each truth.

use super::match_boxes::scene;
use super::{Case, Kernel, Launch, Params as _, Tolerance, Variant};
use crate::ops::Io;
use crate::ops::matching::BestOverlaps;
use crate::params;
use crate::target::Target;

params! { truths: u32, boxes: u32 }

impl Kernel for BestOverlaps {
    fn variants(&self, _: &Io, _: &Target) -> Vec<Variant> {
        vec![Variant::plain()]
    }

    fn launch(&self, io: &Io, _: &Variant) -> Launch {
        let params = P { truths: io.dim(0, 1) as u32, boxes: io.dim(2, 1) as u32 };
        Launch { grid: [io.dim(0, 1) as u32, io.dim(0, 0) as u32, 1], params: params.bytes() }
    }
}

/// More and fewer boxes than threads, several images, no truths.
pub fn cases() -> Vec<Case> {
    let case = |name: &str, counts: &[u32], truths: usize, boxes: usize| {
        Case::new(name, BestOverlaps, scene(counts, truths, boxes), Tolerance::Close { absolute: 0.0, relative: 1e-6 })
    };
    vec![
        case("more boxes than threads", &[9], 12, 1000),
        case("batch", &[3, 5, 0], 5, 70),
        case("no truths", &[0], 4, 300),
        case("one box", &[2], 2, 1),
    ]
}
