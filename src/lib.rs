//! Mask R-CNN on any GPU: every layer is a hand-written WGSL compute shader, scheduled by a command graph and run by
//! wgpu on Vulkan, Metal and DX12. Image bytes go up; boxes, scores, labels and mask bits come down.
//!
//! ```no_run
//! use maskrcnn::{Detector, Image};
//!
//! # fn main() -> maskrcnn::Result<()> {
//! let detector = Detector::embedded()?; // the default model: cell nuclei
//! let image = Image::open("slide.png")?;
//! for found in &detector.detect(&image)?.above(0.5) {
//!     let [x1, y1, x2, y2] = found.bbox;
//!     println!("{:.2} at {x1:.0},{y1:.0} to {x2:.0},{y2:.0}, {} pixels", found.score, found.mask.area());
//! }
//! # Ok(())
//! # }
//! ```
//!
//! | room | what is in it |
//! |---|---|
//! | [`tensor`] | shapes, element types, tensors in host memory |
//! | [`graph`] | tensors and ops as data, the builder, the planner |
//! | [`ops`] | what a network is made of: shapes, cost and CPU twin of each op |
//! | [`kernels`] | one contract and cases for each shader |
//! | [`lowering`] | how an op becomes launches of kernels |
//! | [`shader`] | WGSL preprocessor, reflection and translation |
//! | [`gpu`] | the only room that names wgpu: device, pipelines, runner |
//! | [`model`] | the networks, as functions that build a graph |
//! | [`compiled`] | a network planned, compiled, run and read |
//! | [`weights`] | files, names, BatchNorm folding |
//! | [`vision`] | images, detections, masks, drawing |
//! | [`detector`] | the glue |
//! | [`mod@bench`] | the instruments: kernels timed and compared |
//! | [`tune`] | for each launch, the fastest way on this device |
#![cfg_attr(not(feature = "embedded-model"), doc = "\n(Built without `embedded-model`: use [`Detector::open`].)")]

mod atomic;
pub mod bench;
mod cache;
pub mod compiled;
pub mod detector;
pub mod error;
pub mod gpu;
pub mod graph;
pub mod kernels;
pub mod lowering;
pub mod model;
pub mod ops;
pub mod rng;
pub mod shader;
pub mod target;
pub mod tensor;
pub mod tune;
pub mod vision;
pub mod weights;

pub use detector::Detector;
pub use error::{Error, Result};
pub use gpu::Device;
pub use model::{Config, Precision};
pub use vision::{Detection, Detections, Image, Mask};
