//! The GPUs that the system lists.

use maskrcnn::engine::gpu::adapters;
use pyo3::prelude::*;

use crate::errors::work;

/// A GPU, or a driver that runs on the CPU, as the system lists it: what `Detector(device=...)` chooses from.
#[pyclass(module = "maskrcnn", frozen, get_all)]
pub(crate) struct Device {
    /// Its number, which `Detector(device=...)` takes; 0 is the default.
    index: usize,
    /// Its name; a part of it chooses it, too.
    name: String,
    /// Vulkan, Metal or DX12.
    backend: String,
    /// Discrete, integrated, virtual, or a CPU driver.
    kind: String,
    /// Driver and version.
    driver: String,
    /// Whether its shaders have f16: `Detector(precision="f16")`.
    f16: bool,
}

#[pymethods]
impl Device {
    fn __repr__(&self) -> String {
        format!("<maskrcnn.Device {}: {} ({} through {})>", self.index, self.name, self.kind, self.backend)
    }
}

/// Lists the devices that a detector can run on, best first; the first is the default. An empty list: no Vulkan, Metal or DX12 driver
/// was found.
#[pyfunction]
pub(crate) fn devices(py: Python) -> PyResult<Vec<Device>> {
    work(py, || {
        let all = adapters().into_iter().enumerate().map(|(index, a)| Device {
            index,
            f16: a.target.can.f16,
            name: a.name,
            backend: a.backend,
            kind: a.kind,
            driver: a.driver,
        });
        Ok(all.collect())
    })
}
