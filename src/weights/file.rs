//! A weights file of any format that is read, mapped into memory and checked as far as its table of tensors goes.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use memmap2::Mmap;

use super::entry::Entry;
use super::family::Family;
use super::infer;
use super::names::{closest, shown};
use super::selection::{Selection, Taken, Told, choose};
use super::settings::Settings;
use super::sniff::format_of;
use super::{h5, header, onnx, pth};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::tensor::HostTensor;

/// What every message about an unreadable file ends with.
pub(super) const CURE: &str = "name a .pth or .safetensors file with the state dict of a detection model of torchvision's, detectron2's, MMDetection's or maskrcnn-benchmark's, the .pkl of detectron2's or Detectron's, an .onnx of torchvision's, or matterport's .h5";

/// Bytes of weights, as f32, for each of a file's, and of a file too small for that to mean anything. Tensors of a checkpoint may be
/// views that share their elements, or repeat one: nobody's network does so often, and a hostile one could claim any size.
const MOST_INFLATION: usize = 32;
const LEAST_BYTES: usize = 64 << 20;

/// An open `.safetensors` file, PyTorch checkpoint (`.pth`, `.pt`), pickle of NumPy's arrays (`.pkl`), ONNX model (`.onnx`) or
/// HDF5 file of Keras's (`.h5`): f64, f32, f16 or bf16 tensors under torchvision's, detectron2's or matterport's names, and
/// string metadata (safetensors only).
///
/// Where those names begin with something (`detector.`), it is left off; what stands beside the network is left out:
/// [`WeightsFile::selection`] tells.
///
/// Opening reads the table of tensors alone, and of a checkpoint executes nothing: see the room's `pth`. Values are
/// converted tensor by tensor, when asked for.
pub struct WeightsFile {
    /// Path, or what stands for it in messages.
    name: String,
    bytes: Arc<Bytes>,
    /// What the tensors lie in, where that is not the file itself.
    decoded: Option<Vec<u8>>,
    format: Format,
    /// By name, sorted, so that messages and iteration do not depend on a hash. All lie within `decoded`, or else `bytes`.
    tensors: BTreeMap<String, Entry>,
    metadata: HashMap<String, String>,
    family: &'static Family,
    selection: Selection,
    told: Told,
}

/// How the tensors of a file are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Hugging Face's safetensors.
    Safetensors,
    /// What `torch.save` writes: a zip archive or, before PyTorch 1.6, a row of pickles.
    Checkpoint,
    /// A pickle of NumPy's arrays, as detectron2 publishes.
    Pickle,
    /// An ONNX model.
    Onnx,
    /// HDF5, as Keras writes it.
    Hdf5,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Safetensors => "safetensors",
            Self::Checkpoint => "PyTorch checkpoint",
            Self::Pickle => "pickle of NumPy arrays",
            Self::Onnx => "ONNX model",
            Self::Hdf5 => "HDF5 (Keras)",
        })
    }
}

enum Bytes {
    Mapped(Mmap),
    Held(Cow<'static, [u8]>),
}

impl Bytes {
    fn get(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map,
            Self::Held(bytes) => bytes,
        }
    }
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        self.get()
    }
}

impl WeightsFile {
    /// Opens and maps the file at `path`.
    ///
    /// The mapping follows the file: do not overwrite it in place while this value lives (replacing it by renaming
    /// is safe).
    ///
    /// # Errors
    /// [`Error::Io`] if there is no such file or it cannot be read; [`Error::Weights`] if it is not a sound file of
    /// these formats: the message names the format found instead.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_mapped(path.as_ref(), None)
    }

    /// [`WeightsFile::open`] for a file of several networks, such as one with its average: opens the one whose names
    /// begin with `prefix`, or that is under the keys `prefix` (joined by dots) of dicts; an empty one is that without
    /// a prefix.
    ///
    /// # Errors
    /// As there, and [`Error::Weights`] naming what is there if no network is under that prefix.
    pub fn open_network(path: impl AsRef<Path>, prefix: &str) -> Result<Self> {
        Self::open_mapped(path.as_ref(), Some(prefix))
    }

    fn open_mapped(path: &Path, wanted: Option<&str>) -> Result<Self> {
        let name = path.display().to_string();
        let refuse = |reason: String| Error::Weights { file: name.clone(), reason };
        let io = |source| Error::Io { path: path.to_path_buf(), source };
        let unreadable = |e: std::io::Error| match e.kind() {
            std::io::ErrorKind::NotFound => io(std::io::Error::new(e.kind(), "there is no such file: check the path")),
            kind => io(std::io::Error::new(kind, format!("cannot be read: {e}"))),
        };
        // Before opening: opening a named pipe would wait for a writer.
        let kind = std::fs::metadata(path).map_err(unreadable)?;
        if kind.is_dir() {
            let kind = std::io::ErrorKind::IsADirectory;
            return Err(io(std::io::Error::new(kind, "is a directory: name the weights file in it")));
        }
        if !kind.is_file() {
            return Err(refuse("is not a regular file: copy the weights into one".into()));
        }
        if kind.len() == 0 {
            return Err(refuse("is empty: download or convert it again".into()));
        }
        let file = std::fs::File::open(path).map_err(unreadable)?;
        // SAFETY: the mapping is read-only and only ever read as bytes, so no content can be invalid. Another process
        // that truncates the file meanwhile can fault us, which the documentation above warns of.
        let map = unsafe { Mmap::map(&file) }.map_err(unreadable)?;
        Self::new(Bytes::Mapped(map), name, wanted)
    }

    /// Reads a file that is in memory already: `&'static [u8]` (embedded) or `Vec<u8>`. `name` stands for it in
    /// messages.
    ///
    /// # Errors
    /// [`Error::Weights`] as for [`WeightsFile::open`].
    pub fn from_bytes(bytes: impl Into<Cow<'static, [u8]>>, name: impl Into<String>) -> Result<Self> {
        Self::new(Bytes::Held(bytes.into()), name.into(), None)
    }

    fn new(bytes: Bytes, name: String, wanted: Option<&str>) -> Result<Self> {
        let bytes = Arc::new(bytes);
        let read = match bytes.get() {
            [] => Err("is empty: download or convert it again".into()),
            b if header::is_safetensors(b) => header::read(b)
                .and_then(|(tensors, metadata)| Ok((Format::Safetensors, of_network(tensors, wanted)?, metadata))),
            b if pth::is_pth(b) => {
                let format = if pth::is_single(b) { Format::Pickle } else { Format::Checkpoint };
                pth::read(b, wanted).map(|taken| (format, taken, HashMap::new()))
            }
            b if onnx::is_onnx(b) => onnx::read(b, wanted).map(|taken| (Format::Onnx, taken, HashMap::new())),
            b if b.starts_with(h5::MAGIC) => {
                h5::read(Arc::clone(&bytes), wanted).map(|taken| (Format::Hdf5, taken, HashMap::new()))
            }
            b => Err(match format_of(b) {
                Some(format) => format!("is {format}: {CURE}"),
                None => format!("is no weights file: {CURE}"),
            }),
        };
        let read = read.and_then(|read| within_bounds(&read.1, bytes.get().len()).map(|()| read));
        let (format, taken, metadata) = read.map_err(|reason| Error::Weights { file: name.clone(), reason })?;
        let Taken { tensors, family, selection, decoded, told } = taken;
        let tensors = tensors.into_iter().collect();
        Ok(Self { name, bytes, decoded, format, tensors, metadata, family, selection, told })
    }

    /// The path, or what stands for it in messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The strings of the header's `__metadata__`; empty if it has none.
    pub fn metadata(&self) -> &HashMap<String, String> {
        &self.metadata
    }

    /// Which of the file's tensors are here, and which were left out.
    ///
    /// **Unstable**, as all of the [`engine`](crate::engine).
    pub fn selection(&self) -> &Selection {
        &self.selection
    }

    /// What it says of its network outside of the tensors.
    pub(super) fn told(&self) -> &Told {
        &self.told
    }

    /// Whether it has the configuration of its training beside the tensors, as MMDetection's checkpoints do.
    ///
    /// **Unstable**, as all of the [`engine`](crate::engine).
    pub fn has_training_config(&self) -> bool {
        self.told.config.get("model").is_some()
    }

    /// What had to be guessed of the tensors themselves, as clauses.
    ///
    /// **Unstable**, as all of the [`engine`](crate::engine).
    pub fn guessed(&self) -> &[String] {
        &self.told.guessed
    }

    /// The project whose names its tensors have: `torchvision`.
    pub fn family_name(&self) -> &'static str {
        self.family.name
    }

    /// How its tensors are named and laid out.
    pub(super) fn family(&self) -> &'static Family {
        self.family
    }

    /// Whether it is in the container that PyTorch wrote by default until 1.6.
    pub(super) fn is_legacy(&self) -> bool {
        self.format == Format::Checkpoint && pth::is_legacy(self.bytes.get())
    }

    /// All of it, as it is stored.
    #[cfg(feature = "pull")]
    pub(super) fn raw(&self) -> &[u8] {
        self.bytes.get()
    }

    /// CRC-32 of the whole file: whether two are the same, not whether somebody meddled with one.
    ///
    /// **Unstable**, as all of the [`engine`](crate::engine).
    pub fn checksum(&self) -> u32 {
        crc32fast::hash(self.bytes.get())
    }

    /// How its tensors are stored.
    ///
    /// **Unstable**, as all of the [`engine`](crate::engine).
    pub fn format(&self) -> Format {
        self.format
    }

    /// Bytes of the whole file.
    pub fn bytes(&self) -> usize {
        self.bytes.get().len()
    }

    /// The network's settings: from the metadata's `config` or, where there is none, as torchvision would have them,
    /// with depths, widths and classes read off the names and shapes of the tensors.
    ///
    /// # Errors
    /// [`Error::Weights`] if the metadata's is not JSON, or the tensors are not those of a ResNet-FPN detector;
    /// [`Error::Config`] naming a setting that cannot be.
    ///
    /// **Unstable**, as all of the [`engine`](crate::engine).
    pub fn settings(&self) -> Result<Settings> {
        infer::settings(self)
    }

    /// The configuration of [`WeightsFile::settings`].
    ///
    /// # Errors
    /// As there.
    pub fn config(&self) -> Result<Config> {
        Ok(self.settings()?.config)
    }

    /// Names of all tensors, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Extents of a tensor, in torch's order; `None` where there is no such tensor.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|t| t.shape.as_slice())
    }

    /// Element type and number of elements of a tensor.
    pub(super) fn entry(&self, name: &str) -> Option<&Entry> {
        self.tensors.get(name)
    }

    /// Whether there is a tensor of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// One tensor as f32, in the file's own (torch's) axis order. f16 and bf16 convert exactly, f64 rounds.
    ///
    /// # Errors
    /// [`Error::Tensor`] if it is missing (with the closest name there is), has another shape than `expected_shape`,
    /// is not of a floating-point type, or holds NaN or infinity (after conversion to f32).
    ///
    /// **Unstable**, as all of the [`engine`](crate::engine).
    pub fn tensor(&self, name: &str, expected_shape: &[usize]) -> Result<HostTensor> {
        let refuse = |reason: String| Error::Tensor { file: self.name.clone(), tensor: name.into(), reason };
        let Some(entry) = self.tensors.get(name) else {
            return Err(refuse(match closest(name, self.names()) {
                Some(other) => format!("is missing; the closest name in the file is `{}`", shown(other)),
                None => "is missing; the file has no tensors".into(),
            }));
        };
        if entry.shape != expected_shape {
            let reason = format!("has shape {:?}, and the configuration needs {expected_shape:?}", entry.shape);
            return Err(refuse(reason));
        }
        let Some(data) = entry.floats(self.decoded.as_deref().unwrap_or(self.bytes.get())) else {
            return Err(refuse(format!("holds {}, and f32, f16, bf16 or f64 is needed", entry.dtype)));
        };
        if let Some(first) = data.iter().position(|v| !v.is_finite()) {
            let nan = data.iter().filter(|v| v.is_nan()).count();
            let infinite = data.iter().filter(|v| v.is_infinite()).count();
            return Err(refuse(format!(
                "has {nan} NaN and {infinite} infinite values among {}, the first at flat index {first}: the training \
                 or conversion that made the file went wrong",
                data.len()
            )));
        }
        Ok(HostTensor::new(expected_shape, data))
    }
}

/// Refuses tensors that would be far more than their file.
fn within_bounds(taken: &Taken, length: usize) -> Result<(), String> {
    let most = length.saturating_mul(MOST_INFLATION).max(LEAST_BYTES);
    let elements = |entry: &Entry| entry.shape.iter().fold(1usize, |n, &axis| n.saturating_mul(axis));
    let claimed = taken.tensors.iter().map(|(_, entry)| elements(entry).saturating_mul(4));
    match claimed.fold(0, usize::saturating_add) {
        claimed if claimed > most => Err(format!(
            "claims {claimed} bytes of weights, and has {length}: its tensors repeat what they are made of. The file is corrupt, \
             download or save it again"
        )),
        _ => Ok(()),
    }
}

/// The tensors of the network in a file of one dict; all, if there is no network.
fn of_network(tensors: Vec<(String, Entry)>, wanted: Option<&str>) -> Result<Taken, String> {
    let dict = (Vec::new(), tensors.iter().map(|(name, _)| name.as_str()).collect());
    let Some(mut choice) = choose(&[dict], wanted)? else { return Ok(Taken::all(tensors)) };
    let within = tensors.into_iter().filter_map(|(name, entry)| Some((choice.within(&name)?.to_string(), entry)));
    let within = within.collect();
    Ok(choice.taken(within))
}

impl fmt::Debug for WeightsFile {
    /// Without the bytes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeightsFile").field("name", &self.name).field("tensors", &self.tensors.len()).finish()
    }
}
