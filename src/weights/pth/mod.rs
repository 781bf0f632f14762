//! PyTorch checkpoints (`.pth`, `.pt`), read without Python and without running anything that they ask for.
//!
//! A checkpoint is a pickle, a program for a small stack machine that builds Python objects, and the raw bytes of
//! the tensors' storages. [`zip`] takes them out of the archives that torch writes since 1.6, [`legacy`] out of the
//! format before. [`pickle`] runs the program as far as dicts, lists and tensors go; all other objects are opaque to it,
//! and a name that could do harm refuses the file. [`script`] makes a state dict of a TorchScript program's objects. [`state`] finds the network's tensors among its values, and [`view`]
//! checks that each lies within its storage.
//!
//! Nothing is copied from the file but names and shapes. Every number in it is taken for a lie until checked.

mod array;
mod legacy;
mod pickle;
mod script;
mod state;
mod told;
mod view;
mod zip;

#[cfg(test)]
mod tests;

use super::selection::Taken;

/// What to do about a file that arrived damaged.
const DOWNLOAD: &str = "download it again";

/// What to do about a file that holds more than tensors.
const SAVE_STATE: &str = "load it in Python, if you trust where it comes from, and save `model.state_dict()` alone";

/// All tensors of the network in a checkpoint, in file order, wrappers and prefixes removed; `wanted` says which
/// network, where there are several. Of a state dict that is no such network's, all tensors.
///
/// # Errors
/// What is wrong and what to do, as a sentence that reads on after "weights FILE: ".
pub(super) fn read(bytes: &[u8], wanted: Option<&str>) -> Result<Taken, String> {
    // A shorter beginning of the magic is a download that broke off.
    if bytes.starts_with(zip::MAGIC) || zip::MAGIC.starts_with(bytes) {
        zip::read(bytes, wanted)
    } else if is_tar(bytes) {
        Err("is a tar archive, PyTorch's format before 0.1.10 or none of its formats: load it in Python with an old \
             PyTorch and save `model.state_dict()` with a current one"
            .into())
    } else if is_old(bytes) {
        legacy::arrays(bytes, wanted)
    } else {
        legacy::read(bytes, wanted)
    }
}

/// Whether these bytes begin like one of PyTorch's containers: a zip archive, a pickle, or the tar archive that is
/// only recognised.
pub(super) fn is_pth(bytes: &[u8]) -> bool {
    bytes.starts_with(zip::MAGIC) || matches!(bytes, [0x80, 2..=5, ..]) || is_old(bytes) || is_tar(bytes)
}

/// Whether it is a single pickle, which has all there is.
pub(super) fn is_single(bytes: &[u8]) -> bool {
    is_old(bytes) || is_legacy(bytes) && legacy::is_single(bytes)
}

/// Whether these bytes begin like a dict in a pickle of protocol 0 or 1.
fn is_old(bytes: &[u8]) -> bool {
    matches!(bytes, [b'(', b'd', b'p', b'0'..=b'9', ..] | [b'}', b'q' | b'(', ..])
}

/// Whether a checkpoint is in the container that torch.save wrote by default until version 1.6, of 2020.
pub(super) fn is_legacy(bytes: &[u8]) -> bool {
    matches!(bytes, [0x80, 2..=5, ..])
}

/// Whether these bytes begin like a tar archive.
fn is_tar(bytes: &[u8]) -> bool {
    bytes.get(257..262) == Some(b"ustar")
}
