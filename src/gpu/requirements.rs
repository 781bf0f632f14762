//! Devices that an app made: what they should offer, and what is done with them.

use std::sync::{Arc, Mutex, OnceLock};

use super::adapter::{Adapter, describe};
use super::device::{Device, lock};
use crate::{Error, Result};

/// Features that make networks faster. None is needed, and none is experimental: cooperative matrices, which are, are used
/// where the app's device has them.
pub(super) const WANTED: wgpu::Features = wgpu::Features::SUBGROUP
    .union(wgpu::Features::SHADER_F16)
    .union(wgpu::Features::PIPELINE_CACHE)
    .union(wgpu::Features::TIMESTAMP_QUERY)
    .union(wgpu::Features::TIMESTAMP_QUERY_INSIDE_PASSES);

/// What a device that an app makes should offer ([`Device::requirements`]).
#[derive(Clone, Debug)]
pub struct Requirements {
    /// Limits without which nothing runs: WebGPU's defaults of what is used at all. An app that asks for
    /// [`wgpu::Limits::default`] has them.
    pub needed_limits: wgpu::Limits,
    /// The adapter's own limits where larger ones help: larger images, and larger workgroups.
    pub wanted_limits: wgpu::Limits,
    /// Those of the features that make networks faster which the adapter has. None is needed.
    pub wanted_features: wgpu::Features,
}

/// A limit by its name in [`wgpu::Limits`], and what of it a network needs.
struct Least {
    name: &'static str,
    of: fn(&mut wgpu::Limits) -> &mut u32,
}

macro_rules! least {
    ($($name:ident),* $(,)?) => {
        /// The limits that are used, each needed as WebGPU has it by default.
        const LEAST: &[Least] = &[$(Least { name: stringify!($name), of: |l| &mut l.$name }),*];
    };
}

least!(
    max_storage_buffers_per_shader_stage,
    max_bindings_per_bind_group,
    max_compute_workgroup_storage_size,
    max_compute_invocations_per_workgroup,
    max_compute_workgroup_size_x,
    max_compute_workgroup_size_y,
    max_compute_workgroup_size_z,
    max_compute_workgroups_per_dimension,
);

/// What a device of these limits lacks, in words that go after its name.
pub(super) fn lack(limits: &wgpu::Limits) -> Option<String> {
    let (mut has, mut needs) = (limits.clone(), wgpu::Limits::default());
    LEAST.iter().find_map(|least| {
        let (has, needs) = (*(least.of)(&mut has), *(least.of)(&mut needs));
        let name = least.name;
        (has < needs).then(|| {
            format!(
                "allows {name} = {has}, and {needs} are needed: ask for that when the device is made (\
                 wgpu::Limits::default() has it, and Device::requirements says what else helps)"
            )
        })
    })
}

impl Device {
    /// What a device should offer that an app makes of this adapter for [`Device::from_wgpu`]: to be asked for beside what the
    /// app needs itself.
    ///
    /// ```no_run
    /// use maskrcnn::{Device, wgpu};
    ///
    /// # async fn open(adapter: wgpu::Adapter) -> Result<(), Box<dyn std::error::Error>> {
    /// let (mine, ours) = (wgpu::Limits::default(), Device::requirements(&adapter));
    /// let descriptor = wgpu::DeviceDescriptor {
    ///     required_features: wgpu::Features::empty() | ours.wanted_features,
    ///     required_limits: mine.or_better_values_from(&ours.wanted_limits),
    ///     ..Default::default()
    /// };
    /// let (device, queue) = adapter.request_device(&descriptor).await?;
    /// let device = Device::from_wgpu(&adapter, device, queue)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn requirements(adapter: &wgpu::Adapter) -> Requirements {
        let (all, defaults) = (adapter.limits(), wgpu::Limits::default());
        let (mut needed, mut asked) = (wgpu::Limits::downlevel_webgl2_defaults(), defaults.clone());
        for least in LEAST {
            *(least.of)(&mut needed) = *(least.of)(&mut asked);
        }
        needed.max_storage_buffer_binding_size = defaults.max_storage_buffer_binding_size;
        let mut wanted = needed.clone();
        wanted.max_storage_buffer_binding_size = all.max_storage_buffer_binding_size;
        wanted.max_buffer_size = all.max_buffer_size;
        wanted.max_compute_workgroup_storage_size = all.max_compute_workgroup_storage_size;
        wanted.max_compute_invocations_per_workgroup = all.max_compute_invocations_per_workgroup;
        wanted.max_compute_workgroup_size_x = all.max_compute_workgroup_size_x;
        wanted.max_texture_dimension_2d = all.max_texture_dimension_2d;
        wanted.max_storage_textures_per_shader_stage =
            all.max_storage_textures_per_shader_stage.min(defaults.max_storage_textures_per_shader_stage);
        Requirements { needed_limits: needed, wanted_limits: wanted, wanted_features: adapter.features() & WANTED }
    }

    /// A device that the app made of this adapter. wgpu's handles are counted: the app goes on using its own.
    ///
    /// Of WebGPU's default limits and no features, everything works; what the device has beyond them makes networks faster and
    /// images larger ([`Device::requirements`]). What fails in here is told by this library's errors, and never to the app's
    /// handler of uncaptured errors. Whether the device is lost the app's own callback is told alone, since a device has one;
    /// calls on a lost device fail with [`Error::Device`].
    ///
    /// The handles are of the version of wgpu that this library is built with, [`maskrcnn::wgpu`](crate::wgpu).
    ///
    /// # Errors
    /// [`Error::NoAdapter`] where the device's limits are below WebGPU's defaults, naming the limit.
    pub fn from_wgpu(adapter: &wgpu::Adapter, device: wgpu::Device, queue: wgpu::Queue) -> Result<Self> {
        let limits = device.limits();
        let adapter: Adapter = describe(adapter.clone(), device.features(), &limits);
        if let Some(lack) = lack(&limits) {
            return Err(Error::NoAdapter(format!("the device made of {} {lack}", adapter.name)));
        }
        let notes = (Arc::new(OnceLock::new()), Arc::new(Mutex::new(None)));
        log::info!("adapter given: {} ({})", adapter.name, adapter.key());
        Ok(Self::assembled(adapter, device, queue, notes, true))
    }

    /// wgpu's own handles of the device and its queue, for what the app does on it.
    pub fn wgpu(&self) -> (&wgpu::Device, &wgpu::Queue) {
        (&self.shared.device, &self.shared.queue)
    }

    /// Does what may go wrong on the device. Of an app's, errors that wgpu reports outside of calls would go to the app.
    pub(super) fn guarded<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        if !self.shared.borrowed {
            return work();
        }
        use wgpu::ErrorFilter::{Internal, OutOfMemory, Validation};
        let scopes = [Internal, OutOfMemory, Validation].map(|filter| self.shared.device.push_error_scope(filter));
        let done = work();
        for scope in scopes.into_iter().rev() {
            if let Some(e) = pollster::block_on(scope.pop()) {
                lock(&self.shared.failure).get_or_insert(e);
            }
        }
        // The cause, and not what it led to.
        self.check()?;
        done
    }
}
