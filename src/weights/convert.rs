//! A weights file in our form: safetensors under torchvision's present names, the configuration in the metadata.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

use half::f16;
use safetensors::Dtype;
use safetensors::tensor::View;

use super::bound::state_dict;
use super::canonical::NetworkWeights;
use super::file::WeightsFile;
use super::reader::LayerReader;
use crate::config::{Colours, Config};
use crate::error::{Error, Result};
use crate::tensor::HostTensor;

/// Element type of the matrices and convolution kernels of a converted file. Vectors (biases, BatchNorm) stay f32:
/// they are few, and a variance may be far below what f16 can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElementType {
    /// Single.
    F32,
    /// Half: files of half the size, values rounded to 11 bits.
    F16,
}

/// Writes the tensors of `file` that the network of `config` needs to `path`, as safetensors: whole, or not at all.
///
/// # Errors
/// As [`NetworkWeights::load`], so that what is written can be read; [`Error::Tensor`] for a value that passes the
/// range of f16; [`Error::Io`] where writing fails.
pub fn write(file: &WeightsFile, config: &Config, elements: ElementType, path: &Path) -> Result<()> {
    // Everything is checked before anything is written.
    NetworkWeights::load(file, config)?;
    let mut reader = LayerReader::new(file, config);
    let mut tensors = Vec::new();
    for (name, layer, role, shape) in state_dict(config) {
        let tensor = reader.tensor(layer, role, &shape)?;
        let half = elements == ElementType::F16 && shape.len() > 1;
        if let Some(at) = tensor.data.iter().position(|v| half && !f16::from_f32(*v).is_finite()) {
            let reason =
                format!("holds {} at flat index {at}, which f16 cannot: convert without --f16", tensor.data[at]);
            return Err(reader.fault(layer, role, reason));
        }
        tensors.push((name, Typed { tensor, half }));
    }
    // What is written is in our layout.
    let mut config = config.clone();
    config.transform.colours = Colours::Rgb;
    let bytes = serialize(tensors, &config.to_json()?)
        .map_err(|reason| Error::Weights { file: path.display().to_string(), reason })?;
    crate::atomic::write(path, |out| out.write_all(&bytes))
}

/// The bytes of a `.safetensors` file with these tensors, and `config` (JSON) in its metadata.
pub(super) fn serialize(tensors: Vec<(String, Typed)>, config: &str) -> std::result::Result<Vec<u8>, String> {
    if let Some((name, _)) =
        tensors.iter().find(|(_, t)| t.tensor.shape.iter().product::<usize>() != t.tensor.data.len())
    {
        return Err(format!("the values of tensor `{name}` do not fill its shape"));
    }
    let metadata = HashMap::from([("format".into(), "pt".into()), ("config".into(), config.to_owned())]);
    safetensors::serialize(tensors, Some(metadata)).map_err(|e| e.to_string())
}

/// A tensor that is turned into bytes when its turn to be written comes.
pub(super) struct Typed {
    /// The values.
    pub tensor: HostTensor,
    /// Whether they are written as f16.
    pub half: bool,
}

impl View for Typed {
    fn dtype(&self) -> Dtype {
        if self.half { Dtype::F16 } else { Dtype::F32 }
    }
    fn shape(&self) -> &[usize] {
        &self.tensor.shape
    }
    fn data(&self) -> Cow<'_, [u8]> {
        let values = self.tensor.data.iter();
        match self.half {
            true => values.flat_map(|v| f16::from_f32(*v).to_le_bytes()).collect::<Vec<u8>>().into(),
            false => values.flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>().into(),
        }
    }
    fn data_len(&self) -> usize {
        self.tensor.data.len() * if self.half { 2 } else { 4 }
    }
}
