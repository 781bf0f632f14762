//! What a weights file holds, beside what its network needs.

use std::collections::{BTreeMap, BTreeSet};

use super::file::WeightsFile;
use super::layout::{layout, present_name};
use crate::config::Config;

/// The tensors of a file against those that a network needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inventory {
    /// Tensors in the file.
    pub tensors: usize,
    /// Values in all of them.
    pub values: usize,
    /// Tensors of each element type, by its name.
    pub types: BTreeMap<String, usize>,
    /// Tensors that the network needs and the file has not.
    pub missing: Vec<String>,
    /// Tensors of another shape than the network needs: name, shape in the file, shape needed.
    pub misshapen: Vec<(String, Vec<usize>, Vec<usize>)>,
    /// Tensors that the network has no use for, but for BatchNorm's counters of batches.
    pub left_over: Vec<String>,
}

impl Inventory {
    /// Compares `file` with the network that `config` describes. Names are the file's own, but for those missing.
    pub fn new(file: &WeightsFile, config: &Config) -> Self {
        let needed: BTreeMap<String, Vec<usize>> = layout(config).into_iter().collect();
        let mut found = BTreeSet::new();
        let mut out = Self {
            tensors: 0,
            values: 0,
            types: BTreeMap::new(),
            missing: Vec::new(),
            misshapen: Vec::new(),
            left_over: Vec::new(),
        };
        for (name, entry) in file.names().filter_map(|name| Some((name, file.entry(name)?))) {
            out.tensors += 1;
            out.values = out.values.saturating_add(entry.len());
            *out.types.entry(entry.dtype.to_string()).or_default() += 1;
            let present = present_name(name);
            match needed.get(&present) {
                Some(shape) if *shape != entry.shape => {
                    out.misshapen.push((name.into(), entry.shape.clone(), shape.clone()));
                }
                Some(_) => {}
                None if name.ends_with(".num_batches_tracked") => {}
                None => out.left_over.push(name.into()),
            }
            found.insert(present);
        }
        out.missing = needed.into_keys().filter(|name| !found.contains(name)).collect();
        out
    }

    /// Whether the network can be built from the file, as far as names and shapes tell.
    pub fn fits(&self) -> bool {
        self.missing.is_empty() && self.misshapen.is_empty() && self.left_over.is_empty()
    }
}
