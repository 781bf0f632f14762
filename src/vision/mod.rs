//! Images in, pictures and result files out: all that needs no GPU and no network.
//!
//! | file | what is in it |
//! |---|---|
//! | `image` | image files to 8-bit RGB with what was assumed on the way, or an error that says what is wrong |
//! | `pixels` | images whose pixels somebody else holds |
//! | `rows` | pictures read some rows at a time, for which memory need not have room |
//! | `mask`, `rle` | an instance's bits, and COCO's run-length code of them |
//! | `colour` | colours that tell instances and classes apart |
//! | `detections` | what a network found in an image |
//! | `coco` | that as a COCO results file |
//! | `draw` | that as a picture (feature `draw`) |
//! | `export` | that as other programs read it (feature `draw`) |
//! | `results` | both in a folder, beside files of others (feature `cli`) |
//! | `scene` | made-up microscopy with known nuclei, for demonstrations and tests |
//!
//! Coordinates are pixels of the original image: x to the right, y down, (0, 0) the top left corner of the first pixel.

#![warn(missing_docs)]

pub mod coco;
mod colour;
mod detections;
#[cfg(feature = "draw")]
mod draw;
#[cfg(feature = "draw")]
pub mod export;
mod image;
mod mask;
mod pixels;
#[cfg(feature = "cli")]
pub mod results;
mod rle;
mod rows;
pub mod scene;

pub use self::colour::class_colour;
pub(crate) use self::colour::instance_colour;
pub use self::detections::{Detection, Detections, SoftMask};
#[cfg(feature = "draw")]
pub use self::draw::{Board, Palette, Style, StyleParts, fitted, overlay, styled_overlay};
#[cfg(feature = "image")]
pub use self::image::{
    About, Channels, HEAD_BYTES, Normalize, Note, Pages, Piecewise, ReadOptions, Reading, is_decoding, is_image,
    read_file, read_stream,
};
pub use self::image::{Image, MAX_PIXELS, MAX_SIDE};
pub use self::mask::{Mask, MaskRun};
pub use self::pixels::{PixelFormat, Pixels};
#[cfg(feature = "cli")]
pub use self::results::save_png_atomic;
pub use self::rle::Rle;
pub use self::rows::{RowSource, Shrinker};
