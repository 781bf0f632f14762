//! What a network's products are computed in.

use std::fmt;
use std::str::FromStr;

use crate::kernels::Caps;
use crate::{Error, Result};

/// What the factors of convolutions, transposed convolutions and fully connected layers are rounded to before they are
/// multiplied. Sums, biases and all tensors between layers are f32 in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Precision {
    /// Not rounded: the reference.
    #[default]
    F32,
    /// f16: half the memory for weights, and matrix units where the device has them.
    F16,
    /// f16 where that is what the device is made for, a GPU with cooperative matrices of f16 and f32 sums; else f32.
    Auto,
}

impl Precision {
    /// What can be said, as [`FromStr`] takes it.
    pub const NAMES: [&str; 3] = ["f32", "f16", "auto"];

    /// What kernels may use on a device, with [`Caps::halves`] as this precision has it there.
    ///
    /// # Errors
    /// [`Error::Device`] where f16 is asked of a device whose shaders lack it.
    pub fn on(self, device: &str, caps: Caps) -> Result<Caps> {
        let halves = match self {
            Self::F32 => false,
            Self::F16 => true,
            Self::Auto => !caps.cpu && caps.f16 && caps.matrices.iter().any(|m| m.f32_sums),
        };
        if halves && !caps.f16 {
            let reason = "its shaders have no f16; take precision f32, or auto, which is f32 there".into();
            return Err(Error::Device { device: device.into(), reason });
        }
        Ok(Caps { halves, ..caps })
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
    use crate::kernels::{Matrices, Matrix};

    #[test]
    fn auto_is_f16_on_gpus_with_matrices_of_f32_sums() {
        let halves = |p: Precision, caps: Caps| p.on("it", caps).map(|c| c.halves).ok();
        let of = |f32_sums: bool| Matrix::ALL.into_iter().filter(|m| m.f32_sums == f32_sums).collect::<Matrices>();
        let half = Caps { f16: true, ..Caps::MINIMUM };
        let matrices = Caps { matrices: of(true), ..half };
        for (caps, auto) in [
            (Caps::MINIMUM, false),
            (half, false),
            (matrices, true),
            (Caps { cpu: true, ..matrices }, false),
            (Caps { matrices: of(false), ..half }, false),
        ] {
            assert_eq!(halves(Precision::Auto, caps), Some(auto), "{caps:?}");
            assert_eq!(halves(Precision::F32, caps), Some(false), "{caps:?}");
            assert_eq!(halves(Precision::F16, caps), caps.f16.then_some(true), "{caps:?}");
        }
        let text = Precision::F16.on("the old one", Caps::MINIMUM).unwrap_err().to_string();
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
