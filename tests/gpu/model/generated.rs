//! torchvision's COCO models with generated weights: values that a hash of their names makes, and statistics of
//! BatchNorm that the oracle measured (`tests/oracle/generated.py`).

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use maskrcnn::engine::config::Config;
use maskrcnn::engine::tensor::HostTensor;
use maskrcnn::engine::weights::synth::synthetic;
use maskrcnn::engine::weights::{NetworkWeights, WeightsFile};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

use super::golden::path;

/// A generated model, read as a file of its kind is.
#[derive(Clone)]
pub(super) struct Network {
    /// The file, without metadata.
    pub file: Arc<WeightsFile>,
    /// Its configuration, as told by the names and shapes of its tensors.
    pub config: Config,
    /// Its weights.
    pub weights: Arc<NetworkWeights>,
}

/// The model that torchvision's function of that name makes; each is generated once.
pub(super) fn network(model: &str) -> Network {
    static MADE: Mutex<Vec<(String, Network)>> = Mutex::new(Vec::new());
    let mut made = MADE.lock().unwrap();
    if let Some((_, network)) = made.iter().find(|m| m.0 == model) {
        return network.clone();
    }
    let file = WeightsFile::from_bytes(bytes(model), file_name(model)).unwrap();
    let settings = file.settings().unwrap();
    assert!(!settings.stated && settings.epsilon.doubt.is_none(), "{settings:?}");
    assert_eq!(settings.config.name, model);
    let weights = Arc::new(NetworkWeights::load(&file, &settings.config).unwrap());
    let network = Network { file: Arc::new(file), config: settings.config, weights };
    made.push((model.into(), network.clone()));
    network
}

/// As torchvision publishes it: the first models tell the epsilon of their BatchNorm by this name alone.
fn file_name(model: &str) -> &'static str {
    match model {
        "maskrcnn_resnet50_fpn" => "maskrcnn_resnet50_fpn_coco-bf2d0c1e.pth",
        "fasterrcnn_resnet50_fpn" => "fasterrcnn_resnet50_fpn_coco-258fb6c6.pth",
        _ => "generated",
    }
}

/// The model's state dict.
fn bytes(model: &str) -> Vec<u8> {
    let v2 = model.ends_with("_v2");
    let config = if v2 { Config::maskrcnn_resnet50_fpn_v2() } else { Config::maskrcnn_resnet50_fpn() };
    let config = if model.starts_with("faster") { config.without_masks() } else { config };
    let calibration = std::fs::read(path(if v2 {
        "tests/golden/coco_v2_calibration.safetensors"
    } else {
        "tests/golden/coco_v1_calibration.safetensors"
    }));
    let calibration = calibration.unwrap();
    let (_, header) = SafeTensors::read_metadata(&calibration).unwrap();
    let metadata = header.metadata().as_ref().unwrap();
    let scales: HashMap<String, f32> = serde_json::from_str(&metadata["scales"]).unwrap();
    let measured = SafeTensors::deserialize(&calibration).unwrap();
    let seed = metadata["seed"].parse().unwrap();

    let mut used = 0;
    let mut tensors: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> = Vec::new();
    for (name, HostTensor { shape, mut data }) in synthetic(&config, seed) {
        if let Some(scale) = scales.get(&name) {
            data.iter_mut().for_each(|v| *v *= scale);
            used += 1;
        }
        let raw = match name.contains(".running_") {
            true => measured.tensor(&name).unwrap().data().to_vec(),
            false => data.iter().flat_map(|v| v.to_le_bytes()).collect(),
        };
        if v2 && name.ends_with("running_var") {
            let counter = name.replace("running_var", "num_batches_tracked");
            tensors.push((counter, Dtype::I64, vec![], vec![0; 8]));
        }
        tensors.push((name, Dtype::F32, shape, raw));
    }
    let masks = scales.keys().filter(|name| name.contains("mask")).count();
    assert_eq!(used, scales.len() - if config.mask.is_none() { masks } else { 0 }, "scales of unknown tensors");
    let views = tensors
        .iter()
        .map(|(name, dtype, shape, raw)| (name.as_str(), TensorView::new(*dtype, shape.clone(), raw).unwrap()));
    safetensors::serialize(views, None).unwrap()
}
