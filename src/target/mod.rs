//! What plans are made for: what a device *can* do ([`Caps`]), what is *wanted* of it ([`Factors`]), and what *pays* there
//! ([`Policy`]). Every choice that depends on the class of device reads it here.

mod caps;
pub mod policy;
mod profile;

pub use caps::{Caps, Matrices, Matrix, TEXELS_A_ROW};
pub use policy::Policy;
pub use profile::{PROFILES, Profile, Speeds, profile};

/// What convolutions, transposed convolutions and fully connected layers multiply. Their sums, and all tensors between them,
/// are f32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Factors {
    /// f32.
    #[default]
    F32,
    /// Rounded to f16: takes [`Caps::f16`].
    F16,
}

/// A device as plans see it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Target {
    /// What it can do.
    pub can: Caps,
    /// What is wanted of it.
    pub wants: Factors,
    /// What pays there.
    pub pays: &'static Policy,
}

impl Target {
    /// The least that any device offers: a GPU with WebGPU's default limits.
    pub const MINIMUM: Target = Target { can: Caps::MINIMUM, wants: Factors::F32, pays: &policy::GPU };

    /// The same with these factors.
    pub const fn with(self, wants: Factors) -> Self {
        Self { wants, ..self }
    }

    /// Whether products of f16 are wanted.
    pub fn wants_f16(&self) -> bool {
        self.wants == Factors::F16
    }

    /// Whether it has matrix units that make products of f16 with sums of f32, of matrices of this size at least.
    pub fn has_matrices_of_f16(&self, least: u32) -> bool {
        self.can.f16 && self.can.matrices.iter().any(|m| m.serves(Factors::F16) && m.size >= least)
    }

    /// Whether tensors are read as textures where that saves time.
    pub fn reads_texels(&self) -> bool {
        self.can.texels && self.pays.texels
    }
}
