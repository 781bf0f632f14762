//! WGSL as this project writes it: a small preprocessor, and reflection and translation through naga. No GPU here.

#[cfg(feature = "emit")]
pub mod emit;
mod preprocess;
mod reflect;

use crate::kernels::{Entry, Variant};

pub use preprocess::{Processed, preprocess};
pub use reflect::{Access, Binding, Reflection, reflect};

/// Snippets that `#import` and `#paste` find, by name: everything under `shaders/` that is not itself a kernel.
pub const SNIPPETS: &[(&str, &str)] = &[
    ("conv2d/plain", include_str!("../../shaders/conv2d/plain.wgsl")),
    ("shared/block", include_str!("../../shaders/shared/block.wgsl")),
    ("shared/block_step", include_str!("../../shaders/shared/block_step.wgsl")),
    ("shared/blocked", include_str!("../../shaders/shared/blocked.wgsl")),
    ("shared/boxes", include_str!("../../shaders/shared/boxes.wgsl")),
    ("shared/conv_params", include_str!("../../shaders/shared/conv_params.wgsl")),
    ("shared/core", include_str!("../../shaders/shared/core.wgsl")),
    ("shared/divide", include_str!("../../shaders/shared/divide.wgsl")),
    ("shared/element", include_str!("../../shaders/shared/element.wgsl")),
    ("shared/frame", include_str!("../../shaders/shared/frame.wgsl")),
    ("shared/gemm", include_str!("../../shaders/shared/gemm.wgsl")),
    ("shared/input", include_str!("../../shaders/shared/input.wgsl")),
    ("shared/live", include_str!("../../shaders/shared/live.wgsl")),
    ("shared/matrix", include_str!("../../shaders/shared/matrix.wgsl")),
    ("shared/matrix_step", include_str!("../../shaders/shared/matrix_step.wgsl")),
    ("shared/operands", include_str!("../../shaders/shared/operands.wgsl")),
    ("shared/order", include_str!("../../shaders/shared/order.wgsl")),
    ("shared/rows", include_str!("../../shaders/shared/rows.wgsl")),
    ("shared/select", include_str!("../../shaders/shared/select.wgsl")),
    ("shared/spot", include_str!("../../shaders/shared/spot.wgsl")),
    ("shared/texels", include_str!("../../shaders/shared/texels.wgsl")),
    ("shared/tiled", include_str!("../../shaders/shared/tiled.wgsl")),
    ("shared/winograd_place", include_str!("../../shaders/shared/winograd_place.wgsl")),
    ("winograd_gemm/blocked", include_str!("../../shaders/winograd_gemm/blocked.wgsl")),
];

/// The constants that a variant's text is made with.
pub fn defines(variant: &Variant) -> Vec<(String, u32)> {
    let mut defines: Vec<(String, u32)> = variant.constants().into_iter().map(|(k, v)| (k.to_string(), v)).collect();
    if variant.subgroups {
        defines.push(("SUBGROUPS".into(), 1));
    }
    defines
}

/// The full text of a kernel's variant.
pub fn compile(entry: &Entry, variant: &Variant) -> crate::Result<Processed> {
    if let Some(text) = &variant.text {
        let lines = (1..=text.lines().count()).map(|n| (format!("{} (as given)", entry.name), n)).collect();
        return Ok(Processed { text: text.to_string(), lines });
    }
    preprocess(entry.name, entry.source, &defines(variant), SNIPPETS)
        .map_err(|reason| crate::Error::Shader { kernel: entry.name.into(), reason })
}
