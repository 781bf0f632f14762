//! What changes from image to image while a plan stays: real sizes and ratios, in a small buffer that is copied in
//! within the submit.

use super::sampling::Sampling;
use crate::tensor::Value;

/// Words of a [`Frame`] in its buffer.
pub const FRAME_WORDS: usize = 12;

/// One image of a batch, as `shaders/shared/frame.wgsl` reads it.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Frame {
    /// Rows of the image as it came.
    pub in_h: u32,
    /// Its columns.
    pub in_w: u32,
    /// Rows after the resize, before the padding.
    pub out_h: u32,
    /// Columns then.
    pub out_w: u32,
    /// in / out of the rows, divided in f32, as torchvision's `resize_boxes` multiplies boxes on the way back.
    pub back_y: f32,
    /// The same of the columns.
    pub back_x: f32,
    /// Word of the pixel buffer at which this image begins.
    pub first_word: u32,
    /// Pixels of a row there: those of the image that the resize reads ([`Sampling`]).
    pub sent_w: u32,
    /// Rows of padding above the image.
    pub top: u32,
    /// Columns of padding left of it.
    pub left: u32,
    /// The least byte of the image, where its resize makes no less.
    pub least: u32,
    /// Nothing.
    pub spare: u32,
}

impl Frame {
    /// An image of `input` (rows, columns) that is resized to `output`, its pixels beginning at `first_word`.
    pub fn new(input: (u32, u32), output: (u32, u32), first_word: u32) -> Self {
        let ratio = |a: u32, b: u32| a as f32 / b as f32;
        Self {
            in_h: input.0,
            in_w: input.1,
            out_h: output.0,
            out_w: output.1,
            back_y: ratio(input.0, output.0),
            back_x: ratio(input.1, output.1),
            first_word,
            sent_w: Sampling::new(input, output).x.sent(),
            top: 0,
            left: 0,
            least: 0,
            spare: 0,
        }
    }

    /// Frames of a batch as a tensor `[B, 12]`.
    pub fn value(frames: &[Frame]) -> Value {
        let words: &[u32] = bytemuck::cast_slice(frames);
        Value::u32([frames.len(), FRAME_WORDS], words.to_vec())
    }

    /// Frame `i` of such a tensor.
    pub fn of(value: &Value, i: usize) -> Frame {
        let words: [u32; FRAME_WORDS] = std::array::from_fn(|w| value.ints()[i * FRAME_WORDS + w]);
        bytemuck::cast(words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows and columns have ratios of their own: a frame that mixes them up passes every test of one ratio, and the
    /// twins read the same frame.
    #[test]
    fn each_axis_has_its_own_ratio() {
        let frame = Frame::new((100, 200), (50, 800), 7);
        assert_eq!((frame.in_h, frame.in_w, frame.out_h, frame.out_w), (100, 200, 50, 800));
        assert_eq!((frame.back_y, frame.back_x), (2.0, 0.25));
        // Of an enlarged row, all columns are read.
        assert_eq!((frame.first_word, frame.sent_w), (7, 200));
        let other = Frame::new((3, 5), (9, 11), 1);
        let value = Frame::value(&[frame, other]);
        assert_eq!(value.shape.dims(), &[2, FRAME_WORDS as u32][..]);
        assert_eq!([Frame::of(&value, 0), Frame::of(&value, 1)], [frame, other]);
    }
}
