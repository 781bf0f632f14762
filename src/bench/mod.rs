//! The instruments: how long a kernel takes at a network's own shapes, and whether a change helps.
//!
//! | file | what is in it |
//! |---|---|
//! | `work` | what to measure: the launches of a network, or one of given shapes |
//! | `shapes` | a kernel from the shapes of its inputs and a few settings |
//! | `measure` | one variant of one launch, timed |
//! | `sources` | the text that a variant runs: as built in, or from a folder |
//! | `stats` | medians and their uncertainty |
//! | `record` | results as JSON and CSV |
//! | `compare` | now against before, run in turn |

pub mod compare;
pub mod measure;
pub mod record;
mod shapes;
mod sources;
pub mod stats;
pub mod work;

pub use compare::{Change, Verdict};
pub use measure::{Effort, Measured, Subject};
pub use record::Record;
pub use sources::Sources;
pub use stats::Summary;
pub use work::Work;
