//! What the device can do at most. Measured once for each device and driver, and kept in the user's cache folder.

mod probe;

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use probe::{Probe, Rate, Size};

use super::device::Device;
use crate::Result;
use crate::cache::Entries;
use crate::kernels::Variant;
use crate::kernels::roof_copy::RoofCopy;
use crate::kernels::roof_fma::RoofFma;
use crate::kernels::roof_matrix::{self, RoofMatrix};
use crate::ops::Cost;
use crate::rng::Rng;

/// What is counted up when the shaders or the way to measure change, so that old figures are not compared with new.
const VERSION: u64 = 3;

/// A roof that is passed by this was measured too low: clocks and rounding do less.
const PASSED: f64 = 1.05;

/// What takes less is not held against a roof: clocks have steps.
const SHORT: f64 = 20e-6;

/// What the device can do at most, as measured on it.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq)]
pub struct Roofs {
    /// Bytes a second, read and written, of a copy that no cache holds.
    pub copy: f64,
    /// Floating-point operations a second of fused multiply-adds in registers.
    pub fma: f64,
    /// The same of cooperative matrices in registers, where the device has such: f16, with f32 sums if it can.
    pub matrix: Option<f64>,
    /// Whether the device was left alone while they were measured. Where it was not they may be too low, and are measured
    /// again whenever they are asked for.
    pub steady: bool,
}

impl Roofs {
    /// Measures: two or three seconds of the device's time.
    ///
    /// # Errors
    /// [`crate::Error::Device`] where the device fails, [`crate::Error::Shader`] where it does not take the shaders.
    pub fn measure(device: &Device) -> Result<Self> {
        let elements = |mib: u64| ((mib << 20).min(device.max_binding()) / 16 * 4) as usize;
        // Twice 64 MiB lie in few caches; where that takes no time, twice 256 MiB.
        let size = Size { n: elements(64), steps: 0, repeats: 1 };
        let most = Size { n: elements(256), steps: 0, repeats: 512 };
        let copy = Probe::new(|_| RoofCopy, |c| c.bytes).best(device, size, most)?;
        let size = Size { n: 1 << 17, steps: 512, repeats: 1 };
        let most = Size { n: elements(32), steps: 1 << 17, repeats: 64 };
        let fma = Probe::new(|steps| RoofFma { steps }, |c| c.flops).best(device, size, most)?;
        let only = RoofMatrix::measured(&device.target());
        let mut matrix = None;
        if !only.is_empty() {
            let size = Size { n: 64 * roof_matrix::TILE, steps: roof_matrix::STEP_MULTIPLE, repeats: 1 };
            let most = Size { n: elements(32), steps: roof_matrix::MOST_STEPS, repeats: 64 };
            let factors = Some(Arc::new(roof_matrix::factors(&mut Rng::new(2), true)));
            let probe = Probe::new(|steps| RoofMatrix { steps }, |c| c.flops);
            matrix = Some(Probe { factors, only: Some(only), ..probe }.best(device, size, most)?);
        }
        let steady = [Some(copy), Some(fma), matrix].iter().flatten().all(|rate| rate.steady);
        let value = |rate: Rate| rate.value;
        Ok(Self { copy: copy.value, fma: fma.value, matrix: matrix.map(value), steady })
    }

    /// What the cache has for the device, or else measures and keeps it. What was kept of a busy device is measured again,
    /// and the best of both kept. A cache that cannot be read or written is no error.
    ///
    /// # Errors
    /// As [`Roofs::measure`].
    pub fn cached_or_measure(device: &Device) -> Result<Self> {
        match known(device) {
            Some(roofs) if roofs.steady => Ok(roofs),
            known => Ok(Self::measure(device)?.beside(known).keep(device)),
        }
    }

    /// What the cache has for the device of this key ([`super::Adapter::key`]).
    pub fn of_key(key: &str) -> Option<Self> {
        kept()?.get(key).and_then(sound)
    }

    /// Measures, and puts that in the place of what the cache had for the device; the best of both where the device is
    /// busy.
    ///
    /// # Errors
    /// As [`Roofs::measure`].
    pub fn remeasure(device: &Device) -> Result<Self> {
        let measured = Self::measure(device)?;
        let known = if measured.steady { None } else { known(device) };
        Ok(measured.beside(known).keep(device))
    }

    /// The best of these, just measured, and those that were `known`: a rate that was reached once can be reached.
    fn beside(self, known: Option<Self>) -> Self {
        let Some(known) = known else { return self };
        let matrix = self.matrix.into_iter().chain(known.matrix).reduce(f64::max);
        let steady = self.steady || known.steady;
        Self { copy: self.copy.max(known.copy), fma: self.fma.max(known.fma), matrix, steady }
    }

    fn keep(self, device: &Device) -> Self {
        if let Some(kept) = kept() {
            // Kept for the sake of time only: the next call measures again.
            let _ = kept.put(&device.key(), json!(self));
        }
        self
    }

    /// Least seconds that the device needs for such a cost by such a variant: the larger of arithmetic, on the matrix
    /// units where the variant uses them, and traffic.
    pub fn floor(&self, cost: &Cost, variant: &Variant) -> f64 {
        self.arithmetic(cost, variant).max(cost.bytes / self.copy)
    }

    /// Least seconds that arithmetic takes alone.
    fn arithmetic(&self, cost: &Cost, variant: &Variant) -> f64 {
        cost.flops / self.matrix.filter(|_| variant.matrices).unwrap_or(self.fma)
    }

    /// Whether such a cost in so many seconds shows that these roofs are too low. Only arithmetic does: what a cache
    /// serves passes the roof of a copy through memory, and rightly.
    pub fn are_passed(&self, cost: &Cost, variant: &Variant, seconds: f64) -> bool {
        seconds >= SHORT && self.arithmetic(cost, variant) > PASSED * seconds
    }
}

/// All of them, for people: `copy 10.0 GB/s, multiply-adds 114.5 GFLOP/s`, and `matrices` where they were measured.
impl fmt::Display for Roofs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "copy {:.1} GB/s, multiply-adds {:.1} GFLOP/s", self.copy / 1e9, self.fma / 1e9)?;
        self.matrix.map_or(Ok(()), |rate| write!(f, ", matrices {:.1} GFLOP/s", rate / 1e9))
    }
}

fn kept() -> Option<Entries> {
    Entries::of("roofs", VERSION).ok()
}

/// What the cache has for the device.
fn known(device: &Device) -> Option<Roofs> {
    Roofs::of_key(&device.key())
}

/// An entry that can be divided by.
fn sound(entry: Json) -> Option<Roofs> {
    let roofs: Roofs = serde_json::from_value(entry).ok()?;
    let good = |rate: f64| rate.is_finite() && rate > 0.0;
    (good(roofs.copy) && good(roofs.fma) && roofs.matrix.is_none_or(good)).then_some(roofs)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOFS: Roofs = Roofs { copy: 2e9, fma: 1e11, matrix: None, steady: true };

    #[test]
    fn the_floor_is_the_larger_of_arithmetic_and_traffic() {
        let mut variant = Variant::own("any", &[]);
        assert_eq!(ROOFS.floor(&Cost { flops: 1e11, bytes: 1e9 }, &variant), 1.0);
        assert_eq!(ROOFS.floor(&Cost { flops: 1e9, bytes: 1e9 }, &variant), 0.5);
        assert_eq!(ROOFS.floor(&Cost::default(), &variant), 0.0);
        let with = Roofs { matrix: Some(4e11), ..ROOFS };
        assert_eq!(with.floor(&Cost { flops: 4e11, bytes: 1e9 }, &variant), 4.0);
        variant.matrices = true;
        assert_eq!(with.floor(&Cost { flops: 4e11, bytes: 1e9 }, &variant), 1.0);
        assert_eq!(ROOFS.floor(&Cost { flops: 4e11, bytes: 1e9 }, &variant), 4.0);
    }

    #[test]
    fn matrices_are_told_of_where_there_are_any() {
        assert_eq!(ROOFS.to_string(), "copy 2.0 GB/s, multiply-adds 100.0 GFLOP/s");
        let with = Roofs { matrix: Some(5e12), ..ROOFS };
        assert_eq!(with.to_string(), "copy 2.0 GB/s, multiply-adds 100.0 GFLOP/s, matrices 5000.0 GFLOP/s");
    }

    /// Entries of a sound file that cannot be used: measured again, the others stay.
    #[test]
    fn rates_that_cannot_be_are_not_believed() {
        for text in [
            "3",
            "{}",
            r#"{"copy":0,"fma":1,"steady":true}"#,
            r#"{"copy":1,"fma":-1,"steady":true}"#,
            r#"{"copy":1,"fma":1,"matrix":0,"steady":true}"#,
        ] {
            assert_eq!(sound(serde_json::from_str(text).unwrap()), None, "{text}");
        }
        let least = sound(json!({ "copy": 1.0, "fma": 2.0, "steady": false }));
        assert_eq!(least, Some(Roofs { copy: 1.0, fma: 2.0, matrix: None, steady: false }));
    }

    #[test]
    fn what_was_reached_once_can_be_reached() {
        let roofs = |copy: f64, fma: f64, steady: bool| Roofs { copy, fma, matrix: None, steady };
        let busy = roofs(1.0, 9.0, false);
        assert_eq!(busy.beside(None), busy);
        assert_eq!(busy.beside(Some(roofs(2.0, 8.0, false))), roofs(2.0, 9.0, false));
        assert_eq!(busy.beside(Some(roofs(2.0, 8.0, true))), roofs(2.0, 9.0, true));
        assert_eq!(roofs(2.0, 8.0, true).beside(Some(busy)), roofs(2.0, 9.0, true));
        let with = Roofs { matrix: Some(3.0), ..busy };
        assert_eq!((busy.beside(Some(with)).matrix, with.beside(Some(busy)).matrix), (Some(3.0), Some(3.0)));
    }

    #[test]
    fn more_arithmetic_than_can_be_shows_that_a_roof_is_too_low() {
        let mut variant = Variant::own("any", &[]);
        let cost = Cost { flops: 1e11, bytes: 1e10 };
        assert!(ROOFS.are_passed(&cost, &variant, 0.9), "1.1 times the arithmetic");
        assert!(!ROOFS.are_passed(&cost, &variant, 0.97), "within what clocks do");
        assert!(!ROOFS.are_passed(&cost, &variant, 1.0), "5 times the traffic: of a cache");
        assert!(!ROOFS.are_passed(&Cost { flops: 1e9, bytes: 0.0 }, &variant, 1e-6), "too short to be timed");
        variant.matrices = true;
        assert!(!Roofs { matrix: Some(4e11), ..ROOFS }.are_passed(&cost, &variant, 0.5));
    }
}
