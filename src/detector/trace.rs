//! A profile as JSON: for programs, and as a trace that Perfetto and chrome://tracing open.

use std::path::Path;

use serde_json::{Value as Json, json};

use super::profile::Profile;
use crate::gpu::Roofs;
use crate::graph::Tensor;
use crate::ops::Cost;
use crate::{Result, atomic};

/// Tracks of the trace.
const STAGES: u32 = 1;
const STEPS: u32 = 2;

impl Profile {
    /// All numbers of the profile, seconds in milliseconds.
    pub fn json(&self, roofs: &Roofs) -> Json {
        let numbers = |seconds: f64, cost: &Cost, floor: f64| {
            json!({ "ms": 1e3 * seconds, "share": seconds / self.sum(), "flops": cost.flops, "bytes": cost.bytes,
                "floor_ms": 1e3 * floor })
        };
        let stages: Vec<Json> = self
            .stages()
            .iter()
            .map(|s| {
                let floor = (s.first..s.first + s.steps).map(|i| self.floor(roofs, i)).sum();
                let mut out = numbers(s.seconds, &s.cost, floor);
                out["stage"] = s.name.into();
                out["steps"] = s.steps.into();
                out
            })
            .collect();
        let steps = self.steps.iter().enumerate().map(|(i, s)| {
            let mut out = numbers(s.seconds, &s.cost, self.floor(roofs, i));
            let (op, step) = (self.node(i), &self.plan.steps[i]);
            out["stage"] = op.stage.into();
            out["label"] = op.label.as_str().into();
            out["kernel"] = op.op.name().into();
            out["variant"] = step.variant.to_string().into();
            out["workgroups"] = json!(step.launch.grid);
            out
        });
        let steps: Vec<Json> = steps.collect();
        let live = self.live.iter().map(|l| (l.what.to_string(), json!({ "live": l.count, "room": l.capacity })));
        json!({
            "model": self.model,
            "device": self.device,
            "clock": self.clock.to_string(),
            "runs": self.runs,
            "found": self.found,
            "score_threshold": self.score,
            "rows": live.collect::<serde_json::Map<_, _>>(),
            "roofs": roofs,
            "roofs_passed": (0..self.steps.len()).any(|i| self.passes(roofs, i)),
            "steps_ms": 1e3 * self.sum(),
            "whole_ms": 1e3 * self.whole,
            "ratio": self.sum() / self.whole,
            "memory": {
                "planned_bytes": self.plan.activation_bytes(),
                "live_bytes": self.plan.live_bytes(),
                "activation_bytes": self.counts.slot_bytes,
                "texture_bytes": self.counts.texture_bytes,
                "buffers": self.plan.slots.len(),
                "textures": self.plan.textures.len(),
                "weight_bytes": self.counts.constant_bytes,
                "parameter_bytes": self.counts.params_bytes,
                "held_bytes": self.held.map(|h| h.used),
                "reserved_bytes": self.held.map(|h| h.reserved),
            },
            "stages": stages,
            "steps": steps,
        })
    }

    /// The steps one after the other in Chrome's trace event format: a track of stages, and one of their steps.
    pub fn trace(&self) -> Json {
        // Each end is the next one's begin, so that the events nest to the bit.
        let mut ends = vec![0.0];
        for step in &self.steps {
            ends.push(ends[ends.len() - 1] + 1e6 * step.seconds);
        }
        let name = |what: &str, track: u32, name: &str| json!({ "ph": "M", "pid": 1, "tid": track, "name": what, "args": { "name": name } });
        let process = format!("{} on {}", self.model, self.device);
        let mut events = vec![
            name("process_name", 0, &process),
            name("thread_name", STAGES, "stages"),
            name("thread_name", STEPS, "steps"),
        ];
        let event = |track: u32, name: &str, kind: &str, (first, count): (usize, usize), args: Json| {
            let (from, to) = (ends[first], ends[first + count]);
            json!({ "ph": "X", "pid": 1, "tid": track, "name": name, "cat": kind, "ts": from, "dur": to - from,
                "args": args })
        };
        for s in self.stages() {
            let args = json!({ "steps": s.steps, "flops": s.cost.flops, "bytes": s.cost.bytes });
            events.push(event(STAGES, s.name, "stage", (s.first, s.steps), args));
        }
        let shapes = |tensors: &[Tensor]| tensors.iter().map(|t| format!("{:?}", t.info)).collect::<Vec<_>>();
        for (i, (step, time)) in self.plan.steps.iter().zip(&self.steps).enumerate() {
            let op = self.node(i);
            let args = json!({
                "kernel": op.op.name(),
                "variant": step.variant.to_string(),
                "workgroups": step.launch.grid,
                "inputs": shapes(&op.inputs),
                "outputs": shapes(&op.outputs),
                "flops": time.cost.flops,
                "bytes": time.cost.bytes,
            });
            events.push(event(STEPS, &op.label, op.stage, (i, 1), args));
        }
        json!({ "displayTimeUnit": "ms", "traceEvents": events })
    }

    /// Writes [`Profile::trace`] to a file.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io), naming the file.
    pub fn save_trace(&self, path: &Path) -> Result<()> {
        atomic::write(path, |out| Ok(serde_json::to_writer(out, &self.trace())?))
    }
}
