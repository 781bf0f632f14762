//! The container before torch 1.6: five pickles one after another, then the storages.

use std::collections::HashMap;
use std::ops::Range;

use safetensors::Dtype;

use super::pickle::{self, Node, Pickle, lossy};
use super::{DOWNLOAD, SAVE_STATE, state};
use crate::weights::names::shown;
use crate::weights::selection::Taken;

/// The first pickle's value, after the opcode LONG1 and its length, and the opcode STOP.
const MAGIC: [u8; 13] = *b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";

/// The second pickle's value.
const PROTOCOL: i64 = 1001;

/// All tensors of the network in a file of this format: see [`state::tensors`].
pub(super) fn read(bytes: &[u8], wanted: Option<&str>) -> Result<Taken, String> {
    let Some(mut rest) = after_magic(bytes)? else { return arrays(bytes, wanted) };
    let protocol = next(&mut rest)?;
    if !matches!(protocol.root(), Node::Int(PROTOCOL)) {
        return Err(format!("is of another version than {PROTOCOL} of PyTorch's legacy format: {SAVE_STATE}"));
    }
    check_system(&next(&mut rest)?)?;
    let object = next(&mut rest)?;
    let keys = next(&mut rest)?;
    let places = storages(&object, &keys, bytes.len() - rest.len(), rest)?;
    state::tensors(&object, wanted, |key, _| {
        places.get(key).cloned().ok_or_else(|| format!("has no data in the file: it is corrupt, {DOWNLOAD}"))
    })
}

/// All tensors of the network in a single pickle, where they are NumPy's arrays: what detectron2 publishes.
pub(super) fn arrays(bytes: &[u8], wanted: Option<&str>) -> Result<Taken, String> {
    let pickle = pickle::run_whole(bytes)?;
    if pickle.length < bytes.len() {
        return Err(format!("is corrupt: {} bytes follow its pickle: {DOWNLOAD}", bytes.len() - pickle.length));
    }
    state::tensors(&pickle, wanted, |_, _| {
        Err(format!("has its data outside of the file, as no checkpoint has: {SAVE_STATE} with torch.save"))
    })
}

/// Whether a pickle has something else in it than the magic number.
pub(super) fn is_single(bytes: &[u8]) -> bool {
    matches!(after_magic(bytes), Ok(None))
}

/// What follows the pickle of the magic number; `None` where there is another.
fn after_magic(bytes: &[u8]) -> Result<Option<&[u8]>, String> {
    // PROTO, and from protocol 4 on FRAME with a length.
    let rest = bytes.get(2..).unwrap_or_default();
    let rest = if rest.first() == Some(&0x95) { rest.get(9..).unwrap_or_default() } else { rest };
    match rest.strip_prefix(&MAGIC) {
        Some(rest) => Ok(Some(rest)),
        None if MAGIC.starts_with(rest) => Err(format!("is truncated in its first bytes: {DOWNLOAD}")),
        None => Ok(None),
    }
}

/// Runs the next pickle, and leaves in `rest` what follows it.
fn next<'a>(rest: &mut &'a [u8]) -> Result<Pickle<'a>, String> {
    let pickle = pickle::run(rest)?;
    *rest = rest.get(pickle.length..).unwrap_or_default();
    Ok(pickle)
}

/// Refuses files of machines that store numbers the other way round.
fn check_system(system: &Pickle<'_>) -> Result<(), String> {
    let Node::Dict(fields) = system.root() else {
        return Err(format!("is corrupt: it does not say what machine it is of: {DOWNLOAD}"));
    };
    let is_endianness = |key| matches!(key, Node::Text(span) if system.text(span) == b"little_endian");
    let found = system.arena.pairs(fields).find(|(key, _)| is_endianness(system.arena.node(*key)));
    match found.map(|(_, value)| system.arena.node(value)) {
        Some(Node::Bool(true)) => Ok(()),
        Some(Node::Bool(false)) => Err(format!("has big-endian numbers: {SAVE_STATE} on a little-endian machine")),
        _ => Err(format!("is corrupt: it does not say whether its numbers are little-endian: {DOWNLOAD}")),
    }
}

/// Where in the file each storage's elements are. `keys` is the list of storages in the order of their data, which
/// is `data` and begins at offset `start`.
fn storages<'a>(
    object: &'a Pickle<'_>,
    keys: &Pickle<'_>,
    start: usize,
    data: &[u8],
) -> Result<HashMap<&'a [u8], Range<usize>>, String> {
    let described = described(object)?;
    let Node::List(list) = keys.root() else {
        return Err(format!("is corrupt: it does not list its storages: {DOWNLOAD}"));
    };
    let mut places = HashMap::new();
    let mut rest = data;
    for key in keys.arena.items(list) {
        let Node::Text(span) = keys.arena.node(key) else {
            return Err(format!("is corrupt: it lists a storage that has no name: {DOWNLOAD}"));
        };
        let key = keys.text(span);
        let name = || shown(&lossy(key));
        let Some((&key, &(dtype, count))) = described.get_key_value(key) else {
            if object.arena.foreign {
                return Err(format!(
                    "has tensors of a type that weights do not have, of complex or quantized numbers, in storage `{}`: \
                     {SAVE_STATE}",
                    name()
                ));
            }
            return Err(format!("is corrupt: it lists storage `{}`, which no tensor has: {DOWNLOAD}", name()));
        };
        let Some((head, body)) = rest.split_first_chunk() else {
            return Err(format!("is truncated: it ends before storage `{}`: {DOWNLOAD}", name()));
        };
        let claimed = i64::from_le_bytes(*head);
        if u64::try_from(claimed) != Ok(count) {
            let name = name();
            return Err(format!(
                "is corrupt: storage `{name}` has {claimed} elements, and its tensors say {count}: {DOWNLOAD}"
            ));
        }
        let length = count.checked_mul((dtype.bitsize() / 8) as u64).and_then(|bytes| usize::try_from(bytes).ok());
        let Some(left) = length.and_then(|length| body.get(length..)) else {
            return Err(format!(
                "is truncated: storage `{}` has {count} elements of {dtype}, and {} bytes are left: {DOWNLOAD}",
                name(),
                body.len()
            ));
        };
        let end = data.len() - left.len();
        if places.insert(key, start + end - (body.len() - left.len())..start + end).is_some() {
            return Err(format!("is corrupt: it lists storage `{}` twice: {DOWNLOAD}", name()));
        }
        rest = left;
    }
    match rest.len() {
        0 => Ok(places),
        left => Err(format!("is corrupt: {left} bytes follow its last storage: {DOWNLOAD}")),
    }
}

/// Type and number of elements of each storage, as the object's pickle has them.
fn described<'a>(object: &'a Pickle<'_>) -> Result<HashMap<&'a [u8], (Dtype, u64)>, String> {
    let mut described = HashMap::new();
    for storage in object.arena.storages() {
        let key = object.text(storage.key);
        let this = (storage.dtype, storage.count);
        if *described.entry(key).or_insert(this) != this {
            let name = shown(&lossy(key));
            return Err(format!("is corrupt: its tensors disagree on storage `{name}`: {DOWNLOAD}"));
        }
    }
    Ok(described)
}
