//! What a device can do.

use std::fmt;

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
}

/// Texels in a row of a tensor that is read as a texture (`shaders/shared/texels.wgsl`): element `e` lies in texel
/// `e / 4`, and texel `i` in column `i % TEXELS_A_ROW` of row `i / TEXELS_A_ROW`. WebGPU's default limit is twice that.
pub const TEXELS_A_ROW: usize = 4096;
