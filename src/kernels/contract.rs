//! The contract that every kernel signs.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use super::schedule::Schedule;
use crate::ops::activation::Activation;
use crate::ops::{Info, Io, Op};
use crate::target::Target;
use crate::tensor::{DType, Value};

/// One way to compile a kernel: a schedule, and the constants that are prepended to its text.
///
/// A constant is visible to the shader as `const NAME = value;` and to the preprocessor's `#ifdef` and `#repeat`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Variant {
    /// Its name among the kernel's variants.
    pub name: &'static str,
    /// How the work is cut.
    pub schedule: Schedule,
    /// Constants beside the schedule's: what the op's settings ask of the text, and a kernel's own sizes.
    pub features: Vec<(&'static str, u32)>,
    /// Whether the text uses subgroup operations.
    pub subgroups: bool,
    /// Inputs that it reads as textures of four elements a texel and [`TEXELS_A_ROW`](crate::target::TEXELS_A_ROW)
    /// texels a row.
    pub textures: Vec<usize>,
    /// Places among its inputs at which the text has one more than the launch: ones are bound there, bit for bit, which
    /// as a live count no row passes. So launches with and without share a text.
    pub absent: Vec<usize>,
    /// Whether the text uses cooperative matrices.
    pub matrices: bool,
    /// Whether it multiplies factors rounded to f16, and has its weights as such.
    pub f16: bool,
    /// A text to run in place of what the kernel's file makes of the constants: an edited shader, or an older one.
    pub text: Option<Arc<str>>,
}

impl Variant {
    /// A schedule, with subgroup operations where it needs them, in f32.
    pub fn of(schedule: Schedule) -> Self {
        let subgroups = matches!(schedule, Schedule::Shuffled(_) | Schedule::Texels(_) | Schedule::Matrix(_));
        let name = schedule.name(false);
        Self {
            name,
            schedule,
            features: Vec::new(),
            subgroups,
            matrices: false,
            f16: false,
            textures: Vec::new(),
            absent: Vec::new(),
            text: None,
        }
    }

    /// A way of the kernel's own, with these constants.
    pub fn own(name: &'static str, constants: &[(&'static str, u32)]) -> Self {
        Self { features: constants.to_vec(), ..Self::of(Schedule::Own(name)) }
    }

    /// An element a thread.
    pub fn plain() -> Self {
        Self::of(Schedule::Plain)
    }

    /// The same with factors rounded to f16.
    pub fn in_f16(self) -> Self {
        Self { f16: true, name: self.schedule.name(true), ..self }
    }

    /// The same text by another name: a way of the kernel's own.
    pub fn called(self, name: &'static str) -> Self {
        Self { name, schedule: Schedule::Own(name), ..self }
    }

    /// All constants of its text.
    pub fn constants(&self) -> Vec<(&'static str, u32)> {
        let f16 = self.f16.then_some(("HALVES", 1));
        self.schedule.constants().into_iter().chain(self.features.iter().copied()).chain(f16).collect()
    }

    /// The value of a kernel's own constant; panics where the variant lacks it, which a test of all cases shows.
    pub fn get(&self, name: &str) -> u32 {
        self.find(name).unwrap_or_else(|| panic!("variant {} has no constant {name}", self.name))
    }

    /// The value of a constant, if the variant has it.
    pub fn find(&self, name: &str) -> Option<u32> {
        self.constants().into_iter().find(|d| d.0 == name).map(|d| d.1)
    }

    /// Gives a constant another value; says whether there is one of that name that can have one.
    pub fn set(&mut self, name: &str, value: u32) -> bool {
        let own = self.features.iter_mut().find(|d| d.0 == name).map(|d| d.1 = value).is_some();
        own || self.schedule.set(name, value)
    }

    /// Reads input `index` as a texture where `on`, which the shader learns by `name`.
    pub fn texture(mut self, index: usize, name: &'static str, on: bool) -> Self {
        if on {
            self.textures.push(index);
        }
        self.flag(name, on)
    }

    /// Adds `name` = 1: the text has an input at `place`, which the launch has, too, where `given`.
    pub fn optional(mut self, name: &'static str, place: usize, given: bool) -> Self {
        if !given {
            self.absent.push(place);
        }
        self.flag(name, true)
    }

    /// Whether the text uses f16 at all.
    pub fn needs_f16(&self) -> bool {
        self.matrices && !self.schedule.wide()
            || self.f16
            || self.features.iter().any(|(name, _)| name.ends_with("_F16"))
    }

    /// Adds a constant.
    pub fn with(mut self, name: &'static str, value: u32) -> Self {
        self.features.push((name, value));
        self
    }

    /// The text of an activation; those that parameters choose share one.
    pub fn ending_with(self, activation: Activation) -> Self {
        self.flag("HARD_SWISH", activation == Activation::HardSwish)
            .flag("HARD_SIGMOID", activation == Activation::HardSigmoid)
    }

    /// Adds `name` = 1 where `on`: an `#ifdef` switch.
    pub fn flag(mut self, name: &'static str, on: bool) -> Self {
        if on {
            self.features.push((name, 1));
        }
        self
    }
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)?;
        for (k, v) in self.constants() {
            write!(f, " {k}={v}")?;
        }
        if let Some(text) = &self.text {
            // Enough to tell texts apart.
            let mut hasher = std::hash::DefaultHasher::new();
            text.hash(&mut hasher);
            write!(f, " text {:016x}", hasher.finish())?;
        }
        Ok(())
    }
}

/// One dispatch: the grid of workgroups and the uniform parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct Launch {
    /// Workgroups along x, y and z; each at most 65,535.
    pub grid: [u32; 3],
    /// The bytes of the shader's `Params`.
    pub params: Vec<u8>,
}

/// How a launch's grid follows a live count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LiveGrid {
    /// The input that holds the count.
    pub input: usize,
    /// The axis of the grid along which the rows lie.
    pub axis: usize,
    /// Rows of all batches, one batch after the other; 0 where each batch has the whole axis to itself.
    pub rows: u32,
    /// Units (pixels, tiles, RoIs) of a row …
    pub units: u32,
    /// … those that belong to other launches, before this one's first …
    pub first: u32,
    /// … those that belong to this one, if all rows are live …
    pub total: u32,
    /// … and those of a workgroup.
    pub block: u32,
}

impl LiveGrid {
    /// The share of this launch's units that are live where so many rows are.
    pub fn share(&self, rows: usize) -> f64 {
        let units = (rows as u64 * u64::from(self.units)).saturating_sub(self.first.into()).min(self.total.into());
        units as f64 / f64::from(self.total.max(1))
    }
}

/// A field of a kernel's `Params`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParamField {
    /// Name in Rust and in WGSL.
    pub name: &'static str,
    /// Bytes from the start of the struct.
    pub offset: usize,
}

/// A struct of uniform parameters. Made by [`params!`](crate::params), which keeps the fields' names and offsets for the reflection
/// test.
pub trait Params: bytemuck::Pod {
    /// The fields, in order.
    fn fields() -> Vec<ParamField>;

    /// The bytes, as the uniform buffer takes them.
    fn bytes(&self) -> Vec<u8> {
        bytemuck::bytes_of(self).to_vec()
    }
}

/// Declares a kernel's `Params`: a `#[repr(C)]` Pod struct whose field offsets a test compares with the WGSL's.
#[macro_export]
#[doc(hidden)]
macro_rules! params {
    ($($field:ident: $ty:ty),* $(,)?) => {
        #[repr(C)]
        #[derive(Clone, Copy, Debug, Default, bytemuck::Pod, bytemuck::Zeroable)]
        pub(super) struct P { $(pub $field: $ty),* }
        impl $crate::kernels::Params for P {
            fn fields() -> Vec<$crate::kernels::ParamField> {
                vec![$($crate::kernels::ParamField {
                    name: stringify!($field),
                    offset: std::mem::offset_of!(P, $field),
                }),*]
            }
        }
        /// The fields of this kernel's `Params`.
        pub fn params() -> Vec<$crate::kernels::ParamField> {
            <P as $crate::kernels::Params>::fields()
        }
    };
}

/// A shader for an op: how it may be compiled, how it is launched, and in what order it reads constants. Its shapes, cost
/// and twin are the op's.
pub trait Kernel: Op {
    /// Whether the shader does it with these settings and inputs; an op that it does not do takes another
    /// [lowering](crate::engine::lowering).
    fn takes(&self, _inputs: &[Info]) -> bool {
        true
    }

    /// Ways to run it on such a device, best guess first; never empty, and the last runs on [`Target::MINIMUM`].
    fn variants(&self, io: &Io, target: &Target) -> Vec<Variant>;

    /// The float operands that its texts can have in memory as f16: their numbers among the inputs and, after these, the
    /// outputs, and the constants that tell the text. [`variants`] is those for operands that are so.
    fn f16_operands(&self, _io: &Io) -> Vec<(usize, &'static str)> {
        Vec::new()
    }

    /// Grid and parameters of a variant.
    fn launch(&self, io: &Io, variant: &Variant) -> Launch;

    /// How its grid follows the live count, where only the first workgroups are needed if not all rows are live.
    fn live_grid(&self, _io: &Io, _variant: &Variant) -> Option<LiveGrid> {
        None
    }

    /// Operations that a variant executes, those on padding included; [`Op::cost`] counts what is asked for.
    fn executed(&self, io: &Io, _variant: &Variant) -> f64 {
        self.cost(io).flops
    }

    /// A name for the layout in which `variant` reads constant input `index`, the same wherever that layout is the same;
    /// `None` where the input is read as it is.
    fn weight_layout(&self, _index: usize, _variant: &Variant) -> Option<String> {
        None
    }

    /// Constant input `index` in the layout that [`Kernel::weight_layout`] names.
    fn pack(&self, _index: usize, value: &Value, _variant: &Variant) -> Value {
        value.clone()
    }
}

/// What a kernel reads and writes, with all that it can have in memory as f16 so.
pub fn in_f16(kernel: &dyn Kernel, io: &Io) -> (Vec<Info>, Vec<Info>) {
    let operands = kernel.f16_operands(io);
    let info = |(i, info): (usize, &Info)| match operands.iter().any(|(operand, _)| *operand == i) {
        true => Info { dtype: DType::F16, ..*info },
        false => *info,
    };
    let mut all: Vec<Info> = io.inputs.iter().chain(io.outputs).enumerate().map(info).collect();
    let outputs = all.split_off(io.inputs.len());
    (all, outputs)
}

/// A kernel's variants for operands of which some are f16 in memory: those that can have them so, told which they are.
pub fn variants(kernel: &dyn Kernel, io: &Io, target: &Target) -> Vec<Variant> {
    let mut out = kernel.variants(io, target);
    let operands = io.inputs.iter().chain(io.outputs).enumerate();
    let narrow: Vec<usize> = operands.filter(|(_, info)| info.dtype == DType::F16).map(|(i, _)| i).collect();
    if narrow.is_empty() {
        return out;
    }
    let named = kernel.f16_operands(io);
    // Textures hold no halves, and a text for whatever there may be is of single floats.
    out.retain(|v| v.find("PLAIN").is_none() && !narrow.iter().any(|i| v.textures.contains(i)));
    for v in &mut out {
        v.features.extend(named.iter().filter(|(i, _)| narrow.contains(i)).map(|(_, name)| (*name, 1)));
    }
    out
}

/// A grid of at least `n` workgroups that keeps each extent within the 65,535 of every device; the shader finds its
/// number as `wid.y * GRID_X + wid.x` with `GRID_X` from its parameters (the built-in count costs an extra dispatch
/// or a hidden uniform on some backends).
pub fn fold_grid(n: usize) -> [u32; 3] {
    const MAX: usize = 65_535;
    let y = n.div_ceil(MAX).max(1);
    let x = n.div_ceil(y).max(1);
    [x as u32, y as u32, 1]
}
