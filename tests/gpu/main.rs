//! Everything that opens a device, in one program: linking wgpu takes longer than most of its tests.
//! `cargo test --test gpu kernels::` runs one module. What needs no device is in `tests/host`; what a user meets, in
//! `tests/cli`. Two are programs of their own: `timing`, which wants the machine to itself, and `memory`, which counts
//! what the process allocates.

#[cfg(all(feature = "cli", feature = "embedded-model"))]
mod bench;
#[path = "../common/mod.rs"]
mod common;
#[cfg(all(target_os = "linux", feature = "embedded-model"))]
mod compile;
mod embedded;
mod kernels;
mod live;
mod model;
#[cfg(all(feature = "cli", feature = "embedded-model"))]
mod profile;
#[cfg(feature = "cli")]
#[path = "../common/program.rs"]
mod program;
mod properties;
mod rings;
mod rois;
#[path = "../common/skipped.rs"]
mod skipped;
mod slices;
mod slots;
#[cfg(all(feature = "cli", feature = "embedded-model"))]
mod tune;
#[cfg(all(feature = "cli", feature = "embedded-model"))]
mod weights;
