//! Chance for who is to be sampled: the same on every device.

use super::matching::{BACKGROUND, FIRST_TRUTH};
use super::{Cost, Info, Io, Op, Operand, Setting, settings, value};
use crate::tensor::{DType, Value};

/// Words of a seed: two that tell the run, the image's number, and one of zeros.
pub const SEED_WORDS: usize = 4;

/// A random key for each box that is on a truth, and for each that is on the background: the k largest keys are a sample of k
/// without replacement, each as likely as any other.
///
/// A key is the first word of Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011) with the
/// seed's first two words as its key, and the box's number, the stream and the seed's third word as its counter: a function of
/// these alone, so that no key depends on how many there are or on who computes it.
///
/// Inputs: matches `[B,n]` ([`super::matching`]), seeds `[B,4]`. Output: keys `[B,2,n]`, of those on a truth and of those on the
/// background, of which every other box has [`NONE`](super::topk::NONE).
#[derive(Clone, Debug)]
pub struct SamplingKeys {
    /// Which of the samplings of an image it is.
    pub stream: u32,
}

impl Op for SamplingKeys {
    fn name(&self) -> &'static str {
        "sampling_keys"
    }

    fn operands(&self) -> Vec<Operand> {
        vec![Operand::u32("matches", 2), Operand::u32("seeds", 2)]
    }

    fn infer(&self, inputs: &[Info]) -> Result<Vec<Info>, String> {
        let (m, seeds) = (inputs[0].shape, inputs[1].shape);
        if seeds.dim(0) != m.dim(0) || seeds.dim(1) != SEED_WORDS {
            return Err(format!("takes matches [B,n] and seeds [B,{SEED_WORDS}], not {inputs:?}"));
        }
        Ok(vec![Info { shape: [m.dim(0), 2, m.dim(1)].into(), dtype: DType::F32 }])
    }

    fn cost(&self, io: &Io) -> Cost {
        Cost::of(io, 100.0 * io.inputs[0].shape.len() as f64)
    }

    fn twin(&self, inputs: &[Value]) -> Vec<Value> {
        let (b, n) = (inputs[0].shape.dim(0), inputs[0].shape.dim(1));
        let mut out = Vec::with_capacity(2 * b * n);
        for (matches, seed) in inputs[0].ints().chunks(n).zip(inputs[1].ints().chunks(SEED_WORDS)) {
            for on_truth in [true, false] {
                for (i, &m) in matches.iter().enumerate() {
                    let counts = if on_truth { m >= FIRST_TRUTH } else { m == BACKGROUND };
                    let drawn = philox([i as u32, self.stream, seed[2], 0], [seed[0], seed[1]])[0];
                    // Positive floats order as their bits do; these are far from the smallest and the largest.
                    let key = f32::from_bits(0x2000_0000 + (drawn >> 2));
                    out.push(if counts { key } else { super::topk::NONE });
                }
            }
        }
        vec![Value::f32([b, 2, n], out)]
    }

    fn settings(&self) -> Vec<Setting> {
        settings([("stream", value(self.stream))])
    }
}

/// Philox4x32-10, by products of 64 bits.
fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for _ in 0..10 {
        let first = 0xD251_1F53_u64 * u64::from(counter[0]);
        let second = 0xCD9E_8D57_u64 * u64::from(counter[2]);
        counter = [
            (second >> 32) as u32 ^ counter[1] ^ key[0],
            second as u32,
            (first >> 32) as u32 ^ counter[3] ^ key[1],
            first as u32,
        ];
        key = [key[0].wrapping_add(0x9E37_79B9), key[1].wrapping_add(0xBB67_AE85)];
    }
    counter
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The known answers of the authors' own code (Random123, `kat_vectors`).
    #[test]
    fn it_is_philox() {
        assert_eq!(philox([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(philox([u32::MAX; 4], [u32::MAX; 2]), [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
        let pi = [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344];
        assert_eq!(philox(pi, [0xa409_3822, 0x299f_31d0]), [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]);
    }

    /// Which of 300 boxes on the background are the 30 of the largest keys.
    fn drawn(stream: u32, seed: [u32; 4]) -> Vec<usize> {
        let matches = Value::u32([1, 300], vec![BACKGROUND; 300]);
        let keys = SamplingKeys { stream }.twin(&[matches, Value::u32([1, 4], seed.to_vec())]).remove(0);
        let keys = &keys.floats()[300..];
        let mut order: Vec<usize> = (0..300).collect();
        order.sort_by(|&a, &b| keys[b].total_cmp(&keys[a]));
        order.truncate(30);
        order
    }

    /// By each part of the seed: every box is drawn as often as any other, and every pair of neighbours.
    #[test]
    fn samples_are_even() {
        const RUNS: u32 = 4000;
        for part in 0..4 {
            let (mut times, mut pairs) = ([0.0f64; 300], 0.0);
            for run in 0..RUNS {
                let mut seed = [7, 8, 9, 0];
                let stream = if part == 3 { run } else { 0 };
                if part < 3 {
                    seed[part] = run;
                }
                let taken = drawn(stream, seed);
                taken.iter().for_each(|&i| times[i] += 1.0);
                pairs += taken.iter().filter(|&&i| taken.contains(&(i + 1))).count() as f64;
            }
            // χ² of 299 degrees of freedom: 299 ± 24, times 0.9 as 30 are drawn of 300.
            let mean = f64::from(RUNS) * 0.1;
            let chi: f64 = times.iter().map(|t| (t - mean).powi(2) / mean).sum();
            assert!((170.0..390.0).contains(&chi), "part {part}: {chi}");
            // 299 pairs of neighbours, each with 30/300 · 29/299.
            let want = f64::from(RUNS) * 299.0 * (30.0 / 300.0) * (29.0 / 299.0);
            assert!((pairs / want - 1.0).abs() < 0.05, "part {part}: {pairs} pairs for {want}");
        }
    }
}
