//! A network, opened: made ready, asked what it is, given pictures.

use std::ffi::c_char;

use maskrcnn::engine::vision::{MAX_PIXELS, MAX_SIDE, ReadOptions, Reading};
use maskrcnn::{Detector, Pixels, Precision};

use crate::buffers::{Grows, Room, bytes, put, read_struct, text, write_struct};
use crate::handles::{self, maskrcnn_detector, maskrcnn_results};
use crate::options::{MASKRCNN_PRECISION_F16, MASKRCNN_PRECISION_F32, maskrcnn_options, maskrcnn_precision};
use crate::pixels::{Given, maskrcnn_format};
use crate::results::Found;
use crate::status::{Failure, MASKRCNN_ERROR_IMAGE, entry, maskrcnn_status};

/// What a handle of a detector stands for.
pub struct Opened {
    pub(crate) detector: Detector,
    /// Whether compiled shaders are kept.
    pub(crate) keeps: bool,
}

/// What a detector is.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct maskrcnn_detector_info {
    /// sizeof(maskrcnn_detector_info), to be set before the call.
    pub struct_size: usize,
    /// MASKRCNN_PRECISION_F32 or _F16: what is computed in, also where MASKRCNN_PRECISION_AUTO was asked for.
    pub precision: maskrcnn_precision,
    /// 1: it gives masks. 0: boxes only.
    pub has_masks: i32,
    /// Its classes, the background (class 0) included.
    pub classes: u32,
    /// 1: compiled shaders are kept in options.pipeline_folder. 0: that was not asked for, or the driver gives none to keep.
    pub keeps_pipelines: i32,
}

// SAFETY: numbers.
unsafe impl Grows for maskrcnn_detector_info {
    const FIRST: usize = size_of::<Self>();
}

/// Opens a network: reads its weights, then opens the device. Shaders are compiled at the first image of a size, or by
/// maskrcnn_warm_up.
///
/// options: null for the model in the library on the best device, with all else as its file has it.
/// detector: where to put the handle, which is the caller's, to be freed by maskrcnn_detector_free; null where the call fails.
///
/// Errors: MASKRCNN_ERROR_IO, _WEIGHTS, _TENSOR and _SHAPE for what is wrong with the file, _CONFIG for settings that cannot be,
/// _NO_DEVICE where there is no GPU driver or not that device, _UNSUPPORTED where it has no f16.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn maskrcnn_open(
    options: *const maskrcnn_options,
    detector: *mut *mut maskrcnn_detector,
) -> maskrcnn_status {
    entry(|| {
        // SAFETY: the caller's pointers are what the header asks for.
        unsafe {
            put("detector", detector, std::ptr::null_mut())?;
            let opened = match options.is_null() {
                true => std::mem::zeroed::<maskrcnn_options>().open()?,
                false => read_struct("options", options)?.open()?,
            };
            put("detector", detector, handles::give(opened)?)
        }
    })
}

/// Gives a detector back. Calls of other threads that are at it end as usual; its results stay. Null is well; a handle that was
/// freed before is MASKRCNN_ERROR_HANDLE, and nothing else happens.
#[unsafe(no_mangle)]
pub extern "C" fn maskrcnn_detector_free(detector: *mut maskrcnn_detector) -> maskrcnn_status {
    entry(|| handles::free(detector))
}

/// Makes all ready for images of that size, in pixels, as their first detection would: shaders compiled, weights and memory on the device.
///
/// Errors: MASKRCNN_ERROR_IMAGE for a size that no image can have, _LIMIT and _OUT_OF_MEMORY where the device cannot take it,
/// _SHAPE where settings and weights do not go together.
#[unsafe(no_mangle)]
pub extern "C" fn maskrcnn_warm_up(detector: *const maskrcnn_detector, width: u32, height: u32) -> maskrcnn_status {
    entry(|| {
        handles::get(detector)?.using(|opened| {
            let pixels = u64::from(width) * u64::from(height);
            if pixels == 0 || pixels > MAX_PIXELS || width.max(height) > MAX_SIDE {
                let most = MAX_PIXELS >> 20;
                let reason = format!(
                    "an image cannot be {width}x{height}: a side has 1 to {MAX_SIDE} pixels, all {most} Mi at most"
                );
                return Err(Failure::new(MASKRCNN_ERROR_IMAGE, reason));
            }
            Ok(opened.detector.warm_up(height, width)?)
        })
    })
}

/// What a detector is. info.struct_size is set before the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn maskrcnn_detector_get_info(
    detector: *const maskrcnn_detector,
    info: *mut maskrcnn_detector_info,
) -> maskrcnn_status {
    entry(|| {
        handles::get(detector)?.using(|opened| {
            let (config, f16) = (opened.detector.config(), opened.detector.precision() == Precision::F16);
            let told = maskrcnn_detector_info {
                struct_size: 0,
                precision: if f16 { MASKRCNN_PRECISION_F16 } else { MASKRCNN_PRECISION_F32 },
                has_masks: config.mask.is_some().into(),
                classes: u32::try_from(config.num_classes).unwrap_or(u32::MAX),
                keeps_pipelines: opened.keeps.into(),
            };
            // SAFETY: the caller's pointer is what the header asks for.
            unsafe { write_struct("info", info, told) }
        })
    })
}

/// The name of the device that a detector runs on, in UTF-8, into a buffer of `length` bytes.
///
/// needed: its bytes, the closing NUL included; may be null. A null buffer of length 0 asks for that alone.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn maskrcnn_detector_device_name(
    detector: *const maskrcnn_detector,
    buffer: *mut c_char,
    length: usize,
    needed: *mut usize,
) -> maskrcnn_status {
    entry(|| {
        let room = Room { buffer, length, needed };
        // SAFETY: the caller's pointers are what the header asks for.
        handles::get(detector)?.using(|opened| unsafe { room.fill_text("the name", opened.detector.device().name()) })
    })
}

/// Detects in pixels of the caller's, which stay as they are until the call returns.
///
/// pixels: `length` bytes, 8 bits a sample, row by row from the top; rows begin `stride` bytes after one another, and what lies between them
/// is not looked at. The last row may end with its pixels.
/// width, height: in pixels; a side has 65535 at most, all 128 Mi.
/// format: one of MASKRCNN_FORMAT_….
/// results: where to put the handle, which is the caller's, to be freed by maskrcnn_results_free; null where the call fails.
///
/// Errors: MASKRCNN_ERROR_IMAGE for pixels that are no image: a side of 0, a stride shorter than a row, fewer bytes than that; _LIMIT and
/// _OUT_OF_MEMORY where the device cannot take it, _DEVICE_LOST and _DEVICE where it fails.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn maskrcnn_detect(
    detector: *const maskrcnn_detector,
    pixels: *const u8,
    length: usize,
    width: u32,
    height: u32,
    stride: usize,
    format: maskrcnn_format,
    results: *mut *mut maskrcnn_results,
) -> maskrcnn_status {
    entry(|| {
        // SAFETY: the caller's pointers are what the header asks for.
        unsafe {
            put("results", results, std::ptr::null_mut())?;
            let found = handles::get(detector)?.using(|opened| {
                let given = Given::new(bytes("pixels", pixels, length)?, (width, height), stride, format)?;
                found(opened, given.pixels()?, Vec::new())
            })?;
            put("results", results, handles::give(found)?)
        }
    })
}

/// Detects in an image file that is in memory: PNG, JPEG, TIFF, BMP, WebP or GIF, told from its content. What was assumed to read
/// it, maskrcnn_results_notes tells.
///
/// Errors: as maskrcnn_detect; MASKRCNN_ERROR_IMAGE, too, for bytes that are truncated, damaged or no image.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn maskrcnn_detect_encoded(
    detector: *const maskrcnn_detector,
    file: *const u8,
    length: usize,
    results: *mut *mut maskrcnn_results,
) -> maskrcnn_status {
    entry(|| {
        // SAFETY: the caller's pointers are what the header asks for.
        unsafe {
            put("results", results, std::ptr::null_mut())?;
            let found = handles::get(detector)?.using(|opened| {
                let file = bytes("file", file, length)?;
                read(opened, ReadOptions::default().decode(file, "in memory")?)
            })?;
            put("results", results, handles::give(found)?)
        }
    })
}

/// Detects in an image file, its path in UTF-8.
///
/// Errors: as maskrcnn_detect_encoded, and MASKRCNN_ERROR_IO for a file that cannot be read.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn maskrcnn_detect_file(
    detector: *const maskrcnn_detector,
    path: *const c_char,
    results: *mut *mut maskrcnn_results,
) -> maskrcnn_status {
    entry(|| {
        // SAFETY: the caller's pointers are what the header asks for.
        unsafe {
            put("results", results, std::ptr::null_mut())?;
            let path = text("path", path)?.ok_or_else(|| Failure::argument("path", "is null"))?;
            let found = handles::get(detector)?.using(|opened| read(opened, ReadOptions::default().open(path)?))?;
            put("results", results, handles::give(found)?)
        }
    })
}

fn read(opened: &Opened, reading: Reading) -> Result<Found, Failure> {
    let notes = reading.notes.iter().map(ToString::to_string).collect();
    found(opened, (&reading.image).into(), notes)
}

fn found(opened: &Opened, pixels: Pixels<'_>, notes: Vec<String>) -> Result<Found, Failure> {
    let masks = opened.detector.config().mask.is_some();
    Ok(Found { detections: opened.detector.detect(pixels)?, masks, notes })
}
