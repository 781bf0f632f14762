//! What drivers count, by one name each.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Executable, Statistic};

/// Something that is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Figure {
    /// Registers of a thread. Drivers count them as their GPUs do: AMD's and NVIDIA's in 32 bits, Apple's in 16, Adreno's
    /// in four times 32.
    Registers,
    /// Registers that a subgroup shares.
    Scalars,
    /// Registers that had no room and went to memory, or the instructions that take them there.
    Spills,
    /// Bytes of memory that a thread keeps such registers and arrays in.
    Scratch,
    /// Bytes of workgroup memory.
    Workgroup,
    /// Subgroups that a core, or a part of it, holds at a time: what hides the latency of memory.
    Waves,
    /// Instructions, each counted once, wherever it stands.
    Instructions,
    /// Threads of a subgroup.
    Subgroup,
}

/// The names that drivers give them, in lower case: of those that a driver has, the first.
const NAMES: [(Figure, &[&str]); 7] = [
    (
        Figure::Registers,
        &[
            "vgprs",              // RADV
            "numusedvgprs",       // AMDVLK
            "number of gprs",     // NVK
            "register count",     // NVIDIA
            "gprs",               // Honeykrisp
            "registers used",     // Turnip, PanVK
            "max live registers", // ANV, whose GPUs give every thread as many
            "grf registers",
            "registers",  // PanVK on Midgard
            "temp count", // PowerVR
        ],
    ),
    (Figure::Scalars, &["sgprs", "numusedsgprs"]),
    (
        Figure::Spills,
        &[
            "spilled vgprs",
            "spills",           // ANV, Honeykrisp, PanVK
            "spill count",      // ANV before, PowerVR
            "spills to memory", // NVK
            "stp count",        // Turnip: stores to a thread's own memory
            "tmu spills",       // V3DV
        ],
    ),
    (
        Figure::Scratch,
        &[
            "scratch size",
            "scratchmemusageinbytes",
            "scratch memory size",
            "scratch",
            "slm size", // NVK: what NVIDIA calls local
            "stack size",
            "spill size",
        ],
    ),
    (
        Figure::Workgroup,
        &["lds size", "ldsusagesizeinbytes", "workgroup memory size", "shared memory size", "shared memory"],
    ),
    (Figure::Waves, &["subgroups per simd", "max warps/sm", "max waves per core", "thread count"]),
    (Figure::Instructions, &["instructions", "instruction count", "inst group count"]),
];

/// Spills of registers that a subgroup shares, where a driver counts them beside the others.
const SHARED_SPILLS: &str = "spilled sgprs";

/// Threads at a time, of drivers that do not count subgroups.
const THREADS: &str = "threads";

impl Figure {
    /// All of them.
    pub const ALL: [Figure; 8] = [
        Self::Registers,
        Self::Scalars,
        Self::Spills,
        Self::Scratch,
        Self::Workgroup,
        Self::Waves,
        Self::Instructions,
        Self::Subgroup,
    ];

    /// The head of its column.
    pub fn name(self) -> &'static str {
        match self {
            Self::Registers => "registers",
            Self::Scalars => "scalars",
            Self::Spills => "spills",
            Self::Scratch => "scratch",
            Self::Workgroup => "workgroup",
            Self::Waves => "waves",
            Self::Instructions => "instructions",
            Self::Subgroup => "subgroup",
        }
    }

    /// Whether more of it is better; none where that depends.
    pub fn more_is_better(self) -> Option<bool> {
        match self {
            Self::Subgroup => None,
            Self::Waves => Some(true),
            _ => Some(false),
        }
    }
}

/// What a driver counted, as far as it tells.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figures(pub BTreeMap<Figure, u64>);

impl Figures {
    /// Those of a program.
    pub fn of(made: &Executable) -> Self {
        let told = |name: &str| {
            let mut all = made.statistics.iter().filter(|(told, _)| told.trim().to_lowercase() == name);
            all.find_map(|(_, value)| number(value))
        };
        let first = |(figure, names): &(Figure, &[&str])| Some((*figure, names.iter().find_map(|name| told(name))?));
        let mut out: BTreeMap<Figure, u64> = NAMES.iter().filter_map(first).collect();
        if let Some(spills) = out.get_mut(&Figure::Spills) {
            *spills += told(SHARED_SPILLS).unwrap_or(0);
        }
        let subgroup = u64::from(made.subgroup);
        if subgroup > 0 {
            out.insert(Figure::Subgroup, subgroup);
            if let Some(threads) = told(THREADS) {
                out.entry(Figure::Waves).or_insert(threads / subgroup);
            }
        }
        Self(out)
    }

    /// One of them.
    pub fn get(&self, figure: Figure) -> Option<u64> {
        self.0.get(&figure).copied()
    }
}

/// Whole and not negative: a count. Some drivers give counts as floats.
fn number(value: &Statistic) -> Option<u64> {
    value.as_u64().or_else(|| value.as_f64().filter(|v| *v >= 0.0 && v.fract() == 0.0).map(|v| v as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(subgroup: u32, statistics: &[(&str, Statistic)]) -> Figures {
        let statistics = statistics.iter().map(|(name, value)| (name.to_string(), value.clone())).collect();
        Figures::of(&Executable { name: "main".into(), subgroup, statistics, code: Vec::new() })
    }

    fn told(figures: &Figures) -> Vec<(Figure, u64)> {
        figures.0.iter().map(|(f, n)| (*f, *n)).collect()
    }

    #[test]
    fn vendors_names_are_one() {
        let radv = of(
            64,
            &[
                ("SGPRs", 40.into()),
                ("VGPRs", 120.into()),
                ("Spilled SGPRs", 3.into()),
                ("Spilled VGPRs", 2.into()),
                ("LDS size", 16384.into()),
                ("Scratch size", 0.into()),
                ("Subgroups per SIMD", 6.into()),
                ("Instructions", 900.into()),
                ("Pre-Sched VGPRs", 99.into()),
            ],
        );
        use Figure::*;
        let want = [
            (Registers, 120),
            (Scalars, 40),
            (Spills, 5),
            (Scratch, 0),
            (Workgroup, 16384),
            (Waves, 6),
            (Instructions, 900),
            (Subgroup, 64),
        ];
        assert_eq!(told(&radv), want);
        let nvidia = of(32, &[("Register Count", 88.into()), ("Binary Size", 4096.into()), ("Stack Size", 16.into())]);
        assert_eq!(told(&nvidia), [(Registers, 88), (Scratch, 16), (Subgroup, 32)]);
        // Two counts of registers are not one sum.
        let intel = of(
            16,
            &[
                ("Instructions", 10.into()),
                ("Spills", 7.into()),
                ("GRF registers", 128.into()),
                ("Max live registers", 90.into()),
            ],
        );
        assert_eq!(told(&intel), [(Registers, 90), (Spills, 7), (Instructions, 10), (Subgroup, 16)]);
        let apple = of(32, &[("GPRs", 119.into()), ("Threads", 832.into()), ("Scratch", 0.into())]);
        assert_eq!(told(&apple), [(Registers, 119), (Scratch, 0), (Waves, 26), (Subgroup, 32)]);
    }

    #[test]
    fn what_is_no_count_is_left_out() {
        let odd = of(
            32,
            &[("VGPRs", (-1).into()), ("SGPRs", 7.5.into()), ("Spills", true.into()), ("Instructions", 8.0.into())],
        );
        assert_eq!(told(&odd), [(Figure::Instructions, 8), (Figure::Subgroup, 32)]);
    }
}
