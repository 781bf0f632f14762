//! The GPUs that the system lists, and what each can do.

use super::profiler::Clock;
use crate::target::{Caps, Factors, Matrices, Matrix, Policy, Speeds, TEXELS_A_ROW, Target, policy};
use crate::{Error, Result};

/// Storage textures that a shader may have: WebGPU's default.
const MOST_TEXTURES: u32 = 4;

/// A GPU as the system lists it, not opened yet.
#[derive(Clone)]
pub struct Adapter {
    pub(super) inner: wgpu::Adapter,
    /// Its name.
    pub name: String,
    /// Vulkan, Metal or DX12.
    pub backend: String,
    /// Discrete, integrated, virtual or a CPU driver.
    pub kind: String,
    /// Driver and version.
    pub driver: String,
    /// What kernels may use.
    pub target: Target,
    /// How fast it is taken for before anything ran on it.
    pub(super) assumed: &'static Speeds,
    /// Smallest and largest subgroup.
    pub subgroups: Option<(u32, u32)>,
    /// The best that it offers to time a step by.
    pub clock: Clock,
    /// Bytes that one binding may have.
    pub max_binding: u64,
}

/// All adapters, best first: discrete, integrated, virtual, others, CPU drivers. Vulkan, Metal or DX12 only.
pub fn adapters() -> Vec<Adapter> {
    let backends = wgpu::Backends::VULKAN | wgpu::Backends::METAL | wgpu::Backends::DX12;
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.backends = backends;
    descriptor.flags = wgpu::InstanceFlags::empty();
    let instance = wgpu::Instance::new(descriptor);
    let mut list: Vec<Adapter> =
        pollster::block_on(instance.enumerate_adapters(backends)).into_iter().map(describe_whole).collect();
    let rank = |a: &Adapter| match a.inner.get_info().device_type {
        wgpu::DeviceType::DiscreteGpu => 0,
        wgpu::DeviceType::IntegratedGpu => 1,
        wgpu::DeviceType::VirtualGpu => 2,
        wgpu::DeviceType::Other => 3,
        wgpu::DeviceType::Cpu => 4,
    };
    list.sort_by_key(rank);
    list
}

/// The best adapter, or the one that `choice` names: its number in [`adapters`], or a part of its name. Digits alone are
/// a number.
///
/// # Errors
/// [`Error::NoAdapter`] where there is none, saying what to install or which there are.
pub fn choose(choice: Option<&str>) -> Result<Adapter> {
    let mut list = adapters();
    if list.is_empty() {
        return Err(Error::NoAdapter(
            "no Vulkan, Metal or DX12 driver was found; install the graphics driver, or a software one \
             (Debian, Ubuntu: apt-get install mesa-vulkan-drivers)"
                .into(),
        ));
    }
    let names: Vec<&str> = list.iter().map(|a| a.name.as_str()).collect();
    let index = choice.map_or(Ok(0), |text| pick(&names, text)).map_err(Error::NoAdapter)?;
    Ok(list.swap_remove(index))
}

/// Which of the devices `text` stands for, or why it is none of them.
///
/// # Errors
/// Which there are.
pub fn pick(names: &[&str], text: &str) -> std::result::Result<usize, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err("the device's name is empty; give its number or a part of it".into());
    }
    // A number is never looked for in the names: "5" stands in "LLVM 15.0.6", and most names have some digit.
    let number = text.bytes().all(|b| b.is_ascii_digit());
    let lower = text.to_lowercase();
    let found = match number {
        true => text.parse().ok().filter(|&i| i < names.len()),
        false => names.iter().position(|n| n.to_lowercase().contains(&lower)),
    };
    found.ok_or_else(|| {
        let list: Vec<String> = names.iter().enumerate().map(|(i, n)| format!("{i}: {n}")).collect();
        let what = if number { "is the number of" } else { "is" };
        let hint = if number && names.iter().any(|n| n.contains(text)) {
            "; digits alone are a number, so give more of the name"
        } else {
            ""
        };
        format!("`{text}` {what} none of the devices here ({}){hint}", list.join(", "))
    })
}

/// An adapter with all that it has.
fn describe_whole(inner: wgpu::Adapter) -> Adapter {
    let (features, limits) = (inner.features(), inner.limits());
    describe(inner, features, &limits)
}

/// An adapter with these of its features and limits alone.
pub(super) fn describe(inner: wgpu::Adapter, features: wgpu::Features, limits: &wgpu::Limits) -> Adapter {
    let info = inner.get_info();
    let subgroups =
        features.contains(wgpu::Features::SUBGROUP).then_some((info.subgroup_min_size, info.subgroup_max_size));
    Adapter {
        name: info.name.clone(),
        backend: format!("{:?}", info.backend),
        kind: match info.device_type {
            wgpu::DeviceType::DiscreteGpu => "discrete GPU",
            wgpu::DeviceType::IntegratedGpu => "integrated GPU",
            wgpu::DeviceType::VirtualGpu => "virtual GPU",
            wgpu::DeviceType::Cpu => "CPU driver",
            wgpu::DeviceType::Other => "other",
        }
        .into(),
        driver: format!("{} {}", info.driver, info.driver_info).trim().to_string(),
        target: Target {
            can: Caps {
                subgroup: subgroups.filter(|(a, b)| a == b).map(|s| s.0),
                texels: limits.max_texture_dimension_2d >= TEXELS_A_ROW as u32
                    && limits.max_storage_textures_per_shader_stage >= MOST_TEXTURES,
                max_invocations: limits.max_compute_invocations_per_workgroup.min(limits.max_compute_workgroup_size_x),
                workgroup_bytes: limits.max_compute_workgroup_storage_size,
                f16: features.contains(wgpu::Features::SHADER_F16),
                matrices: matrices(&inner, features),
                // Where there are several sizes, whoever opens the device asks it.
                matrix_lanes: subgroups.filter(|(a, b)| a == b).map(|s| s.0),
                matrix_scalars: info.backend == wgpu::Backend::Metal,
            },
            wants: Factors::F32,
            pays: match info.device_type {
                wgpu::DeviceType::Cpu => Policy::of_cpu(info.subgroup_min_size, lavapipe(&info)),
                _ if info.backend == wgpu::Backend::Metal => &policy::NARROW_GPU,
                _ if info.subgroup_min_size < 32 => &policy::SHORT_GPU,
                _ => Policy::of_gpu(&info.name, &info.driver),
            },
        },
        // Apple's are within the processor, and not slow.
        assumed: Speeds::assumed(
            info.device_type == wgpu::DeviceType::DiscreteGpu || info.backend == wgpu::Backend::Metal,
        ),
        subgroups,
        clock: match features.contains(wgpu::Features::TIMESTAMP_QUERY) {
            true if features.contains(wgpu::Features::TIMESTAMP_QUERY_INSIDE_PASSES) => Clock::Stamps,
            true => Clock::Passes,
            false => Clock::Wall,
        },
        max_binding: limits.max_storage_buffer_binding_size.min(limits.max_buffer_size),
        inner,
    }
}

/// Mesa's version, of its CPU driver.
fn lavapipe(info: &wgpu::AdapterInfo) -> Option<[u32; 2]> {
    policy::mesa_version(&info.driver_info).filter(|_| info.driver == "llvmpipe")
}

/// The cooperative matrices that the driver lists; none where it lacks what the kernels use beside them.
fn matrices(adapter: &wgpu::Adapter, features: wgpu::Features) -> Matrices {
    let needed =
        wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX | wgpu::Features::SHADER_F16 | wgpu::Features::SUBGROUP;
    let info = adapter.get_info();
    // Mesa 26's lavapipe lists matrices at any width of its vectors, but at 128 bits it then refuses the device, and at 512 or
    // more it crashes when it compiles one.
    let broken = info.device_type == wgpu::DeviceType::Cpu && info.subgroup_min_size != 8;
    if broken || !features.contains(needed) {
        return Matrices::NONE;
    }
    use wgpu::CooperativeScalarType::{F16, F32};
    let listed = adapter.cooperative_matrix_properties();
    let has = |m: &Matrix| {
        listed.iter().any(|p| {
            let [factors, sums] = [m.f32_factors, m.f32_sums].map(|f32| if f32 { F32 } else { F16 });
            [p.m_size, p.n_size, p.k_size] == [m.size; 3] && (p.ab_type, p.cr_type) == (factors, sums)
        })
    };
    Matrix::ALL.into_iter().filter(has).collect()
}

impl Adapter {
    /// Tells one GPU and driver from another.
    pub fn key(&self) -> String {
        let mut key = format!("{}, {}, {}", self.name, self.backend, self.driver);
        if self.target.pays.own_cores {
            // A CPU driver does not name the CPU; its cores say a little of it.
            let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
            key.push_str(&format!(", {cores} cores"));
        }
        key
    }
}

#[cfg(test)]
mod tests {
    use super::pick;

    const NAMES: [&str; 3] = ["NVIDIA GeForce GTX 1080", "Radeon 780M", "llvmpipe (LLVM 15.0.6, 256 bits)"];

    #[test]
    fn digits_are_a_number_and_all_else_a_part_of_a_name() {
        for (text, want) in [("0", 0), ("2", 2), (" 02 ", 2), ("geforce", 0), ("780m", 1), ("LLVM 15", 2), ("5.0", 2)] {
            assert_eq!(pick(&NAMES, text), Ok(want), "{text}");
        }
        for (text, part) in [
            ("5", "`5` is the number of none of the devices here (0: NVIDIA GeForce GTX 1080, 1: "),
            ("1080", "give more of the name"),
            ("256", "give more of the name"),
            ("99999999999999999999999", "is the number of none"),
            ("-1", "`-1` is none of the devices here"),
            ("+0", "`+0` is none of the devices here"),
            ("Arc", "is none of the devices here"),
            (" ", "is empty"),
        ] {
            let message = pick(&NAMES, text).unwrap_err();
            assert!(message.contains(part), "{message}");
        }
    }
}
