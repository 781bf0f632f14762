//! The only room that names wgpu: devices, buffers, pipelines, and the runner that replays a plan.

mod adapter;
mod aside;
mod compile;
mod cut;
mod device;
mod encode;
mod feed;
mod lanes;
mod late;
mod picture;
mod pipeline;
mod pipeline_cache;
mod pool;
mod profiler;
mod record;
mod replay;
mod requirements;
mod ring;
mod roof;
mod run;
mod runner;
mod slices;
mod spread;
mod submitted;
mod target;
mod texture;
mod transfer;

pub use adapter::{Adapter, adapters, choose, pick};
pub use compile::Compiled;
pub use device::{Counters, Device, Held};
pub use encode::{Colours, Drawable, Drawing, SoFar};
pub use feed::{Fed, Feed, FeedKey};
pub use picture::GpuImage;
pub use pool::Pool;
pub use profiler::Clock;
pub use replay::Replay;
pub use requirements::Requirements;
pub use roof::Roofs;
pub use runner::{Counts, Runner};
pub use submitted::{Output, Submitted};
pub use target::{GpuMasks, GpuResults, GpuTarget, OverlayStyle};

/// What commands are recorded in.
pub type Encoder = wgpu::CommandEncoder;
/// Memory on the device.
pub type Buffer = wgpu::Buffer;
/// wgpu, of the version that devices are of. An app that has its own device takes it from here, or names the same major version in
/// its own `Cargo.toml`: handles of another are another type. A new major version of wgpu is a new minor version of this library
/// while that is 0.x, and a new major one after; the change log says so.
pub use wgpu;
