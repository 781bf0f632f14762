//! WGSL as this project writes it: a small preprocessor, and reflection and translation through naga. No GPU here.

#[cfg(feature = "emit")]
pub mod emit;
mod preprocess;
mod reflect;
mod share;

use crate::kernels::{Entry, Variant};

pub use preprocess::{Processed, preprocess};
pub use reflect::{Access, Binding, Reflection, reflect};
pub use share::share;

/// Snippets that `#import` and `#paste` find, by name: every file in a folder of
/// `shaders/`.
pub const SNIPPETS: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/snippets.rs"));

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
