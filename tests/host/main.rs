//! What needs no device: plans, shaders' texts and their translations, the instruments that look without running, and
//! rules about the sources. `cargo test --test host plan::` runs one module.

mod extents;
#[cfg(all(feature = "cli", feature = "embedded-model"))]
mod instruments;
mod layering;
mod networks;
mod plan;
mod polygons;
mod predicted;
mod refusals;
mod seeds;
mod shaders;
#[cfg(feature = "emit")]
#[path = "../common/skipped.rs"]
mod skipped;
mod surface;
mod uniform;
