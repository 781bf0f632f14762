//! A plan baked for a device: pipelines, weights, slots and bind groups.

use std::collections::HashSet;
use std::sync::Arc;

use super::device::{Device, Memory, lock};
use super::pipeline::{Checks, Extent, Pipeline};
use super::pool::{Pool, Slots};
use super::slices::Slicing;
use crate::graph::{Place, Plan, Source, Tensor, bytes_of};
use crate::kernels::{Kernel, Variant, packed_f16};
use crate::ops::Info;
use crate::shader::Access;
use crate::tensor::DType;
use crate::{Error, Result};

/// Uniform parameters of a step begin at multiples of this, which every device accepts.
const PARAMS_ALIGN: usize = 256;

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

/// Sizes that a runner holds on the device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Dispatches a run.
    pub dispatches: usize,
    /// Bytes of the slots, buffers and textures: those of the largest plans where plans share them.
    pub slot_bytes: u64,
    /// Of these, bytes of textures.
    pub texture_bytes: u64,
    /// Bytes of the constants as uploaded.
    pub constant_bytes: u64,
    /// Bytes of the steps' parameters.
    pub params_bytes: u64,
}

/// A plan baked for a device: pipelines, parameters, bind groups, and buffers of its own or shared with other plans.
pub struct Runner {
    pub(super) device: Device,
    pub(super) plan: Plan,
    pub(super) steps: Vec<BoundStep>,
    pub(super) pool: Pool,
    /// The pool's generation that the bind groups were made for.
    generation: u64,
    params: wgpu::Buffer,
    /// What is bound in the place of inputs that a text has and its launch has not.
    ones: wgpu::Buffer,
    constants: Vec<Option<Memory>>,
    /// Every step of the next run, recorded while the device was at this one: they bind what the steps now bind.
    pub(super) ahead: Option<Vec<wgpu::CommandBuffer>>,
    /// How runs are cut into submits.
    pub(super) slicing: Slicing,
}

pub(super) struct BoundStep {
    pub pipeline: Arc<Pipeline>,
    pub bind_group: Option<wgpu::BindGroup>,
    pub params_at: u32,
}

impl Runner {
    /// Bakes a plan with buffers of its own.
    ///
    /// # Errors
    /// [`Error::Limit`] where a tensor or a grid is too large for the device, [`Error::Shader`] where a kernel does
    /// not compile, [`Error::OutOfMemory`] where memory runs out.
    pub fn new(device: &Device, plan: Plan) -> Result<Self> {
        Self::bake(device, plan, Pool::new(), Checks::Off)
    }

    /// As [`Runner::new`], with slots that other plans share. Their owner runs one plan at a time; what a run leaves in
    /// its kept tensors lasts until another plan of the pool runs.
    ///
    /// # Errors
    /// As [`Runner::new`].
    pub fn with_pool(device: &Device, plan: Plan, pool: &Pool) -> Result<Self> {
        Self::bake(device, plan, pool.clone(), Checks::Off)
    }

    /// As [`Runner::new`], with or without the run-time checks of WebGPU in the shaders.
    ///
    /// # Errors
    /// As [`Runner::new`].
    pub fn with_checks(device: &Device, plan: Plan, checked: bool) -> Result<Self> {
        Self::bake(device, plan, Pool::new(), if checked { Checks::On } else { Checks::Off })
    }

    fn bake(device: &Device, plan: Plan, pool: Pool, checks: Checks) -> Result<Self> {
        device.guarded(|| Self::bake_unguarded(device, plan, pool, checks))
    }

    fn bake_unguarded(device: &Device, plan: Plan, pool: Pool, checks: Checks) -> Result<Self> {
        // What lies nowhere, as between ops that were made one, needs no binding.
        let somewhere = plan.graph.tensors.iter().zip(&plan.places).filter(|(_, place)| **place != Place::None);
        for (t, _) in somewhere {
            if bytes_of(&t.info) > device.max_binding() {
                return Err(Error::Limit {
                    what: format!("tensor `{}` {:?}", t.label, t.info),
                    need: bytes_of(&t.info),
                    limit: device.max_binding(),
                    cure: "use a smaller image or input size, or a device with larger bindings".into(),
                });
            }
        }
        let (bytes, offsets) = params_of(&plan);
        let params = device.filled("params", &bytes, wgpu::BufferUsages::UNIFORM)?;
        let ones = device.filled("ones", &[u8::MAX; 16], wgpu::BufferUsages::STORAGE)?;

        let mut runner = Self {
            device: device.clone(),
            steps: Vec::with_capacity(plan.steps.len()),
            constants: vec![None; plan.graph.tensors.len()],
            pool,
            generation: 0,
            params,
            ones,
            slicing: Slicing::new(device, &plan),
            plan,
            ahead: None,
        };
        let plan = runner.plan.clone();
        // Variants that differ in what their launches lack have one text.
        let mut texts = HashSet::new();
        let kernels = plan.steps.iter().map(|step| (plan.graph.nodes[step.op].op.name(), &step.variant));
        let wanted: Vec<(&'static str, &Variant)> =
            kernels.filter(|(kernel, variant)| texts.insert((*kernel, variant.to_string()))).collect();
        let ((), progress) =
            device.compile_all(&wanted, checks, || (0..plan.steps.len()).try_for_each(|i| runner.supply(i)))?;
        for (step, &params_at) in plan.steps.iter().zip(&offsets) {
            let kernel = plan.graph.nodes[step.op].op.name();
            let pipeline = device.pipeline(kernel, &step.variant, checks, Extent::Whole)?;
            runner.steps.push(BoundStep { pipeline, bind_group: None, params_at });
        }
        runner.device.save_pipelines();
        runner.bind_all()?;
        runner.touch_all(&progress, checks)?;
        runner.device.check()?;
        Ok(runner)
    }

    /// The plan that is replayed.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Where it runs.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Bytes that one of its tensors may have.
    pub fn max_binding(&self) -> u64 {
        self.device.max_binding()
    }

    /// What it holds on the device.
    pub fn counts(&self) -> Counts {
        Counts {
            dispatches: self.steps.len(),
            slot_bytes: self.pool.bytes(),
            texture_bytes: self.pool.texture_bytes(),
            constant_bytes: self.constants.iter().flatten().map(Memory::bytes).sum(),
            params_bytes: self.params.size(),
        }
    }

    /// Uploads the constants of step `i`, packed as the variant wants them.
    fn supply(&mut self, i: usize) -> Result<()> {
        let step = &self.plan.steps[i];
        let op = &self.plan.graph.nodes[step.op];
        let most = self.device.shared.max_grid;
        if let Some(&n) = step.launch.grid.iter().find(|&&n| n > most) {
            return Err(Error::Limit {
                what: format!("the grid of `{}` ({n} workgroups along one axis)", op.label),
                need: n as u64,
                limit: most as u64,
                cure: "use a smaller image or input size".into(),
            });
        }
        for (index, t) in op.inputs.iter().enumerate() {
            let def = &self.plan.graph.tensors[t.id];
            if let Source::Constant(value) = &def.source {
                let texture = step.variant.textures.contains(&index);
                // A kernel's variants that pack alike share what they pack.
                let narrow = (def.info.dtype == DType::F16).then(|| "f16".to_string());
                let form = narrow.clone().or_else(|| op.op.weight_layout(index, &step.variant));
                let packed = || match narrow {
                    Some(_) => Some(packed_f16(value)),
                    None => form.is_some().then(|| op.op.pack(index, value, &step.variant)),
                };
                self.constants[t.id] =
                    Some(self.device.constant(&def.label, value, form.as_deref(), packed, texture)?);
            }
        }
        Ok(())
    }

    /// Makes the pool's slots large enough and the bind groups anew where slots were replaced since.
    pub(super) fn bind_all(&mut self) -> Result<()> {
        let pool = self.pool.clone();
        let mut slots = lock(&pool.slots);
        for (i, slot) in self.plan.slots.iter().enumerate() {
            let largest = slot.tensors.first().map_or("", |&t| &self.plan.graph.tensors[t].label);
            slots.ensure(&self.device, i, slot.bytes, &format!("slot {i} ({largest})"))?;
        }
        for (i, &bytes) in self.plan.textures.iter().enumerate() {
            slots.ensure_texture(&self.device, i, bytes)?;
        }
        if self.generation != slots.generation {
            self.forget_bindings();
        }
        for i in 0..self.steps.len() {
            if self.steps[i].bind_group.is_none() {
                let pipeline = self.steps[i].pipeline.clone();
                self.steps[i].bind_group = Some(self.bind(&slots, i, &pipeline, None)?);
            }
        }
        self.generation = slots.generation;
        Ok(())
    }

    /// Lets go of the buffers; the next run binds again.
    pub fn forget_bindings(&mut self) {
        self.steps.iter_mut().for_each(|s| s.bind_group = None);
        self.slicing.forget_bindings();
        self.ahead = None;
    }

    /// Shape and type of a tensor as it lies on the device: not always those that it has in the graph of ops.
    pub fn lies(&self, t: Tensor) -> Info {
        self.plan.graph.tensors[t.id].info
    }

    pub(super) fn place<'a>(&'a self, slots: &'a Slots, t: Tensor) -> Option<&'a wgpu::Buffer> {
        match self.plan.places[t.id] {
            Place::Slot(s) => slots.buffers.get(s),
            Place::Constant => match &self.constants[t.id] {
                Some(Memory::Buffer(b)) => Some(b),
                _ => None,
            },
            Place::None => None,
        }
    }

    /// The texture that step `i` reads a tensor as.
    fn texture<'a>(&'a self, slots: &'a Slots, i: usize, t: Tensor) -> Option<&'a wgpu::TextureView> {
        if let Some(Memory::Texture(constant)) = &self.constants[t.id] {
            return Some(&constant.view);
        }
        let slot = self.plan.steps[i].textures.iter().find(|(tensor, _)| *tensor == t.id)?.1;
        slots.textures.get(slot).map(|t| &t.view)
    }

    /// Step `i` with what it reads and writes; `firsts` is where shares of it find their first workgroups.
    pub(super) fn bind(
        &self,
        slots: &Slots,
        i: usize,
        pipeline: &Pipeline,
        firsts: Option<&wgpu::Buffer>,
    ) -> Result<wgpu::BindGroup> {
        let step = &self.plan.steps[i];
        let op = &self.plan.graph.nodes[step.op];
        let wrong = |reason: String| Error::Shader { kernel: op.op.name().into(), reason };
        let size = (step.launch.params.len() as u64).next_multiple_of(16);
        let mut entries = vec![wgpu::BindGroupEntry {
            binding: 0,
            resource: wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                buffer: &self.params,
                offset: 0,
                size: std::num::NonZeroU64::new(size),
            }),
        }];
        let mut tensors: Vec<Option<&Tensor>> = op.inputs.iter().map(Some).collect();
        step.variant.absent.iter().for_each(|&place| tensors.insert(place, None));
        for (n, t) in tensors.into_iter().chain(op.outputs.iter().map(Some)).enumerate() {
            let binding = n as u32 + 1;
            let Some(t) = t else {
                entries.push(wgpu::BindGroupEntry { binding, resource: self.ones.as_entire_binding() });
                continue;
            };
            if pipeline.bindings.get(n + 1) == Some(&Access::Texture) {
                let view =
                    self.texture(slots, i, *t).ok_or_else(|| wrong(format!("tensor {} has no texture", t.id)))?;
                entries.push(wgpu::BindGroupEntry { binding, resource: wgpu::BindingResource::TextureView(view) });
                continue;
            }
            let buffer = self.place(slots, *t).ok_or_else(|| wrong(format!("tensor {} has no buffer", t.id)))?;
            let size = match self.plan.places[t.id] {
                // The tensor's own extent and not the slot's: an index past its end is then caught by robust
                // access instead of reading a former tenant.
                Place::Slot(_) => bytes_of(&t.info).min(buffer.size()),
                _ => buffer.size(),
            };
            entries.push(wgpu::BindGroupEntry {
                binding,
                resource: wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                    buffer,
                    offset: 0,
                    size: std::num::NonZeroU64::new(size),
                }),
            });
        }
        entries.extend(firsts.map(|buffer| wgpu::BindGroupEntry {
            binding: entries.len() as u32,
            resource: wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                buffer,
                offset: 0,
                size: std::num::NonZeroU64::new(16),
            }),
        }));
        if entries.len() != pipeline.bindings.len() {
            return Err(wrong(format!("has {} bindings for {} tensors", pipeline.bindings.len(), entries.len())));
        }
        Ok(self.device.shared.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(&op.label),
            layout: &pipeline.layout,
            entries: &entries,
        }))
    }

    /// Puts another kernel in the place of step `i`'s ([`Plan::replace`]). The other tensors keep their content.
    ///
    /// # Errors
    /// As [`Runner::new`], and [`Error::Shape`] where the kernel does not fit the inputs.
    pub fn replace(&mut self, i: usize, kernel: impl Kernel) -> Result<Tensor> {
        // The slot may shrink or grow; only the latter replaces its buffer, for every plan in the pool.
        let out = self.plan.replace(i, kernel)?;
        self.params = self.device.filled("params", &params_of(&self.plan).0, wgpu::BufferUsages::UNIFORM)?;
        self.slicing.replan(&self.plan);
        self.forget_bindings();
        Ok(out)
    }
}
