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
//! An app that has a wgpu device of its own gives it by [`Device::from_wgpu`], pictures on it as [`GpuImage`], and its own encoder to
//! [`Detector::encode`]: nothing then leaves the GPU. [`Detector::detect_async`] is for whoever must not wait.
//!
//! Everything else is the [`engine`], whose names change from version to version:
//!
//! | room | what is in it |
//! |---|---|
//! | [`engine::tensor`] | shapes, element types, tensors in host memory |
//! | [`engine::graph`] | tensors and ops as data, the builder, the planner |
//! | [`engine::ops`] | what a network is made of: shapes, cost and CPU twin of each op |
//! | [`engine::kernels`] | one contract and cases for each shader |
//! | [`engine::lowering`] | how an op becomes launches of kernels |
//! | [`engine::shader`] | WGSL preprocessor, reflection and translation |
//! | `engine::driver` | what Vulkan drivers made of a shader (feature `ash`) |
//! | [`engine::gpu`] | the only room that names wgpu: device, pipelines, runner |
//! | [`engine::config`] | every setting of a network |
//! | [`engine::model`] | the networks, as functions that build a graph |
//! | [`engine::compiled`] | a network planned, compiled, run and read |
//! | [`engine::weights`] | files, names, BatchNorm folding |
//! | [`engine::vision`] | images, detections, masks, drawing |
//! | [`engine::proposals`] | where objects may be, without a network: selective search |
//! | [`engine::detector`] | the glue |
//! | [`engine::eval`] | how good results are, and how far two files of them agree |
//! | [`engine::bench`] | the instruments: kernels timed and compared |
//! | [`engine::tune`] | for each launch, the fastest way on this device |
#![cfg_attr(not(feature = "embedded-model"), doc = "\n(Built without `embedded-model`: use [`Detector::open`].)")]

mod atomic;
mod bench;
mod cache;
mod compiled;
mod config;
mod detector;
#[cfg(feature = "ash")]
mod driver;
mod error;
mod eval;
mod gpu;
mod graph;
mod kernels;
mod lowering;
mod model;
mod ops;
mod proposals;
mod rng;
mod shader;
mod target;
mod tensor;
mod tune;
mod versioned;
mod vision;
mod weights;

pub use config::{
    AnchorRule, Backbone, BlockKind, BodyKind, BoxHead, BoxRule, Colours, Config, DeltaLimit, Extents, LevelRule,
    MaskHead, Neck, PasteRule, Resize, RoiPooling, Rpn, Suppression, Transform,
};
pub use detector::{
    Augmented, Detecting, Detector, DetectorBuilder, GpuFrame, LossOptions, Losses, Options, Pending, Tiled, Tiling,
    Truth, View,
};
pub use error::{Error, Result};
pub use gpu::{Device, Encoder, GpuImage, GpuMasks, GpuResults, GpuTarget, OverlayStyle, Requirements, wgpu};
pub use graph::Tuning;
pub use model::{Crops, KnownBox, Precision, Sampled};
pub use proposals::{SelectiveSearch, selective_search};
pub use vision::{Detection, Detections, Image, Mask, MaskRun, PixelFormat, Pixels, Rle, RowSource, SoftMask};
pub use weights::{WeightsFile, published};

/// What the detector is made of, for who looks inside, measures, or builds networks of their own: **unstable**, names
/// and meanings change from version to version without notice. What is outside of it is what a program can rely on, but
/// for the few methods that say that they are unstable too, since they show types of the engine.
pub mod engine {
    /// The instruments: kernels timed and compared.
    pub mod bench {
        pub use crate::bench::*;
    }
    /// A network planned, compiled, run and read.
    pub mod compiled {
        pub use crate::compiled::*;
    }
    /// Every setting of a network.
    pub mod config {
        pub use crate::config::*;
    }
    /// The glue.
    pub mod detector {
        pub use crate::detector::*;
    }
    /// Vulkan drivers, asked what they made of a shader.
    #[cfg(feature = "ash")]
    pub mod driver {
        pub use crate::driver::*;
    }
    /// How good results are, and how far two files of them agree.
    pub mod eval {
        pub use crate::eval::*;
    }
    /// The only room that names wgpu: device, pipelines, runner.
    pub mod gpu {
        pub use crate::gpu::*;
    }
    /// Tensors and ops as data, the builder, the planner.
    pub mod graph {
        pub use crate::graph::*;
    }
    /// One contract and cases for each shader.
    pub mod kernels {
        pub use crate::kernels::*;
    }
    /// How an op becomes launches of kernels.
    pub mod lowering {
        pub use crate::lowering::*;
    }
    /// The networks, as functions that build a graph.
    pub mod model {
        pub use crate::model::*;
    }
    /// What a network is made of: shapes, cost and CPU twin of each op.
    pub mod ops {
        pub use crate::ops::*;
    }
    /// Where objects may be, without a network.
    pub mod proposals {
        pub use crate::proposals::*;
    }
    /// Numbers that look random and are the same at every call.
    pub mod rng {
        pub use crate::rng::*;
    }
    /// WGSL preprocessor, reflection and translation.
    pub mod shader {
        pub use crate::shader::*;
    }
    /// What plans are made for: what a device can do, what is wanted, and what pays.
    pub mod target {
        pub use crate::target::*;
    }
    /// Shapes, element types, tensors in host memory.
    pub mod tensor {
        pub use crate::tensor::*;
    }
    /// For each launch, the fastest way on this device.
    pub mod tune {
        pub use crate::tune::*;
    }
    /// Images, detections, masks, drawing.
    pub mod vision {
        pub use crate::vision::*;
    }
    /// Files, names, BatchNorm folding.
    pub mod weights {
        pub use crate::weights::*;
    }
}
