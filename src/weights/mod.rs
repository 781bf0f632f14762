//! Weights: from a file in torch's layout to the one canonical form that the network is built from.
//!
//! [`WeightsFile`] opens and checks a file and hands out single tensors as f32. [`NetworkWeights::load`] asks it for
//! what a [`Config`](crate::config::Config) needs, folds BatchNorm into the convolutions and turns every tensor into
//! the shaders' layout.
//!
//! | file | what is in it |
//! |---|---|
//! | `file`, `entry` | a file of any format; where in it a tensor lies |
//! | `header`, `pth`, `onnx`, `h5`, `sniff` | safetensors; PyTorch checkpoints; ONNX models; Keras's HDF5; what else a file may be |
//! | `selection` | which of a file's tensors are the network's |
//! | `layers` | the layers that a network has, and their shapes |
//! | `family` | what a project calls them, and what it takes for granted: a file a family |
//! | `bound` | a file's tensors by layer |
//! | `infer`, `eps`, `settings` | the configuration, from names and shapes; where each setting comes from |
//! | `canonical`, `mobilenet`, `reader`, `fold` | from torch's layout to ours |
//! | `names` | how messages show a file's names |
//! | `inspect`, `convert` | what a file is; the same in our form |
//! | `pull` | the files that projects publish |
//! | `synth` | deterministic weights for a network of any size |

mod bound;
mod canonical;
pub mod convert;
mod entry;
mod eps;
mod family;
mod file;
mod fold;
mod h5;
mod header;
mod infer;
pub mod inspect;
mod layers;
mod locate;
mod mobilenet;
mod names;
mod onnx;
mod pth;
#[cfg(feature = "pull")]
pub mod pull;
mod python;
mod reader;
mod selection;
mod settings;
mod sniff;
pub mod synth;

#[cfg(test)]
mod tests;

pub use canonical::{
    Affine, Block, Body, BoxHeadWeights, Conv, Fpn, Linear, MOST_BYTES, MaskHeadWeights, NetworkWeights, Predictor,
    RpnWeights,
};
pub use file::{Format, WeightsFile};
#[cfg(feature = "pull")]
pub use locate::not_here;
pub use locate::{locate, published};
pub use mobilenet::{Inverted, Squeeze};
pub use selection::Selection;
pub use settings::{Doubt, Epsilon, Origin, Settings};
