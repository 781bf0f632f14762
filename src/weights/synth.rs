//! Deterministic weights for a network of any size, for tests and benchmarks.
//!
//! # The formula
//! Made so that a few lines of another language reproduce every bit. All integers are unsigned 64-bit and wrap;
//! all real arithmetic is f64, rounded to f32 once at the end. For value `i` (flat, row-major, in torch's layout) of
//! tensor `name`:
//!
//! ```text
//! h    = fnv1a(name) xor seed         fnv1a: h = 0xcbf29ce484222325; per UTF-8 byte b: h = (h xor b) * 0x100000001b3
//! z    = h + i + 0x9e3779b97f4a7c15                                         (splitmix64)
//! z    = (z xor (z >> 30)) * 0xbf58476d1ce4e5b9
//! z    = (z xor (z >> 27)) * 0x94d049bb133111eb
//! z    = z xor (z >> 31)
//! u    = (z >> 40) / 2^23 - 1                                                in [-1, 1), exact in f32
//!
//! value = u * sqrt(6 / fan_in)     `….weight` with 2 or 4 axes (He: uniform with variance 2 / fan_in)
//!       = 1 + 0.1 * u              `….weight` with 1 axis (BatchNorm)
//!       = 0.1 * u                  `….bias`, `….running_mean`
//!       = 1 + 0.2 * u              `….running_var`
//! ```
//!
//! `fan_in` is the product of all axes but the first, except for `conv5_mask`, the transposed convolution
//! `[C, K, 2, 2]`: there it is C, because with stride 2 each output pixel sees one input pixel.

use super::bound::state_dict;
use super::convert::{Typed, serialize};
use super::file::WeightsFile;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::tensor::HostTensor;

/// All tensors of the network that `config` describes, with torchvision's names and layouts, in state-dict order; see
/// the [module](self) for the values.
pub fn synthetic(config: &Config, seed: u64) -> Vec<(String, HostTensor)> {
    let fill = |(name, _, _, shape): (String, _, _, Vec<usize>)| {
        let data = values(&name, &shape, seed);
        (name, HostTensor::new(&shape, data))
    };
    state_dict(config).into_iter().map(fill).collect()
}

/// [`synthetic`] weights as an open file, its configuration in the metadata.
///
/// # Errors
/// [`Error::Config`] if `config` is not valid.
pub fn synthetic_file(config: &Config, seed: u64) -> Result<WeightsFile> {
    let json = config.to_json()?;
    WeightsFile::from_bytes(to_safetensors(synthetic(config, seed), &json)?, format!("synthetic({seed})"))
}

/// The bytes of a `.safetensors` file with these f32 tensors, and `config` (JSON) in its metadata.
///
/// # Errors
/// [`Error::Weights`] if the data of a tensor is not as long as its shape says.
pub fn to_safetensors(tensors: Vec<(String, HostTensor)>, config: &str) -> Result<Vec<u8>> {
    let typed = |(name, tensor)| (name, Typed { tensor, half: false });
    serialize(tensors.into_iter().map(typed).collect(), config)
        .map_err(|reason| Error::Weights { file: "in memory".into(), reason })
}

/// The values of one tensor of that name, which may be any.
pub fn values(name: &str, shape: &[usize], seed: u64) -> Vec<f32> {
    let fan_in = match name.contains("conv5_mask") {
        true => shape[0],
        false => shape.iter().skip(1).product(),
    };
    let (centre, spread) = match name.rsplit('.').next() {
        Some("weight") if shape.len() > 1 => (0.0, (6.0 / fan_in as f64).sqrt()),
        Some("weight") => (1.0, 0.1),
        Some("running_var") => (1.0, 0.2),
        _ => (0.0, 0.1),
    };
    let h = fnv1a(name) ^ seed;
    let count = shape.iter().product::<usize>() as u64;
    (0..count).map(|i| (centre + spread * unit(h.wrapping_add(i))) as f32).collect()
}

fn fnv1a(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3))
}

/// Splitmix64's output for the state `x`, its top 24 bits as a number in [-1, 1).
fn unit(x: u64) -> f64 {
    let z = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let z = z ^ (z >> 31);
    (z >> 40) as f64 / f64::from(1 << 23) - 1.0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values computed by the formula in Python.
    #[test]
    fn follows_the_documented_formula() {
        let bits =
            |name, shape: &[usize]| values(name, shape, 7).iter().take(2).map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits("backbone.body.conv1.weight", &[8, 3, 7, 7]), [0xbc57_50e5, 0x3d15_5c4b]);
        assert_eq!(bits("backbone.body.bn1.running_var", &[8]), [0x3f5b_1260, 0x3f86_4f58]);
        assert_eq!(bits("roi_heads.mask_predictor.conv5_mask.weight", &[8, 4, 2, 2]), [0xbd1c_64ca, 0x3f01_8e82]);
    }

    #[test]
    fn spreads_like_he() {
        let weight = values("x.weight", &[64, 64, 3, 3], 1);
        let variance = weight.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / weight.len() as f64;
        assert!((variance * 576.0 / 2.0 - 1.0).abs() < 0.02, "{variance}");
        assert_ne!(values("x.weight", &[64, 64], 1), values("x.weight", &[64, 64], 2));
        assert_ne!(values("x.weight", &[64, 64], 1), values("y.weight", &[64, 64], 1));
    }

    /// torchvision states 44,401,393 parameters for `maskrcnn_resnet50_fpn`. Its frozen BatchNorms are not among them:
    /// four vectors for each of 53, 26,560 channels in all.
    #[test]
    fn resnet50_has_torchvisions_size() {
        let tensors = state_dict(&Config::maskrcnn_resnet50_fpn());
        assert_eq!(tensors.len(), 307);
        let values: usize = tensors.iter().map(|(.., shape)| shape.iter().product::<usize>()).sum();
        assert_eq!(values, 44_401_393 + 4 * 26_560);
    }
}
