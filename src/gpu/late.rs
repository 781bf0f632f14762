//! Drivers that compile a pipeline at its first dispatch, on the thread of their queue, as Mesa's lavapipe does. Each pipeline is
//! dispatched without work before the first run, so that whoever watches sees it compiled. What such a driver compiles it keeps on
//! disk: further devices, each with a thread of its own, compile beside the first, which then finds their part there.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use super::adapter::Adapter;
use super::compile::{MOST_THREADS, Progress};
use super::device::Device;
use super::pipeline::{Checks, Extent, Pipeline};
use super::runner::Runner;
use super::texture::Texture;
use crate::Result;
use crate::kernels::Variant;
use crate::shader::Access;

/// What took no longer was found on disk.
const FOUND: Duration = Duration::from_millis(20);

/// By then the driver has written what it compiled: it does so beside.
const SETTLED: Duration = Duration::from_millis(30);

/// Pipelines for each device at least: opening one for fewer takes longer than it saves.
const LEAST_EACH: usize = 3;

/// Bytes of what stands in for a tensor.
const STAND_IN: u64 = 4096;

/// A pipeline that was never dispatched.
struct Fresh<'a> {
    /// The step that it is dispatched for.
    step: usize,
    kernel: &'static str,
    variant: &'a Variant,
    /// The step's: lavapipe compiles with the values in place where much falls away by them.
    params: &'a [u8],
}

/// Who compiles what: the first device and the further ones each take the next.
struct Turns {
    of: usize,
    next: AtomicUsize,
    /// Whether further devices are to end.
    alone: AtomicBool,
}

/// What a further device has compiled, or failed to, how long it took, and when that was.
struct Compiled {
    at: usize,
    took: Duration,
    since: Instant,
}

impl Turns {
    fn new(of: usize) -> Self {
        Self { of, next: AtomicUsize::new(0), alone: AtomicBool::new(false) }
    }

    fn take(&self) -> Option<usize> {
        Some(self.next.fetch_add(1, Ordering::Relaxed)).filter(|&at| at < self.of)
    }

    /// Further devices that are worth while for what is left.
    fn helpers(&self, cores: usize) -> usize {
        let left = self.of.saturating_sub(self.next.load(Ordering::Relaxed));
        cores.clamp(1, MOST_THREADS).min(1 + left / LEAST_EACH) - 1
    }
}

impl Runner {
    /// Dispatches no workgroup of each pipeline that was never dispatched: what drivers compile late is compiled then,
    /// and not within the first run.
    pub(super) fn touch_all(&self, progress: &Progress, checks: Checks) -> Result<()> {
        if !self.device.compiles_late() {
            return Ok(());
        }
        let unused = (0..self.steps.len()).filter(|&i| self.steps[i].pipeline.is_first_use());
        let fresh = unused.map(|step| {
            let planned = &self.plan.steps[step];
            let kernel = self.plan.graph.nodes[planned.op].op.name();
            Fresh { step, kernel, variant: &planned.variant, params: &planned.launch.params }
        });
        let fresh = ordered(fresh.collect(), |fresh| self.steps[fresh.step].pipeline.text);
        let touch = |at: usize| -> Result<Duration> {
            let (begin, fresh): (_, &Fresh) = (Instant::now(), &fresh[at]);
            let step = &self.steps[fresh.step];
            let group = step.bind_group.as_ref().ok_or_else(|| self.device.failed("a step is not bound".into()))?;
            self.device.touch(&step.pipeline, group, step.params_at)?;
            progress.one_more(fresh.kernel, fresh.variant);
            Ok(begin.elapsed())
        };
        let again = self.device.shared.again.as_ref().filter(|_| keeps_shaders(|name| std::env::var(name).ok()));
        let cores = thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let turns = Turns::new(fresh.len());
        thread::scope(|s| {
            let beside = |tell: Sender<Compiled>| {
                for adapter in again.into_iter().cycle().take(turns.helpers(cores)) {
                    let (tell, turns, fresh) = (tell.clone(), &turns, &fresh);
                    let work = move || {
                        if let Err(e) = compile_beside(adapter, checks, fresh, turns, &tell) {
                            log::info!("a further device to compile with failed: {e}");
                        }
                    };
                    // A thread that the system refuses is work for the others.
                    let _ = thread::Builder::new().spawn_scoped(s, work);
                }
            };
            let outcome = touch_each(&turns, touch, beside);
            turns.alone.store(true, Ordering::Relaxed);
            outcome
        })
    }
}

/// Whether Mesa keeps what it compiles, as far as the user's settings tell.
fn keeps_shaders(setting: impl Fn(&str) -> Option<String>) -> bool {
    let is_on = |name| {
        setting(name).is_some_and(|value| ["1", "true", "y", "yes"].contains(&value.to_ascii_lowercase().as_str()))
    };
    !["MESA_SHADER_CACHE_DISABLE", "MESA_GLSL_CACHE_DISABLE"].into_iter().any(is_on)
}

/// In what order several devices best compile: what takes longest, by its `length`, first, so that all end together. But the very
/// first is a small one, which shows whether anything is to be compiled at all.
fn ordered<T>(mut fresh: Vec<T>, length: impl Fn(&T) -> usize) -> Vec<T> {
    fresh.sort_by_key(|fresh| std::cmp::Reverse(length(fresh)));
    let small = fresh.len() * 3 / 4;
    if let Some(larger) = fresh.get_mut(..=small) {
        larger.rotate_right(1);
    }
    fresh
}

/// Has the first device `touch` each, sooner or later: what further devices took, once they have compiled it. They begin with
/// `beside` when something was compiled and not found, and end where what they compile is not found either.
fn touch_each(
    turns: &Turns,
    touch: impl Fn(usize) -> Result<Duration>,
    beside: impl FnOnce(Sender<Compiled>),
) -> Result<()> {
    let (tell, told) = channel();
    let mut to_begin = Some((beside, tell));
    let mut others: VecDeque<Compiled> = VecDeque::new();
    let mut kept = false;
    loop {
        others.extend(told.try_iter());
        if others.front().is_some_and(|other| other.since.elapsed() >= SETTLED)
            && let Some(other) = others.pop_front()
        {
            let took = touch(other.at)?;
            kept |= took <= FOUND || took < other.took / 2;
            if !kept && !turns.alone.swap(true, Ordering::Relaxed) {
                log::info!("the driver keeps no shaders: one device compiles all");
            }
        } else if let Some(at) = turns.take() {
            if touch(at)? > FOUND
                && let Some((beside, tell)) = to_begin.take()
            {
                beside(tell);
            }
        } else if let Some(other) = others.front() {
            thread::sleep(SETTLED.saturating_sub(other.since.elapsed()));
        } else {
            // No further device begins any more: the last to end closes the channel.
            to_begin = None;
            match told.recv() {
                Ok(other) => others.push_back(other),
                Err(_) => return Ok(()),
            }
        }
    }
}

/// Compiles what it takes on a device of its own, so that the driver keeps it, and tells of each.
fn compile_beside(
    adapter: &Adapter,
    checks: Checks,
    fresh: &[Fresh],
    turns: &Turns,
    tell: &Sender<Compiled>,
) -> Result<()> {
    let device = Device::opened(adapter.clone())?;
    let stand_ins = StandIns::new(&device)?;
    while !turns.alone.load(Ordering::Relaxed)
        && let Some(at) = turns.take()
    {
        let (begin, fresh) = (Instant::now(), &fresh[at]);
        let outcome = device
            .pipeline(fresh.kernel, fresh.variant, checks, Extent::Whole)
            .and_then(|pipeline| device.touch(&pipeline, &stand_ins.bind(&device, &pipeline, fresh.params)?, 0));
        // Nobody listens any more where the first device has failed, which says so itself.
        let _ = tell.send(Compiled { at, took: begin.elapsed(), since: Instant::now() });
        outcome?;
    }
    Ok(())
}

/// What pipelines are bound to on a further device in place of tensors: lavapipe compiles for the kind of what is bound, and not
/// for its size.
struct StandIns {
    read: wgpu::Buffer,
    written: wgpu::Buffer,
    texture: Texture,
}

impl StandIns {
    fn new(device: &Device) -> Result<Self> {
        let buffer = || device.buffer("stand-in", STAND_IN, wgpu::BufferUsages::STORAGE);
        Ok(Self { read: buffer()?, written: buffer()?, texture: device.texture("stand-in", STAND_IN)? })
    }

    fn bind(&self, device: &Device, pipeline: &Pipeline, params: &[u8]) -> Result<wgpu::BindGroup> {
        let params = device.filled("params", params, wgpu::BufferUsages::UNIFORM)?;
        let resource = |access: &Access| match access {
            Access::Uniform => wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                buffer: &params,
                offset: 0,
                size: wgpu::BufferSize::new(params.size()),
            }),
            Access::Read => self.read.as_entire_binding(),
            Access::ReadWrite => self.written.as_entire_binding(),
            Access::Texture => wgpu::BindingResource::TextureView(&self.texture.view),
        };
        let bindings = (0..).zip(&pipeline.bindings);
        let entries: Vec<_> =
            bindings.map(|(binding, access)| wgpu::BindGroupEntry { binding, resource: resource(access) }).collect();
        Ok(device.shared.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("stand-ins"),
            layout: &pipeline.layout,
            entries: &entries,
        }))
    }
}

impl Device {
    /// Dispatches none of its workgroups, and waits.
    fn touch(&self, pipeline: &Pipeline, group: &wgpu::BindGroup, params_at: u32) -> Result<()> {
        let mut encoder = self.shared.device.create_command_encoder(&Default::default());
        let mut pass = encoder.begin_compute_pass(&Default::default());
        pass.set_pipeline(&pipeline.pipeline);
        pass.set_bind_group(0, group, &[params_at]);
        pass.dispatch_workgroups(0, 0, 0);
        drop(pass);
        let index = self.shared.queue.submit([encoder.finish()]);
        let waited = self.shared.device.poll(wgpu::PollType::Wait { submission_index: Some(index), timeout: None });
        self.check()?;
        waited.map(|_| ()).map_err(|e| self.failed(format!("waiting for a shader: {e}")))
    }
}

impl Pipeline {
    /// Whether it was never asked before.
    fn is_first_use(&self) -> bool {
        !self.used.swap(true, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    const COMPILED: Duration = Duration::from_millis(400);
    const READ: Duration = Duration::from_millis(2);

    /// What the first device touched, and for how long as it says, where each of `of` takes what `takes` says and further devices,
    /// `helpers` of them, have `all` that they take told.
    fn touched(
        of: usize,
        helpers: usize,
        takes: impl Fn(usize, &[usize]) -> Duration,
    ) -> (Vec<usize>, Vec<usize>, bool) {
        let turns = Turns::new(of);
        let (first, further) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
        thread::scope(|s| {
            let beside = |tell: Sender<Compiled>| {
                for _ in 0..helpers {
                    let (tell, turns, further) = (tell.clone(), &turns, &further);
                    s.spawn(move || {
                        while !turns.alone.load(Ordering::Relaxed)
                            && let Some(at) = turns.take()
                        {
                            thread::sleep(Duration::from_millis(10));
                            further.lock().unwrap().push(at);
                            tell.send(Compiled { at, took: COMPILED, since: Instant::now() }).unwrap();
                        }
                    });
                }
            };
            let touch = |at| {
                first.lock().unwrap().push(at);
                let took = takes(at, &further.lock().unwrap());
                thread::sleep(Duration::from_millis(if took > FOUND { 10 } else { 0 }));
                Ok(took)
            };
            touch_each(&turns, touch, beside).unwrap();
        });
        let alone = turns.alone.load(Ordering::Relaxed);
        (first.into_inner().unwrap(), further.into_inner().unwrap(), alone)
    }

    #[test]
    fn the_first_device_touches_each_once_and_reads_what_others_compiled() {
        for helpers in [1, 3] {
            let found = |at, further: &[usize]| if further.contains(&at) { READ } else { COMPILED };
            let (mut first, further, alone) = touched(24, helpers, found);
            assert!(further.len() >= 5 && further.len() < 24 && !alone, "{further:?}");
            assert_eq!(first[0], 0);
            first.sort_unstable();
            assert_eq!(first, Vec::from_iter(0..24));
        }
    }

    #[test]
    fn nobody_helps_where_all_is_found() {
        let (first, further, _) = touched(24, 3, |_, _| READ);
        assert_eq!((first, further), (Vec::from_iter(0..24), vec![]));
    }

    #[test]
    fn others_end_where_the_driver_keeps_nothing() {
        let (mut first, further, alone) = touched(60, 1, |_, _| COMPILED);
        assert!(alone && further.len() < 12, "{further:?}");
        first.sort_unstable();
        assert_eq!(first, Vec::from_iter(0..60));
    }

    #[test]
    fn a_failure_of_the_first_device_ends_it() {
        let turns = Turns::new(5);
        let touch = |_| Err(crate::Error::NoAdapter("gone".into()));
        assert!(touch_each(&turns, touch, |_| ()).is_err());
    }

    #[test]
    fn the_longest_come_first_behind_a_small_one() {
        assert_eq!(ordered(vec![3, 9, 1, 7, 5, 8, 2, 6], |n| *n), [2, 9, 8, 7, 6, 5, 3, 1]);
        assert_eq!(ordered(vec![1, 2], |n| *n), [1, 2]);
        assert_eq!(ordered(vec![4], |n| *n), [4]);
        assert_eq!(ordered(Vec::<usize>::new(), |n| *n), Vec::<usize>::new());
    }

    #[test]
    fn as_many_help_as_there_are_cores_and_work_for() {
        let turns = Turns::new(25);
        assert_eq!([0, 1, 2, 4, 64].map(|cores| turns.helpers(cores)), [0, 0, 1, 3, MOST_THREADS - 1]);
        (0..20).for_each(|_| assert!(turns.take().is_some()));
        assert_eq!([2, 64].map(|cores| turns.helpers(cores)), [1, 1], "5 are left");
        (0..9).for_each(|_| _ = turns.take());
        assert_eq!(turns.helpers(64), 0);
    }

    #[test]
    fn the_users_settings_tell_whether_shaders_are_kept() {
        let set =
            |name: &'static str, value: &'static str| move |asked: &str| (asked == name).then(|| value.to_string());
        assert!(keeps_shaders(|_| None));
        assert!(!keeps_shaders(set("MESA_SHADER_CACHE_DISABLE", "true")));
        assert!(!keeps_shaders(set("MESA_GLSL_CACHE_DISABLE", "Yes")));
        assert!(keeps_shaders(set("MESA_SHADER_CACHE_DISABLE", "false")));
        assert!(keeps_shaders(set("MESA_SHADER_CACHE_DIR", "1")));
    }
}
