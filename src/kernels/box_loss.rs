//! The smooth L1 distance of deltas.

use super::{Case, Kernel, Launch, Params as _, Tolerance, Variant};
use crate::ops::Io;
use crate::ops::losses::BoxLoss;
use crate::params;
use crate::rng::Rng;
use crate::target::Target;
use crate::tensor::Value;

params! { rows: u32, rows_per_image: u32, images: u32, beta: f32 }

impl Kernel for BoxLoss {
    fn variants(&self, _: &Io, _: &Target) -> Vec<Variant> {
        vec![Variant::plain()]
    }

    fn launch(&self, io: &Io, _: &Variant) -> Launch {
        let (rows, images) = (io.inputs[2].shape.len(), io.inputs[3].shape.len());
        let params = P {
            rows: rows as u32,
            rows_per_image: (rows / images) as u32,
            images: images as u32,
            beta: self.beta,
        };
        Launch { grid: [1, 1, 1], params: params.bytes() }
    }
}

/// Distances on both sides of β, several images, none on a truth, none that counts.
pub fn cases() -> Vec<Case> {
    let mut rng = Rng::new(83);
    let mut case = |name: &str, live: &[u32], rows: usize, spread: f32, labels: usize| {
        let n = live.len() * rows;
        let mut of = |spread: f32| Value::f32([n, 4], (0..4 * n).map(|_| rng.uniform(-spread, spread)).collect());
        let inputs = [of(spread), of(spread)];
        let labels = (0..n).map(|_| rng.below(labels) as u32).collect();
        let more = [Value::u32([live.len(), rows], labels), Value::u32([live.len(), 1], live.to_vec())];
        let inputs = inputs.into_iter().chain(more).collect();
        Case::new(name, BoxLoss { beta: 1.0 / 9.0 }, inputs, Tolerance::Close { absolute: 0.0, relative: 1e-5 })
    };
    vec![
        case("anchors", &[250], 256, 0.2, 2),
        case("RoIs", &[512], 512, 3.0, 91),
        case("batch", &[7, 0, 20], 20, 0.1, 3),
        case("none on a truth", &[30], 30, 1.0, 1),
        case("none counts", &[0], 4, 1.0, 3),
    ]
}
