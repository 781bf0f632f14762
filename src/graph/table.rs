//! A plan as text: a line a step, a line a slot, and the sums.

use std::fmt;

use super::{Place, Plan, Prediction, Tensor};

/// [`Plan::table`] without predictions.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.table(None).fmt(f)
    }
}

/// A plan as tables: [`Plan::table`].
#[derive(Clone, Copy, Debug)]
pub struct Table<'a> {
    plan: &'a Plan,
    predictions: Option<&'a [Prediction]>,
}

impl Plan {
    /// The plan as tables, with what each step should take, where that is given ([`Plan::predict`]).
    pub fn table<'a>(&'a self, predictions: Option<&'a [Prediction]>) -> Table<'a> {
        Table { plan: self, predictions }
    }
}

/// Three tables. Steps: stage, layer, op, lowering, kernel, schedule, workgroups, arithmetic, traffic, first and last step of each
/// output, and the tensors with their slots; with predictions, the time and what bounds it. Slots: size, tenants, and the
/// largest of them. Then the predicted time of each stage, and last, the sums.
impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plan = self.plan;
        let mut rows = vec![row([
            "step", "stage", "layer", "op", "lowering", "kernel", "schedule", "groups", "GFLOP", "MB", "alive",
            "tensors",
        ])];
        rows.extend((0..plan.steps.len()).map(|i| plan.step_row(i)));
        if let Some(predictions) = self.predictions {
            rows[0].splice(10..10, ["ms".to_string(), "bound by".into()]);
            for (row, p) in rows[1..].iter_mut().zip(predictions) {
                row.splice(10..10, [format!("{:.4}", 1e3 * p.seconds), p.bound.name().into()]);
            }
            write(f, &rows, &[0, 8, 9, 10])?;
        } else {
            write(f, &rows, &[0, 8, 9])?;
        }
        writeln!(f)?;
        let mut rows = vec![row(["slot", "MiB", "tenants", "largest"])];
        rows.extend((0..plan.slots.len()).map(|i| plan.slot_row(i)));
        write(f, &rows, &[1, 2])?;
        writeln!(f)?;
        if let Some(predictions) = self.predictions {
            let mut rows = vec![row(["stage", "ms", "steps"])];
            let stages = plan.predicted_stages(predictions);
            rows.extend(stages.iter().map(|(stage, seconds, steps)| {
                vec![stage.to_string(), format!("{:.3}", 1e3 * seconds), steps.to_string()]
            }));
            let sum: f64 = stages.iter().map(|(_, seconds, _)| seconds).sum();
            rows.push(vec!["together".into(), format!("{:.3}", 1e3 * sum), plan.steps.len().to_string()]);
            write(f, &rows, &[1, 2])?;
            writeln!(f)?;
        }
        plan.sums(f)
    }
}

impl Plan {
    fn step_row(&self, i: usize) -> Vec<String> {
        let step = &self.steps[i];
        let node = &self.graph.nodes[step.op];
        let alive: Vec<String> = node.outputs.iter().map(|t| self.lifetime(t.id)).collect();
        let [x, y, z] = step.launch.grid;
        vec![
            i.to_string(),
            node.stage.into(),
            node.label.clone(),
            node.origin.op.into(),
            node.origin.lowering.into(),
            node.op.name().into(),
            step.variant.name.into(),
            format!("{x}×{y}×{z}"),
            format!("{:.3}", step.cost.flops / 1e9),
            format!("{:.2}", step.cost.bytes / 1e6),
            alive.join(" "),
            format!("{} -> {}", self.tensors(&node.inputs), self.tensors(&node.outputs)),
        ]
    }

    /// First and last step that a tensor is alive in.
    fn lifetime(&self, tensor: usize) -> String {
        match self.lifetimes[tensor] {
            None => "never".into(),
            Some((first, last)) if last >= self.steps.len() => format!("{first}-end"),
            Some((first, last)) => format!("{first}-{last}"),
        }
    }

    fn tensors(&self, tensors: &[Tensor]) -> String {
        let one = |t: &Tensor| match self.places[t.id] {
            Place::Slot(slot) => format!("#{slot}{}", t.info.shape),
            Place::Constant => format!("c{}", t.info.shape),
            Place::None => format!("-{}", t.info.shape),
        };
        tensors.iter().map(one).collect::<Vec<_>>().join(" ")
    }

    fn slot_row(&self, i: usize) -> Vec<String> {
        let slot = &self.slots[i];
        // The first of the largest, as the planner sees them.
        let largest = slot.tensors.iter().rev().copied().max_by_key(|&t| self.bytes(t));
        let largest = largest.map_or(String::new(), |t| self.named(t));
        vec![format!("#{i}"), mib(slot.bytes), slot.tensors.len().to_string(), largest]
    }

    fn named(&self, tensor: usize) -> String {
        let def = &self.graph.tensors[tensor];
        format!("{} {}", def.label, def.info.shape)
    }

    fn sums(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (flops, traffic) =
            self.steps.iter().fold((0.0, 0.0), |sum, s| (sum.0 + s.cost.flops, sum.1 + s.cost.bytes));
        let (steps, slots) = (self.steps.len(), self.slots.len());
        let count = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
        writeln!(
            f,
            "{}, {:.2} GFLOP and {:.1} MB of traffic when all rows are live",
            count(steps, "step"),
            flops / 1e9,
            traffic / 1e6
        )?;
        writeln!(f, "planned    {} MiB in {}", mib(self.activation_bytes()), count(slots, "slot"))?;
        if !self.textures.is_empty() {
            let (all, textures) = (self.activation_bytes(), self.texture_bytes());
            writeln!(
                f,
                "           {} MiB of buffers, {} MiB in {}",
                mib(all - textures),
                mib(textures),
                count(self.textures.len(), "texture")
            )?;
        }
        let peak = self.peak();
        if let Some(step) = self.steps.get(peak.step) {
            let node = &self.graph.nodes[step.op];
            let mut tensors = peak.tensors;
            tensors.sort_by_key(|&t| std::cmp::Reverse(self.bytes(t)));
            // Counts and boxes are of no weight.
            let large = tensors.iter().take_while(|&&t| self.bytes(t) * 100 >= peak.bytes);
            let shown: Vec<String> =
                large.map(|&t| format!("{} ({} MiB)", self.named(t), mib(self.bytes(t)))).collect();
            let more = match tensors.len() - shown.len() {
                0 => String::new(),
                n => format!(" and {n} small"),
            };
            writeln!(
                f,
                "peak       {} MiB alive at step {}, {} ({}): {}{more}",
                mib(peak.bytes),
                peak.step,
                node.label,
                node.stage,
                shown.join(", ")
            )?;
        }
        writeln!(f, "constants  {} MiB, before packing", mib(self.constant_bytes()))
    }
}

fn mib(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / f64::from(1 << 20))
}

fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(String::from).to_vec()
}

/// Rows in columns as wide as their widest cell. Those of `right` are numbers; the last column ends where it ends.
fn write(f: &mut fmt::Formatter<'_>, rows: &[Vec<String>], right: &[usize]) -> fmt::Result {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |c: usize| rows.iter().map(|r| r[c].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for row in rows {
        for (c, (cell, &width)) in row.iter().zip(&widths).enumerate() {
            let gap = if c == 0 { "" } else { "  " };
            match (right.contains(&c), c + 1 == columns) {
                (true, _) => write!(f, "{gap}{cell:>width$}")?,
                (false, true) => write!(f, "{gap}{cell}")?,
                (false, false) => write!(f, "{gap}{cell:width$}")?,
            }
        }
        writeln!(f)?;
    }
    Ok(())
}
