//! A safetensors file, mapped into memory and checked as far as its header goes.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::Path;

use half::{bf16, f16};
use memmap2::Mmap;
use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};

use super::names::{closest, shown};
use super::sniff::format_of;
use crate::error::{Error, Result};
use crate::model::Config;
use crate::tensor::HostTensor;

/// Bytes of the little-endian header length that a file begins with.
const PREFIX: usize = 8;

/// Longest header read. ResNet-101's is 60 KB; the safetensors crate would allow 100 MB, and JSON arrays of small
/// numbers take over ten times their text in memory.
const LONGEST_HEADER: u64 = 4 << 20;

/// What every message about an unreadable file ends with.
const CURE: &str = "convert the weights to .safetensors with torchvision's tensor names and a `config` JSON string in \
                    the metadata";

/// An open `.safetensors` file: f64, f32, f16 or bf16 tensors under torchvision's names, and string metadata.
///
/// Opening reads the header alone. Values are converted tensor by tensor, when asked for.
pub struct WeightsFile {
    /// Path, or what stands for it in messages.
    name: String,
    bytes: Bytes,
    /// Offset of the first tensor's bytes; the header's offsets count from here.
    start: usize,
    /// By name, sorted, so that messages and iteration do not depend on a hash. Ranges lie within `bytes`.
    tensors: BTreeMap<String, TensorInfo>,
    metadata: HashMap<String, String>,
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

impl WeightsFile {
    /// Opens and maps the file at `path`.
    ///
    /// The mapping follows the file: do not overwrite it in place while this value lives (replacing it by renaming
    /// is safe).
    ///
    /// # Errors
    /// [`Error::Weights`] if there is no such file, it cannot be read, or it is not a sound safetensors file; the
    /// message names the format found instead.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let name = path.display().to_string();
        let refuse = |reason: String| Error::Weights { file: name.clone(), reason };
        let unreadable = |e: std::io::Error| match e.kind() {
            std::io::ErrorKind::NotFound => refuse("there is no such file: check the path".into()),
            _ => refuse(format!("cannot be read: {e}")),
        };
        // Before opening: opening a named pipe would wait for a writer.
        let kind = std::fs::metadata(path).map_err(unreadable)?;
        if kind.is_dir() {
            return Err(refuse("is a directory: name the .safetensors file in it".into()));
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
        Self::new(Bytes::Mapped(map), name)
    }

    /// Reads a file that is in memory already: `&'static [u8]` (embedded) or `Vec<u8>`. `name` stands for it in
    /// messages.
    ///
    /// # Errors
    /// [`Error::Weights`] as for [`WeightsFile::open`].
    pub fn from_bytes(bytes: impl Into<Cow<'static, [u8]>>, name: impl Into<String>) -> Result<Self> {
        Self::new(Bytes::Held(bytes.into()), name.into())
    }

    fn new(bytes: Bytes, name: String) -> Result<Self> {
        let (start, header) =
            read_header(bytes.get()).map_err(|reason| Error::Weights { file: name.clone(), reason })?;
        let tensors = header.tensors().into_iter().map(|(name, info)| (name, info.clone())).collect();
        let metadata = header.metadata().clone().unwrap_or_default();
        Ok(Self { name, bytes, start, tensors, metadata })
    }

    /// The path, or what stands for it in messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The strings of the header's `__metadata__`; empty if it has none.
    pub fn metadata(&self) -> &HashMap<String, String> {
        &self.metadata
    }

    /// The network's settings, from the metadata's `config`.
    ///
    /// # Errors
    /// [`Error::Weights`] if there is none or it is not JSON; [`Error::Config`] naming a setting that cannot be.
    pub fn config(&self) -> Result<Config> {
        let json = self.metadata.get("config").ok_or_else(|| Error::Weights {
            file: self.name.clone(),
            reason: "its metadata has no `config`, the JSON string that describes the network (backbone, anchors, \
                     classes, transform): add it when converting, or give a configuration explicitly"
                .into(),
        })?;
        Config::from_json(json, &self.name)
    }

    /// Names of all tensors, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
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
    pub fn tensor(&self, name: &str, expected_shape: &[usize]) -> Result<HostTensor> {
        let refuse = |reason: String| Error::Tensor { file: self.name.clone(), tensor: name.into(), reason };
        let Some(info) = self.tensors.get(name) else {
            return Err(refuse(match closest(name, self.names()) {
                Some(other) => format!("is missing; the closest name in the file is `{}`", shown(other)),
                None => "is missing; the file has no tensors".into(),
            }));
        };
        if info.shape != expected_shape {
            let reason = format!("has shape {:?}, and the configuration needs {expected_shape:?}", info.shape);
            return Err(refuse(reason));
        }
        let (first, last) = info.data_offsets;
        // The header was checked when the file was opened, so both the range and the size within it hold.
        let bytes = &self.bytes.get()[self.start + first..self.start + last];
        let Some(data) = to_f32(info.dtype, bytes) else {
            return Err(refuse(format!("holds {}, and f32, f16, bf16 or f64 is needed", info.dtype)));
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

impl fmt::Debug for WeightsFile {
    /// Without the bytes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeightsFile").field("name", &self.name).field("tensors", &self.tensors.len()).finish()
    }
}

/// Parses and checks the header: returns where the tensors begin, and their table. Allocates in proportion to the
/// header alone, whatever sizes it claims.
fn read_header(bytes: &[u8]) -> std::result::Result<(usize, Metadata), String> {
    if bytes.is_empty() {
        return Err("is empty: download or convert it again".into());
    }
    // The header is a JSON object. Requiring its brace where it belongs separates the formats: a length prefix of 640
    // begins like a pickle, and one of 0x46554747 like GGUF.
    let json = bytes.get(PREFIX) == Some(&b'{');
    if !json {
        return Err(match format_of(bytes) {
            Some(format) => format!("is {format}: {CURE}"),
            None => format!("is not a safetensors file: {CURE}"),
        });
    }
    let mut prefix = [0; PREFIX];
    prefix.copy_from_slice(&bytes[..PREFIX]);
    let length = u64::from_le_bytes(prefix);
    let rest = &bytes[PREFIX..];
    let header = match usize::try_from(length).ok().and_then(|n| rest.get(..n)) {
        Some(header) if length <= LONGEST_HEADER => header,
        _ => {
            // Another format may have a brace at offset 8 by chance; its magic then fails as a length.
            if let Some(format) = format_of(bytes) {
                return Err(format!("is {format}: {CURE}"));
            }
            let have = rest.len();
            return Err(match length <= LONGEST_HEADER {
                true => {
                    format!("is truncated: its header has {length} bytes, and only {have} follow: download it again")
                }
                false => format!("is corrupt: it claims a header of {length} bytes, allowed {LONGEST_HEADER}"),
            });
        }
    };
    // Not `SafeTensors::deserialize`: version 0.8 adds the header's length to the end of the data unchecked, which
    // panics for offsets near 2^64 where overflow checks are on. `Metadata` checks shapes, types, gaps and overlaps.
    let table: Metadata = serde_json::from_slice(header).map_err(|e| format!("has a corrupt header ({e}): {CURE}"))?;
    let (have, need) = (rest.len() - header.len(), table.data_len());
    match have.cmp(&need) {
        std::cmp::Ordering::Equal => Ok((PREFIX + header.len(), table)),
        std::cmp::Ordering::Less => Err(format!(
            "is truncated: its tensors take {need} bytes, and only {have} follow \
                                                 the header: download it again"
        )),
        std::cmp::Ordering::Greater => Err(format!(
            "is corrupt: {} bytes follow its last tensor: download or convert \
                                                    it again",
            have - need
        )),
    }
}

/// Little-endian values of any floating-point type as f32; `None` for other types.
fn to_f32(dtype: Dtype, bytes: &[u8]) -> Option<Vec<f32>> {
    fn each<const N: usize>(bytes: &[u8], convert: impl Fn([u8; N]) -> f32) -> Vec<f32> {
        let value = |chunk: &[u8]| {
            let mut raw = [0; N];
            raw.copy_from_slice(chunk);
            convert(raw)
        };
        bytes.chunks_exact(N).map(value).collect()
    }
    Some(match dtype {
        Dtype::F64 => each(bytes, |raw| f64::from_le_bytes(raw) as f32),
        Dtype::F32 => each(bytes, f32::from_le_bytes),
        Dtype::F16 => each(bytes, |raw| f16::from_le_bytes(raw).to_f32()),
        Dtype::BF16 => each(bytes, |raw| bf16::from_le_bytes(raw).to_f32()),
        _ => return None,
    })
}
