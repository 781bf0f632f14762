//! The kernels: each is `shaders/<name>.wgsl` and `src/kernels/<name>.rs`, a shader for one of the [ops](crate::ops), or for
//! an op of its own that only a [lowering](crate::lowering) makes. Adding one is those two files and one line in `with_kernels!`
//! below.
//!
//! Nothing here knows a GPU. A kernel says how it may be compiled ([`Kernel::variants`]), how it is launched
//! ([`Kernel::launch`]), in what order it reads weights ([`Kernel::pack`]), and what it is tested with (`cases`). Tests,
//! benchmarks and the engine read the same contract.

mod blocked;
pub mod case;
mod contract;
mod half_precision;
mod matrix;
mod roi_levels;
pub mod schedule;
mod tiled;
mod walks;
pub(crate) mod winograd;

pub use case::{Case, Tolerance};
pub use contract::{Kernel, Launch, LiveGrid, ParamField, Params, Variant, fold_grid, in_f16, variants};
pub use half_precision::rounded_to_f16;
pub(crate) use half_precision::{PACKED_F16, packed_f16, wide};
pub(crate) use schedule::BLOCK_STEP;
pub use schedule::Schedule;

use std::sync::Arc;

use crate::ops::{Info, Op};

macro_rules! kernels {
    ($($name:ident: $op:path,)*) => {
        $(pub mod $name;)*

        /// What the registry knows of one kernel.
        pub struct Entry {
            /// The shader's file name without its ending.
            pub name: &'static str,
            /// The shader's text, before preprocessing.
            pub source: &'static str,
            /// Its `Params` struct: name, offset and size of each field, checked against the WGSL by reflection.
            pub params: fn() -> Vec<ParamField>,
            /// The cases that tests and benchmarks run.
            pub cases: fn() -> Vec<Case>,
            /// The op as a kernel, where it is this one's and the shader does it.
            pub of: fn(&dyn Op, &[Info]) -> Option<Arc<dyn Kernel>>,
        }

        /// Every kernel, by name.
        pub const REGISTRY: &[Entry] = &[$(Entry {
            name: stringify!($name),
            source: include_str!(concat!("../../shaders/", stringify!($name), ".wgsl")),
            params: $name::params,
            cases: $name::cases,
            of: as_kernel::<$op>,
        }),*];
    };
}

/// Hands every kernel's name, and the op that its shader does, to a macro: the list that registry and tests are made of.
#[doc(hidden)]
#[macro_export]
macro_rules! with_kernels {
    ($with:ident) => {
        $with! {
            preprocess: $crate::ops::preprocess::Preprocess,
            warp: $crate::ops::warp::Warp,
            conv2d: $crate::ops::conv2d::Conv2d,
            depthwise_conv2d: $crate::kernels::depthwise_conv2d::DepthwiseConv2d,
            grouped_conv2d: $crate::kernels::grouped_conv2d::GroupedConv2d,
            deconv2d: $crate::ops::deconv2d::Deconv2d,
            deconv_predict: $crate::kernels::deconv_predict::DeconvPredict,
            linear: $crate::ops::linear::Linear,
            predict: $crate::ops::predict::Predict,
            elementwise: $crate::ops::elementwise::Elementwise,
            live_grids: $crate::kernels::live_grids::LiveGrids,
            winograd_in: $crate::kernels::winograd_in::WinogradIn,
            winograd_gemm: $crate::kernels::winograd_gemm::WinogradGemm,
            winograd_out: $crate::kernels::winograd_out::WinogradOut,
            winograd_conv2d: $crate::kernels::winograd_conv2d::WinogradConv2d,
            winograd_matrix: $crate::kernels::winograd_matrix::WinogradMatrix,
            split_product: $crate::kernels::split_product::SplitProduct,
            split_sum: $crate::kernels::split_sum::SplitSum,
            max_pool: $crate::ops::max_pool::MaxPool,
            mean_pool: $crate::ops::mean_pool::MeanPool,
            group_norm: $crate::ops::group_norm::GroupNorm,
            topk: $crate::ops::topk::TopK,
            topk_tiles: $crate::kernels::topk_tiles::TopKTiles,
            topk_join: $crate::kernels::topk_join::TopKJoin,
            topk_select: $crate::kernels::topk_select::TopKSelect,
            topk_sort: $crate::kernels::topk_sort::TopKSort,
            topk_merge: $crate::kernels::topk_merge::TopKMerge,
            rpn_decode: $crate::ops::rpn_decode::RpnDecode,
            nms: $crate::ops::nms::Nms,
            nms_pairs: $crate::kernels::nms_pairs::NmsPairs,
            nms_sweep: $crate::kernels::nms_sweep::NmsSweep,
            soft_nms: $crate::ops::soft_nms::SoftNms,
            collect: $crate::ops::collect::Collect,
            move_ends: $crate::ops::move_ends::MoveEnds,
            gather_groups: $crate::ops::gather_groups::GatherGroups,
            take_rows: $crate::ops::take_rows::TakeRows,
            put_rows: $crate::ops::put_rows::PutRows,
            roi_align: $crate::ops::roi_align::RoiAlign,
            roi_crop: $crate::ops::roi_crop::RoiCrop,
            roi_pool: $crate::ops::roi_pool::RoiPool,
            softmax: $crate::ops::softmax::Softmax,
            class_decode: $crate::ops::class_decode::ClassDecode,
            mask_predict: $crate::ops::mask_predict::MaskPredict,
            paste_layout: $crate::ops::paste_layout::PasteLayout,
            paste: $crate::ops::paste::Paste,
            gather_pixels: $crate::ops::gather_pixels::GatherPixels,
            instance_ids: $crate::ops::instance_ids::InstanceIds,
            tint: $crate::ops::tint::Tint,
            anchors: $crate::ops::anchors::Anchors,
            best_overlaps: $crate::ops::matching::BestOverlaps,
            match_boxes: $crate::ops::matching::MatchBoxes,
            append_boxes: $crate::ops::append_boxes::AppendBoxes,
            sampling_keys: $crate::ops::sampling_keys::SamplingKeys,
            samples: $crate::ops::samples::Samples,
            gather_rows: $crate::ops::gather_rows::GatherRows,
            box_targets: $crate::ops::targets::BoxTargets,
            label_targets: $crate::ops::targets::LabelTargets,
            mask_targets: $crate::ops::targets::MaskTargets,
            take_class: $crate::ops::take_class::TakeClass,
            binary_loss: $crate::ops::losses::BinaryLoss,
            class_loss: $crate::ops::losses::ClassLoss,
            box_loss: $crate::ops::losses::BoxLoss,
            roof_copy: $crate::kernels::roof_copy::RoofCopy,
            roof_fma: $crate::kernels::roof_fma::RoofFma,
            roof_matrix: $crate::kernels::roof_matrix::RoofMatrix,
        }
    };
}

with_kernels!(kernels);

/// The registry's entry of that name.
pub fn entry(name: &str) -> Option<&'static Entry> {
    REGISTRY.iter().find(|e| e.name == name)
}

/// The kernel whose shader does this op with these inputs, if there is one.
pub fn of(op: &dyn Op, inputs: &[Info]) -> Option<Arc<dyn Kernel>> {
    REGISTRY.iter().find_map(|entry| (entry.of)(op, inputs))
}

fn as_kernel<K: Kernel + Clone>(op: &dyn Op, inputs: &[Info]) -> Option<Arc<dyn Kernel>> {
    let kernel = op.downcast::<K>().filter(|kernel| kernel.takes(inputs))?;
    Some(Arc::new(kernel.clone()))
}
