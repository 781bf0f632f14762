//! Devices that need not be there: what each can do, and how fast it should be. Plans, shaders and tests can be made for
//! any of them, and a plan's time can be predicted ([`crate::graph::Prediction`]).
//!
//! A real GPU is predicted by the class that it is most like, with its own roofs once they were measured.
//!
//! Nothing here was measured by this project. Limits are those that the vendors' Vulkan and Metal drivers report; clocks,
//! cores and bandwidths are from the vendors' data sheets, of which kernels reach what is written here (about 0.8 of memory
//! bandwidth and of multiply-adds, half of an L2's). What matrix units reach is fitted to published runs of ggml's cooperative
//! matrices: 52.7 of 121 TFLOP/s on a 7900 XTX (llama.cpp #28843), 23 of 71 on an RTX 3090. Expect 40 % of error in a time,
//! and much less in an order or a ratio.

use super::{Caps, Factors, Matrices, Matrix, Target, policy};

/// A class of devices.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Profile {
    /// As it is asked for.
    pub name: &'static str,
    /// A device of that class.
    pub device: &'static str,
    /// What plans are made for.
    pub target: Target,
    /// Bytes that one tensor may have.
    pub max_binding: u64,
    /// What predictions are made from.
    pub speeds: Speeds,
}

/// What a device's cores reach.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Speeds {
    /// Clocks a second.
    pub clock: f64,
    /// Cores: multiprocessors, compute units, Xe cores' vector engines.
    pub cores: f64,
    /// f32 multiply-adds a clock and core that kernels reach.
    pub multiply_adds: f64,
    /// The same of multiply-adds in registers that wait for nothing.
    pub peak: f64,
    /// The same of matrix units on f16; 0 where there are none.
    pub matrix: f64,
    /// Bytes that a core reads from its workgroup memory in a clock.
    pub workgroup: f64,
    /// Bytes a second from the last cache.
    pub cache: f64,
    /// Bytes a second from memory.
    pub memory: f64,
    /// Seconds from one dispatch to the next that waits for it.
    pub gap: f64,
    /// Clocks until a load from the cache is there.
    pub latency: f64,
    /// Blocks of 128 × 128 that a core holds at a time.
    pub resident: f64,
}

/// A GPU's capabilities, but for subgroups and matrices.
const LARGE: Caps = Caps {
    subgroup: None,
    texels: true,
    max_invocations: 1024,
    workgroup_bytes: 32768,
    f16: true,
    matrices: Matrices::NONE,
    ..Caps::MINIMUM
};

const fn gpu(can: Caps) -> Target {
    Target { can, wants: Factors::F32, pays: &policy::GPU }
}

/// Every class, the fastest first.
pub const PROFILES: [Profile; 7] = [
    Profile {
        name: "hopper",
        device: "NVIDIA H100 or H200",
        target: Target {
            pays: &policy::MATRIX_GPU,
            ..gpu(Caps { subgroup: Some(32), workgroup_bytes: 49152, matrices: Matrices::of(16), ..LARGE })
        },
        max_binding: 2 << 30,
        speeds: Speeds {
            clock: 1.75e9,
            cores: 132.0,
            multiply_adds: 85.0,
            peak: 128.0,
            matrix: 700.0,
            workgroup: 128.0,
            cache: 5.5e12,
            memory: 2.7e12,
            gap: 3.5e-6,
            latency: 600.0,
            resident: 1.5,
        },
    },
    Profile {
        name: "ada",
        device: "NVIDIA GeForce RTX 4090",
        target: gpu(Caps { subgroup: Some(32), workgroup_bytes: 49152, matrices: Matrices::of(16), ..LARGE }),
        max_binding: 2 << 30,
        speeds: Speeds {
            clock: 2.5e9,
            cores: 128.0,
            multiply_adds: 80.0,
            peak: 128.0,
            matrix: 115.0,
            workgroup: 128.0,
            cache: 4.5e12,
            memory: 0.9e12,
            gap: 3.0e-6,
            latency: 550.0,
            resident: 1.5,
        },
    },
    Profile {
        name: "rdna3",
        device: "AMD Radeon RX 7900 XTX",
        target: gpu(Caps { workgroup_bytes: 65536, matrices: Matrices::of(16), matrix_lanes: Some(64), ..LARGE }),
        max_binding: 2 << 30,
        speeds: Speeds {
            clock: 2.4e9,
            cores: 96.0,
            multiply_adds: 70.0,
            peak: 128.0,
            matrix: 150.0,
            workgroup: 128.0,
            cache: 2.5e12,
            memory: 0.8e12,
            gap: 5.0e-6,
            latency: 600.0,
            resident: 2.0,
        },
    },
    Profile {
        name: "rdna2",
        device: "AMD Radeon RX 6900 XT",
        target: gpu(Caps { workgroup_bytes: 65536, ..LARGE }),
        max_binding: 2 << 30,
        speeds: Speeds {
            clock: 2.2e9,
            cores: 80.0,
            multiply_adds: 55.0,
            peak: 64.0,
            matrix: 0.0,
            workgroup: 128.0,
            cache: 1.8e12,
            memory: 0.45e12,
            gap: 5.0e-6,
            latency: 600.0,
            resident: 2.0,
        },
    },
    Profile {
        name: "apple-m",
        device: "Apple M3 Max",
        target: Target {
            pays: &policy::NARROW_GPU,
            ..gpu(Caps { subgroup: Some(32), matrices: Matrices::of(8), matrix_scalars: true, ..LARGE })
        },
        max_binding: 2 << 30,
        speeds: Speeds {
            clock: 1.4e9,
            cores: 40.0,
            multiply_adds: 90.0,
            peak: 128.0,
            matrix: 95.0,
            workgroup: 64.0,
            cache: 1.0e12,
            memory: 0.33e12,
            gap: 4.0e-6,
            latency: 450.0,
            resident: 2.0,
        },
    },
    Profile {
        name: "xe",
        device: "Intel Iris Xe",
        target: Target { pays: &policy::SHORT_GPU, ..gpu(LARGE) },
        max_binding: 1 << 30,
        speeds: Speeds {
            clock: 1.3e9,
            cores: 96.0,
            multiply_adds: 5.5,
            peak: 8.0,
            matrix: 0.0,
            workgroup: 10.7,
            cache: 0.2e12,
            memory: 0.05e12,
            gap: 8.0e-6,
            latency: 400.0,
            resident: 0.4,
        },
    },
    Profile {
        name: "adreno",
        device: "Qualcomm Adreno 740",
        target: gpu(LARGE),
        max_binding: 128 << 20,
        speeds: Speeds {
            clock: 0.68e9,
            cores: 6.0,
            multiply_adds: 150.0,
            peak: 256.0,
            matrix: 0.0,
            workgroup: 128.0,
            cache: 0.12e12,
            memory: 0.045e12,
            gap: 25.0e-6,
            latency: 500.0,
            resident: 1.5,
        },
    },
];

/// A slow GPU with memory of its own: such as an old one for offices.
const SLOW_DISCRETE: Speeds = Speeds {
    clock: 1.0e9,
    cores: 96.0,
    multiply_adds: 4.0,
    peak: 8.0,
    matrix: 0.0,
    workgroup: 10.7,
    cache: 0.1e12,
    memory: 0.04e12,
    gap: 10.0e-6,
    latency: 600.0,
    resident: 0.4,
};

/// A slow GPU within a processor: about 90 GFLOP/s, where Intel's of 2017 has 380 at most by its data sheet.
const SLOW: Speeds = Speeds { clock: 0.5e9, cores: 24.0, cache: 0.03e12, memory: 0.008e12, ..SLOW_DISCRETE };

impl Speeds {
    /// What is assumed of a GPU until it was seen at work, so that its first run is not taken for hung: no GPU that runs
    /// this network at all should be slower by much.
    pub fn assumed(discrete: bool) -> &'static Self {
        if discrete { &SLOW_DISCRETE } else { &SLOW }
    }

    /// Those of another device of the kind, of which roofs were measured: `copy` bytes a second, read and written, and `fma`
    /// floating-point operations a second of multiply-adds in registers. It has as many cores as that takes, and as much
    /// of the cache.
    pub fn with_roofs(&self, copy: f64, fma: f64) -> Self {
        let cores = fma / (2.0 * self.peak * self.clock);
        Self { memory: copy, cores, cache: self.cache * cores / self.cores, ..*self }
    }
}

/// Words of GPUs' names, and the profile of their kind.
const KINDS: [(&[&str], &str); 5] = [
    (&["nvidia", "geforce", "quadro", "tesla"], "ada"),
    (&["amd", "radeon", "radv"], "rdna2"),
    (&["apple"], "apple-m"),
    (&["intel", "arc", "iris"], "xe"),
    (&["adreno", "turnip", "mali"], "adreno"),
];

impl Profile {
    /// The class that a real GPU of this name is most like, by its maker and its matrix units; none where its maker is not known.
    pub fn like(name: &str, target: &Target) -> Option<&'static Self> {
        let words: Vec<String> =
            name.split(|c: char| !c.is_ascii_alphanumeric()).map(str::to_ascii_lowercase).collect();
        let named = |kind: &&(&[&str], &str)| words.iter().any(|word| kind.0.contains(&word.as_str()));
        let (_, kind) = KINDS.iter().find(named)?;
        profile(match *kind {
            "ada" if target.pays.winograd == policy::MATRIX_GPU.winograd => "hopper",
            "rdna2" if !target.can.matrices.is_empty() => "rdna3",
            kind => kind,
        })
    }
}

/// The class of this name.
pub fn profile(name: &str) -> Option<&'static Profile> {
    PROFILES.iter().find(|profile| profile.name == name)
}

impl Matrices {
    /// Those of this size.
    const fn of(size: u32) -> Self {
        let (mut bits, mut i) = (0, 0);
        while i < Matrix::ALL.len() {
            if Matrix::ALL[i].size == size {
                bits |= 1 << i;
            }
            i += 1;
        }
        Self::from_bits(bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_go_by_distinct_names() {
        for (i, p) in PROFILES.iter().enumerate() {
            assert_eq!(PROFILES.iter().position(|other| other.name == p.name), Some(i));
            assert_eq!(profile(p.name).unwrap().device, p.device);
            assert_eq!(p.target.can.matrices.is_empty(), p.speeds.matrix == 0.0, "{}", p.name);
        }
        assert!(profile("no such").is_none());
    }

    #[test]
    fn gpus_are_like_those_of_their_maker() {
        let like = |name: &str, target: &Target| Profile::like(name, target).map(|p| p.name);
        let of = |name: &str| profile(name).unwrap().target;
        let plain = gpu(Caps::MINIMUM);
        for p in &PROFILES {
            assert_eq!(like(p.device, &p.target), Some(p.name), "{}", p.device);
        }
        assert_eq!(like("NVIDIA GeForce GTX 1060 (NVK GP106)", &plain), Some("ada"));
        let (nvk, h100) =
            (Target { pays: &policy::NVK_GPU, ..plain }, Target { pays: &policy::NVK_MATRIX_GPU, ..plain });
        assert_eq!(like("NVIDIA GeForce RTX 4070 (NVK AD104)", &nvk), Some("ada"));
        assert_eq!(like("NVIDIA H100 PCIe (NVK GH100)", &h100), Some("hopper"));
        assert_eq!(like("AMD Radeon RX 580 Series (RADV POLARIS10)", &plain), Some("rdna2"));
        assert_eq!(like("AMD Radeon 890M Graphics (RADV GFX1150)", &of("rdna3")), Some("rdna3"));
        assert_eq!(like("Intel(R) Arc(tm) A770 Graphics (DG2)", &plain), Some("xe"));
        assert_eq!(like("llvmpipe (LLVM 15.0.6, 256 bits)", &plain), None);
        assert_eq!(like("SwiftShader Device (Subzero)", &plain), None);
    }

    /// A smaller one of the kind: a quarter of the cores, half of the memory's speed.
    #[test]
    fn measured_roofs_take_the_place_of_a_data_sheet_s() {
        let speeds = profile("ada").unwrap().speeds;
        let own = speeds.with_roofs(speeds.memory, 2.0 * speeds.peak * speeds.clock * speeds.cores);
        assert_eq!(own, speeds);
        let small = speeds.with_roofs(0.5 * speeds.memory, 0.5 * speeds.peak * speeds.clock * speeds.cores);
        assert_eq!((small.cores, small.memory), (0.25 * speeds.cores, 0.5 * speeds.memory));
        assert_eq!((small.cache, small.clock), (0.25 * speeds.cache, speeds.clock));
        assert!(Matrices::of(16).iter().all(|m| m.size == 16) && Matrices::of(16).iter().count() == 2);
    }
}
