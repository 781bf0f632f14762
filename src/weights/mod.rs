//! Weights: from a file in torch's layout to the one canonical form that the network is built from.
//!
//! [`WeightsFile`] opens and checks a file and hands out single tensors as f32. [`NetworkWeights::load`] asks it for
//! what a [`Config`](crate::model::Config) needs, folds BatchNorm into the convolutions and turns every tensor into
//! the shaders' layout. [`synth`] makes deterministic weights for a network of any size.

mod canonical;
mod file;
mod fold;
mod names;
mod sniff;
mod source;
pub mod synth;

#[cfg(test)]
mod tests;

pub use canonical::{Block, Body, BoxHeadWeights, Conv, Fpn, Linear, MaskHeadWeights, NetworkWeights, RpnWeights};
pub use file::WeightsFile;
