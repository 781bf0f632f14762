//! A plan as JSON, for programs.

use serde_json::{Value as Json, json};

use super::{Place, Plan, Tensor};

impl Plan {
    /// The steps with their tensors, the slots, and the sums: what the table has.
    pub fn json(&self) -> Json {
        let steps: Vec<Json> = (0..self.steps.len()).map(|i| self.step_json(i)).collect();
        let slots = self.slots.iter().map(|s| {
            let tensors: Vec<&str> = s.tensors.iter().map(|&t| self.graph.tensors[t].label.as_str()).collect();
            json!({ "bytes": s.bytes, "tensors": tensors })
        });
        let peak = self.peak();
        json!({
            "steps": steps,
            "slots": slots.collect::<Vec<_>>(),
            "textures": self.textures,
            "flops": self.steps.iter().map(|s| s.cost.flops).sum::<f64>(),
            "bytes": self.steps.iter().map(|s| s.cost.bytes).sum::<f64>(),
            "activation_bytes": self.activation_bytes(),
            "constant_bytes": self.constant_bytes(),
            "peak": { "bytes": peak.bytes, "step": peak.step },
        })
    }

    fn step_json(&self, i: usize) -> Json {
        let step = &self.steps[i];
        let op = &self.graph.nodes[step.op];
        let constants: serde_json::Map<String, Json> =
            step.variant.constants().into_iter().map(|(k, v)| (k.to_string(), json!(v))).collect();
        let tensors = |tensors: &[Tensor]| tensors.iter().map(|t| self.tensor_json(t)).collect::<Vec<_>>();
        json!({
            "stage": op.stage,
            "op": op.label,
            "computes": op.origin.op,
            "lowering": op.origin.lowering,
            "kernel": op.op.name(),
            "variant": step.variant.name,
            "constants": constants,
            "workgroups": step.launch.grid,
            "flops": step.cost.flops,
            "bytes": step.cost.bytes,
            "inputs": tensors(&op.inputs),
            "outputs": tensors(&op.outputs),
        })
    }

    fn tensor_json(&self, t: &Tensor) -> Json {
        let slot = match self.places[t.id] {
            Place::Slot(slot) => Some(slot),
            _ => None,
        };
        let constant = self.places[t.id] == Place::Constant;
        json!({ "tensor": t.id, "label": self.graph.tensors[t.id].label, "shape": t.shape().dims(), "dtype": t.info.dtype.name(), "slot": slot,
            "constant": constant, "alive": self.lifetimes[t.id] })
    }
}
