//! What a layer ends with.

use super::on;

/// A function of each value, the last step of a layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Activation {
    /// None: the value itself.
    #[default]
    Identity,
    /// max(v, 0).
    Relu,
    /// `v · min(max(v + 3, 0), 6) / 6` (Howard et al., arXiv:1905.02244, §5.2).
    HardSwish,
    /// `min(max(v + 3, 0), 6) / 6`: the gate of the former.
    HardSigmoid,
}

impl Activation {
    /// ReLU or nothing.
    pub fn relu(on: bool) -> Self {
        if on { Self::Relu } else { Self::Identity }
    }

    /// Its value.
    pub(crate) fn of(self, v: f64) -> f64 {
        match self {
            Self::Identity => v,
            Self::Relu => v.max(0.0),
            Self::HardSwish => v * Self::HardSigmoid.of(v),
            Self::HardSigmoid if v <= -3.0 => 0.0,
            Self::HardSigmoid if v >= 3.0 => 1.0,
            Self::HardSigmoid => v / 6.0 + 0.5,
        }
    }

    /// Its name as an op's setting.
    pub(crate) fn setting(self) -> (&'static str, Option<String>) {
        match self {
            Self::Identity => ("relu", None),
            Self::Relu => ("relu", on(true)),
            Self::HardSwish => ("hard_swish", on(true)),
            Self::HardSigmoid => ("hard_sigmoid", on(true)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Activation::{HardSigmoid, HardSwish, Identity, Relu};

    #[test]
    fn bends_where_it_should() {
        let all = |v: f64| [Identity, Relu, HardSwish, HardSigmoid].map(|a| a.of(v));
        assert_eq!(all(-4.0), [-4.0, 0.0, 0.0, 0.0]);
        assert_eq!(all(-1.5), [-1.5, 0.0, -0.375, 0.25]);
        assert_eq!(all(1.5), [1.5, 1.5, 1.125, 0.75]);
        assert_eq!(all(8.0), [8.0, 8.0, 8.0, 1.0]);
    }
}
