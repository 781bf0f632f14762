//! An opened device and what lies on it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};

use super::adapter::{Adapter, choose};
use super::compile::Watcher;
use super::pipeline::Pipeline;
use super::pipeline_cache::PipelineFile;
use super::profiler::Clock;
use super::requirements;
use super::texture::Texture;
use crate::target::{Speeds, Target};
use crate::tensor::Value;
use crate::{Error, Result};

/// How often the host spoke to the device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Command buffers handed over.
    pub submits: u64,
    /// Times the host waited.
    pub waits: u64,
    /// Buffers mapped to be read.
    pub maps: u64,
    /// Buffers made.
    pub buffers: u64,
    /// Buffers that the host wrote to.
    pub writes: u64,
}

/// GPU memory that a device holds for everyone on it, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// What buffers and textures take.
    pub used: u64,
    /// The blocks that they were cut from.
    pub reserved: u64,
}

#[derive(Default)]
pub(super) struct AtomicCounters {
    pub submits: AtomicU64,
    pub waits: AtomicU64,
    pub maps: AtomicU64,
    pub buffers: AtomicU64,
    pub writes: AtomicU64,
}

/// An opened GPU with its compiled pipelines and uploaded constants. Cheap to clone; shared by all detectors on it.
#[derive(Clone)]
pub struct Device {
    pub(super) shared: Arc<Shared>,
    /// Most bytes of a binding, where it is to be less than the device's own.
    least: Option<u64>,
}

pub(super) struct Shared {
    pub device: wgpu::Device,
    pub queue: wgpu::Queue,
    /// Whether an app made it: what goes wrong is then told to scopes of ours alone.
    pub borrowed: bool,
    pub name: String,
    pub key: String,
    pub target: Target,
    /// How fast it is taken for before anything ran on it.
    pub assumed: &'static Speeds,
    /// What it was opened from, where it is ours and its driver compiles late.
    pub again: Option<Adapter>,
    pub max_binding: u64,
    pub max_buffer: u64,
    pub max_grid: u32,
    /// Rows of a texture.
    pub max_texture: u32,
    pub clock: Clock,
    pub counters: AtomicCounters,
    pub pipelines: Mutex<HashMap<String, Arc<Pipeline>>>,
    /// What a file of compiled pipelines is called, where the device has such.
    pub pipelines_name: Option<String>,
    pub kept: OnceLock<PipelineFile>,
    pub watcher: Mutex<Option<Watcher>>,
    pub constants: Mutex<HashMap<(usize, String), Constant>>,
    /// Why the device is gone, if it is.
    pub lost: Arc<OnceLock<String>>,
    /// The first error that wgpu reported outside of any call and nobody has been told yet.
    pub failure: Arc<Mutex<Option<wgpu::Error>>>,
}

/// A constant on the device, and the host value that it is kept for.
pub(super) struct Constant {
    pub value: Weak<Value>,
    pub memory: Memory,
}

/// Where a constant lies.
#[derive(Clone)]
pub(super) enum Memory {
    Buffer(wgpu::Buffer),
    Texture(Texture),
}

impl Memory {
    /// Bytes that it takes.
    pub(super) fn bytes(&self) -> u64 {
        match self {
            Self::Buffer(b) => b.size(),
            Self::Texture(t) => t.bytes(),
        }
    }
}

impl Device {
    /// Opens the best adapter, or the one that `choice` names: see [`choose`].
    ///
    /// # Errors
    /// [`Error::NoAdapter`] where there is none, saying what to install or which there are.
    pub fn open(choice: Option<&str>) -> Result<Self> {
        Self::from_adapter(choose(choice)?)
    }

    /// Opens an adapter of [`super::adapters`].
    ///
    /// # Errors
    /// [`Error::NoAdapter`] where the driver refuses.
    ///
    /// **Unstable**, as all of the [`engine`](crate::engine).
    pub fn from_adapter(adapter: Adapter) -> Result<Self> {
        log::info!("adapter chosen: {} ({})", adapter.name, adapter.key());
        Self::opened(adapter)
    }

    /// As [`Device::from_adapter`].
    pub(super) fn opened(adapter: Adapter) -> Result<Self> {
        let (features, limits) = (adapter.inner.features(), adapter.inner.limits());
        if let Some(lack) = requirements::lack(&limits) {
            return Err(Error::NoAdapter(format!("{} {lack}", adapter.name)));
        }
        let mut wanted = requirements::WANTED;
        let mut experimental_features = wgpu::ExperimentalFeatures::disabled();
        if !adapter.target.can.matrices.is_empty() {
            wanted |= wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX;
            // SAFETY: cooperative matrices are the one experimental feature that is asked for. Only variants marked so
            // use them: in configurations that the driver lists, in workgroups of whole subgroups, within their
            // bindings, and no subgroup's lanes part ways around them. All other kernels are compiled as without.
            experimental_features = unsafe { wgpu::ExperimentalFeatures::enabled() };
        }
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("maskrcnn"),
            required_features: features & wanted,
            required_limits: limits.clone(),
            experimental_features,
            memory_hints: wgpu::MemoryHints::MemoryUsage,
            ..Default::default()
        };
        let (device, queue) = pollster::block_on(adapter.inner.request_device(&descriptor))
            .map_err(|e| Error::NoAdapter(format!("{} could not be opened: {e}", adapter.name)))?;
        let (lost, failure) = (Arc::new(OnceLock::new()), Arc::new(Mutex::new(None)));
        let note = lost.clone();
        device.set_device_lost_callback(move |reason, message| {
            let cause = if reason == wgpu::DeviceLostReason::Destroyed { "given back" } else { "lost" };
            // The first reason is the one.
            let _ = note.set(format!("the device was {cause} ({message}); open it again"));
        });
        let note = failure.clone();
        device.on_uncaptured_error(Arc::new(move |e: wgpu::Error| {
            // The first error is the cause; what follows it is noise.
            lock(&note).get_or_insert(e);
        }));
        Ok(Self::assembled(adapter, device, queue, (lost, failure), false))
    }

    /// A device with what is kept beside it; an app's, where `borrowed`.
    pub(super) fn assembled(
        adapter: Adapter,
        device: wgpu::Device,
        queue: wgpu::Queue,
        (lost, failure): (Arc<OnceLock<String>>, Arc<Mutex<Option<wgpu::Error>>>),
        borrowed: bool,
    ) -> Self {
        let limits = device.limits();
        let caches = device.features().contains(wgpu::Features::PIPELINE_CACHE);
        let pipelines_name = wgpu::util::pipeline_cache_key(&adapter.inner.get_info()).filter(|_| caches);
        let mut target = adapter.target;
        if let Some(matrix) =
            target.can.matrices.iter().find(|m| !m.f32_factors).filter(|_| target.can.matrix_lanes.is_none())
        {
            target.can.matrix_lanes = super::lanes::of_matrices(&device, &queue, matrix);
        }
        let again = (!borrowed && target.pays.compiles_late).then(|| Adapter { target, ..adapter.clone() });
        Self {
            least: None,
            shared: Arc::new(Shared {
                device,
                queue,
                borrowed,
                key: adapter.key(),
                name: adapter.name,
                target,
                assumed: adapter.assumed,
                again,
                max_binding: adapter.max_binding,
                max_buffer: limits.max_buffer_size,
                clock: adapter.clock,
                max_grid: limits.max_compute_workgroups_per_dimension,
                max_texture: limits.max_texture_dimension_2d,
                counters: AtomicCounters::default(),
                pipelines: Mutex::default(),
                pipelines_name,
                kept: OnceLock::new(),
                watcher: Mutex::default(),
                constants: Mutex::default(),
                lost,
                failure,
            }),
        }
    }

    /// The adapter's name.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// A key that tells one GPU and driver from another: what is measured on a device is kept by it.
    pub fn key(&self) -> String {
        self.shared.key.clone()
    }

    /// The best that the device offers to time a step by.
    ///
    /// **Unstable**, as all of the [`engine`](crate::engine).
    pub fn clock(&self) -> Clock {
        self.shared.clock
    }

    /// What kernels may use here.
    ///
    /// **Unstable**, as all of the [`engine`](crate::engine).
    pub fn target(&self) -> Target {
        self.shared.target
    }

    /// Bytes that one tensor may have.
    ///
    /// **Unstable**, as all of the [`engine`](crate::engine).
    pub fn max_binding(&self) -> u64 {
        self.shared.max_binding.min(self.least.unwrap_or(u64::MAX))
    }

    /// The same device, taken for one whose bindings hold no more than `bytes`: what is refused there is refused here.
    ///
    /// **Unstable**, as all of the [`engine`](crate::engine).
    pub fn with_max_binding(&self, bytes: u64) -> Self {
        Self { least: Some(bytes), ..self.clone() }
    }

    /// Gives the GPU's memory back at once; every later call on this device fails with [`Error::DeviceLost`]. One that the app
    /// made ([`Device::from_wgpu`]) is gone for the app, too.
    pub fn destroy(&self) {
        self.shared.device.destroy();
    }

    /// How often the host spoke to the device so far.
    ///
    /// **Unstable**, as all of the [`engine`](crate::engine).
    pub fn counters(&self) -> Counters {
        let c = &self.shared.counters;
        Counters {
            submits: c.submits.load(Ordering::Relaxed),
            waits: c.waits.load(Ordering::Relaxed),
            maps: c.maps.load(Ordering::Relaxed),
            buffers: c.buffers.load(Ordering::Relaxed),
            writes: c.writes.load(Ordering::Relaxed),
        }
    }

    /// The GPU memory that the device holds now, by the account of its allocator; none where it keeps none (Metal).
    ///
    /// **Unstable**, as all of the [`engine`](crate::engine).
    pub fn held(&self) -> Option<Held> {
        let report = self.shared.device.generate_allocator_report()?;
        Some(Held { used: report.total_allocated_bytes, reserved: report.total_reserved_bytes })
    }

    /// What went wrong since the last look, as an error; the loss of the device at every look.
    pub(super) fn check(&self) -> Result<()> {
        let device = || self.shared.name.clone();
        let failure = lock(&self.shared.failure).take();
        match (self.shared.lost.get(), failure) {
            (Some(reason), _) => Err(Error::DeviceLost { device: device(), reason: reason.clone() }),
            (None, Some(e @ wgpu::Error::OutOfMemory { .. })) => {
                Err(Error::OutOfMemory { device: device(), reason: e.to_string() })
            }
            (None, Some(e)) => Err(Error::Device { device: device(), reason: e.to_string() }),
            (None, None) => Ok(()),
        }
    }

    /// The cause of a failed call, where the device knows of one, else `reason`.
    pub(super) fn failed(&self, reason: String) -> Error {
        // A lost device says so when it is polled and all that it was given before is done; until then its objects are
        // merely invalid.
        let _ = self.shared.device.poll(wgpu::PollType::wait_indefinitely());
        self.check().err().unwrap_or_else(|| Error::Device { device: self.shared.name.clone(), reason })
    }

    pub(super) fn buffer(&self, label: &str, size: u64, usage: wgpu::BufferUsages) -> Result<wgpu::Buffer> {
        self.check()?;
        let s = &self.shared;
        let limit = if usage.contains(wgpu::BufferUsages::STORAGE) { self.max_binding() } else { s.max_buffer };
        if size > limit {
            return Err(Error::Limit {
                what: label.into(),
                need: size,
                limit,
                cure: "use a smaller image or input size, or a device with larger buffers".into(),
            });
        }
        s.counters.buffers.fetch_add(1, Ordering::Relaxed);
        let scope = s.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let buffer = s.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some(label),
            size,
            usage,
            mapped_at_creation: false,
        });
        match pollster::block_on(scope.pop()) {
            None => Ok(buffer),
            Some(_) => Err(Error::OutOfMemory {
                device: s.name.clone(),
                reason: format!("out of memory for {label} ({size} bytes); use a smaller image or input size"),
            }),
        }
    }

    /// A buffer holding `bytes`, without a trip through the queue's own staging.
    pub(super) fn filled(&self, label: &str, bytes: &[u8], usage: wgpu::BufferUsages) -> Result<wgpu::Buffer> {
        let size = (bytes.len() as u64).max(4).next_multiple_of(16);
        let buffer = self.mapped(label, size, usage)?;
        self.fill(&buffer, label, |mut view| view.slice(..bytes.len()).copy_from_slice(bytes))?;
        Ok(buffer)
    }

    /// A buffer that the host may write to at once.
    pub(super) fn mapped(&self, label: &str, size: u64, usage: wgpu::BufferUsages) -> Result<wgpu::Buffer> {
        if size > self.shared.max_buffer {
            return self.buffer(label, size, usage);
        }
        self.shared.counters.buffers.fetch_add(1, Ordering::Relaxed);
        let buffer = self.shared.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some(label),
            size,
            usage,
            mapped_at_creation: true,
        });
        self.check()?;
        Ok(buffer)
    }

    /// Writes to a mapped buffer, and hands it to the device.
    pub(super) fn fill(
        &self,
        buffer: &wgpu::Buffer,
        label: &str,
        write: impl FnOnce(wgpu::BufferViewMut),
    ) -> Result<()> {
        self.shared.counters.writes.fetch_add(1, Ordering::Relaxed);
        write(buffer.get_mapped_range_mut(..).map_err(|e| self.failed(format!("{label}: {e}")))?);
        buffer.unmap();
        Ok(())
    }
}

/// Locks even where another thread panicked while holding the lock: what is guarded here is replaced whole.
pub(super) fn lock<T>(m: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    m.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
