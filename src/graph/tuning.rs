//! Which way each op is run, where that is not left to the best guess.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::Node;
use crate::ops;
use crate::target::Target;

/// Names of a lowering and of schedules, for an op or for all of them. An op is carried out by a lowering named, wherever
/// that can be; of its kernels' schedules the first that is named is taken, and the best guess where none is. No names at all leave everything to the best guess.
pub type Names = Arc<[String]>;

/// Names for ops: the same for all, or those that were found for each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tuning {
    all: Option<Names>,
    of_ops: HashMap<String, Names>,
}

impl Tuning {
    /// These names for every op; with none, the best guess for every op.
    ///
    /// **Unstable**, as all of the [`engine`](crate::engine).
    pub fn forced(names: &[&str]) -> Self {
        let all = (!names.is_empty()).then(|| names.iter().map(|n| n.to_string()).collect());
        Self { all, of_ops: HashMap::new() }
    }

    /// Names for the ops of these keys ([`Tuning::key`]).
    ///
    /// **Unstable**, as all of the [`engine`](crate::engine).
    pub fn of_ops(names: BTreeMap<String, Vec<String>>) -> Self {
        Self { all: None, of_ops: names.into_iter().map(|(key, names)| (key, names.into())).collect() }
    }

    /// How many ops have names of their own.
    pub fn len(&self) -> usize {
        self.of_ops.len()
    }

    /// Whether everything is left to the best guess.
    pub fn is_empty(&self) -> bool {
        self.all.is_none() && self.of_ops.is_empty()
    }

    /// Tells one launch from another: op, settings, shapes, and whether products may be in f16.
    ///
    /// **Unstable**, as all of the [`engine`](crate::engine).
    pub fn key(node: &Node, target: &Target) -> String {
        let shapes: Vec<String> = node.inputs.iter().map(|t| t.shape().to_string()).collect();
        format!(
            "{} of {}{}",
            ops::key(node.op.as_ref()),
            shapes.join(" "),
            if target.wants_f16() { " in f16" } else { "" }
        )
    }

    /// The names for an op.
    pub(super) fn names(&self, node: &Node, target: &Target) -> Names {
        let own = || self.of_ops.get(&Self::key(node, target)).cloned();
        self.all.clone().or_else(|| if self.of_ops.is_empty() { None } else { own() }).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::graph::{Graph, Plan};
    use crate::ops::Info;
    use crate::target::{Caps, Factors};
    use crate::tensor::Value;

    /// A 1×1 convolution of so many channels.
    fn graph(channels: usize) -> Graph {
        let mut g = Graph::new();
        let x = g.input("x", Info::f32([1, 8, 8, channels]));
        let weight = Arc::new(Value::f32([32, 1, 1, channels], vec![0.0; 32 * channels]));
        let bias = Arc::new(Value::f32([32], vec![0.0; 32]));
        let y = g.conv2d("conv", x, &weight, &bias).done().unwrap();
        g.keep(y);
        g
    }

    /// What was found for products of f16 is nobody's in f32, nor the other way round.
    #[test]
    fn what_was_found_at_one_precision_is_not_used_at_another() {
        let exact = Target { can: Caps { f16: true, ..Caps::MINIMUM }, ..Target::MINIMUM };
        let halves = exact.with(Factors::F16);
        let variant = |tuning: &Tuning, target: &Target| {
            let plan = Plan::choosing(graph(32), target, tuning).unwrap();
            plan.steps[0].variant.clone()
        };
        for (found, other) in [(exact, halves), (halves, exact)] {
            let key = Tuning::key(&graph(32).nodes[0], &found);
            let tuning = Tuning::of_ops([(key, vec!["plain".to_string()])].into());
            assert_eq!(variant(&tuning, &found).name, "plain");
            assert_ne!(variant(&Tuning::default(), &other).name, "plain", "this shows nothing");
            assert_eq!(variant(&tuning, &other), variant(&Tuning::default(), &other));
            // Nor for other shapes.
            assert_ne!(Tuning::key(&graph(64).nodes[0], &found), Tuning::key(&graph(32).nodes[0], &found));
        }
    }
}
