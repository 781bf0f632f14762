//! The mean of cross-entropies.

use super::{Case, Kernel, Launch, Params as _, Tolerance, Variant};
use crate::ops::Io;
use crate::ops::losses::ClassLoss;
use crate::params;
use crate::rng::Rng;
use crate::target::Target;
use crate::tensor::Value;

params! { rows: u32, classes: u32, rows_per_image: u32, images: u32 }

impl Kernel for ClassLoss {
    fn variants(&self, _: &Io, _: &Target) -> Vec<Variant> {
        vec![Variant::plain()]
    }

    fn launch(&self, io: &Io, _: &Variant) -> Launch {
        let images = io.inputs[2].shape.len();
        let params = P {
            rows: io.dim(0, 0) as u32,
            classes: io.dim(0, 1) as u32,
            rows_per_image: (io.dim(0, 0) / images) as u32,
            images: images as u32,
        };
        Launch { grid: [1, 1, 1], params: params.bytes() }
    }
}

/// Two classes, ninety-one, a head that is nearly certain, several images, none that counts.
pub fn cases() -> Vec<Case> {
    let mut rng = Rng::new(82);
    let mut case = |name: &str, live: &[u32], rows: usize, k: usize, spread: f32, right: bool| {
        let n = live.len() * rows;
        let x: Vec<f32> = (0..n * k).map(|_| rng.uniform(-spread, spread)).collect();
        let best = |row: &[f32]| (0..k).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap_or(0);
        let labels = x.chunks(k).map(|row| if right { best(row) } else { rng.below(k) } as u32).collect();
        let inputs = vec![
            Value::f32([n, k], x),
            Value::u32([live.len(), rows], labels),
            Value::u32([live.len(), 1], live.to_vec()),
        ];
        Case::new(name, ClassLoss, inputs, Tolerance::Close { absolute: 0.0, relative: 2e-5 })
    };
    vec![
        case("two classes", &[500], 512, 2, 6.0, false),
        case("91 classes", &[40], 40, 91, 4.0, false),
        case("right", &[300], 300, 2, 12.0, true),
        case("batch", &[9, 0, 11], 11, 5, 3.0, false),
        case("far out", &[20], 20, 4, 100.0, false),
        case("none counts", &[0], 3, 4, 1.0, false),
    ]
}
