//! The header of a safetensors file.

use std::collections::HashMap;

use safetensors::tensor::{Metadata, TensorInfo};

use super::entry::Entry;
use super::file::CURE;
use super::sniff::format_of;

/// Bytes of the little-endian header length that a file begins with.
const PREFIX: usize = 8;

/// Longest header read. ResNet-101's is 60 KB; the safetensors crate would allow 100 MB, and JSON arrays of small
/// numbers take over twenty times their text in memory.
const LONGEST_HEADER: u64 = 2 << 20;

/// Whether `bytes` begin like a safetensors file. The header is a JSON object; requiring its brace where it belongs
/// separates the formats: a length prefix of 640 begins like a pickle, and one of 0x46554747 like GGUF.
pub(super) fn is_safetensors(bytes: &[u8]) -> bool {
    bytes.get(PREFIX) == Some(&b'{')
}

/// Every tensor by name, and the metadata.
pub(super) type Table = (Vec<(String, Entry)>, HashMap<String, String>);

/// Reads the header. Allocates in proportion to the header alone, whatever sizes it claims.
/// The error is a sentence that goes on after the file's name.
pub(super) fn read(bytes: &[u8]) -> Result<Table, String> {
    let (start, table) = read_header(bytes)?;
    let entry = |info: &TensorInfo| Entry {
        dtype: info.dtype,
        shape: info.shape.clone(),
        strides: Entry::dense_strides(&info.shape),
        start: start + info.data_offsets.0,
    };
    let tensors = table.tensors().into_iter().map(|(name, info)| (name, entry(info))).collect();
    Ok((tensors, table.metadata().clone().unwrap_or_default()))
}

/// Parses and checks the header: returns where the tensors begin, and their table.
fn read_header(bytes: &[u8]) -> Result<(usize, Metadata), String> {
    if !is_safetensors(bytes) {
        return Err(format!("is not a safetensors file: {CURE}"));
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
