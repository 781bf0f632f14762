//! Replaying a plan: one encoder, one compute pass, one submit, one wait, one map.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use super::device::{Constant, Device, lock};
use super::pipeline::{Checks, Pipeline};
use crate::graph::{Place, Plan, Source, Tensor, bytes_of};
use crate::kernels::{Info, Io, Kernel};
use crate::tensor::{DType, Data, Value};
use crate::{Error, Result};

/// Uniform parameters of a step begin at multiples of this, which every device accepts.
const PARAMS_ALIGN: usize = 256;

const SLOT_USAGE: wgpu::BufferUsages =
    wgpu::BufferUsages::STORAGE.union(wgpu::BufferUsages::COPY_SRC).union(wgpu::BufferUsages::COPY_DST);

/// The parameters of all steps, and where each begins.
fn params_of(plan: &Plan) -> (Vec<u8>, Vec<u32>) {
    let (mut bytes, mut offsets) = (Vec::new(), Vec::new());
    for step in &plan.steps {
        offsets.push(bytes.len() as u32);
        bytes.extend_from_slice(&step.launch.params);
        bytes.resize(bytes.len().next_multiple_of(PARAMS_ALIGN), 0);
    }
    (bytes, offsets)
}

/// A tensor that was read back.
pub type Output = Value;

/// Sizes that a runner holds on the device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Dispatches a run.
    pub dispatches: usize,
    /// Bytes of the slots.
    pub slot_bytes: u64,
    /// Bytes of the constants as uploaded.
    pub constant_bytes: u64,
}

/// A plan baked for a device: pipelines, parameters, buffers and bind groups.
pub struct Runner {
    device: Device,
    plan: Plan,
    steps: Vec<Baked>,
    slots: Vec<wgpu::Buffer>,
    params: wgpu::Buffer,
    constants: Vec<Option<wgpu::Buffer>>,
}

struct Baked {
    pipeline: Arc<Pipeline>,
    bind_group: wgpu::BindGroup,
    params_at: u32,
}

impl Runner {
    /// Bakes a plan with buffers of its own.
    ///
    /// # Errors
    /// [`Error::Limit`] where a tensor or a grid is too large for the device, [`Error::Shader`] where a kernel does
    /// not compile, [`Error::Device`] where memory runs out.
    pub fn new(device: &Device, plan: Plan) -> Result<Self> {
        Self::with_checks(device, plan, false)
    }

    /// As [`Runner::new`], with or without the run-time checks of WebGPU in the shaders.
    ///
    /// # Errors
    /// As [`Runner::new`].
    pub fn with_checks(device: &Device, plan: Plan, checked: bool) -> Result<Self> {
        for t in &plan.graph.tensors {
            if bytes_of(&t.info) > device.max_binding() {
                return Err(Error::Limit {
                    what: format!("tensor `{}` {:?}", t.label, t.info),
                    need: bytes_of(&t.info),
                    limit: device.max_binding(),
                    cure: "use a smaller image or input size, or a device with larger bindings".into(),
                });
            }
        }
        let slots: Vec<wgpu::Buffer> = (plan.slots.iter().enumerate())
            .map(|(i, s)| {
                let largest = s.tensors.first().map_or("", |&t| &plan.graph.tensors[t].label);
                device.buffer(&format!("slot {i} ({largest})"), s.bytes, SLOT_USAGE)
            })
            .collect::<Result<_>>()?;

        let (bytes, offsets) = params_of(&plan);
        let params = device.filled("params", &bytes, wgpu::BufferUsages::UNIFORM)?;

        let mut runner = Self {
            device: device.clone(),
            steps: Vec::with_capacity(plan.steps.len()),
            constants: vec![None; plan.graph.tensors.len()],
            slots,
            params,
            plan,
        };
        let checks = if checked { Checks::On } else { Checks::Off };
        for (i, &params_at) in offsets.iter().enumerate() {
            let pipeline = runner.prepare(i, checks)?;
            let bind_group = runner.bind(i, &pipeline)?;
            runner.steps.push(Baked { pipeline, bind_group, params_at });
        }
        runner.device.check()?;
        Ok(runner)
    }

    /// The plan that is replayed.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// What it holds on the device.
    pub fn counts(&self) -> Counts {
        Counts {
            dispatches: self.steps.len(),
            slot_bytes: self.slots.iter().map(wgpu::Buffer::size).sum(),
            constant_bytes: self.constants.iter().flatten().map(wgpu::Buffer::size).sum(),
        }
    }

    /// Compiles step `i` and uploads its constants, packed as the variant wants them.
    fn prepare(&mut self, i: usize, checks: Checks) -> Result<Arc<Pipeline>> {
        let step = &self.plan.steps[i];
        let op = &self.plan.graph.ops[step.op];
        let most = self.device.shared.max_grid;
        if let Some(&n) = step.launch.grid.iter().find(|&&n| n > most) {
            return Err(Error::Limit {
                what: format!("the grid of `{}` ({n} workgroups along one axis)", op.label),
                need: n as u64,
                limit: most as u64,
                cure: "use a smaller image or input size".into(),
            });
        }
        let pipeline = self.device.pipeline(op.kernel.name(), &step.variant, checks)?;
        for (index, t) in op.inputs.iter().enumerate() {
            let def = &self.plan.graph.tensors[t.id];
            if let Source::Constant(value) = &def.source {
                let packed = op.kernel.pack(index, value, &step.variant);
                let form = if packed.is_some() { step.variant.to_string() } else { String::new() };
                let buffer = self.device.constant(&def.label, value, form, packed.as_ref())?;
                self.constants[t.id] = Some(buffer);
            }
        }
        Ok(pipeline)
    }

    fn place(&self, t: Tensor) -> Option<&wgpu::Buffer> {
        match self.plan.places[t.id] {
            Place::Slot(s) => self.slots.get(s),
            Place::Constant => self.constants[t.id].as_ref(),
            Place::None => None,
        }
    }

    fn bind(&self, i: usize, pipeline: &Pipeline) -> Result<wgpu::BindGroup> {
        let step = &self.plan.steps[i];
        let op = &self.plan.graph.ops[step.op];
        let wrong = |reason: String| Error::Shader { kernel: op.kernel.name().into(), reason };
        let size = (step.launch.params.len() as u64).next_multiple_of(16);
        let mut entries = vec![wgpu::BindGroupEntry {
            binding: 0,
            resource: wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                buffer: &self.params,
                offset: 0,
                size: std::num::NonZeroU64::new(size),
            }),
        }];
        for (n, t) in op.inputs.iter().chain(&op.outputs).enumerate() {
            let buffer = self.place(*t).ok_or_else(|| wrong(format!("tensor {} has no buffer", t.id)))?;
            let size = match self.plan.places[t.id] {
                // The tensor's own extent and not the slot's: an index past its end is then caught by robust
                // access instead of reading a former tenant.
                Place::Slot(_) => bytes_of(&t.info).min(buffer.size()),
                _ => buffer.size(),
            };
            entries.push(wgpu::BindGroupEntry {
                binding: n as u32 + 1,
                resource: wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                    buffer,
                    offset: 0,
                    size: std::num::NonZeroU64::new(size),
                }),
            });
        }
        if entries.len() != pipeline.bindings {
            return Err(wrong(format!("has {} bindings for {} buffers", pipeline.bindings, entries.len())));
        }
        Ok(self.device.shared.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(&op.label),
            layout: &pipeline.layout,
            entries: &entries,
        }))
    }

    /// Puts another kernel in the place of step `i`'s, whose one output thereby changes size; gives that output. The
    /// other tensors keep their content.
    ///
    /// # Errors
    /// As [`Runner::new`], and [`Error::Shape`] where the kernel does not fit the inputs.
    pub fn replace(&mut self, i: usize, kernel: impl Kernel + 'static) -> Result<Tensor> {
        let op = &mut self.plan.graph.ops[self.plan.steps[i].op];
        let inputs: Vec<Info> = op.inputs.iter().map(|t| t.info).collect();
        let outputs = kernel.infer(&inputs).map_err(|reason| Error::Shape { op: op.label.clone(), reason })?;
        let mut out = op.outputs[0];
        out.info = outputs[0];
        op.outputs = vec![out];
        op.kernel = Arc::new(kernel);
        self.plan.graph.tensors[out.id].info = out.info;
        let variant = &self.plan.steps[i].variant;
        self.plan.steps[i].launch = op.kernel.launch(&Io { inputs: &inputs, outputs: &outputs }, variant);

        // Former tenants of the slot stay in the old buffer, to which their bind groups point.
        let label = op.label.clone();
        if let Place::Slot(s) = self.plan.places[out.id] {
            self.slots[s] = self.device.buffer(&label, bytes_of(&out.info), SLOT_USAGE)?;
            self.plan.slots[s].bytes = bytes_of(&out.info);
        }
        self.params = self.device.filled("params", &params_of(&self.plan).0, wgpu::BufferUsages::UNIFORM)?;
        for i in 0..self.steps.len() {
            let touches = |t: &Tensor| t.id == out.id;
            let op = &self.plan.graph.ops[self.plan.steps[i].op];
            if op.outputs.iter().chain(&op.inputs).any(touches) {
                let pipeline = self.steps[i].pipeline.clone();
                self.steps[i].bind_group = self.bind(i, &pipeline)?;
            }
        }
        Ok(out)
    }

    /// Copies `inputs` in, runs every step, and reads `outputs` back: one submit, one wait, one map.
    ///
    /// # Errors
    /// [`Error::Device`] where the device fails.
    pub fn run(&mut self, inputs: &[(Tensor, &[u8])], outputs: &[Tensor]) -> Result<Vec<Output>> {
        self.run_steps(0, inputs, outputs)
    }

    /// As [`Runner::run`], from step `first` on, with what the last run left in the kept tensors.
    ///
    /// # Errors
    /// As [`Runner::run`].
    pub fn run_steps(&mut self, first: usize, inputs: &[(Tensor, &[u8])], outputs: &[Tensor]) -> Result<Vec<Output>> {
        let s = self.device.shared.clone();
        let mut encoder = s.device.create_command_encoder(&Default::default());
        if !inputs.is_empty() {
            let mut bytes = Vec::new();
            let mut copies = Vec::new();
            for (t, content) in inputs {
                copies.push((bytes.len() as u64, *t));
                bytes.extend_from_slice(content);
                bytes.resize(bytes.len().next_multiple_of(16), 0);
            }
            // Copied within the encoder, never by `queue.write_buffer`, which would run before the whole submit.
            let upload = self.device.filled("upload", &bytes, wgpu::BufferUsages::COPY_SRC)?;
            for ((from, t), (_, content)) in copies.into_iter().zip(inputs) {
                let length = (content.len() as u64).next_multiple_of(4);
                if let Some(buffer) = self.place(t) {
                    encoder.copy_buffer_to_buffer(&upload, from, buffer, 0, length.min(buffer.size()));
                }
            }
        }
        {
            let mut pass = encoder.begin_compute_pass(&Default::default());
            for (step, baked) in self.plan.steps.iter().zip(&self.steps).skip(first) {
                let [x, y, z] = step.launch.grid;
                pass.set_pipeline(&baked.pipeline.pipeline);
                pass.set_bind_group(0, &baked.bind_group, &[baked.params_at]);
                pass.dispatch_workgroups(x, y, z);
            }
        }
        let mut total = 0;
        let mut ranges = Vec::new();
        for t in outputs {
            ranges.push(total);
            total += bytes_of(&t.info);
        }
        let usage = wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ;
        let back = self.device.buffer("read-back", total.max(16), usage)?;
        for (t, at) in outputs.iter().zip(&ranges) {
            if let Some(buffer) = self.place(*t) {
                encoder.copy_buffer_to_buffer(buffer, 0, &back, *at, bytes_of(&t.info));
            }
        }
        s.queue.submit([encoder.finish()]);
        s.counters.submits.fetch_add(1, Ordering::Relaxed);
        let bytes = self.device.read(&back)?;
        let value = |(t, at): (&Tensor, &u64)| {
            let at = *at as usize;
            let part = &bytes[at..at + t.info.shape.len() * crate::tensor::ELEMENT_BYTES];
            let data = match t.info.dtype {
                DType::F32 => Data::F32(bytemuck::pod_collect_to_vec(part)),
                DType::U32 => Data::U32(bytemuck::pod_collect_to_vec(part)),
            };
            Value { shape: t.info.shape, data }
        };
        Ok(outputs.iter().zip(&ranges).map(value).collect())
    }
}

impl Device {
    /// Waits for all that was submitted and reads a buffer.
    fn read(&self, buffer: &wgpu::Buffer) -> Result<Vec<u8>> {
        let s = &self.shared;
        let failed = |reason: String| Error::Device { device: s.name.clone(), reason };
        let (tx, rx) = std::sync::mpsc::channel();
        buffer.slice(..).map_async(wgpu::MapMode::Read, move |r| {
            // The receiver is gone only where the wait below has failed already.
            let _ = tx.send(r);
        });
        s.counters.maps.fetch_add(1, Ordering::Relaxed);
        s.counters.waits.fetch_add(1, Ordering::Relaxed);
        let waited = s.device.poll(wgpu::PollType::wait_indefinitely());
        self.check()?;
        waited.map_err(|e| failed(format!("waiting for the result: {e}")))?;
        rx.recv()
            .map_err(|e| failed(format!("the result never came: {e}")))?
            .map_err(|e| failed(format!("the result could not be mapped: {e}")))?;
        let view = buffer.get_mapped_range(..).map_err(|e| failed(format!("reading the result: {e}")))?;
        Ok(view.to_vec())
    }

    /// A constant's buffer, uploaded once for each value and form.
    fn constant(&self, label: &str, value: &Arc<Value>, form: String, packed: Option<&Value>) -> Result<wgpu::Buffer> {
        let key = (Arc::as_ptr(value) as usize, form);
        let mut known = lock(&self.shared.constants);
        // An address may be reused by another value after its first owner is gone.
        known.retain(|_, c| c.value.strong_count() > 0);
        if let Some(c) = known.get(&key) {
            return Ok(c.buffer.clone());
        }
        let bytes = packed.unwrap_or(value).bytes();
        if bytes.len() as u64 > self.shared.max_binding {
            return Err(Error::Limit {
                what: format!("weights `{label}`"),
                need: bytes.len() as u64,
                limit: self.shared.max_binding,
                cure: "use a device with larger bindings".into(),
            });
        }
        let buffer = self.filled(label, bytes, wgpu::BufferUsages::STORAGE)?;
        let value: Weak<Value> = Arc::downgrade(value);
        known.insert(key, Constant { value, buffer: buffer.clone() });
        Ok(buffer)
    }
}
