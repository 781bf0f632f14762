//! What the device can do at most. Measured once for each device and driver, and kept in the user's cache folder.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::device::Device;
use super::profiler::Clock;
use super::runner::Runner;
use crate::cache::Entries;
use crate::graph::{Graph, Plan, Tensor};
use crate::kernels::case::Rng;
use crate::kernels::roof_copy::RoofCopy;
use crate::kernels::roof_fma::RoofFma;
use crate::kernels::roof_matrix::{self, RoofMatrix};
use crate::kernels::{Cost, Info, Io, Kernel, Variant};
use crate::tensor::{ELEMENT_BYTES, Value};
use crate::{Error, Result};

/// What is counted up when the shaders or the way to measure change, so that old figures are not compared with new.
const VERSION: u64 = 2;

/// Measurements of one variant: a roof is the best of them. A GPU needs a while to reach its highest clock.
const TRIES: usize = 8;
const AT_LEAST: Duration = Duration::from_millis(400);
const AT_MOST: Duration = Duration::from_secs(2);

/// What the device can do at most, as measured on it.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct Roofs {
    /// Bytes a second, read and written, of a copy that no cache holds.
    pub copy: f64,
    /// Floating-point operations a second of fused multiply-adds in registers.
    pub fma: f64,
    /// The same of cooperative matrices in registers, where the device has such: f16, with f32 sums if it can.
    pub matrix: Option<f64>,
}

impl Roofs {
    /// Measures: two or three seconds of the device's time.
    ///
    /// # Errors
    /// [`Error::Device`] where the device fails, [`Error::Shader`] where it does not take the shaders.
    pub fn measure(device: &Device) -> Result<Self> {
        let elements = |mib: u64| ((mib << 20).min(device.max_binding()) / 16 * 4) as usize;
        // Twice 64 MiB lie in few caches; where that takes no time, twice 256 MiB.
        let size = Size { n: elements(64), steps: 0, repeats: 1 };
        let most = Size { n: elements(256), steps: 0, repeats: 512 };
        let copy = Probe::new(|_| RoofCopy, |c| c.bytes).best(device, size, most)?;
        let size = Size { n: 1 << 17, steps: 512, repeats: 1 };
        let most = Size { n: elements(32), steps: 1 << 17, repeats: 64 };
        let fma = Probe::new(|steps| RoofFma { steps }, |c| c.flops).best(device, size, most)?;
        let only = RoofMatrix::measured(&device.caps());
        if only.is_empty() {
            return Ok(Self { copy, fma, matrix: None });
        }
        let size = Size { n: 64 * roof_matrix::TILE, steps: roof_matrix::STEP_MULTIPLE, repeats: 1 };
        let most = Size { n: elements(32), steps: roof_matrix::MOST_STEPS, repeats: 64 };
        let factors = Some(Arc::new(roof_matrix::factors(&mut Rng::new(2), true)));
        let probe = Probe::new(|steps| RoofMatrix { steps }, |c| c.flops);
        let matrix = Some(Probe { factors, only: Some(only), ..probe }.best(device, size, most)?);
        Ok(Self { copy, fma, matrix })
    }

    /// What the cache has for the device, or else measures and keeps it. A cache that cannot be read or written is no
    /// error.
    ///
    /// # Errors
    /// As [`Roofs::measure`].
    pub fn cached_or_measure(device: &Device) -> Result<Self> {
        match kept().and_then(|kept| kept.get(&device.key())).and_then(sound) {
            Some(roofs) => Ok(roofs),
            None => Self::remeasure(device),
        }
    }

    /// Measures, and puts that in the place of what the cache had for the device.
    ///
    /// # Errors
    /// As [`Roofs::measure`].
    pub fn remeasure(device: &Device) -> Result<Self> {
        let roofs = Self::measure(device)?;
        if let Some(kept) = kept() {
            // Kept for the sake of time only: the next call measures again.
            let _ = kept.put(&device.key(), json!(roofs));
        }
        Ok(roofs)
    }

    /// Least seconds that the device needs for such a cost by such a variant: the larger of arithmetic, on the matrix
    /// units where the variant uses them, and traffic.
    pub fn floor(&self, cost: &Cost, variant: &Variant) -> f64 {
        let arithmetic = self.matrix.filter(|_| variant.matrices).unwrap_or(self.fma);
        (cost.flops / arithmetic).max(cost.bytes / self.copy)
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

/// An entry that can be divided by.
fn sound(entry: Json) -> Option<Roofs> {
    let roofs: Roofs = serde_json::from_value(entry).ok()?;
    let good = |rate: f64| rate.is_finite() && rate > 0.0;
    (good(roofs.copy) && good(roofs.fma) && roofs.matrix.is_none_or(good)).then_some(roofs)
}

/// How much is done between two looks at the clock.
#[derive(Clone, Copy, PartialEq)]
struct Size {
    /// Elements of x.
    n: usize,
    /// Steps of each, where the kernel has such.
    steps: usize,
    /// Dispatches.
    repeats: usize,
}

impl Size {
    /// The next larger one within `most`.
    fn grown(self, most: Size) -> Option<Size> {
        let mut next = self;
        if 2 * self.n <= most.n {
            next.n *= 2;
        } else if 2 * self.steps <= most.steps {
            next.steps *= 2;
        } else if 2 * self.repeats <= most.repeats {
            next.repeats *= 2;
        }
        (next != self).then_some(next)
    }
}

/// A kernel that shows a roof, and how to measure by it.
struct Probe<F> {
    /// The kernel with so many steps; y has the shape of x.
    kernel: F,
    /// A second input, where it takes one.
    factors: Option<Arc<Value>>,
    /// The variants to measure, where not all.
    only: Option<Vec<&'static str>>,
    /// What is counted.
    what: fn(&Cost) -> f64,
}

impl<K: Kernel + 'static, F: Fn(usize) -> K> Probe<F> {
    /// All variants.
    fn new(kernel: F, what: fn(&Cost) -> f64) -> Self {
        Self { kernel, factors: None, only: None, what }
    }

    /// The highest rate that any variant reaches, at a size that takes long enough to be timed.
    fn best(&self, device: &Device, least: Size, most: Size) -> Result<f64> {
        // The host's clock has the time of a submit in it. Time stamps are exact, and short dispatches find the quiet
        // moments of a CPU that others use too.
        let long = if device.clock() == Clock::Wall { 0.03 } else { 0.003 };
        let (mut size, mut rate) = (least, 0.0f64);
        for variant in self.variants(device, least) {
            let mut runner = self.prepare(device, size, variant)?;
            let mut taken = seconds(device, &mut runner)?;
            while taken < long
                && let Some(next) = size.grown(most)
            {
                size = next;
                // What is there is given back before more is asked for.
                drop(runner);
                runner = self.prepare(device, size, variant)?;
                taken = seconds(device, &mut runner)?;
            }
            let work: f64 = runner.plan().steps.iter().map(|s| (self.what)(&s.cost)).sum();
            let begin = Instant::now();
            for tries in 0.. {
                let spent = begin.elapsed();
                if (tries >= TRIES && spent >= AT_LEAST) || spent >= AT_MOST {
                    break;
                }
                taken = taken.min(seconds(device, &mut runner)?);
            }
            if taken > 0.0 {
                rate = rate.max(work / taken);
            }
        }
        if rate > 0.0 {
            return Ok(rate);
        }
        let reason = "its clock stands still, so its speed cannot be measured".into();
        Err(Error::Device { device: device.name().into(), reason })
    }

    fn variants(&self, device: &Device, size: Size) -> Vec<&'static str> {
        let x = Info::f32([size.n]);
        let factors = self.factors.as_ref().map(|f| Info::f32(f.shape));
        let inputs: Vec<Info> = [x].into_iter().chain(factors).collect();
        let variants = (self.kernel)(size.steps).variants(&Io { inputs: &inputs, outputs: &[x] }, &device.caps());
        let asked = |name: &&str| self.only.as_ref().is_none_or(|only| only.contains(name));
        variants.iter().map(|v| v.name).filter(asked).collect()
    }

    /// The same dispatch over and over, with numbers in the input: zeros would flatter some devices.
    fn prepare(&self, device: &Device, size: Size, variant: &str) -> Result<Runner> {
        let mut g = Graph::new();
        let x = g.input("the roof's input", Info::f32([size.n]));
        let factors = self.factors.as_ref().map(|f| g.constant("the roof's factors", f.clone()));
        let y = g.shared_output("the roof's output", [size.n]);
        g.keep(x);
        let inputs: Vec<Tensor> = [x].into_iter().chain(factors).collect();
        for _ in 0..size.repeats {
            g.op_into("roof", (self.kernel)(size.steps), &inputs, &[y])?;
        }
        let mut runner = Runner::new(device, Plan::new(g, &device.caps(), &[variant]))?;
        let numbers = Rng::new(1).tensor([1 << 14]);
        let length = size.n * ELEMENT_BYTES;
        let mut bytes = numbers.bytes().repeat(length.div_ceil(numbers.bytes().len()));
        bytes.truncate(length);
        runner.run(&[(x, &bytes)], &[])?;
        Ok(runner)
    }
}

/// Seconds of all dispatches of one run.
fn seconds(device: &Device, runner: &mut Runner) -> Result<f64> {
    match device.clock() {
        Clock::Wall => runner.wall(&[]),
        clock => Ok(runner.profile(&[], clock)?.iter().sum()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOFS: Roofs = Roofs { copy: 2e9, fma: 1e11, matrix: None };

    #[test]
    fn the_floor_is_the_larger_of_arithmetic_and_traffic() {
        let mut variant = Variant::new("any", &[]);
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
        for text in ["3", "{}", r#"{"copy":0,"fma":1}"#, r#"{"copy":1,"fma":-1}"#, r#"{"copy":1,"fma":1,"matrix":0}"#] {
            assert_eq!(sound(serde_json::from_str(text).unwrap()), None, "{text}");
        }
        let least = sound(json!({ "copy": 1.0, "fma": 2.0 }));
        assert_eq!(least, Some(Roofs { copy: 1.0, fma: 2.0, matrix: None }));
    }

    #[test]
    fn sizes_grow_by_elements_then_steps_then_repeats() {
        let most = Size { n: 5, steps: 2, repeats: 2 };
        let mut size = Size { n: 2, steps: 1, repeats: 1 };
        let mut seen = Vec::new();
        while let Some(next) = size.grown(most) {
            size = next;
            seen.push((size.n, size.steps, size.repeats));
        }
        assert_eq!(seen, [(4, 1, 1), (4, 2, 1), (4, 2, 2)]);
        let copy = Size { n: 4, steps: 0, repeats: 1 };
        assert!(copy.grown(Size { n: 4, steps: 0, repeats: 1 }).is_none());
    }
}
