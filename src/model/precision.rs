//! What a network's products are computed in.

use std::fmt;
use std::str::FromStr;

use crate::target::{Factors, Target};
use crate::{Error, Result};

/// What the factors of convolutions, transposed convolutions and fully connected layers are rounded to before they are
/// multiplied, and what lies between such layers. Sums, biases, logits, deltas, boxes, scores and masks are f32 in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Precision {
    /// Not rounded: the reference.
    #[default]
    F32,
    /// f16: half the traffic, and matrix units where the device has them. Where it has none of 16×16, large 3×3 convolutions have
    /// products of f32, and keep their weights so.
    F16,
    /// f16 where it should save a tenth of the time: on GPUs with cooperative matrices of f16 with f32 sums, of 16×16 or, in Metal,
    /// 8×8; else f32.
    Auto,
}

impl Precision {
    /// What can be said, as [`FromStr`] takes it.
    pub const NAMES: [&str; 3] = ["f32", "f16", "auto"];

    /// What kernels may use on a device, with [`Target::wants`] as this precision has it there.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where f16 is asked of a device whose shaders lack it.
    ///
    /// **Unstable**, as all of the [`engine`](crate::engine).
    pub fn on(self, device: &str, target: Target) -> Result<Target> {
        let can = &target.can;
        let f16 = match self {
            Self::F32 => false,
            Self::F16 => true,
            Self::Auto => target.pays.f16_from.is_some_and(|least| target.has_matrices_of_f16(least)),
        };
        if f16 && !can.f16 {
            let reason = "its shaders have no f16; take precision f32, or auto, which is f32 there".into();
            return Err(Error::Unsupported { device: device.into(), reason });
        }
        Ok(target.with(if f16 { Factors::F16 } else { Factors::F32 }))
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::NAMES[*self as usize])
    }
}

impl FromStr for Precision {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = [Self::F32, Self::F16, Self::Auto];
        all.into_iter().find(|p| p.to_string() == text).ok_or_else(|| format!("is none of {}", Self::NAMES.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::policy::{self, Policy};
    use crate::target::{Caps, Matrices, Matrix};

    #[test]
    fn auto_is_f16_on_gpus_with_large_matrices_of_f32_sums() {
        let f16 = |p: Precision, target: Target| p.on("it", target).map(|t| t.wants_f16()).ok();
        let of = |f32_sums: bool| Matrix::ALL.into_iter().filter(|m| m.f32_sums == f32_sums).collect::<Matrices>();
        let only = [Matrix::F32].into_iter().collect::<Matrices>();
        let half = Caps { f16: true, ..Caps::MINIMUM };
        let matrices = Caps { matrices: of(true), ..half };
        let eight = of(true).iter().filter(|m| m.size == 8).collect::<Matrices>();
        for (can, pays, auto) in [
            (Caps::MINIMUM, &policy::GPU, false),
            (half, &policy::GPU, false),
            (matrices, &policy::GPU, true),
            (matrices, &policy::WIDE_CPU, false),
            (Caps { matrices: eight, ..half }, &policy::GPU, false),
            (Caps { matrices: eight, ..half }, &policy::NARROW_GPU, true),
            (Caps { matrices: of(false), ..half }, &policy::GPU, false),
            (Caps { matrices: only, ..half }, &Policy { f16_from: Some(8), ..policy::GPU }, false),
        ] {
            let target = Target { can, pays, ..Target::MINIMUM };
            assert_eq!(f16(Precision::Auto, target), Some(auto), "{target:?}");
            assert_eq!(f16(Precision::F32, target), Some(false), "{target:?}");
            assert_eq!(f16(Precision::F16, target), can.f16.then_some(true), "{target:?}");
        }
        let text = Precision::F16.on("the old one", Target::MINIMUM).unwrap_err().to_string();
        assert!(text.contains("the old one") && text.contains("f32"), "{text}");
    }

    #[test]
    fn names_are_read_back() {
        for name in Precision::NAMES {
            assert_eq!(name.parse::<Precision>().unwrap().to_string(), name);
        }
        assert!("F16".parse::<Precision>().unwrap_err().contains("f32, f16, auto"));
    }
}
