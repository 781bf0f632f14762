//! All that is said to Vulkan, and all unsafe code of this room. What is made here is destroyed by who made it.
//!
//! A device is opened as wgpu opens one: robust accesses, f16, cooperative matrices, subgroups of any size. wgpu itself is
//! not asked: it opens no device on a null winsys, and hands out no statistics.

mod pipeline;

use std::ffi::CStr;
use std::ptr::null_mut;

use ash::{ext, khr, vk};

use super::{Abilities, Found, Kind};
use crate::target::Matrix;

/// What wgpu asks of subgroups before it offers any.
const SUBGROUPS: vk::SubgroupFeatureFlags = vk::SubgroupFeatureFlags::from_raw(
    vk::SubgroupFeatureFlags::BASIC.as_raw()
        | vk::SubgroupFeatureFlags::VOTE.as_raw()
        | vk::SubgroupFeatureFlags::ARITHMETIC.as_raw()
        | vk::SubgroupFeatureFlags::BALLOT.as_raw()
        | vk::SubgroupFeatureFlags::SHUFFLE.as_raw()
        | vk::SubgroupFeatureFlags::SHUFFLE_RELATIVE.as_raw(),
);

/// The loader, and an instance of it.
pub(super) struct Instance {
    entry: ash::Entry,
    inner: ash::Instance,
}

impl Drop for Instance {
    fn drop(&mut self) {
        // SAFETY: every device of it is gone: a `Vulkan` destroys its own before it drops its instance.
        unsafe { self.inner.destroy_instance(None) }
    }
}

impl Instance {
    pub(super) fn new() -> Result<Self, String> {
        // SAFETY: the system's Vulkan loader is what every Vulkan program runs.
        let entry = unsafe { ash::Entry::load() }.map_err(|e| format!("no Vulkan loader: {e}"))?;
        let app = vk::ApplicationInfo::default().api_version(vk::API_VERSION_1_3);
        let info = vk::InstanceCreateInfo::default().application_info(&app);
        // SAFETY: `info` and what it points to live through the call; no layer and no extension is asked for.
        let inner = unsafe { entry.create_instance(&info, None) }.map_err(|e| format!("no Vulkan driver: {e}"))?;
        Ok(Self { entry, inner })
    }

    /// Everything that drivers list, in their order.
    pub(super) fn physical(&self) -> Result<Vec<Physical<'_>>, String> {
        // SAFETY: the instance is alive.
        let all = unsafe { self.inner.enumerate_physical_devices() }.map_err(|e| format!("no Vulkan device: {e}"))?;
        Ok(all.into_iter().map(|handle| Physical::new(self, handle)).collect())
    }
}

/// A device that is not opened.
pub(super) struct Physical<'a> {
    instance: &'a Instance,
    handle: vk::PhysicalDevice,
    extensions: Vec<vk::ExtensionProperties>,
    version: u32,
}

impl<'a> Physical<'a> {
    fn new(instance: &'a Instance, handle: vk::PhysicalDevice) -> Self {
        // SAFETY: `handle` is the instance's.
        let (extensions, properties) = unsafe {
            (
                instance.inner.enumerate_device_extension_properties(handle).unwrap_or_default(),
                instance.inner.get_physical_device_properties(handle),
            )
        };
        Self { instance, handle, extensions, version: properties.api_version }
    }

    /// Whether it has the extension, of itself or by its version of Vulkan.
    fn has(&self, extension: &CStr, since: Option<u32>) -> bool {
        let listed = || self.extensions.iter().any(|e| e.extension_name_as_c_str() == Ok(extension));
        since.is_some_and(|version| self.version >= version) || listed()
    }

    pub(super) fn found(&self) -> Found {
        let mut driver = vk::PhysicalDeviceDriverProperties::default();
        let mut properties = vk::PhysicalDeviceProperties2::default();
        if self.has(khr::driver_properties::NAME, Some(vk::API_VERSION_1_2)) {
            properties = properties.push_next(&mut driver);
        }
        if self.version >= vk::API_VERSION_1_1 {
            // SAFETY: the handle is the instance's, which is of Vulkan 1.1 or newer, and so is the device.
            unsafe { self.instance.inner.get_physical_device_properties2(self.handle, &mut properties) };
        } else {
            // SAFETY: the handle is the instance's.
            properties.properties = unsafe { self.instance.inner.get_physical_device_properties(self.handle) };
        }
        let properties = properties.properties;
        let words = [driver.driver_name_as_c_str(), driver.driver_info_as_c_str()].map(text);
        Found {
            name: text(properties.device_name_as_c_str()),
            driver: words.join(" ").trim().to_string(),
            kind: match properties.device_type {
                vk::PhysicalDeviceType::DISCRETE_GPU => Kind::Discrete,
                vk::PhysicalDeviceType::INTEGRATED_GPU => Kind::Integrated,
                vk::PhysicalDeviceType::VIRTUAL_GPU => Kind::Virtual,
                vk::PhysicalDeviceType::CPU => Kind::Cpu,
                _ => Kind::Other,
            },
        }
    }

    fn abilities(&self, features: &Features) -> Abilities {
        let mut subgroups = vk::PhysicalDeviceSubgroupProperties::default();
        let mut properties = vk::PhysicalDeviceProperties2::default().push_next(&mut subgroups);
        // SAFETY: as `Features::of` has checked, the device is of Vulkan 1.1 or newer.
        unsafe { self.instance.inner.get_physical_device_properties2(self.handle, &mut properties) };
        let limits = properties.properties.limits;
        let storage = features.storage.storage_buffer16_bit_access != 0;
        let storage = storage && features.storage.uniform_and_storage_buffer16_bit_access != 0;
        Abilities {
            f16: features.f16.shader_float16 != 0 && storage,
            subgroups: subgroups.supported_stages.contains(vk::ShaderStageFlags::COMPUTE)
                && subgroups.supported_operations.contains(SUBGROUPS),
            matrices: self.matrices(features),
            invocations: limits.max_compute_work_group_invocations,
            workgroup_bytes: limits.max_compute_shared_memory_size,
            tells: features.executable.pipeline_executable_info != 0,
            spirv: match self.version {
                // As wgpu chooses.
                ..vk::API_VERSION_1_2 => (1, 3),
                vk::API_VERSION_1_2..vk::API_VERSION_1_3 => (1, 5),
                vk::API_VERSION_1_3.. => (1, 6),
            },
        }
    }

    /// Those cooperative matrices that kernels can use.
    fn matrices(&self, features: &Features) -> Vec<Matrix> {
        if features.matrix.cooperative_matrix == 0 || features.model.vulkan_memory_model == 0 {
            return Vec::new();
        }
        let asks = khr::cooperative_matrix::Instance::new(&self.instance.entry, &self.instance.inner);
        // SAFETY: the device has the extension, or its feature would not be set.
        let all = unsafe { asks.get_physical_device_cooperative_matrix_properties(self.handle) }.unwrap_or_default();
        let (half, single) = (vk::ComponentTypeKHR::FLOAT16, vk::ComponentTypeKHR::FLOAT32);
        let has = |m: &Matrix| {
            let [factors, sums] = [m.f32_factors, m.f32_sums].map(|f32| if f32 { single } else { half });
            all.iter().any(|p| {
                [p.m_size, p.n_size, p.k_size] == [m.size; 3]
                    && [p.a_type, p.b_type, p.c_type, p.result_type] == [factors, factors, sums, sums]
                    && p.scope == vk::ScopeKHR::SUBGROUP
            })
        };
        Matrix::ALL.into_iter().filter(has).collect()
    }
}

/// What a driver calls something.
fn text<E>(name: Result<&CStr, E>) -> String {
    name.map(|n| n.to_string_lossy().into_owned()).unwrap_or_default()
}

/// What a device has of the features that wgpu would enable, and statistics.
#[derive(Default)]
struct Features {
    core: vk::PhysicalDeviceFeatures,
    f16: vk::PhysicalDeviceShaderFloat16Int8Features<'static>,
    storage: vk::PhysicalDevice16BitStorageFeatures<'static>,
    model: vk::PhysicalDeviceVulkanMemoryModelFeatures<'static>,
    size: vk::PhysicalDeviceSubgroupSizeControlFeatures<'static>,
    images: vk::PhysicalDeviceImageRobustnessFeatures<'static>,
    robust: vk::PhysicalDeviceRobustness2FeaturesEXT<'static>,
    matrix: vk::PhysicalDeviceCooperativeMatrixFeaturesKHR<'static>,
    executable: vk::PhysicalDevicePipelineExecutablePropertiesFeaturesKHR<'static>,
}

/// Hangs those features on a question or a wish, as far as the device knows them.
macro_rules! hang {
    ($info:expr, $device:expr, $features:expr) => {{
        let (mut info, device, features) = ($info, $device, $features);
        hang!(info, device, features.f16, khr::shader_float16_int8, Some(vk::API_VERSION_1_2));
        hang!(info, device, features.storage, khr::_16bit_storage, Some(vk::API_VERSION_1_1));
        hang!(info, device, features.model, khr::vulkan_memory_model, Some(vk::API_VERSION_1_2));
        hang!(info, device, features.size, ext::subgroup_size_control, Some(vk::API_VERSION_1_3));
        hang!(info, device, features.images, ext::image_robustness, Some(vk::API_VERSION_1_3));
        hang!(info, device, features.robust, ext::robustness2, None);
        hang!(info, device, features.matrix, khr::cooperative_matrix, None);
        hang!(info, device, features.executable, khr::pipeline_executable_properties, None);
        info
    }};
    ($info:ident, $device:ident, $part:expr, $extension:path, $since:expr) => {{
        use $extension as extension;
        if $device.has(extension::NAME, $since) {
            $info = $info.push_next(&mut $part);
        }
    }};
}

impl Features {
    fn of(device: &Physical) -> Result<Self, String> {
        if device.version < vk::API_VERSION_1_1 {
            return Err("is of Vulkan 1.0, and 1.1 is needed: a newer driver may do".into());
        }
        let mut out = Self::default();
        let core = {
            let mut info = hang!(vk::PhysicalDeviceFeatures2::default(), device, &mut out);
            // SAFETY: the device is of Vulkan 1.1 or newer, and is asked only for what it knows.
            unsafe { device.instance.inner.get_physical_device_features2(device.handle, &mut info) };
            info.features
        };
        // Asked for as wgpu does: what is robust, and no more of the oldest features.
        out.core.robust_buffer_access = core.robust_buffer_access;
        Ok(out.apart())
    }

    /// The same, no longer hung on one another.
    fn apart(mut self) -> Self {
        (self.f16.p_next, self.storage.p_next, self.model.p_next) = (null_mut(), null_mut(), null_mut());
        (self.size.p_next, self.images.p_next, self.robust.p_next) = (null_mut(), null_mut(), null_mut());
        (self.matrix.p_next, self.executable.p_next) = (null_mut(), null_mut());
        self
    }
}

/// What must be named beside the features where the version of Vulkan does not include it.
const NAMED: [(&CStr, u32); 5] = [
    (khr::shader_float16_int8::NAME, vk::API_VERSION_1_2),
    (khr::vulkan_memory_model::NAME, vk::API_VERSION_1_2),
    (ext::subgroup_size_control::NAME, vk::API_VERSION_1_3),
    (ext::image_robustness::NAME, vk::API_VERSION_1_3),
    (khr::shader_float_controls::NAME, vk::API_VERSION_1_2),
];

/// The same where no version does.
const ALWAYS_NAMED: [&CStr; 4] = [
    ext::robustness2::NAME,
    khr::cooperative_matrix::NAME,
    khr::pipeline_executable_properties::NAME,
    // Who lists this one wants it named.
    khr::portability_subset::NAME,
];

/// An open device that compiles.
pub(super) struct Vulkan {
    device: ash::Device,
    asks: khr::pipeline_executable_properties::Device,
    pub(super) abilities: Abilities,
    /// Whether subgroups of any size may be asked for.
    varying: bool,
    /// Outlives the device.
    _instance: Instance,
}

impl Drop for Vulkan {
    fn drop(&mut self) {
        // SAFETY: all that was made on it is gone: a `Made` lives within a call of `compile`.
        unsafe { self.device.destroy_device(None) }
    }
}

impl Vulkan {
    /// Opens the device of that number.
    pub(super) fn open(instance: Instance, index: usize) -> Result<Self, String> {
        let (device, asks, abilities, varying) = {
            let all = instance.physical()?;
            let physical = all.get(index).ok_or("is gone")?;
            let mut features = Features::of(physical)?;
            let (abilities, varying) = (physical.abilities(&features), features.size.subgroup_size_control != 0);
            let named = NAMED.iter().filter(|(_, since)| physical.version < *since).map(|(name, _)| *name);
            let named = named.chain(ALWAYS_NAMED).filter(|name| physical.has(name, None));
            let named: Vec<_> = named.map(CStr::as_ptr).collect();
            // SAFETY: the handle is the instance's.
            let families = unsafe { instance.inner.get_physical_device_queue_family_properties(physical.handle) };
            let computes = |f: &vk::QueueFamilyProperties| f.queue_flags.contains(vk::QueueFlags::COMPUTE);
            let family = families.iter().position(computes).ok_or("has no queue that computes")?;
            let queue = vk::DeviceQueueCreateInfo::default().queue_family_index(family as u32).queue_priorities(&[1.0]);
            let (queues, core) = ([queue], features.core);
            let info = vk::DeviceCreateInfo::default()
                .queue_create_infos(&queues)
                .enabled_extension_names(&named)
                .enabled_features(&core);
            let info = hang!(info, physical, &mut features);
            // SAFETY: all that `info` points to lives through the call, and the device listed what is asked of it.
            let device = unsafe { instance.inner.create_device(physical.handle, &info, None) };
            let device = device.map_err(|e| format!("does not open: {e}"))?;
            let asks = khr::pipeline_executable_properties::Device::new(&instance.inner, &device);
            (device, asks, abilities, varying)
        };
        Ok(Self { device, asks, abilities, varying, _instance: instance })
    }
}
