//! The kernels: each is `shaders/<name>.wgsl` and `src/kernels/<name>.rs`, the second holding the contract, the CPU
//! twin and the cases. Adding one is those two files and one word in `kernels!` below.
//!
//! Nothing here knows a GPU. A kernel says what shapes it makes ([`Kernel::infer`]), how it may be compiled
//! ([`Kernel::variants`]), how it is launched ([`Kernel::launch`]), what it costs ([`Kernel::cost`]) and, in plain
//! loops with f64 sums, what it computes ([`Kernel::twin`]). Tests, benchmarks and the engine read the same contract.

mod blocked;
pub mod case;
mod contract;
pub mod frame;
mod halves;
pub mod levels;
mod matrix;
mod pieces;
pub mod sampling;
mod tiled;
mod walks;
mod winograd;

pub use case::{Case, Tolerance};
pub use contract::{
    Caps, Cost, Info, Io, Kernel, Launch, LiveGrid, Matrices, Matrix, ParamField, Params, TEXELS_A_ROW, Variant,
    fold_grid,
};
pub use halves::rounded_to_f16;
pub use pieces::{Joined, METHODS, Operand, Piece, Pieces, Want};

macro_rules! kernels {
    ($($name:ident),* $(,)?) => {
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
        }

        /// Every kernel, by name.
        pub const REGISTRY: &[Entry] = &[$(Entry {
            name: stringify!($name),
            source: include_str!(concat!("../../shaders/", stringify!($name), ".wgsl")),
            params: $name::params,
            cases: $name::cases,
        }),*];
    };
}

kernels![
    preprocess,
    conv2d,
    deconv2d,
    deconv_predict,
    linear,
    predict,
    live_grids,
    winograd_in,
    winograd_gemm,
    winograd_out,
    split_product,
    split_sum,
    max_pool,
    topk,
    topk_select,
    topk_sort,
    topk_merge,
    rpn_decode,
    nms,
    collect,
    gather_groups,
    take_rows,
    put_rows,
    roi_align,
    softmax,
    class_decode,
    mask_predict,
    paste_layout,
    paste,
    roof_copy,
    roof_fma,
    roof_matrix,
];

/// The registry's entry of that name.
pub fn entry(name: &str) -> Option<&'static Entry> {
    REGISTRY.iter().find(|e| e.name == name)
}
