//! One instance's pixels, as bytes, bits and COCO's run-length code.

use std::ffi::c_char;

use maskrcnn::{Mask, Rle};

use crate::buffers::{Room, Rows};
use crate::handles::{self, maskrcnn_results};
use crate::results::Found;
use crate::status::{Failure, MASKRCNN_ERROR_NO_MASKS, entry, maskrcnn_status};

/// How much of the image a mask is given for: one of MASKRCNN_EXTENT_….
pub type maskrcnn_extent = i32;

/// All of it.
pub const MASKRCNN_EXTENT_IMAGE: maskrcnn_extent = 0;
/// The rectangle that the mask lies in: mask_x, mask_y, mask_width and mask_height of maskrcnn_detection.
pub const MASKRCNN_EXTENT_RECTANGLE: maskrcnn_extent = 1;

impl Found {
    /// Refuses a network of boxes.
    pub(crate) fn with_masks(&self) -> Result<(), Failure> {
        let reason = "the network gives boxes only: there are no masks";
        self.masks.then_some(()).ok_or_else(|| Failure::new(MASKRCNN_ERROR_NO_MASKS, reason))
    }

    /// A mask, and the rectangle (x, y, width, height) that is wanted of it.
    fn mask(&self, index: usize, extent: maskrcnn_extent) -> Result<(&Mask, [u32; 4]), Failure> {
        self.with_masks()?;
        let mask = &self.at(index)?.mask;
        match extent {
            MASKRCNN_EXTENT_IMAGE => Ok((mask, [0, 0, self.detections.width, self.detections.height])),
            MASKRCNN_EXTENT_RECTANGLE => Ok((mask, [mask.x, mask.y, mask.w, mask.h])),
            other => {
                let reason = format!("is {other}: give MASKRCNN_EXTENT_IMAGE or MASKRCNN_EXTENT_RECTANGLE (0 or 1)");
                Err(Failure::argument("extent", reason))
            }
        }
    }

    fn rle(&self, index: usize) -> Result<Rle, Failure> {
        self.with_masks()?;
        Ok(self.at(index)?.mask.to_rle(self.detections.width, self.detections.height))
    }
}

/// Calls `see` with each column of the image that is set in row `y` of it, from the left.
pub(crate) fn each_set(mask: &Mask, y: u32, mut see: impl FnMut(u32)) {
    let Some(r) = y.checked_sub(mask.y).filter(|&r| r < mask.h) else { return };
    for (x, &word) in (mask.x..).step_by(32).zip(mask.row(r)) {
        let mut left = word;
        while left != 0 {
            see(x + left.trailing_zeros());
            left &= left - 1;
        }
    }
}

/// A mask as bytes, one a pixel, row by row from the top: `inside` where it is set, 0 elsewhere.
///
/// index: of the instance, from 0.
/// extent: one of MASKRCNN_EXTENT_….
/// inside: 1 to 255; 255 for a picture to look at.
/// buffer: `length` bytes; rows begin `stride` bytes after one another, and what lies between them is not touched.
///
/// Errors: MASKRCNN_ERROR_INDEX, _ARGUMENT for a stride shorter than a row, _BUFFER for too few bytes, _NO_MASKS for boxes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn maskrcnn_mask_bytes(
    results: *const maskrcnn_results,
    index: usize,
    extent: maskrcnn_extent,
    inside: u8,
    buffer: *mut u8,
    length: usize,
    stride: usize,
) -> maskrcnn_status {
    entry(|| {
        handles::get(results)?.using(|found| {
            let (mask, [x0, y0, width, height]) = found.mask(index, extent)?;
            if inside == 0 {
                return Err(Failure::argument("inside", "is 0, as what is outside: give 1 to 255"));
            }
            let rows = Rows::new(buffer, length, stride, (width as usize, height as usize))?;
            let mut row = vec![0; width as usize];
            for y in 0..height {
                row.fill(0);
                each_set(mask, y0 + y, |x| {
                    row.get_mut((x - x0) as usize).into_iter().for_each(|pixel| *pixel = inside)
                });
                // SAFETY: one of the rows that were checked, and the caller says that they can be written to.
                unsafe { rows.write(y as usize, &row) };
            }
            Ok(())
        })
    })
}

/// A mask as bits: rows from the top, ceil(width / 32) words each, without gaps; the leftmost pixel of a word is its lowest bit, and bits
/// past the row's end are 0.
///
/// words: room for `length` of them.
/// needed: how many there are; may be null. A null buffer of length 0 asks for that alone.
///
/// Errors: MASKRCNN_ERROR_INDEX, _BUFFER for too few words, _NO_MASKS for boxes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn maskrcnn_mask_bits(
    results: *const maskrcnn_results,
    index: usize,
    extent: maskrcnn_extent,
    words: *mut u32,
    length: usize,
    needed: *mut usize,
) -> maskrcnn_status {
    entry(|| {
        let room = Room { buffer: words, length, needed };
        handles::get(results)?.using(|found| {
            let (mask, [x0, y0, width, height]) = found.mask(index, extent)?;
            let a_row = width.div_ceil(32) as usize;
            let mut bits = vec![0_u32; a_row * height as usize];
            for (y, row) in (y0..).zip(bits.chunks_exact_mut(a_row.max(1))) {
                each_set(mask, y, |x| {
                    let at = x - x0;
                    row.get_mut(at as usize / 32).into_iter().for_each(|word| *word |= 1 << (at % 32));
                });
            }
            // SAFETY: the caller's pointers are what the header asks for.
            unsafe { room.fill("the mask", &bits) }
        })
    })
}

/// A mask as COCO's run-length code: how many pixels of 0, of 1, of 0, … follow each other, over the whole image column by column (top to
/// bottom, then left to right). They add up to width * height; the first may be 0.
///
/// counts: room for `length` of them.
/// needed: how many there are; may be null. A null buffer of length 0 asks for that alone.
///
/// Errors: as maskrcnn_mask_bits.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn maskrcnn_mask_rle(
    results: *const maskrcnn_results,
    index: usize,
    counts: *mut u32,
    length: usize,
    needed: *mut usize,
) -> maskrcnn_status {
    entry(|| {
        let room = Room { buffer: counts, length, needed };
        // SAFETY: the caller's pointers are what the header asks for.
        handles::get(results)?.using(|found| unsafe { room.fill("the code", &found.rle(index)?.counts) })
    })
}

/// The same as the compressed text that COCO's files have ("counts", as pycocotools' encode gives it).
///
/// buffer: room for `length` bytes.
/// needed: its bytes, the closing NUL included; may be null. A null buffer of length 0 asks for that alone.
///
/// Errors: as maskrcnn_mask_bits.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn maskrcnn_mask_rle_string(
    results: *const maskrcnn_results,
    index: usize,
    buffer: *mut c_char,
    length: usize,
    needed: *mut usize,
) -> maskrcnn_status {
    entry(|| {
        let room = Room { buffer, length, needed };
        // SAFETY: the caller's pointers are what the header asks for.
        handles::get(results)?
            .using(|found| unsafe { room.fill_text("the code", &found.rle(index)?.to_compressed_string()) })
    })
}
