//! The ops: what a network is made of. Each says what it reads ([`Op::operands`]), what shapes it makes ([`Op::infer`]), what
//! that costs ([`Op::cost`]) and, in plain loops with f64 sums, what it computes ([`Op::twin`]).
//!
//! Nothing here knows a shader or a device: a [kernel](crate::kernels) is a shader for an op, a
//! [lowering](crate::lowering) a way to carry an op out by kernels. Ops that only a lowering makes (a sum of parts, a
//! tile's points) live beside their kernels.

mod op;

pub mod activation;
pub mod anchors;
pub mod append_boxes;
pub mod class_decode;
pub mod collect;
pub mod conv2d;
pub mod deconv2d;
pub mod elementwise;
pub mod frame;
pub mod gather_groups;
pub mod gather_pixels;
pub mod gather_rows;
pub mod group_norm;
pub mod instance_ids;
pub mod levels;
pub mod linear;
pub(crate) mod live;
pub mod losses;
pub mod mask_predict;
pub mod matching;
pub mod max_pool;
pub mod mean_pool;
pub mod move_ends;
pub mod nms;
pub mod opencv;
pub mod paste;
pub mod paste_layout;
pub mod pillow;
pub mod predict;
pub mod preprocess;
pub mod put_rows;
pub mod roi_align;
pub mod roi_crop;
pub mod roi_levels;
pub mod roi_pool;
pub mod rpn_decode;
pub mod samples;
pub mod sampling;
pub mod sampling_keys;
pub mod soft_nms;
pub mod softmax;
pub mod take_class;
pub mod take_rows;
pub mod targets;
pub mod tint;
pub mod topk;
pub(crate) mod walks;
pub mod warp;

pub use op::{Cost, Info, Io, Op, Operand, Setting, check, key};
pub(crate) use op::{on, pair, settings, slice, unless, value};
