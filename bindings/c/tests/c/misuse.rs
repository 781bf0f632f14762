//! What a caller can do wrong, and what is said of it.

use std::ffi::c_void;
use std::ptr::{dangling, dangling_mut, null, null_mut, without_provenance_mut};

use maskrcnn_c::detector::*;
use maskrcnn_c::handles::{maskrcnn_detector, maskrcnn_results};
use maskrcnn_c::masks::*;
use maskrcnn_c::options::*;
use maskrcnn_c::results::*;
use maskrcnn_c::status::*;

use super::calls::{detect, found, ok, open, opened, said};
use super::common::picture;

/// A call that is refused, and how.
#[track_caller]
fn refused(status: maskrcnn_status, want: maskrcnn_status, words: &[&str]) {
    assert_eq!(status, want, "{}", said());
    assert_eq!(maskrcnn_last_status(), want);
    assert!(words.iter().all(|w| said().contains(w)), "{} lacks some of {words:?}", said());
}

#[test]
fn handles_that_are_none() {
    let (status, stale) = open(|_| ());
    ok(status);
    ok(maskrcnn_detector_free(stale));
    let results = found(&picture());
    let wrong: [(*mut c_void, &str); 6] = [
        (null_mut(), "null was given"),
        (stale.cast(), "freed before"),
        (results.cast(), "a handle of results was given, where one of a detector is wanted"),
        (without_provenance_mut(0x1234), "0x1234 is no handle"),
        (without_provenance_mut(usize::MAX), "is no handle"),
        (without_provenance_mut(stale.addr() + 2_000_000), "is no handle"),
    ];
    for (handle, words) in wrong {
        let handle: *mut maskrcnn_detector = handle.cast();
        refused(maskrcnn_warm_up(handle, 8, 8), MASKRCNN_ERROR_HANDLE, &[words, "detector"]);
        refused(detect(handle, &[0; 3], (1, 1), 3, 0).0, MASKRCNN_ERROR_HANDLE, &[words]);
        // SAFETY: the pointers are those of values here.
        unsafe {
            let mut out = null_mut();
            refused(maskrcnn_detect_file(handle, c"x".as_ptr(), &mut out), MASKRCNN_ERROR_HANDLE, &[words]);
            refused(maskrcnn_detector_device_name(handle, null_mut(), 0, null_mut()), MASKRCNN_ERROR_HANDLE, &[words]);
        }
        if !handle.is_null() {
            refused(maskrcnn_detector_free(handle), MASKRCNN_ERROR_HANDLE, &[words]);
        }
    }
    ok(maskrcnn_detector_free(null_mut()));
    ok(maskrcnn_results_free(null_mut()));
    let other: *mut maskrcnn_results = opened().cast_mut().cast();
    refused(maskrcnn_results_free(other), MASKRCNN_ERROR_HANDLE, &["of a detector was given, where one of results"]);
    assert_eq!((maskrcnn_results_count(other), maskrcnn_last_status()), (0, MASKRCNN_ERROR_HANDLE));
    ok(maskrcnn_results_free(results));
    refused(maskrcnn_results_free(results), MASKRCNN_ERROR_HANDLE, &["freed before"]);
    // A new one is not the old.
    let again = found(&picture());
    assert_ne!(again, results);
    refused(maskrcnn_results_free(results), MASKRCNN_ERROR_HANDLE, &["freed before"]);
    ok(maskrcnn_results_free(again));
}

#[test]
fn options_that_cannot_be() {
    #[track_caller]
    fn with(change: impl FnOnce(&mut maskrcnn_options), want: maskrcnn_status, words: &[&str]) {
        let (status, handle) = open(change);
        assert!(handle.is_null());
        refused(status, want, words);
    }
    use MASKRCNN_ERROR_ARGUMENT as ARGUMENT;
    let bytes = c"\xff\xfe".as_ptr();
    with(|o| o.weights = bytes, ARGUMENT, &["options.weights", "UTF-8"]);
    with(|o| o.device = bytes, ARGUMENT, &["options.device", "UTF-8"]);
    with(|o| o.config_json = bytes, ARGUMENT, &["options.config_json", "UTF-8"]);
    with(|o| o.pipeline_folder = bytes, ARGUMENT, &["options.pipeline_folder", "UTF-8"]);
    with(|o| o.weights = c"nowhere.pth".as_ptr(), MASKRCNN_ERROR_IO, &["nowhere.pth"]);
    with(|o| o.device = c"no such device".as_ptr(), MASKRCNN_ERROR_NO_DEVICE, &["no such device"]);
    with(|o| o.config_json = c"{".as_ptr(), ARGUMENT, &["options.config_json", "not JSON"]);
    with(|o| o.config_json = c"3".as_ptr(), MASKRCNN_ERROR_CONFIG, &["group of settings"]);
    with(|o| o.config_json = c"{\"bux\": 1}".as_ptr(), MASKRCNN_ERROR_CONFIG, &["`bux`", "no such setting"]);
    with(|o| o.precision = 7, ARGUMENT, &["options.precision", "is 7"]);
    with(|o| o.boxes_only = -1, ARGUMENT, &["options.boxes_only", "0 or 1"]);
    with(|o| o.has_score_threshold = 2, ARGUMENT, &["options.has_score_threshold"]);
    with(|o| o.score_threshold = 0.5, ARGUMENT, &["options.has_score_threshold is not"]);
    for threshold in [f32::NAN, f32::INFINITY, -0.1, 1.5] {
        let change = |o: &mut maskrcnn_options| (o.has_score_threshold, o.score_threshold) = (1, threshold);
        with(change, ARGUMENT, &["options.score_threshold", "0 to 1"]);
    }
    let whole = size_of::<maskrcnn_options>();
    for size in [0, 8, whole - 1, 5000, usize::MAX] {
        with(|o| o.struct_size = size, ARGUMENT, &["struct_size", &whole.to_string()]);
        // SAFETY: the pointer is that of a value here, and nothing is written.
        let status = unsafe { maskrcnn_options_init(&mut std::mem::zeroed(), size) };
        refused(status, ARGUMENT, &["struct_size"]);
    }
    // SAFETY: null is refused.
    unsafe {
        refused(maskrcnn_options_init(null_mut(), whole), ARGUMENT, &["`options` is null"]);
        refused(maskrcnn_open(null(), null_mut()), ARGUMENT, &["`detector` is null"]);
    }
}

/// A program that was compiled with a newer header: what it does not set is no matter, what it sets is refused.
#[test]
fn structs_of_another_size() {
    #[repr(C)]
    struct Longer<T> {
        known: T,
        more: [u8; 24],
    }
    // SAFETY: all zeros are values of these, and the pointers are those of values here.
    unsafe {
        let mut options: Longer<maskrcnn_options> = std::mem::zeroed();
        options.known.weights = c"nowhere.pth".as_ptr();
        options.known.struct_size = size_of_val(&options);
        let mut out = null_mut();
        refused(maskrcnn_open((&raw const options).cast(), &mut out), MASKRCNN_ERROR_IO, &["nowhere.pth"]);
        options.more[5] = 1;
        let at = (size_of::<maskrcnn_options>() + 5).to_string();
        refused(maskrcnn_open((&raw const options).cast(), &mut out), MASKRCNN_ERROR_ARGUMENT, &["byte", &at, "newer"]);

        let results = found(&picture());
        let mut one: Longer<maskrcnn_detection> = std::mem::zeroed();
        (one.known.struct_size, one.more) = (size_of_val(&one), [7; 24]);
        ok(maskrcnn_results_get(results, 0, (&raw mut one).cast()));
        assert_eq!((one.known.struct_size, one.more, one.known.label > 0), (size_of_val(&one), [0; 24], true));
        one.more = [7; 24];
        one.known.struct_size = size_of::<maskrcnn_detection>();
        ok(maskrcnn_results_get(results, 0, (&raw mut one).cast()));
        assert_eq!(one.more, [7; 24], "written past the end");
        one.known.struct_size = 12;
        let (index, argument) = (MASKRCNN_ERROR_INDEX, MASKRCNN_ERROR_ARGUMENT);
        refused(maskrcnn_results_get(results, 0, &mut one.known), argument, &["detection", "struct_size of 12"]);
        refused(maskrcnn_results_get(results, 0, null_mut()), argument, &["`detection` is null"]);
        refused(
            maskrcnn_results_get(results, usize::MAX, &mut one.known),
            index,
            &["18446744073709551615", "numbered from 0"],
        );
        // Wherever it lies.
        let mut bytes = [0_u8; size_of::<maskrcnn_detection>() + 1];
        let odd = bytes.as_mut_ptr().add(1).cast::<maskrcnn_detection>();
        odd.cast::<usize>().write_unaligned(size_of::<maskrcnn_detection>());
        ok(maskrcnn_results_get(results, 0, odd));
        assert_eq!(odd.read_unaligned().label, one.known.label);
        ok(maskrcnn_results_free(results));
    }
}

#[test]
fn pictures_that_are_none() {
    use MASKRCNN_ERROR_IMAGE as IMAGE;
    let data = [0; 64];
    let one = |size, stride, format| detect(opened(), &data, size, stride, format).0;
    refused(one((0, 4), 12, 0), IMAGE, &["0x4"]);
    refused(one((4, 0), 12, 0), IMAGE, &["4x0"]);
    refused(one((u32::MAX, u32::MAX), usize::MAX, 0), IMAGE, &["4294967295"]);
    refused(one((65_535, 65_535), usize::MAX, 4), IMAGE, &["65535"]);
    refused(one((4, 4), usize::MAX, 0), IMAGE, &["do not end"]);
    refused(one((4, 4), usize::MAX / 3, 0), IMAGE, &["do not end"]);
    refused(one((4, 4), 0, 0), IMAGE, &["the stride is 0"]);
    for format in [-1, 5, i32::MAX] {
        refused(one((4, 4), 16, format), MASKRCNN_ERROR_ARGUMENT, &["`format`", "GREY8"]);
    }
    let mut out = dangling_mut();
    // SAFETY: null is refused, and so are lengths that cannot be.
    unsafe {
        let handle = opened();
        let argument = MASKRCNN_ERROR_ARGUMENT;
        refused(maskrcnn_detect(handle, null(), 64, 4, 4, 12, 0, &mut out), argument, &["`pixels` is null"]);
        assert!(out.is_null());
        refused(
            maskrcnn_detect(handle, dangling(), usize::MAX, 4, 4, 12, 0, &mut out),
            argument,
            &["`pixels` cannot have"],
        );
        refused(maskrcnn_detect(handle, data.as_ptr(), 64, 4, 4, 12, 0, null_mut()), argument, &["`results` is null"]);
        refused(maskrcnn_detect_encoded(handle, null(), 0, &mut out), argument, &["`file` is null"]);
        refused(maskrcnn_detect_encoded(handle, data.as_ptr(), 0, &mut out), IMAGE, &["in memory"]);
        refused(maskrcnn_detect_encoded(handle, data.as_ptr(), 64, &mut out), IMAGE, &["in memory"]);
        refused(maskrcnn_detect_file(handle, null(), &mut out), argument, &["`path` is null"]);
        refused(maskrcnn_detect_file(handle, c"\xc0".as_ptr(), &mut out), argument, &["`path`", "UTF-8"]);
        refused(maskrcnn_detect_file(handle, c"nowhere.png".as_ptr(), &mut out), MASKRCNN_ERROR_IO, &["nowhere.png"]);
    }
    for (w, h) in [(0, 1), (1, 0), (65_536, 1), (u32::MAX, u32::MAX), (65_535, 65_535)] {
        refused(maskrcnn_warm_up(opened(), w, h), IMAGE, &[&format!("{w}x{h}")]);
    }
}

#[test]
fn buffers_that_do_not_fit() {
    let (results, mut needed) = (found(&picture()), 0);
    let (argument, buffer) = (MASKRCNN_ERROR_ARGUMENT, MASKRCNN_ERROR_BUFFER);
    let mut few = [7_u32; 3];
    // SAFETY: the pointers are those of values here; null and lengths that cannot be are refused.
    unsafe {
        refused(maskrcnn_mask_rle(results, 0, null_mut(), 9, &mut needed), argument, &["`buffer` is null", "9"]);
        refused(maskrcnn_mask_rle(results, 0, null_mut(), 0, null_mut()), argument, &["`needed` is null"]);
        refused(maskrcnn_mask_rle(results, 99, null_mut(), 0, &mut needed), MASKRCNN_ERROR_INDEX, &["no detection 99"]);
        refused(maskrcnn_mask_bits(results, 0, 2, few.as_mut_ptr(), 3, &mut needed), argument, &["`extent`", "is 2"]);
        refused(
            maskrcnn_mask_bits(results, 0, 0, few.as_mut_ptr(), 3, &mut needed),
            buffer,
            &["the mask takes 94", "has 3"],
        );
        assert_eq!((needed, few), (2 * 47, [7; 3]));
        let bytes = few.as_mut_ptr().cast::<u8>();
        refused(maskrcnn_mask_bytes(results, 0, 0, 0, bytes, 12, 61), argument, &["`inside`"]);
        refused(maskrcnn_mask_bytes(results, 0, 0, 1, null_mut(), 9999, 61), argument, &["`buffer` is null"]);
        refused(maskrcnn_mask_bytes(results, 0, 0, 1, bytes, 12, 61), buffer, &["47 rows of 61", "12"]);
        refused(maskrcnn_mask_bytes(results, 0, 0, 1, bytes, 12, usize::MAX), buffer, &["47 rows of 61"]);
        refused(maskrcnn_mask_bytes(results, 0, 0, 1, bytes, 9999, 0), argument, &["`stride` is 0"]);
        refused(
            maskrcnn_results_id_map(results, f32::NAN, few.as_mut_ptr(), 3, 61),
            argument,
            &["`least_score`", "NaN"],
        );
        // A length that is a lie as long as nothing believes it: elements of four bytes.
        let far = usize::MAX / 8;
        refused(maskrcnn_results_id_map(results, 0.0, few.as_mut_ptr(), usize::MAX, far), buffer, &["47 rows of 61"]);
        refused(maskrcnn_results_coco_json(results, null(), null_mut(), 0, &mut needed), argument, &["`image_id`"]);
        refused(
            maskrcnn_results_coco_json(results, c"\xff".as_ptr(), null_mut(), 0, &mut needed),
            argument,
            &["UTF-8"],
        );
    }
    assert_eq!(few, [7; 3]);
    ok(maskrcnn_results_free(results));
}

/// Each thread has its own last error.
#[test]
fn errors_are_of_a_thread() {
    refused(maskrcnn_warm_up(null(), 1, 1), MASKRCNN_ERROR_HANDLE, &["null"]);
    std::thread::spawn(|| assert_eq!((maskrcnn_last_status(), said()), (MASKRCNN_OK, String::new()))).join().unwrap();
    assert_eq!(maskrcnn_last_status(), MASKRCNN_ERROR_HANDLE);
}
