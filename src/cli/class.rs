//! What to plan and compile for: what a device can do, without opening it.

use maskrcnn::Result;
use maskrcnn::engine::gpu::{Adapter, choose};
use maskrcnn::engine::target::Target;

/// What WebGPU promises of one binding, in bytes.
const PROMISED_BINDING: u64 = 128 << 20;

/// What a device can do.
pub(super) struct Class {
    /// The device, or what stands for it.
    pub name: String,
    /// Its key, where it is a real one.
    pub key: Option<String>,
    /// What kernels may use.
    pub target: Target,
    /// Bytes that one tensor may have.
    pub max_binding: u64,
}

impl Class {
    /// That of the device that `choice` names or, without a choice, of the best one. `none`, and no choice where there
    /// is no device, stand for the least that any device offers.
    pub(super) fn of(choice: Option<&str>) -> Result<Self> {
        let least = |why: &str| Self {
            name: format!("{why}: the least device, WebGPU's default limits"),
            key: None,
            target: Target::MINIMUM,
            max_binding: PROMISED_BINDING,
        };
        let of = |a: Adapter| Self { key: Some(a.key()), name: a.name, target: a.target, max_binding: a.max_binding };
        match choice {
            Some("none") => Ok(least("no device")),
            Some(_) => choose(choice).map(of),
            None => Ok(choose(None).map_or_else(|_| least("no GPU driver was found"), of)),
        }
    }
}
