//! The C interface of maskrcnn: what `include/maskrcnn.h` declares, which is made of this source (`header/`).
//!
//! What a caller in C can do wrong is answered, and not left to chance:
//!
//! - **Handles are numbers, not addresses** ([`handles`]). A pointer that C holds is a key of a table here and is never followed. One
//!   that was freed, freed twice, made up, or of another kind is not in the table, and the call says so; no number is given
//!   twice, so that a stale handle cannot mean a new object. A magic word in the object itself would have to be read from memory that was
//!   given back. The table costs a lock for reading and a look-up a call, some 50 ns.
//! - **Every buffer comes with its length**, and is asked for its size by a null one ([`buffers`]).
//! - **No panic leaves** ([`status`]): each function is one `entry`, which turns it into an error. The object that it happened in is
//!   poisoned: whatever else is asked of it is refused, and it can be freed.
//!
//! What cannot be told: a pointer to memory that is not the caller's, a length that is not that of the buffer, text without its
//! closing NUL, memory that another thread writes to meanwhile. This is what every `# Safety` here would say, and why none does.
//!
//! | file | what is in it |
//! |---|---|
//! | [`status`] | kinds of errors, the last one of each thread, panics |
//! | [`handles`] | the table of what was given out |
//! | [`buffers`] | memory of the caller's: text, structs that grow, arrays |
//! | [`options`], [`detector`] | a network, opened |
//! | [`pixels`] | pictures that the caller holds, or files of them |
//! | [`results`], [`masks`] | what was found |

#![allow(non_camel_case_types, clippy::missing_safety_doc)]

#[cfg(panic = "abort")]
compile_error!("a panic must not end the caller's program: build with panic = \"unwind\"");

pub mod buffers;
pub mod detector;
pub mod handles;
pub mod masks;
pub mod options;
pub mod pixels;
pub mod results;
pub mod status;

#[cfg(test)]
mod tests;

use std::ffi::c_char;

/// The interface that this header is of. A library with another number has other functions, structs or meanings; one with
/// the same has at least what this header declares, and may have more.
pub const MASKRCNN_ABI_VERSION: u32 = 1;

/// The interface of the library that is linked: to be compared with MASKRCNN_ABI_VERSION. Cannot fail.
#[unsafe(no_mangle)]
pub extern "C" fn maskrcnn_abi_version() -> u32 {
    MASKRCNN_ABI_VERSION
}

/// The library's own version, "0.1.0": text that is there for as long as the library is. Cannot fail.
#[unsafe(no_mangle)]
pub extern "C" fn maskrcnn_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}
