//! The only room that names wgpu: devices, buffers, pipelines, and the runner that replays a plan.

mod device;
mod pipeline;
mod runner;

pub use device::{Adapter, Counters, Device, adapters};
pub use runner::{Counts, Output, Runner};
