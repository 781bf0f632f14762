//! The tuner: for each launch of a network, every way to run it is tried on the device, and the fastest is kept.
//!
//! The best guesses that the kernels make ([`crate::kernels::Kernel::variants`], [`crate::lowering::Lowering::pays`]) are
//! the defaults that ship, for CPU drivers and for GPUs. What the tuner finds better on one device is kept in the user's
//! cache folder, by device, driver and shaders.
//!
//! | file | what is in it |
//! |---|---|
//! | `candidates` | the ways to run an op |
//! | `search` | which of them is the fastest |
//! | `records` | what was found, on disk |

mod candidates;
mod records;
mod search;

pub use records::Records;
pub use search::{Outcome, Workload, launches, tune};
