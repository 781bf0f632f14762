//! Every function beside the library itself, on the same pixels, bit for bit.

use std::ffi::{CStr, CString, c_char};
use std::ptr::null_mut;
use std::sync::OnceLock;

use maskrcnn::engine::vision::coco;
use maskrcnn::{Detections, Image};
use maskrcnn_c::detector::*;
use maskrcnn_c::handles::{maskrcnn_detector, maskrcnn_results};
use maskrcnn_c::masks::*;
use maskrcnn_c::options::*;
use maskrcnn_c::pixels::*;
use maskrcnn_c::results::*;
use maskrcnn_c::status::*;

use super::common::{coloured, detector, picture, picture_png, weights};

/// The text of an error goes with each failure.
pub(super) fn said() -> String {
    // SAFETY: the library's own text, of this thread.
    unsafe { CStr::from_ptr(maskrcnn_last_error()) }.to_str().unwrap().to_string()
}

pub(super) fn ok(status: maskrcnn_status) {
    assert_eq!(status, MASKRCNN_OK, "{}", said());
}

/// The small network, with options.
pub(super) fn open(change: impl FnOnce(&mut maskrcnn_options)) -> (maskrcnn_status, *mut maskrcnn_detector) {
    let path = CString::new(weights().to_str().unwrap()).unwrap();
    let mut handle = null_mut();
    // SAFETY: the pointers are those of values here.
    unsafe {
        let mut options = std::mem::zeroed::<maskrcnn_options>();
        ok(maskrcnn_options_init(&mut options, size_of::<maskrcnn_options>()));
        options.weights = path.as_ptr();
        change(&mut options);
        (maskrcnn_open(&options, &mut handle), handle)
    }
}

/// One for all tests: a handle is a number.
pub(super) fn opened() -> *const maskrcnn_detector {
    static HANDLE: OnceLock<usize> = OnceLock::new();
    let handle = HANDLE.get_or_init(|| {
        let (status, handle) = open(|_| ());
        ok(status);
        handle.addr()
    });
    std::ptr::without_provenance(*handle)
}

pub(super) fn detect(
    with: *const maskrcnn_detector,
    data: &[u8],
    (width, height): (u32, u32),
    stride: usize,
    format: maskrcnn_format,
) -> (maskrcnn_status, *mut maskrcnn_results) {
    let mut results = null_mut();
    // SAFETY: the pointers are those of values here.
    let status =
        unsafe { maskrcnn_detect(with, data.as_ptr(), data.len(), width, height, stride, format, &mut results) };
    assert_eq!(status == MASKRCNN_OK, !results.is_null());
    (status, results)
}

/// What was found in a picture of pixels.
pub(super) fn found(image: &Image) -> *mut maskrcnn_results {
    let size = (image.width(), image.height());
    let (status, results) = detect(opened(), image.rgb(), size, 3 * size.0 as usize, MASKRCNN_FORMAT_RGB8);
    ok(status);
    results
}

/// Asks for the length, then for the answer, and in vain with one too few.
pub(super) fn filled<T: Clone + PartialEq + std::fmt::Debug>(
    nothing: T,
    call: impl Fn(*mut T, usize, *mut usize) -> maskrcnn_status,
) -> Vec<T> {
    let mut needed = 0;
    ok(call(null_mut(), 0, &mut needed));
    let mut out = vec![nothing.clone(); needed + 1];
    if needed > 0 {
        assert_eq!(call(out.as_mut_ptr(), needed - 1, null_mut()), MASKRCNN_ERROR_BUFFER);
        assert!(said().contains(&format!("takes {needed} elements, and the buffer has {}", needed - 1)), "{}", said());
        assert!(out.iter().all(|v| *v == nothing), "written in part");
    }
    ok(call(out.as_mut_ptr(), needed, null_mut()));
    assert_eq!(out.pop(), Some(nothing), "written past the end");
    out
}

pub(super) fn text(call: impl Fn(*mut c_char, usize, *mut usize) -> maskrcnn_status) -> String {
    let bytes: Vec<u8> = filled(0, call).into_iter().map(|c| c as u8).collect();
    CString::from_vec_with_nul(bytes).unwrap().into_string().unwrap()
}

fn get(results: *const maskrcnn_results, index: usize) -> maskrcnn_detection {
    // SAFETY: the pointers are those of values here.
    unsafe {
        let mut out = std::mem::zeroed::<maskrcnn_detection>();
        out.struct_size = size_of::<maskrcnn_detection>();
        ok(maskrcnn_results_get(results, index, &mut out));
        assert_eq!(out.struct_size, size_of::<maskrcnn_detection>());
        out
    }
}

fn results_info(results: *const maskrcnn_results) -> maskrcnn_results_info {
    // SAFETY: the pointers are those of values here.
    unsafe {
        let mut info = std::mem::zeroed::<maskrcnn_results_info>();
        info.struct_size = size_of::<maskrcnn_results_info>();
        ok(maskrcnn_results_get_info(results, &mut info));
        info
    }
}

/// Compares all that can be asked of results with what the library found.
fn compare(results: *const maskrcnn_results, want: &Detections) {
    assert_eq!(maskrcnn_results_count(results), want.len());
    let (w, h) = (want.width as usize, want.height as usize);
    for (i, d) in want.iter().enumerate() {
        let one = get(results, i);
        assert_eq!([one.x1, one.y1, one.x2, one.y2].map(f32::to_bits), d.bbox.map(f32::to_bits));
        assert_eq!((one.score.to_bits(), one.label, one.mask_area), (d.score.to_bits(), d.label, d.mask.area()));
        let rectangle = [one.mask_x, one.mask_y, one.mask_width, one.mask_height];
        assert_eq!(rectangle, [d.mask.x, d.mask.y, d.mask.w, d.mask.h]);
        // SAFETY: the pointers are those of values here.
        unsafe {
            assert_eq!(
                text(|b, n, need| maskrcnn_results_class_name(results, d.label, b, n, need)),
                want.name(d.label)
            );
            let rle = d.mask.to_rle(want.width, want.height);
            assert_eq!(filled(7, |b, n, need| maskrcnn_mask_rle(results, i, b, n, need)), rle.counts);
            let compressed = text(|b, n, need| maskrcnn_mask_rle_string(results, i, b, n, need));
            assert_eq!(compressed, rle.to_compressed_string());
            let image = d.mask.to_image(want.width, want.height).into_raw();
            let bits = filled(7, |b, n, need| maskrcnn_mask_bits(results, i, MASKRCNN_EXTENT_IMAGE, b, n, need));
            assert_eq!(bits.len(), w.div_ceil(32) * h);
            let bit = |x: usize, y: usize| bits[y * w.div_ceil(32) + x / 32] >> (x % 32) & 1 == 1;
            assert!((0..w * h).all(|p| bit(p % w, p / w) == (image[p] == 255)));
            let set: u64 = bits.iter().map(|b| u64::from(b.count_ones())).sum();
            assert_eq!(set, one.mask_area, "bits past the rows' ends");
            let bits = filled(7, |b, n, need| maskrcnn_mask_bits(results, i, MASKRCNN_EXTENT_RECTANGLE, b, n, need));
            assert_eq!(bits, d.mask.bits);
            for gap in [0, 3] {
                let stride = w + gap;
                let mut bytes = vec![9; stride * (h - 1) + w];
                let (to, n) = (bytes.as_mut_ptr(), bytes.len());
                ok(maskrcnn_mask_bytes(results, i, MASKRCNN_EXTENT_IMAGE, 255, to, n, stride));
                let at = |x: usize, y: usize| image.get(y * w + x).copied().filter(|_| x < w).unwrap_or(9);
                assert!(bytes.iter().enumerate().all(|(p, &v)| v == at(p % stride, p / stride)), "gap {gap}");
                assert_eq!(
                    maskrcnn_mask_bytes(results, i, MASKRCNN_EXTENT_IMAGE, 1, to, n - 1, stride),
                    MASKRCNN_ERROR_BUFFER
                );
                assert_eq!(
                    maskrcnn_mask_bytes(results, i, MASKRCNN_EXTENT_IMAGE, 1, to, n, w - 1),
                    MASKRCNN_ERROR_ARGUMENT
                );
            }
            let (rw, rh) = (d.mask.w as usize, d.mask.h as usize);
            let mut bytes = vec![9_u8; rw * rh];
            ok(maskrcnn_mask_bytes(results, i, MASKRCNN_EXTENT_RECTANGLE, 1, bytes.as_mut_ptr(), rw * rh, rw));
            let inside = |p: usize| d.mask.get(d.mask.x + (p % rw) as u32, d.mask.y + (p / rw) as u32);
            assert!(bytes.iter().enumerate().all(|(p, &v)| v == u8::from(inside(p))));
        }
    }
    // SAFETY: the pointers are those of values here.
    unsafe {
        for least in [0.0, want.first().map_or(1.0, |d| d.score)] {
            let mut ids = vec![77; (w + 2) * h];
            ok(maskrcnn_results_id_map(results, least, ids.as_mut_ptr(), ids.len(), w + 2));
            let shown = || want.iter().enumerate().filter(|(_, d)| d.score >= least);
            let id = |x: usize, y: usize| {
                shown().find(|(_, d)| d.mask.get(x as u32, y as u32)).map_or(0, |(i, _)| i as u32 + 1)
            };
            let at = |p: usize| if p % (w + 2) < w { id(p % (w + 2), p / (w + 2)) } else { 77 };
            assert!(ids.iter().enumerate().all(|(p, &v)| v == at(p)), "at least {least}");
            assert_eq!(maskrcnn_results_id_map(results, least, ids.as_mut_ptr(), w * h - 1, w), MASKRCNN_ERROR_BUFFER);
        }
        let json = text(|b, n, need| maskrcnn_results_coco_json(results, c"0042".as_ptr(), b, n, need));
        assert_eq!(json, serde_json::to_string(&coco::results(want, "0042")).unwrap());
        let info = results_info(results);
        assert_eq!((info.width, info.height, info.count), (want.width, want.height, want.len()));
        assert_eq!((info.left_out, info.crowded == 1), (want.left_out.len(), want.crowded));
    }
}

#[test]
fn all_that_was_found_is_what_the_library_found() {
    for seed in [3, 4] {
        let image = coloured(seed);
        let want = detector().detect(&image).unwrap();
        assert!(want.len() > 1);
        let results = found(&image);
        compare(results, &want);
        ok(maskrcnn_results_free(results));
    }
}

/// The same picture in every order of bytes, with and without gaps, is the same picture.
#[test]
fn every_format_and_stride_is_read() {
    let image = picture();
    let size = (image.width(), image.height());
    let want = detector().detect(&image).unwrap();
    let grey = Image::from_rgb8(size.0, size.1, image.rgb().chunks(3).flat_map(|p| [p[0]; 3]).collect()).unwrap();
    let want_grey = detector().detect(&grey).unwrap();
    let turned =
        Image::from_rgb8(size.0, size.1, image.rgb().chunks(3).flat_map(|p| [p[2], p[1], p[0]]).collect()).unwrap();
    assert_ne!(detector().detect(&turned).unwrap(), want, "a picture that shows nothing of its colours");
    for (format, bytes) in [
        (MASKRCNN_FORMAT_RGB8, 3_usize),
        (MASKRCNN_FORMAT_RGBA8, 4),
        (MASKRCNN_FORMAT_BGR8, 3),
        (MASKRCNN_FORMAT_BGRA8, 4),
        (MASKRCNN_FORMAT_GREY8, 1),
    ] {
        let pixel = |p: &[u8]| match format {
            MASKRCNN_FORMAT_RGB8 => p.to_vec(),
            MASKRCNN_FORMAT_RGBA8 => vec![p[0], p[1], p[2], 99],
            MASKRCNN_FORMAT_BGR8 => vec![p[2], p[1], p[0]],
            MASKRCNN_FORMAT_BGRA8 => vec![p[2], p[1], p[0], 99],
            _ => vec![p[0]],
        };
        let row = bytes * size.0 as usize;
        for gap in [0, 5] {
            let rows = image.rgb().chunks(3 * size.0 as usize);
            let mut data: Vec<u8> =
                rows.flat_map(|r| r.chunks(3).flat_map(pixel).chain(vec![200; gap]).collect::<Vec<u8>>()).collect();
            data.truncate(data.len() - gap);
            let (status, results) = detect(opened(), &data, size, row + gap, format);
            ok(status);
            compare(results, if format == MASKRCNN_FORMAT_GREY8 { &want_grey } else { &want });
            ok(maskrcnn_results_free(results));
            // One byte too few, and a stride shorter than a row.
            assert_eq!(detect(opened(), &data[1..], size, row + gap, format).0, MASKRCNN_ERROR_IMAGE);
            assert!(said().contains("do not end within"), "{}", said());
            assert_eq!(detect(opened(), &data, size, row - 1, format).0, MASKRCNN_ERROR_IMAGE);
            assert!(said().contains("the stride is"), "{}", said());
        }
    }
}

#[test]
fn files_are_read_and_what_was_assumed_is_told() {
    let (png, mut results) = (picture_png(), null_mut());
    // SAFETY: the pointers are those of values here.
    unsafe {
        ok(maskrcnn_detect_encoded(opened(), png.as_ptr(), png.len(), &mut results));
        compare(results, &detector().detect(&picture()).unwrap());
        assert_eq!(text(|b, n, need| maskrcnn_results_notes(results, b, n, need)), "");
        ok(maskrcnn_results_free(results));
        assert_eq!(maskrcnn_detect_encoded(opened(), png.as_ptr(), png.len() / 2, &mut results), MASKRCNN_ERROR_IMAGE);
        assert!(results.is_null());
        // An animation, of which the first picture is taken.
        let gif = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;";
        ok(maskrcnn_detect_encoded(opened(), gif.as_ptr(), gif.len(), &mut results));
        let notes = text(|b, n, need| maskrcnn_results_notes(results, b, n, need));
        assert!(notes.contains("1 of 2"), "{notes}");
        ok(maskrcnn_results_free(results));
    }
}

#[test]
fn options_are_heeded() {
    let info = |handle| {
        // SAFETY: the pointers are those of values here.
        unsafe {
            let mut info = std::mem::zeroed::<maskrcnn_detector_info>();
            info.struct_size = size_of::<maskrcnn_detector_info>();
            ok(maskrcnn_detector_get_info(handle, &mut info));
            info
        }
    };
    let told = info(opened());
    assert_eq!((told.precision, told.has_masks, told.classes, told.keeps_pipelines), (MASKRCNN_PRECISION_F32, 1, 3, 0));
    let name = text(|b, n, need| {
        // SAFETY: the pointers are those of `filled`.
        unsafe { maskrcnn_detector_device_name(opened(), b, n, need) }
    });
    assert_eq!(name, detector().device().name());
    let device = CString::new(name).unwrap();
    let image = picture();
    // Between the second score and the third.
    let threshold = detector().detect(&image).unwrap()[1].score.next_down();
    let (status, handle) = open(|o| {
        (o.boxes_only, o.has_score_threshold, o.score_threshold) = (1, 1, threshold);
        (o.device, o.config_json) = (device.as_ptr(), c"{\"box\": {\"detections_per_img\": 1}}".as_ptr());
    });
    ok(status);
    assert_eq!(info(handle).has_masks, 0);
    ok(maskrcnn_warm_up(handle, 61, 47));
    let (status, results) = detect(handle, image.rgb(), (61, 47), 183, MASKRCNN_FORMAT_RGB8);
    ok(status);
    let mut config = super::common::tiny().without_masks();
    (config.box_head.score_thresh, config.box_head.detections_per_img) = (threshold, 1);
    let want = detector().beside(config).unwrap().detect(&image).unwrap();
    let (one, info) = (get(results, 0), results_info(results));
    assert_eq!((one.score, [one.x1, one.y1, one.x2, one.y2]), (want[0].score, want[0].bbox));
    assert_eq!((info.count, info.left_out, info.has_masks, want.left_out.len()), (1, 1, 0, 1));
    assert_eq!([one.mask_x, one.mask_y, one.mask_width, one.mask_height], [0; 4]);
    let mut needed = 0;
    // SAFETY: the pointers are those of values here.
    unsafe {
        assert_eq!(maskrcnn_mask_rle(results, 0, null_mut(), 0, &mut needed), MASKRCNN_ERROR_NO_MASKS);
        assert_eq!(maskrcnn_results_id_map(results, 0.0, null_mut(), 0, 0), MASKRCNN_ERROR_NO_MASKS);
    }
    ok(maskrcnn_results_free(results));
    ok(maskrcnn_detector_free(handle));
}
