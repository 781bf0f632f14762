//! What to measure: the launches of a network with what they are really given, or one of given shapes.

use std::collections::HashMap;
use std::sync::Arc;

use super::shapes;
use crate::compiled::PlannedNetwork;
use crate::config::Config;
use crate::gpu::{Device, Pool};
use crate::graph::{Source, Tensor, Tuning, bytes_of, fuse};
use crate::kernels::{self, Kernel, Launch, Variant};
use crate::model::{Capacity, Network};
use crate::ops::{self, Cost, Info, Io, Op};
use crate::rng::Rng;
use crate::target::Target;
use crate::tensor::{DType, Value};
use crate::vision::Image;
use crate::weights::NetworkWeights;
use crate::{Error, Result};

/// Tensors up to this size are given as the network computes them; of larger ones only the shape matters.
const REAL: u64 = 4 << 20;

/// One launch of one kernel.
#[derive(Clone, Debug)]
pub struct Work {
    /// The first op of the network that has it, or what the user called it.
    pub label: String,
    /// The part of the network.
    pub stage: String,
    /// Ops of the network that are this very launch.
    pub count: usize,
    /// The kernel with its settings.
    pub kernel: Arc<dyn Kernel>,
    inputs: Vec<Given>,
    outputs: Vec<Info>,
}

/// An input.
#[derive(Clone, Debug)]
enum Given {
    /// As the network has it.
    Value(Arc<Value>),
    /// Noise.
    Random(Info),
}

impl Given {
    fn info(&self) -> Info {
        match self {
            Self::Value(v) => Info { shape: v.shape, dtype: v.dtype() },
            Self::Random(info) => *info,
        }
    }
}

impl Work {
    /// Every different launch of a network, run once on `image`, as planned for `target`: the device at some
    /// [`Precision`](crate::Precision), by `tuning`.
    ///
    /// # Errors
    /// As [`crate::Detector::detect`].
    pub fn of_network(
        device: &Device,
        (target, tuning): (&Target, &Tuning),
        config: &Config,
        weights: &NetworkWeights,
        image: &Image,
    ) -> Result<Vec<Self>> {
        let (size, capacity) = Capacity::for_image(config, image.height(), image.width())?;
        // What ops are given, as far as it is small.
        let given = |network: &Network| -> Vec<Tensor> {
            // What lies between ops that are made one would keep them apart, were it kept.
            let graph = fuse(network.graph.clone(), target, tuning);
            let constant = |t: &&Tensor| matches!(graph.tensors[t.id].source, Source::Constant(_));
            let small = |t: &&Tensor| t.info.dtype == DType::U32 || bytes_of(&t.info) <= REAL;
            let inputs = graph.nodes.iter().flat_map(|op| &op.inputs);
            inputs.filter(|t| !constant(t) && small(t)).copied().collect()
        };
        let planned = PlannedNetwork::keeping(config, weights, capacity, target, tuning, given)?;
        let kept = given(&planned.network);
        let mut network = planned.compile(device, &Pool::new())?;
        let values = network.run_for(&[(image.rgb(), size)], &kept)?;
        let known: HashMap<usize, Arc<Value>> =
            kept.iter().map(|t| t.id).zip(values.into_iter().map(Arc::new)).collect();

        let mut out: Vec<Self> = Vec::new();
        // As planned: with ops taken apart.
        let graph = &network.plan().graph;
        for op in &graph.nodes {
            let given = |t: &Tensor| match (&graph.tensors[t.id].source, known.get(&t.id)) {
                (Source::Constant(value), _) => Given::Value(value.clone()),
                (_, Some(value)) => Given::Value(value.clone()),
                _ => Given::Random(t.info),
            };
            let work = Self {
                label: op.label.clone(),
                stage: op.stage.into(),
                count: 1,
                kernel: op.op.clone(),
                inputs: op.inputs.iter().map(given).collect(),
                outputs: op.outputs.iter().map(|t| t.info).collect(),
            };
            match out.iter_mut().find(|w| w.key() == work.key()) {
                Some(same) => same.count += 1,
                None => out.push(work),
            }
        }
        Ok(out)
    }

    /// One launch from the shapes of its inputs, `1x56x56x64,64x3x3x64`, and settings such as `stride=2`.
    ///
    /// # Errors
    /// [`Error::Shape`] saying what the kernel takes.
    pub fn of_shapes(kernel: &str, shapes: &str, settings: &[(String, usize)]) -> Result<Self> {
        let refuse = |reason: String| Error::Shape { op: kernel.into(), reason };
        let (kernel_value, inputs) = shapes::kernel(kernel, shapes, settings).map_err(refuse)?;
        for (index, info) in inputs.iter().enumerate() {
            if info.shape.len() > 1 << 28 {
                return Err(refuse(format!(
                    "input {index} {:?} has over 2^28 elements: measure a part of it",
                    info.shape
                )));
            }
        }
        let outputs = ops::check(kernel_value.as_ref(), &inputs).map_err(refuse)?;
        let given = inputs.into_iter().map(Given::Random).collect();
        let label = "given".to_string();
        Ok(Self { label, stage: String::new(), count: 1, kernel: kernel_value, inputs: given, outputs })
    }

    /// Tells one launch from another: kernel, settings and shapes.
    pub fn key(&self) -> String {
        let kernel: &dyn Op = self.kernel.as_ref();
        format!("{} of {}", ops::key(kernel), self.shapes())
    }

    /// The shapes of its inputs.
    pub fn shapes(&self) -> String {
        let shapes: Vec<String> = self.inputs.iter().map(|g| g.info().shape.to_string()).collect();
        shapes.join(" ")
    }

    /// The inputs, noise where nothing better is known. The noise is the same at every call.
    pub fn values(&self) -> Vec<Arc<Value>> {
        let mut rng = Rng::new(7);
        let value = |g: &Given| match g {
            Given::Value(v) => v.clone(),
            Given::Random(info) if info.dtype == DType::U32 => {
                Arc::new(Value::u32(info.shape, vec![u32::MAX; info.shape.len()]))
            }
            Given::Random(info) => Arc::new(rng.tensor(info.shape)),
        };
        self.inputs.iter().map(value).collect()
    }

    /// Shapes and types of its inputs, as they lie in memory.
    pub(super) fn infos(&self) -> Vec<Info> {
        self.inputs.iter().map(Given::info).collect()
    }

    /// The same of its outputs.
    pub(super) fn made(&self) -> Vec<Info> {
        self.outputs.clone()
    }

    /// The variants that such a device can run, best guess first.
    pub fn variants(&self, target: &Target) -> Vec<Variant> {
        kernels::variants(self.kernel.as_ref(), &Io { inputs: &self.infos(), outputs: &self.outputs }, target)
    }

    /// Grid and parameters of a variant.
    pub fn launch(&self, variant: &Variant) -> Launch {
        self.kernel.launch(&Io { inputs: &self.infos(), outputs: &self.outputs }, variant)
    }

    /// Whether all of [`Work::cost`] is really spent: kernels that are given a count leave out the rows past it.
    pub fn is_whole(&self) -> bool {
        self.kernel.operands().iter().all(|operand| operand.dtype == DType::F32)
    }

    /// Reference arithmetic and least traffic, when every row is live.
    pub fn cost(&self) -> Cost {
        self.kernel.cost(&Io { inputs: &self.infos(), outputs: &self.outputs })
    }

    /// Operations that a variant executes, padding included.
    pub fn executed(&self, variant: &Variant) -> f64 {
        self.kernel.executed(&Io { inputs: &self.infos(), outputs: &self.outputs }, variant)
    }
}
