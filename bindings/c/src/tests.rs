//! What C programs cannot bring about: panics within. What they can is in `tests/c`.

use std::cell::Cell;
use std::ffi::CStr;
use std::ptr::{null, null_mut};
use std::sync::Barrier;

use maskrcnn::{Detection, Detections, Mask};

use crate::buffers::{Grows, read_struct, write_struct};
use crate::detector::*;
use crate::handles::{self, maskrcnn_detector, maskrcnn_results};
use crate::masks::*;
use crate::results::*;
use crate::status::*;

thread_local! {
    static ASKED: Cell<bool> = const { Cell::new(false) };
}

/// Panics once where a test has asked for it.
pub(crate) fn panic_where_asked() {
    assert!(!ASKED.replace(false), "asked for by a test");
}

fn said() -> &'static str {
    // SAFETY: the library's own text, looked at before the next call.
    unsafe { CStr::from_ptr(maskrcnn_last_error()) }.to_str().unwrap()
}

/// One instance in an image of 8 by 6 pixels.
fn results() -> *mut maskrcnn_results {
    let mask = Mask::from_fn(2, 1, 3, 4, |x, y| x + y != 5);
    let one = Detection { bbox: [2.0, 1.0, 5.0, 5.0], score: 0.5, label: 1, mask, soft: None };
    let detections = Detections::new(8, 6, ["", "nul\0", "cat"].map(String::from).into(), vec![one]);
    handles::give(Found { detections, masks: true, notes: vec!["said".into()] }).unwrap()
}

type Call<H> = (&'static str, fn(*const H) -> maskrcnn_status);

/// Calls that go well.
fn of_results() -> Vec<Call<maskrcnn_results>> {
    // SAFETY: the pointers are those of values here.
    unsafe {
        vec![
            ("get_info", |h| {
                let mut info: maskrcnn_results_info = std::mem::zeroed();
                info.struct_size = size_of::<maskrcnn_results_info>();
                maskrcnn_results_get_info(h, &mut info)
            }),
            ("get", |h| {
                let mut one: maskrcnn_detection = std::mem::zeroed();
                one.struct_size = size_of::<maskrcnn_detection>();
                maskrcnn_results_get(h, 0, &mut one)
            }),
            ("class_name", |h| maskrcnn_results_class_name(h, 1, null_mut(), 0, &mut 0)),
            ("notes", |h| maskrcnn_results_notes(h, null_mut(), 0, &mut 0)),
            ("coco_json", |h| maskrcnn_results_coco_json(h, c"1".as_ptr(), null_mut(), 0, &mut 0)),
            ("id_map", |h| maskrcnn_results_id_map(h, 0.0, [0; 48].as_mut_ptr(), 48, 8)),
            ("mask_bytes", |h| maskrcnn_mask_bytes(h, 0, MASKRCNN_EXTENT_IMAGE, 1, [0; 48].as_mut_ptr(), 48, 8)),
            ("mask_bits", |h| maskrcnn_mask_bits(h, 0, MASKRCNN_EXTENT_RECTANGLE, null_mut(), 0, &mut 0)),
            ("mask_rle", |h| maskrcnn_mask_rle(h, 0, null_mut(), 0, &mut 0)),
            ("mask_rle_string", |h| maskrcnn_mask_rle_string(h, 0, null_mut(), 0, &mut 0)),
        ]
    }
}

fn of_detectors() -> Vec<Call<maskrcnn_detector>> {
    // SAFETY: the pointers are those of values here.
    unsafe {
        vec![
            ("get_info", |h| {
                let mut info: maskrcnn_detector_info = std::mem::zeroed();
                info.struct_size = size_of::<maskrcnn_detector_info>();
                maskrcnn_detector_get_info(h, &mut info)
            }),
            ("device_name", |h| maskrcnn_detector_device_name(h, null_mut(), 0, &mut 0)),
            ("warm_up", |h| maskrcnn_warm_up(h, 0, 0)),
            ("detect", |h| maskrcnn_detect(h, [0; 3].as_ptr(), 3, 0, 0, 0, 0, &mut null_mut())),
            ("detect_encoded", |h| maskrcnn_detect_encoded(h, [0; 3].as_ptr(), 3, &mut null_mut())),
            ("detect_file", |h| maskrcnn_detect_file(h, c"nowhere".as_ptr(), &mut null_mut())),
        ]
    }
}

/// A panic becomes an error, and the handle is good for nothing but to be freed; others are as they were.
fn panics<H: handles::Kind>(
    calls: Vec<Call<H>>,
    new: impl Fn() -> *mut H,
    free: extern "C" fn(*mut H) -> maskrcnn_status,
) {
    let other = new();
    for (name, call) in &calls {
        let handle = new();
        let well = call(handle);
        ASKED.set(true);
        assert_eq!(call(handle), MASKRCNN_ERROR_PANIC, "{name}");
        assert!(
            !ASKED.get() && said().contains("asked for by a test") && said().contains("please report"),
            "{}",
            said()
        );
        for (name, call) in &calls {
            assert_eq!(call(handle), MASKRCNN_ERROR_POISONED, "{name}");
            assert!(said().contains("only be freed"), "{}", said());
        }
        assert_eq!(call(other), well, "{name}");
        assert_eq!(free(handle), MASKRCNN_OK);
        assert_eq!(call(handle), MASKRCNN_ERROR_HANDLE, "{name}");
    }
    assert_eq!(free(other), MASKRCNN_OK);
}

#[test]
fn panics_with_results_stay_within() {
    for (name, call) in of_results() {
        let handle = results();
        assert_eq!(call(handle), MASKRCNN_OK, "{name}: {}", said());
        maskrcnn_results_free(handle);
    }
    panics(of_results(), results, maskrcnn_results_free);
    let handle = results();
    ASKED.set(true);
    assert_eq!(maskrcnn_results_count(handle), 0);
    assert_eq!(maskrcnn_last_status(), MASKRCNN_ERROR_PANIC);
    maskrcnn_clear_error();
    assert_eq!((maskrcnn_last_status(), said()), (MASKRCNN_OK, ""));
}

#[test]
fn panics_with_detectors_stay_within() {
    let new = || {
        let mut handle = null_mut();
        // SAFETY: the pointers are those of values here.
        assert_eq!(unsafe { maskrcnn_open(null(), &mut handle) }, MASKRCNN_OK, "{}", said());
        handle
    };
    panics(of_detectors(), new, maskrcnn_detector_free);
}

/// Whatever a panic carries, also what panics when it is dropped.
#[test]
fn any_payload_is_told() {
    struct Worse;
    impl Drop for Worse {
        fn drop(&mut self) {
            panic!("once more");
        }
    }
    for (payload, told) in [
        (Box::new("text") as Box<dyn std::any::Any + Send>, "text"),
        (Box::new(String::from("nul\0")), "nul\u{fffd}"),
        (Box::new(7), "it said nothing"),
        (Box::new(Worse), "it said nothing"),
    ] {
        assert_eq!(entry(|| std::panic::resume_unwind(payload)), MASKRCNN_ERROR_PANIC);
        assert!(said().ends_with(told), "{}", said());
    }
}

/// A NUL within a name does not end it, and a buffer of a byte less gets none of it.
#[test]
fn names_with_a_nul_are_whole() {
    let (handle, mut needed, mut buffer) = (results(), 0, [9; 16]);
    // SAFETY: the pointers are those of values here.
    unsafe {
        assert_eq!(maskrcnn_results_class_name(handle, 1, buffer.as_mut_ptr(), 6, &mut needed), MASKRCNN_ERROR_BUFFER);
        assert_eq!((needed, buffer), (7, [9; 16]));
        assert_eq!(maskrcnn_results_class_name(handle, 1, buffer.as_mut_ptr(), 7, null_mut()), MASKRCNN_OK);
        assert_eq!(CStr::from_ptr(buffer.as_ptr()).to_str(), Ok("nul\u{fffd}"));
        assert_eq!(buffer[7], 9);
    }
    assert_eq!(maskrcnn_results_free(handle), MASKRCNN_OK);
}

/// Of many threads that free a handle while others use it, one does; each use is before or after.
#[test]
fn one_of_many_frees() {
    const THREADS: usize = 8;
    for _ in 0..200 {
        let (key, barrier) = (results().addr(), Barrier::new(THREADS));
        let freed = std::thread::scope(|s| {
            let work = |i: usize| {
                let barrier = &barrier;
                move || {
                    let handle = std::ptr::without_provenance_mut(key);
                    barrier.wait();
                    if i.is_multiple_of(2) {
                        return usize::from(maskrcnn_results_free(handle) == MASKRCNN_OK);
                    }
                    for _ in 0..20 {
                        let count = maskrcnn_results_count(handle);
                        assert!(
                            count == 1
                                || maskrcnn_last_status() == MASKRCNN_ERROR_HANDLE && said().contains("freed before")
                        );
                    }
                    0
                }
            };
            let threads: Vec<_> = (0..THREADS).map(|i| s.spawn(work(i))).collect();
            threads.into_iter().map(|t| t.join().unwrap()).sum::<usize>()
        });
        assert_eq!(freed, 1);
    }
}

/// A struct that has grown since a caller was compiled: it gets what it has room for, and what it does not say is 0.
#[test]
fn older_callers_have_shorter_structs() {
    #[derive(Clone, Copy, Debug, PartialEq)]
    #[repr(C)]
    struct Grown {
        struct_size: usize,
        first: u64,
        later: u64,
    }
    // SAFETY: numbers.
    unsafe impl Grows for Grown {
        const FIRST: usize = 16;
    }
    let mut theirs = Grown { struct_size: 16, first: 5, later: 6 };
    // SAFETY: the pointers are those of values here.
    unsafe {
        assert_eq!(read_struct("x", &theirs).unwrap(), Grown { later: 0, ..theirs });
        write_struct("x", &mut theirs, Grown { struct_size: 0, first: 7, later: 8 }).unwrap();
        assert_eq!(theirs, Grown { struct_size: 16, first: 7, later: 6 });
        theirs.struct_size = 15;
        assert!(read_struct("x", &theirs).is_err() && write_struct("x", &mut theirs, theirs).is_err());
    }
}

#[test]
fn numbers_agree() {
    assert_eq!(env!("MASKRCNN_C_ABI").parse(), Ok(crate::MASKRCNN_ABI_VERSION));
    let named = |status| unsafe { CStr::from_ptr(maskrcnn_status_name(status)) }.to_str().unwrap();
    let names: Vec<&str> = (-1..200).map(named).filter(|n| *n != "unknown").collect();
    let distinct: std::collections::BTreeSet<_> = names.iter().collect();
    assert_eq!((names.len(), distinct.len()), (24, 24), "{names:?}");
}
