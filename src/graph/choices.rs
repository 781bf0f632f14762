//! Which way each op is run, where that is not left to the best guess.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::Op;
use crate::kernels::Caps;

/// Names of a method and of variants, for an op or for all of them. An op is taken apart only by a method named,
/// wherever that can be; of its variants (and those of its pieces) the first that is named is taken, and the best guess
/// where none is. No names at all leave everything to the best guess.
pub type Names = Arc<[String]>;

/// Names for ops: the same for all, or those that were found for each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choices {
    all: Option<Names>,
    of_ops: HashMap<String, Names>,
}

impl Choices {
    /// These names for every op; with none, the best guess for every op.
    pub fn forced(names: &[&str]) -> Self {
        let all = (!names.is_empty()).then(|| names.iter().map(|n| n.to_string()).collect());
        Self { all, of_ops: HashMap::new() }
    }

    /// Names for the ops of these keys ([`Choices::key`]).
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

    /// Tells one launch from another: kernel, settings, shapes, and whether products may be in f16.
    pub fn key(op: &Op, caps: &Caps) -> String {
        let infos: Vec<String> = op.inputs.iter().map(|t| format!("{:?}", t.info)).collect();
        format!("{:?} {}{}", op.kernel, infos.join(" "), if caps.halves { " f16" } else { "" })
    }

    /// The names for an op.
    pub(super) fn names(&self, op: &Op, caps: &Caps) -> Names {
        let own = || self.of_ops.get(&Self::key(op, caps)).cloned();
        self.all.clone().or_else(|| if self.of_ops.is_empty() { None } else { own() }).unwrap_or_default()
    }
}
