//! The only room that names wgpu: devices, buffers, pipelines, and the runner that replays a plan.

mod adapter;
mod compile;
mod device;
mod lanes;
mod pipeline;
mod pipeline_cache;
mod pool;
mod profiler;
mod record;
mod replay;
mod ring;
mod roof;
mod run;
mod runner;
mod slices;
mod submitted;
mod texture;
mod transfer;

pub use adapter::{Adapter, adapters, choose, pick};
pub use compile::Compiled;
pub use device::{Counters, Device, Held};
pub use pool::Pool;
pub use profiler::Clock;
pub use replay::Replay;
pub use roof::Roofs;
pub use runner::{Counts, Runner};
pub use submitted::{Output, Submitted};
