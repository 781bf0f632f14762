//! The contract that every kernel signs.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::ops::{Info, Io, Op};
use crate::tensor::Value;

/// A multiply-add of cooperative matrices: `size`³, of f16 elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Matrix {
    /// Rows and columns of every matrix: 8 or 16.
    pub size: u32,
    /// Whether sums are f32; else they are f16, like what is multiplied.
    pub f32_sums: bool,
}

impl Matrix {
    /// Those that WGSL can name and kernels can use, best first: exact sums before large matrices.
    pub const ALL: [Matrix; 4] = [
        Matrix { size: 16, f32_sums: true },
        Matrix { size: 8, f32_sums: true },
        Matrix { size: 16, f32_sums: false },
        Matrix { size: 8, f32_sums: false },
    ];
}

impl fmt::Display for Matrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{0}x{0}x{0} f16 with {1} sums", self.size, if self.f32_sums { "f32" } else { "f16" })
    }
}

/// A set of [`Matrix`]: one bit for each of [`Matrix::ALL`].
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Matrices(u8);

impl Matrices {
    /// The empty set.
    pub const NONE: Matrices = Matrices(0);

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self == Self::NONE
    }

    /// Its members, best first.
    pub fn iter(self) -> impl Iterator<Item = Matrix> {
        Matrix::ALL.into_iter().enumerate().filter(move |(i, _)| self.0 >> i & 1 == 1).map(|(_, m)| m)
    }
}

impl FromIterator<Matrix> for Matrices {
    fn from_iter<T: IntoIterator<Item = Matrix>>(matrices: T) -> Self {
        let bit = |m: Matrix| Matrix::ALL.iter().position(|other| *other == m).map_or(0, |i| 1 << i);
        Self(matrices.into_iter().fold(0, |bits, m| bits | bit(m)))
    }
}

impl fmt::Debug for Matrices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(|m| m.to_string())).finish()
    }
}

/// What a device can do, as far as a kernel's choice of variant depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    /// The subgroup size, where the device has subgroup operations and one size only.
    pub subgroup: Option<u32>,
    /// A CPU driver (lavapipe, SwiftShader, WARP): workgroup memory is no faster than any other there.
    pub cpu: bool,
    /// Reading a texel beats reading a storage buffer by far: lavapipe loads a texture's texels for all lanes with
    /// vector moves, and goes through a storage buffer lane by lane.
    pub texels: bool,
    /// Invocations a workgroup may have.
    pub max_invocations: u32,
    /// Bytes of workgroup memory.
    pub workgroup_bytes: u32,
    /// Half-precision arithmetic and storage in shaders.
    pub f16: bool,
    /// Cooperative matrices. A device that has some has [`Caps::f16`], and subgroups of one or several sizes.
    pub matrices: Matrices,
    /// What is wanted, not what can be: convolutions, transposed convolutions and fully connected layers multiply
    /// factors rounded to f16. Their sums, and all tensors between them, are f32. Takes [`Caps::f16`].
    pub halves: bool,
}

impl Caps {
    /// The least that any device must offer (WebGPU's default limits, no optional feature).
    pub const MINIMUM: Caps = Caps {
        subgroup: None,
        cpu: false,
        texels: false,
        max_invocations: 256,
        workgroup_bytes: 16384,
        f16: false,
        matrices: Matrices::NONE,
        halves: false,
    };
}

/// One way to compile a kernel: a name, and the constants that are prepended to its text.
///
/// A constant is visible to the shader as `const NAME = value;` and to the preprocessor's `#ifdef` and `#repeat`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Variant {
    /// Its name among the kernel's variants.
    pub name: &'static str,
    /// Constants.
    pub defines: Vec<(&'static str, u32)>,
    /// Whether the text uses subgroup operations.
    pub subgroups: bool,
    /// Inputs that it reads as textures of four elements a texel and [`TEXELS_A_ROW`] texels a row.
    pub textures: Vec<usize>,
    /// Whether the text uses cooperative matrices, and f16 with them.
    pub matrices: bool,
    /// Whether it multiplies factors rounded to f16, and has its weights as such.
    pub halves: bool,
    /// A text to run in place of what the kernel's file makes of the constants: an edited shader, or an older one.
    pub text: Option<Arc<str>>,
}

impl Variant {
    /// A variant without subgroup operations, cooperative matrices and f16.
    pub fn new(name: &'static str, defines: &[(&'static str, u32)]) -> Self {
        let defines = defines.to_vec();
        Self { name, defines, subgroups: false, matrices: false, halves: false, textures: Vec::new(), text: None }
    }

    /// The value of a constant; panics where the variant lacks it, which a test of all cases shows.
    pub fn get(&self, name: &str) -> u32 {
        self.find(name).unwrap_or_else(|| panic!("variant {} has no constant {name}", self.name))
    }

    /// The value of a constant, if the variant has it.
    pub fn find(&self, name: &str) -> Option<u32> {
        self.defines.iter().find(|d| d.0 == name).map(|d| d.1)
    }

    /// Reads input `index` as a texture where `on`, which the shader learns by `name`.
    pub fn texture(mut self, index: usize, name: &'static str, on: bool) -> Self {
        if on {
            self.textures.push(index);
        }
        self.flag(name, on)
    }

    /// Adds `name` = 1 where `on`: an `#ifdef` switch.
    pub fn flag(mut self, name: &'static str, on: bool) -> Self {
        if on {
            self.defines.push((name, 1));
        }
        self
    }
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)?;
        for (k, v) in &self.defines {
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

/// Texels in a row of a tensor that is read as a texture (`shaders/shared/texels.wgsl`): element `e` lies in texel
/// `e / 4`, and texel `i` in column `i % TEXELS_A_ROW` of row `i / TEXELS_A_ROW`.
pub const TEXELS_A_ROW: usize = 4096;

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
    /// [lowering](crate::lowering).
    fn takes(&self, _inputs: &[Info]) -> bool {
        true
    }

    /// Ways to run it on such a device, best guess first; never empty, and the last runs on [`Caps::MINIMUM`].
    fn variants(&self, io: &Io, caps: &Caps) -> Vec<Variant>;

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

    /// A name for the order in which `variant` reads constant input `index`, the same wherever that order is the same;
    /// `None` where the input is read as it is.
    fn form(&self, _index: usize, _variant: &Variant) -> Option<String> {
        None
    }

    /// Constant input `index` in the order that [`Kernel::form`] names.
    fn pack(&self, _index: usize, value: &Value, _variant: &Variant) -> Value {
        value.clone()
    }
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
