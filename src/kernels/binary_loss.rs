//! The mean of binary cross-entropies with logits.

use super::{Case, Kernel, Launch, Params as _, Tolerance, Variant};
use crate::ops::Io;
use crate::ops::losses::BinaryLoss;
use crate::params;
use crate::rng::Rng;
use crate::target::Target;
use crate::tensor::Value;

params! { total: u32, size: u32, rows_per_image: u32, images: u32 }

impl Kernel for BinaryLoss {
    fn variants(&self, _: &Io, _: &Target) -> Vec<Variant> {
        vec![Variant::plain()]
    }

    fn launch(&self, io: &Io, _: &Variant) -> Launch {
        let (total, images) = (io.inputs[0].shape.len(), io.inputs[2].shape.len());
        let params = P {
            total: total as u32,
            size: (total / self.rows) as u32,
            rows_per_image: (self.rows / images) as u32,
            images: images as u32,
        };
        Launch { grid: [1, 1, 1], params: params.bytes() }
    }
}

/// Anchors, masks with targets between 0 and 1, a head that is nearly certain, several images, none that counts.
pub fn cases() -> Vec<Case> {
    let mut rng = Rng::new(81);
    let mut case = |name: &str, live: &[u32], rows: usize, size: usize, (low, high): (f32, f32), soft: bool| {
        let (b, n) = (live.len(), live.len() * rows * size);
        let logits: Vec<f32> = (0..n).map(|_| rng.uniform(low, high)).collect();
        let targets = (0..n).map(|i| if soft { rng.uniform(0.0, 1.0) } else { f32::from(u8::from(logits[i] > 0.0)) });
        let targets = targets.collect();
        let inputs = vec![
            Value::f32([b, rows, size], logits),
            Value::f32([b, rows, size], targets),
            Value::u32([b, 1], live.to_vec()),
        ];
        Case::new(name, BinaryLoss { rows: b * rows }, inputs, Tolerance::Close { absolute: 0.0, relative: 1e-5 })
    };
    vec![
        case("anchors", &[200], 256, 1, (-8.0, 8.0), false),
        case("masks", &[9], 12, 784, (-6.0, 6.0), true),
        case("nearly certain", &[100], 100, 1, (-16.0, -9.0), false),
        case("batch", &[7, 0, 20], 20, 3, (-4.0, 4.0), true),
        case("far out", &[3], 3, 5, (-200.0, 200.0), true),
        case("none counts", &[0], 5, 2, (-4.0, 4.0), true),
    ]
}
