//! The contract that every op signs.

use std::any::Any;
use std::fmt;

use crate::tensor::{DType, Shape, Value};

/// Shape and element type of one tensor.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Info {
    /// Extents.
    pub shape: Shape,
    /// Element type.
    pub dtype: DType,
}

impl Info {
    /// A float tensor.
    pub fn f32(shape: impl Into<Shape>) -> Self {
        Self { shape: shape.into(), dtype: DType::F32 }
    }

    /// An integer tensor.
    pub fn u32(shape: impl Into<Shape>) -> Self {
        Self { shape: shape.into(), dtype: DType::U32 }
    }

    /// Bytes of its elements on the device.
    pub fn bytes(&self) -> usize {
        self.shape.len() * self.dtype.bytes()
    }
}

impl fmt::Debug for Info {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.dtype.name(), self.shape)
    }
}

/// The tensors that an op reads and writes.
#[derive(Clone, Copy, Debug)]
pub struct Io<'a> {
    /// Inputs, in the order of [`Op::operands`].
    pub inputs: &'a [Info],
    /// Outputs, after the inputs where a shader binds both.
    pub outputs: &'a [Info],
}

impl Io<'_> {
    /// Extent `i` of input `t`.
    pub fn dim(&self, t: usize, i: usize) -> usize {
        self.inputs[t].shape.dim(i)
    }
}

/// Reference arithmetic and the least traffic of one op, when every row is live.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    /// Floating-point operations; a multiply-add counts two.
    pub flops: f64,
    /// Bytes: each input read once, each output written once.
    pub bytes: f64,
}

impl Cost {
    /// `flops`, and the bytes of all tensors of `io`.
    pub fn of(io: &Io, flops: f64) -> Self {
        let bytes: usize = io.inputs.iter().chain(io.outputs).map(Info::bytes).sum();
        Self { flops, bytes: bytes as f64 }
    }
}

/// One of an op's inputs, as its signature has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operand {
    /// What it is called.
    pub name: &'static str,
    /// Element type.
    pub dtype: DType,
    /// How many extents it has, where that is fixed.
    pub rank: Option<usize>,
}

impl Operand {
    /// Floats with so many extents.
    pub const fn f32(name: &'static str, rank: usize) -> Self {
        Self { name, dtype: DType::F32, rank: Some(rank) }
    }

    /// Integers with so many extents.
    pub const fn u32(name: &'static str, rank: usize) -> Self {
        Self { name, dtype: DType::U32, rank: Some(rank) }
    }

    /// With any number of extents.
    pub const fn of_any_rank(self) -> Self {
        Self { rank: None, ..self }
    }

    /// The live count of each batch `[B]`, whatever shape its B elements have: rows past it are neither read nor written.
    pub const LIVE: Self = Self::u32("live", 1).of_any_rank();

    /// The frames of a batch ([`super::frame::Frame`]).
    pub const FRAMES: Self = Self::u32("frames", 2).of_any_rank();
}

impl fmt::Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let t = self.dtype.name();
        let extents = self.rank.map_or("…".to_string(), |rank| vec!["·"; rank].join(","));
        write!(f, "{} {t}[{extents}]", self.name)
    }
}

/// A setting of an op, by name, where it is not the plain one.
pub type Setting = (&'static str, String);

/// What a network is made of: tensors in, tensors out, by settings. Nothing here knows a shader or a device; how an op is
/// carried out is a [`lowering`](crate::engine::lowering)'s business.
pub trait Op: Any + fmt::Debug + Send + Sync {
    /// What it is called: the same for all settings.
    fn name(&self) -> &'static str;

    /// Its inputs, with these settings.
    fn operands(&self) -> Vec<Operand>;

    /// Outputs for inputs of which each is what [`Op::operands`] says, and not empty ([`check`] makes sure), or why their extents
    /// do not fit.
    fn infer(&self, inputs: &[Info]) -> Result<Vec<Info>, String>;

    /// Arithmetic and traffic.
    fn cost(&self, io: &Io) -> Cost;

    /// What the outputs are, computed on the CPU another way than any shader does. Elements that are left unwritten (rows
    /// past a live count) are NaN, or `u32::MAX`.
    fn twin(&self, inputs: &[Value]) -> Vec<Value>;

    /// The settings that are not the plain ones: with the name and the shapes they tell one op from another, in memory and
    /// in files.
    fn settings(&self) -> Vec<Setting> {
        Vec::new()
    }
}

impl dyn Op {
    /// The op as what it is, where it is a `T`.
    pub fn downcast<T: Op>(&self) -> Option<&T> {
        (self as &dyn Any).downcast_ref()
    }
}

/// An op's name and settings, as keys in files have them: `conv2d stride=2x2 relu`.
pub fn key(op: &dyn Op) -> String {
    let setting = |(name, value): Setting| if value.is_empty() { name.to_string() } else { format!("{name}={value}") };
    std::iter::once(op.name().to_string()).chain(op.settings().into_iter().map(setting)).collect::<Vec<_>>().join(" ")
}

/// Outputs for these inputs, or why they do not fit the op's signature or one another.
///
/// # Errors
/// In words, naming the operand.
pub fn check(op: &dyn Op, inputs: &[Info]) -> Result<Vec<Info>, String> {
    let operands = op.operands();
    if operands.len() != inputs.len() {
        let told: Vec<String> = operands.iter().map(Operand::to_string).collect();
        return Err(format!("takes {}, not {inputs:?}", told.join(", ")));
    }
    for (operand, info) in operands.iter().zip(inputs) {
        if operand.dtype != info.dtype || operand.rank.is_some_and(|rank| rank != info.shape.rank()) {
            return Err(format!("takes {operand}, which {info:?} is not"));
        }
        if info.shape.is_empty() {
            return Err(format!("has nothing to do with {operand} of no elements, {info:?}"));
        }
    }
    op.infer(inputs)
}

/// The settings that are on, for [`Op::settings`]: those switched on have no value.
pub(crate) fn settings(all: impl IntoIterator<Item = (&'static str, Option<String>)>) -> Vec<Setting> {
    all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

/// A switch, for [`settings`].
pub(crate) fn on(switch: bool) -> Option<String> {
    switch.then(String::new)
}

/// A value, where it is not the plain one, for [`settings`].
pub(crate) fn unless<T: PartialEq + fmt::Display>(plain: T, value: T) -> Option<String> {
    (value != plain).then(|| value.to_string())
}

/// Two extents, where they are not the plain ones, for [`settings`].
pub(crate) fn pair(plain: usize, (a, b): (usize, usize)) -> Option<String> {
    ((a, b) != (plain, plain)).then(|| format!("{a}x{b}"))
}

/// A part of a larger tensor, for [`settings`].
pub(crate) fn slice(slice: Option<(Shape, usize)>) -> Option<String> {
    slice.map(|(whole, offset)| format!("{whole}+{offset}"))
}

/// Anything that there is, for [`settings`].
pub(crate) fn value(value: impl fmt::Display) -> Option<String> {
    Some(value.to_string())
}
