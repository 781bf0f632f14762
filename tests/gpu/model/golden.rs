//! Golden files (`tests/oracle/README.md`), and their tensors in our layouts.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use maskrcnn::engine::config::Config;
use maskrcnn::engine::model::NetworkSize;
use maskrcnn::engine::ops::frame::Frame;
use maskrcnn::engine::tensor::Value;
use maskrcnn::engine::weights::{NetworkWeights, WeightsFile};
use maskrcnn::{Image, Mask};
use safetensors::SafeTensors;

use super::bodies;
use super::detectron2;
use super::families;
use super::generated;
use super::matterport;

/// A file of the repository.
pub(super) fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The default model's weights.
pub(super) fn file() -> &'static WeightsFile {
    static FILE: OnceLock<WeightsFile> = OnceLock::new();
    FILE.get_or_init(|| WeightsFile::open(path("assets/nuclei.safetensors")).unwrap())
}

/// The same, taken apart. The goldens' configurations differ from the file's in numbers that no weight depends on.
pub(super) fn weights() -> Arc<NetworkWeights> {
    static WEIGHTS: OnceLock<Arc<NetworkWeights>> = OnceLock::new();
    WEIGHTS.get_or_init(|| Arc::new(NetworkWeights::load(file(), &file().config().unwrap()).unwrap())).clone()
}

/// A golden file, read.
pub(super) struct Golden {
    /// Its name.
    pub name: String,
    bytes: Vec<u8>,
    /// The weights that it was made with.
    pub weights: Arc<NetworkWeights>,
    /// What it was made with.
    pub config: Config,
    /// The input.
    pub image: Image,
    /// Its sizes on the way into the network.
    pub size: NetworkSize,
}

impl Golden {
    /// `tests/golden/<name>.safetensors`.
    pub(super) fn open(name: &str) -> Self {
        Self::read(&path(&format!("tests/golden/{name}.safetensors")))
    }

    /// Any golden file.
    pub(super) fn read(file: &Path) -> Self {
        let name = &file.file_stem().unwrap().to_string_lossy().into_owned();
        let bytes = std::fs::read(file).unwrap();
        let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
        let metadata = header.metadata().as_ref().unwrap();
        let made = (metadata.get("model"), metadata.get("weights"));
        let (config, weights) = match made {
            _ if metadata.contains_key("detectron2") => {
                let file = detectron2::file(metadata);
                let config = detectron2::config(&file, metadata);
                let weights = NetworkWeights::load(&file, &config).unwrap();
                (config, weights.into())
            }
            _ if metadata.contains_key("matterport") => {
                let file = matterport::file(metadata);
                let config = matterport::config(&file, metadata);
                let weights = NetworkWeights::load(&file, &config).unwrap();
                (config, weights.into())
            }
            _ if metadata.contains_key("family") => {
                let file = families::file(metadata);
                let config = families::config(&file, metadata);
                let weights = NetworkWeights::load(&file, &config).unwrap();
                (config, weights.into())
            }
            _ if metadata.contains_key("scales") => {
                let config = Config::from_json(&metadata["config"], name).unwrap();
                let file = bodies::file(&config, metadata, true);
                let weights = NetworkWeights::load(&file, &config).unwrap();
                (config, weights.into())
            }
            (None, None) => (Config::from_json(&metadata["config"], name).unwrap(), weights()),
            (None, Some(file)) => {
                let config = Config::from_json(&metadata["config"], name).unwrap();
                let file = WeightsFile::open(path(file)).unwrap();
                let weights = NetworkWeights::load(&file, &config).unwrap();
                (config, weights.into())
            }
            (Some(model), _) => {
                let network = generated::network(model);
                let overrides = serde_json::from_str(&metadata["overrides"]).unwrap();
                (network.config.overridden(&overrides).unwrap(), network.weights)
            }
        };
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        let pixels = tensors.tensor("pixels").unwrap();
        let (h, w) = (pixels.shape()[0] as u32, pixels.shape()[1] as u32);
        let image = Image::from_rgb8(w, h, pixels.data().to_vec()).unwrap();
        let size = NetworkSize::new(name, h, w, &config.transform).unwrap();
        let golden = Self { name: name.into(), bytes, weights, config, image, size };
        let resized = golden.ints("transform.size");
        assert_eq!(resized, [golden.size.resized.0, golden.size.resized.1], "{name}: size after the resize");
        golden
    }

    /// What it says of itself.
    pub(super) fn metadata(&self) -> HashMap<String, String> {
        SafeTensors::read_metadata(&self.bytes).unwrap().1.metadata().clone().unwrap()
    }

    /// Values that are kept of each map.
    pub(super) fn samples(&self) -> usize {
        if self.metadata().contains_key("family") { 1024 } else { 2048 }
    }

    /// The names of its tensors.
    pub(super) fn names(&self) -> Vec<String> {
        SafeTensors::deserialize(&self.bytes).unwrap().names().iter().map(|s| s.to_string()).collect()
    }

    /// The same with one value of a tensor (of masks, the first mask) made wrong.
    pub(super) fn tampered(&self, tensor: &str) -> Self {
        let tensors = SafeTensors::deserialize(&self.bytes).unwrap();
        let view = tensors.tensor(tensor).unwrap();
        let at = view.data().as_ptr() as usize - self.bytes.as_ptr() as usize;
        let (length, dtype, masks) = (view.data().len(), view.dtype(), view.shape()[0]);
        let mut bytes = self.bytes.clone();
        let part = &mut bytes[at..at + length];
        match dtype {
            safetensors::Dtype::U8 => part[..length / masks].iter_mut().for_each(|b| *b = !*b),
            safetensors::Dtype::I32 => part[0] += 1,
            _ => {
                // Small beside the tensor, and large beside any tolerance.
                let largest = self.floats(tensor).iter().fold(0.0f32, |m, v| m.max(v.abs()));
                let wrong = f32::from_le_bytes(part[..4].try_into().unwrap()) + 0.1 * largest;
                part[..4].copy_from_slice(&wrong.to_le_bytes());
            }
        }
        let (config, image, name) = (self.config.clone(), self.image.clone(), format!("{} ({tensor})", self.name));
        Self { name, bytes, weights: self.weights.clone(), config, image, size: self.size }
    }

    /// What a run of its image is told.
    pub(super) fn frame(&self) -> Frame {
        self.size.frame(0, self.size.sampling().x.sent(), 0)
    }

    /// Whether it has such a tensor.
    pub(super) fn has(&self, tensor: &str) -> bool {
        SafeTensors::deserialize(&self.bytes).unwrap().tensor(tensor).is_ok()
    }

    /// Extents and bytes of a tensor.
    pub(super) fn raw(&self, tensor: &str) -> (Vec<usize>, Vec<u8>) {
        let tensors = SafeTensors::deserialize(&self.bytes).unwrap();
        let view = tensors.tensor(tensor).unwrap_or_else(|e| panic!("{}: {tensor}: {e}", self.name));
        (view.shape().to_vec(), view.data().to_vec())
    }

    /// A float tensor in torch's layout.
    pub(super) fn floats(&self, tensor: &str) -> Vec<f32> {
        // Not cast in place: nothing aligns a tensor within the file.
        self.raw(tensor).1.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
    }

    /// An i32 tensor of nothing negative.
    pub(super) fn ints(&self, tensor: &str) -> Vec<u32> {
        self.raw(tensor).1.chunks_exact(4).map(|b| u32::from_le_bytes(b.try_into().unwrap())).collect()
    }

    /// Boxes of a tensor `[n, 4]`.
    pub(super) fn boxes(&self, tensor: &str) -> Vec<[f32; 4]> {
        boxes(&self.floats(tensor))
    }

    /// `post.masks`.
    pub(super) fn masks(&self) -> Vec<Mask> {
        let (shape, bytes) = self.raw("post.masks");
        let (w, h, row) = (self.image.width(), self.image.height(), shape[2]);
        let bit = |m: &[u8], x: u32, y: u32| m[y as usize * row + x as usize / 8] >> (x % 8) & 1 == 1;
        bytes.chunks(row * h as usize).map(|m| Mask::from_fn(0, 0, w, h, |x, y| bit(m, x, y))).collect()
    }

    /// A tensor in our layout, as the tap of that name holds it; of the first rows only where the file has no more.
    pub(super) fn tap(&self, tap: &str) -> Value {
        let flat = |v: Vec<f32>| Value::f32([v.len()], v);
        match tap {
            "det.count" => Value::u32([1], vec![self.raw("det.boxes").0[0] as u32]),
            "rpn.proposals.count" => Value::u32([1], vec![self.raw("rpn.proposals").0[0] as u32]),
            "det.labels" => Value::u32([self.raw(tap).0[0]], self.ints(tap)),
            "rpn.logits" | "rpn.deltas" => {
                flat((0..5).flat_map(|level| self.channels_last(&format!("{tap}.{level}"))).collect())
            }
            _ => flat(self.channels_last(tap)),
        }
    }

    fn channels_last(&self, tensor: &str) -> Vec<f32> {
        let (shape, values) = (self.raw(tensor).0, self.floats(tensor));
        match shape[..] {
            // Ours has a fourth channel, of zeros.
            [3, h, w] if tensor == "transform" => swap(&[values, vec![0.0; h * w]].concat(), 4, h * w),
            [c, h, w] if !tensor.starts_with("mask") => swap(&values, c, h * w),
            [_, c, h, w] => values.chunks(c * h * w).flat_map(|row| swap(row, c, h * w)).collect(),
            _ => values,
        }
    }
}

/// The rows of a matrix `[_, 4]`.
pub(super) fn boxes(values: &[f32]) -> Vec<[f32; 4]> {
    values.chunks_exact(4).map(|b| b.try_into().unwrap()).collect()
}

/// `[a, b]` to `[b, a]`.
pub(super) fn swap(values: &[f32], a: usize, b: usize) -> Vec<f32> {
    (0..a * b).map(|i| values[i % a * b + i / a]).collect()
}
