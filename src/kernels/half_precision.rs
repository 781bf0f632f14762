//! Products of factors rounded to f16, with f32 sums: the variants beside those of f32, and the weights as f16.

use half::f16;

use super::schedule::Schedule;
use super::{Variant, matrix};
use crate::target::{Factors, Target};
use crate::tensor::{Shape, Value};

/// What the name of a weight layout ends with where two elements are a word.
pub(crate) const PACKED_F16: &str = ", f16";

/// The like of an f32 variant in f16, if it has one: textures hold no halves.
fn like(v: &Variant) -> Option<Variant> {
    let has = matches!(v.schedule, Schedule::Shuffled(_) | Schedule::Registers(_) | Schedule::Blocked(_));
    has.then(|| v.clone().in_f16())
}

/// All variants for such a product, best first: `plain`, those of f32 without matrix units, with those of matrix units before them
/// where they pay, and before both the same of f16 where that is wanted. The last of `plain` stays the last: it runs anywhere.
pub(super) fn with_all(plain: Vec<Variant>, n: usize, k: usize, quads: bool, target: &Target) -> Vec<Variant> {
    let with_matrices = |mut variants: Vec<Variant>, factors: Factors| {
        let (matrices, pays) = matrix::variants(n, k, quads, target, factors);
        let at = if pays { 0 } else { variants.len().saturating_sub(1) };
        if pays || at > 0 {
            variants.splice(at..at, matrices);
        }
        variants
    };
    let halves = plain.iter().filter(|_| target.wants_f16()).filter_map(like).collect::<Vec<_>>();
    let mut out = if halves.is_empty() { halves } else { with_matrices(halves, Factors::F16) };
    out.extend(with_matrices(plain, Factors::F32));
    out
}

/// The nearest f16, ties to even; the largest where f16 ends before.
fn rounded(v: f32) -> f16 {
    f16::from_f32(v.clamp(f16::MIN.to_f32(), f16::MAX.to_f32()))
}

/// A float tensor with its elements rounded to f16, as variants of f16 round the two factors of a product.
pub fn rounded_to_f16(value: &Value) -> Value {
    Value::f32(value.shape, value.floats().iter().map(|&v| rounded(v).to_f32()).collect())
}

/// A float tensor as f16 lies in memory: two elements in a word, the last one with a zero where their number is odd.
pub(crate) fn packed_f16(value: &Value) -> Value {
    let half = |v: &f32| u32::from(rounded(*v).to_bits());
    let words: Vec<u32> =
        value.floats().chunks(2).map(|two| half(&two[0]) | two.get(1).map_or(0, half) << 16).collect();
    Value::u32([words.len()], words)
}

/// Floats out of f16 as it lies in memory.
pub(crate) fn wide(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(2).map(|b| f16::from_le_bytes([b[0], b[1]]).to_f32()).collect()
}

/// The same, two in a word, of an even number of columns.
pub(super) fn packed(floats: &Value) -> Value {
    let half = |v: f32| u32::from(rounded(v).to_bits());
    let words = floats.floats().chunks_exact(2).map(|two| half(two[0]) | half(two[1]) << 16).collect();
    let shape = floats.shape;
    Value::u32(Shape::from([shape.dim(0), shape.dim(1) / 2]), words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_halves_are_a_word() {
        let v = packed(&Value::f32([2, 2], vec![1.0, -2.0, 1e6, -1e6]));
        assert_eq!(v, Value::u32([2, 1], vec![0xc000_3c00, 0xfbff_7bff]));
        // To nearest, ties to even; below the least, zero.
        let third = packed(&Value::f32([1, 2], vec![1.0 / 3.0, 1.0 + 1.0 / 2048.0]));
        assert_eq!(third.ints(), [0x3c00_3555]);
        assert_eq!(packed(&Value::f32([1, 2], vec![1e-9, -0.0])).ints(), [0x8000_0000]);
    }
}
