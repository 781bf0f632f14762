//! What a weights file holds, beside what its network needs.

use std::collections::{BTreeMap, BTreeSet};

use super::bound::Bound;
use super::file::WeightsFile;
use super::layers::layers;
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
        let bound = Bound::of(file);
        let mut left: BTreeSet<&str> = file.names().filter(|name| !bound.is_no_layer(name)).collect();
        let (mut missing, mut misshapen) = (Vec::new(), Vec::new());
        for form in layers(config) {
            for (role, shape) in bound.conventions.tensors(&form) {
                let name = bound.name(form.layer, role);
                let needed = bound.stored(form.layer, role, &shape);
                match bound.shape(form.layer, role) {
                    None if bound.is_folded(form.layer, role) => {}
                    None => missing.push(name),
                    Some(shape) => {
                        left.remove(name.as_str());
                        if shape != needed {
                            misshapen.push((name, shape.to_vec(), needed));
                        }
                    }
                }
            }
        }
        missing.sort();
        misshapen.sort();
        let left_over = left.into_iter().map(String::from).collect();
        let mut out = Self { tensors: 0, values: 0, types: BTreeMap::new(), missing, misshapen, left_over };
        for entry in file.names().filter_map(|name| file.entry(name)) {
            out.tensors += 1;
            out.values = out.values.saturating_add(entry.len());
            *out.types.entry(entry.dtype.to_string()).or_default() += 1;
        }
        out
    }

    /// Whether the network can be built from the file, as far as names and shapes tell.
    pub fn fits(&self) -> bool {
        self.missing.is_empty() && self.misshapen.is_empty() && self.left_over.is_empty()
    }
}
