//! Pictures that the caller holds.

use maskrcnn::{PixelFormat, Pixels};

use crate::status::Failure;

/// How the bytes of a pixel are ordered, 8 bits a sample: one of MASKRCNN_FORMAT_….
pub type maskrcnn_format = i32;

/// Red, green, blue. Read where it lies if there is nothing between rows; of all others a copy is made.
pub const MASKRCNN_FORMAT_RGB8: maskrcnn_format = 0;
/// Red, green, blue, alpha, which is dropped without compositing.
pub const MASKRCNN_FORMAT_RGBA8: maskrcnn_format = 1;
/// Blue, green, red: OpenCV's order.
pub const MASKRCNN_FORMAT_BGR8: maskrcnn_format = 2;
/// Blue, green, red, alpha, which is dropped likewise.
pub const MASKRCNN_FORMAT_BGRA8: maskrcnn_format = 3;
/// One sample, taken for red, green and blue.
pub const MASKRCNN_FORMAT_GREY8: maskrcnn_format = 4;

/// Pixels as the library takes them: the caller's, or a copy where it does not know their order.
pub(crate) enum Given<'a> {
    Borrowed(Pixels<'a>),
    Turned { width: u32, height: u32, rgb: Vec<u8> },
}

impl<'a> Given<'a> {
    /// Checks that they are an image.
    pub(crate) fn new(
        data: &'a [u8],
        (width, height): (u32, u32),
        stride: usize,
        format: maskrcnn_format,
    ) -> Result<Self, Failure> {
        let known = match format {
            // As many bytes as RGB, so that the same is checked of them.
            MASKRCNN_FORMAT_RGB8 | MASKRCNN_FORMAT_BGR8 => PixelFormat::Rgb,
            MASKRCNN_FORMAT_RGBA8 => PixelFormat::Rgba,
            MASKRCNN_FORMAT_BGRA8 => PixelFormat::Bgra,
            MASKRCNN_FORMAT_GREY8 => PixelFormat::Grey,
            other => {
                let reason =
                    format!("is {other}: give one of MASKRCNN_FORMAT_RGB8, _RGBA8, _BGR8, _BGRA8, _GREY8 (0 to 4)");
                return Err(Failure::argument("format", reason));
            }
        };
        let pixels = Pixels::with_stride(known, width, height, stride, data)?;
        if format != MASKRCNN_FORMAT_BGR8 {
            return Ok(Self::Borrowed(pixels));
        }
        let mut rgb = pixels.to_image()?.into_rgb();
        rgb.chunks_exact_mut(3).for_each(|pixel| pixel.swap(0, 2));
        Ok(Self::Turned { width, height, rgb })
    }

    /// They.
    pub(crate) fn pixels(&self) -> Result<Pixels<'_>, Failure> {
        match self {
            Self::Borrowed(pixels) => Ok(*pixels),
            Self::Turned { width, height, rgb } => Ok(Pixels::new(PixelFormat::Rgb, *width, *height, rgb)?),
        }
    }
}
