//! How fast the device does one kind of work, at a size that takes long enough to be timed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::gpu::device::Device;
use crate::gpu::profiler::Clock;
use crate::gpu::runner::Runner;
use crate::graph::{Graph, Plan, Tensor};
use crate::kernels::Kernel;
use crate::ops::{Cost, Info, Io};
use crate::rng::Rng;
use crate::tensor::{ELEMENT_BYTES, Value};
use crate::{Error, Result};

/// Measurements of one variant: a roof is the best of them. A GPU needs a while to reach its highest clock.
const TRIES: usize = 8;
const AT_LEAST: Duration = Duration::from_millis(400);
const AT_MOST: Duration = Duration::from_secs(2);
/// A busy moment may pass: it is given this time.
const PATIENCE: Duration = Duration::from_secs(1);

/// Where the usual one of the latest measurements takes so many times as long as the best of all, something else keeps
/// the device busy: even the best then had it but in part.
const UNSTEADY: f64 = 1.25;

/// Nor is a CPU driver left alone where its threads wait for a core for this part of the time that they could run: where
/// others take as much at all times, its measurements scatter little.
const STARVED: f64 = 0.1;

/// The highest rate that was reached, and whether the device was left alone meanwhile.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rate {
    pub value: f64,
    pub steady: bool,
}

/// How much is done between two looks at the clock.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct Size {
    /// Elements of x.
    pub n: usize,
    /// Steps of each, where the kernel has such.
    pub steps: usize,
    /// Dispatches.
    pub repeats: usize,
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
pub(super) struct Probe<F> {
    /// The kernel with so many steps; y has the shape of x.
    pub kernel: F,
    /// A second input, where it takes one.
    pub factors: Option<Arc<Value>>,
    /// The variants to measure, where not all.
    pub only: Option<Vec<&'static str>>,
    /// What is counted.
    pub what: fn(&Cost) -> f64,
}

impl<K: Kernel + 'static, F: Fn(usize) -> K> Probe<F> {
    /// All variants.
    pub(super) fn new(kernel: F, what: fn(&Cost) -> f64) -> Self {
        Self { kernel, factors: None, only: None, what }
    }

    /// The highest rate that any variant reaches, at a size that takes long enough to be timed.
    pub(super) fn best(&self, device: &Device, least: Size, most: Size) -> Result<Rate> {
        // The host's clock has the time of a submit in it. Time stamps are exact, and short dispatches find the quiet
        // moments of a CPU that others use too.
        let long = if device.clock() == Clock::Wall { 0.03 } else { 0.003 };
        let (mut size, mut rate) = (least, Rate { value: 0.0, steady: true });
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
            let (begin, cores) = (Instant::now(), Cores::of(device));
            let mut all = vec![taken];
            loop {
                let spent = begin.elapsed();
                let enough = all.len() > TRIES && spent >= AT_LEAST;
                let calm = || spent >= PATIENCE || unsteadiness(&all) <= UNSTEADY;
                if spent >= AT_MOST || (enough && calm()) {
                    break;
                }
                all.push(seconds(device, &mut runner)?);
            }
            taken = all.iter().copied().fold(taken, f64::min);
            if taken > 0.0 && work / taken > rate.value {
                let steady = unsteadiness(&all) <= UNSTEADY && Cores::starvation(cores, Cores::of(device)) <= STARVED;
                rate = Rate { value: work / taken, steady };
            }
        }
        if rate.value > 0.0 {
            return Ok(rate);
        }
        let reason = "its clock stands still, so its speed cannot be measured".into();
        Err(Error::Unsupported { device: device.name().into(), reason })
    }

    fn variants(&self, device: &Device, size: Size) -> Vec<&'static str> {
        let x = Info::f32([size.n]);
        let factors = self.factors.as_ref().map(|f| Info::f32(f.shape));
        let inputs: Vec<Info> = [x].into_iter().chain(factors).collect();
        let variants = (self.kernel)(size.steps).variants(&Io { inputs: &inputs, outputs: &[x] }, &device.target());
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
        let mut runner = Runner::new(device, Plan::new(g, &device.target(), &[variant])?)?;
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

/// How many times as long as the shortest of all times the middle one of their second half is: 1 where nothing else
/// goes on. The first half is the device's, to reach its highest clock.
fn unsteadiness(times: &[f64]) -> f64 {
    let mut late = times[times.len() / 2..].to_vec();
    late.sort_by(f64::total_cmp);
    late[late.len() / 2] / times.iter().copied().fold(f64::INFINITY, f64::min)
}

/// Nanoseconds of all threads of this process since they began.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Cores {
    /// On a core …
    ran: u64,
    /// … and ready for one, but none was free.
    waited: u64,
}

impl Cores {
    /// Of a CPU driver, whose threads are this process's; none of a GPU, and where the system does not tell (Linux does).
    fn of(device: &Device) -> Option<Self> {
        if device.target().pays.own_cores { Self::now() } else { None }
    }

    fn now() -> Option<Self> {
        let mut all = Self { ran: 0, waited: 0 };
        for thread in std::fs::read_dir("/proc/self/task").ok()? {
            // A thread may end between the list and the look at it.
            let Ok(text) = std::fs::read_to_string(thread.ok()?.path().join("schedstat")) else { continue };
            let mut numbers = text.split_whitespace().map(|n| n.parse::<u64>().unwrap_or(0));
            all.ran += numbers.next()?;
            all.waited += numbers.next()?;
        }
        Some(all)
    }

    /// The part of the time that they could have run between two looks in which they waited.
    fn starvation(before: Option<Self>, after: Option<Self>) -> f64 {
        let (Some(before), Some(after)) = (before, after) else { return 0.0 };
        let (ran, waited) = (after.ran.saturating_sub(before.ran), after.waited.saturating_sub(before.waited));
        waited as f64 / (ran + waited).max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    #[test]
    fn a_device_that_others_use_is_noticed() {
        // A GPU that warms up, then runs evenly.
        let warm: Vec<f64> =
            (0..40).map(|i| if i < 10 { 3.0 - 0.2 * f64::from(i) } else { 1.0 + 0.01 * f64::from(i % 4) }).collect();
        assert!(unsteadiness(&warm) < 1.05, "{}", unsteadiness(&warm));
        // Now and then it is left alone.
        let shared: Vec<f64> = (0..40).map(|i| if i % 7 == 0 { 1.0 } else { 1.9 }).collect();
        assert!(unsteadiness(&shared) > UNSTEADY, "{}", unsteadiness(&shared));
        assert_eq!(unsteadiness(&[2.0]), 1.0);
    }
    #[test]
    fn threads_that_wait_for_a_core_are_noticed() {
        let cores = |ran: u64, waited: u64| Some(Cores { ran, waited });
        assert_eq!(Cores::starvation(cores(100, 50), cores(190, 60)), 0.1);
        assert_eq!(Cores::starvation(cores(100, 50), cores(100, 50)), 0.0);
        assert_eq!((Cores::starvation(None, cores(1, 9)), Cores::starvation(cores(0, 0), None)), (0.0, 0.0));
        // More threads than cores, all at work: some wait.
        let Some(before) = Cores::now() else { return };
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        std::thread::scope(|s| {
            let turn = || {
                let begin = Instant::now();
                while begin.elapsed() < Duration::from_millis(60) {
                    std::hint::spin_loop();
                }
            };
            let all: Vec<_> = (0..4 * cores).map(|_| s.spawn(turn)).collect();
            std::thread::sleep(Duration::from_millis(40));
            let starved = Cores::starvation(Some(before), Cores::now());
            assert!(before.ran == 0 || starved > STARVED, "{starved}");
            all.into_iter().for_each(|t| t.join().unwrap());
        });
    }
}
