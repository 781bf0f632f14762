//! What a device can do.

use std::fmt;

use super::Factors;

/// A multiply-add of cooperative matrices: `size`³.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Matrix {
    /// Rows and columns of every matrix: 8 or 16.
    pub size: u32,
    /// Whether what is multiplied is f32, and sums with it; else it is f16.
    pub f32_factors: bool,
    /// Whether sums are f32; else they are f16, like what is multiplied.
    pub f32_sums: bool,
}

impl Matrix {
    /// Those that WGSL can name and kernels can use, best first: exact sums before large matrices, and before both those of
    /// f32 alone, which are for networks of f32.
    pub const ALL: [Matrix; 5] = [Self::of_f16(16), Self::of_f16(8), Self::F32, Self::in_f16(16), Self::in_f16(8)];

    /// Of f32, as Metal has them: of one size.
    pub const F32: Matrix = Matrix { size: 8, f32_factors: true, f32_sums: true };

    /// Of f16 with f32 sums.
    pub const fn of_f16(size: u32) -> Self {
        Self { size, f32_factors: false, f32_sums: true }
    }

    /// Of f16, sums too.
    const fn in_f16(size: u32) -> Self {
        Self { size, f32_factors: false, f32_sums: false }
    }

    /// Whether networks of such factors can use it: their sums are f32 in any case.
    pub fn serves(self, factors: Factors) -> bool {
        self.f32_sums && self.f32_factors == (factors == Factors::F32)
    }
}

impl fmt::Display for Matrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [factors, sums] = [self.f32_factors, self.f32_sums].map(|f32| if f32 { "f32" } else { "f16" });
        write!(f, "{0}x{0}x{0} {factors} with {sums} sums", self.size)
    }
}

/// A set of [`Matrix`]: one bit for each of [`Matrix::ALL`].
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Matrices(u8);

impl Matrices {
    /// The empty set.
    pub const NONE: Matrices = Matrices(0);

    /// A bit for each of [`Matrix::ALL`].
    pub(super) const fn from_bits(bits: u8) -> Self {
        Self(bits)
    }

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

/// What a device can do, as far as the choice of a schedule depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    /// The subgroup size, where the device has subgroup operations and one size only.
    pub subgroup: Option<u32>,
    /// Whether textures are large enough for a tensor to be read as one, [`TEXELS_A_ROW`] texels a row.
    pub texels: bool,
    /// Invocations a workgroup may have.
    pub max_invocations: u32,
    /// Bytes of workgroup memory.
    pub workgroup_bytes: u32,
    /// Half-precision arithmetic and storage in shaders.
    pub f16: bool,
    /// Cooperative matrices. A device that has some has [`Caps::f16`], and subgroups of one or several sizes.
    pub matrices: Matrices,
    /// The lanes of a subgroup in shaders that use them, where they are known: where the device has several sizes, as one
    /// such shader found them. A driver may compile those for another size than all else.
    pub matrix_lanes: Option<u32>,
    /// Whether matrices are loaded from arrays of single elements alone, and not of fours: Metal's language.
    pub matrix_scalars: bool,
}

impl Caps {
    /// The least that any device must offer (WebGPU's default limits, no optional feature).
    pub const MINIMUM: Caps = Caps {
        subgroup: None,
        texels: true,
        max_invocations: 256,
        workgroup_bytes: 16384,
        f16: false,
        matrices: Matrices::NONE,
        matrix_lanes: None,
        matrix_scalars: false,
    };

    /// The lanes of a subgroup of shaders with matrices; where nobody knows them those that are usual: the text then makes up for what
    /// is missing.
    pub fn lanes_of_matrices(&self) -> u32 {
        self.matrix_lanes.or(self.subgroup).unwrap_or(32)
    }
}

/// Texels in a row of a tensor that is read as a texture (`shaders/shared/texels.wgsl`): element `e` lies in texel
/// `e / 4`, and texel `i` in column `i % TEXELS_A_ROW` of row `i / TEXELS_A_ROW`. WebGPU's default limit is twice that.
pub const TEXELS_A_ROW: usize = 4096;
