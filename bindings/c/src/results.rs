//! What was found in an image.

use std::ffi::c_char;

use maskrcnn::engine::vision::coco;
use maskrcnn::{Detection, Detections};

use crate::buffers::{Grows, Room, Rows, text, write_struct};
use crate::handles::{self, maskrcnn_results};
use crate::masks::each_set;
use crate::options::score;
use crate::status::{Failure, MASKRCNN_ERROR_INDEX, MASKRCNN_ERROR_INTERNAL, entry, maskrcnn_status};

/// What a handle of results stands for.
pub struct Found {
    pub(crate) detections: Detections,
    /// Whether the network gives masks.
    pub(crate) masks: bool,
    /// What was assumed to read the image.
    pub(crate) notes: Vec<String>,
}

impl Found {
    pub(crate) fn at(&self, index: usize) -> Result<&Detection, Failure> {
        self.detections.items.get(index).ok_or_else(|| {
            let count = self.detections.len();
            Failure::new(
                MASKRCNN_ERROR_INDEX,
                format!("there is no detection {index}: {count} were found, numbered from 0"),
            )
        })
    }
}

/// What was found in an image, all together.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct maskrcnn_results_info {
    /// sizeof(maskrcnn_results_info), to be set before the call.
    pub struct_size: usize,
    /// Detections.
    pub count: usize,
    /// Further detections, for which the settings have no room (box.detections_per_img).
    pub left_out: usize,
    /// Width of the image in pixels.
    pub width: u32,
    /// Height of the image in pixels.
    pub height: u32,
    /// 1: there are masks. 0: boxes only.
    pub has_masks: i32,
    /// 1: more likely objects were proposed than the settings let through (rpn.pre_nms_top_n, rpn.post_nms_top_n), so that there may
    /// be some that nothing looked at. 0: there were not.
    pub crowded: i32,
}

// SAFETY: numbers.
unsafe impl Grows for maskrcnn_results_info {
    const FIRST: usize = size_of::<Self>();
}

/// One instance found. Coordinates are pixels of the image: x to the right, y down, (0, 0) the top left corner of the first pixel.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct maskrcnn_detection {
    /// sizeof(maskrcnn_detection), to be set before the call.
    pub struct_size: usize,
    /// The pixels of its mask. 0 where there are no masks.
    pub mask_area: u64,
    /// The box's left edge.
    pub x1: f32,
    /// Its upper edge.
    pub y1: f32,
    /// Its right edge: an edge, not a centre, so that the whole image is 0, 0, width, height.
    pub x2: f32,
    /// Its lower edge.
    pub y2: f32,
    /// The network's confidence, 0 to 1.
    pub score: f32,
    /// Its class: 1 or more, the background being 0.
    pub label: u32,
    /// The left column of the rectangle that its mask lies in.
    pub mask_x: u32,
    /// The top row.
    pub mask_y: u32,
    /// The columns; 0 where there are no masks.
    pub mask_width: u32,
    /// The rows; 0 where there are no masks.
    pub mask_height: u32,
}

// SAFETY: numbers.
unsafe impl Grows for maskrcnn_detection {
    const FIRST: usize = size_of::<Self>();
}

/// Gives results back. Null is well; a handle that was freed before is MASKRCNN_ERROR_HANDLE, and nothing else happens.
#[unsafe(no_mangle)]
pub extern "C" fn maskrcnn_results_free(results: *mut maskrcnn_results) -> maskrcnn_status {
    entry(|| handles::free(results))
}

/// How many instances were found; 0, too, where the handle is none, which maskrcnn_results_get_info tells apart.
#[unsafe(no_mangle)]
pub extern "C" fn maskrcnn_results_count(results: *const maskrcnn_results) -> usize {
    let mut count = 0;
    entry(|| {
        count = handles::get(results)?.using(|found| Ok(found.detections.len()))?;
        Ok(())
    });
    count
}

/// What was found, all together. info.struct_size is set before the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn maskrcnn_results_get_info(
    results: *const maskrcnn_results,
    info: *mut maskrcnn_results_info,
) -> maskrcnn_status {
    entry(|| {
        handles::get(results)?.using(|found| {
            let all = &found.detections;
            let told = maskrcnn_results_info {
                struct_size: 0,
                count: all.len(),
                left_out: all.left_out.len(),
                width: all.width,
                height: all.height,
                has_masks: found.masks.into(),
                crowded: all.crowded.into(),
            };
            // SAFETY: the caller's pointer is what the header asks for.
            unsafe { write_struct("info", info, told) }
        })
    })
}

/// One of the instances, which are numbered from 0 by falling score. detection.struct_size is set before the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn maskrcnn_results_get(
    results: *const maskrcnn_results,
    index: usize,
    detection: *mut maskrcnn_detection,
) -> maskrcnn_status {
    entry(|| {
        handles::get(results)?.using(|found| {
            let Detection { bbox: [x1, y1, x2, y2], score, label, ref mask, .. } = *found.at(index)?;
            let told = maskrcnn_detection {
                struct_size: 0,
                mask_area: mask.area(),
                x1,
                y1,
                x2,
                y2,
                score,
                label,
                mask_x: mask.x,
                mask_y: mask.y,
                mask_width: mask.w,
                mask_height: mask.h,
            };
            // SAFETY: the caller's pointer is what the header asks for.
            unsafe { write_struct("detection", detection, told) }
        })
    })
}

/// The name of a class, in UTF-8, into a buffer of `length` bytes: "class 7" for one that has none.
///
/// needed: its bytes, the closing NUL included; may be null. A null buffer of length 0 asks for that alone.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn maskrcnn_results_class_name(
    results: *const maskrcnn_results,
    label: u32,
    buffer: *mut c_char,
    length: usize,
    needed: *mut usize,
) -> maskrcnn_status {
    entry(|| {
        let room = Room { buffer, length, needed };
        // SAFETY: the caller's pointers are what the header asks for.
        handles::get(results)?.using(|found| unsafe { room.fill_text("the name", &found.detections.name(label)) })
    })
}

/// What was assumed, left out or changed to read an image file, a sentence a line, in UTF-8; empty for an ordinary picture and
/// for pixels. Buffer, length and needed as in maskrcnn_results_class_name.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn maskrcnn_results_notes(
    results: *const maskrcnn_results,
    buffer: *mut c_char,
    length: usize,
    needed: *mut usize,
) -> maskrcnn_status {
    entry(|| {
        let room = Room { buffer, length, needed };
        // SAFETY: the caller's pointers are what the header asks for.
        handles::get(results)?.using(|found| unsafe { room.fill_text("the notes", &found.notes.join("\n")) })
    })
}

/// The results as COCO has them: a JSON array, in UTF-8, that pycocotools' loadRes reads, with masks as compressed run-length code. The text
/// is made anew by each call.
///
/// image_id: how the image is called there; digits alone become a number.
/// Buffer, length and needed as in maskrcnn_results_class_name.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn maskrcnn_results_coco_json(
    results: *const maskrcnn_results,
    image_id: *const c_char,
    buffer: *mut c_char,
    length: usize,
    needed: *mut usize,
) -> maskrcnn_status {
    entry(|| {
        let room = Room { buffer, length, needed };
        // SAFETY: the caller's pointers are what the header asks for.
        unsafe {
            let id = text("image_id", image_id)?.ok_or_else(|| Failure::argument("image_id", "is null"))?;
            handles::get(results)?.using(|found| {
                let json = serde_json::to_string(&coco::results(&found.detections, id));
                let json =
                    json.map_err(|e| Failure::new(MASKRCNN_ERROR_INTERNAL, format!("no JSON: {e}; please report it")))?;
                room.fill_text("the JSON", &json)
            })
        }
    })
}

/// A map of the whole image: for each pixel 0, or 1 + the number of the instance that it belongs to. Where masks overlap, the higher
/// score wins.
///
/// least_score: instances below are left out; 0 takes all.
/// ids: `length` elements; rows of the image's width begin `stride` elements after one another, and what lies between them is not
/// touched.
///
/// Errors: MASKRCNN_ERROR_ARGUMENT for a stride below the width, _BUFFER for too few elements, _NO_MASKS for boxes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn maskrcnn_results_id_map(
    results: *const maskrcnn_results,
    least_score: f32,
    ids: *mut u32,
    length: usize,
    stride: usize,
) -> maskrcnn_status {
    entry(|| {
        let least = score("least_score", least_score)?;
        handles::get(results)?.using(|found| {
            found.with_masks()?;
            let all = &found.detections;
            let (width, height) = (all.width as usize, all.height as usize);
            let rows = Rows::new(ids, length, stride, (width, height))?;
            let shown = (1..).zip(&all.items).filter(|(_, one)| one.score >= least);
            let shown: Vec<(u32, &Detection)> = shown.collect();
            let mut row = vec![0_u32; width];
            for y in 0..all.height {
                row.fill(0);
                // The best is painted last.
                for &(id, one) in shown.iter().rev() {
                    each_set(&one.mask, y, |x| row.get_mut(x as usize).into_iter().for_each(|pixel| *pixel = id));
                }
                // SAFETY: one of the rows that were checked, and the caller says that they can be written to.
                unsafe { rows.write(y as usize, &row) };
            }
            Ok(())
        })
    })
}
