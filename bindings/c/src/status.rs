//! Kinds of errors, the last error of each thread, and the border that no panic passes.

use std::any::Any;
use std::cell::RefCell;
use std::ffi::{CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};

use maskrcnn::Error;

/// How a call ended: one of MASKRCNN_OK and MASKRCNN_ERROR_…. Later versions may know further errors.
pub type maskrcnn_status = i32;

/// It went well.
pub const MASKRCNN_OK: maskrcnn_status = 0;
/// An argument that cannot be: null, not a number, of a kind that is not known, text that is not UTF-8.
pub const MASKRCNN_ERROR_ARGUMENT: maskrcnn_status = 1;
/// A handle that is none: freed before, of another kind, or never given out.
pub const MASKRCNN_ERROR_HANDLE: maskrcnn_status = 2;
/// A buffer with no room for what was asked for. Nothing was written into it.
pub const MASKRCNN_ERROR_BUFFER: maskrcnn_status = 3;
/// A number of a detection that is not there.
pub const MASKRCNN_ERROR_INDEX: maskrcnn_status = 4;
/// A mask was asked of results of a network that gives boxes only.
pub const MASKRCNN_ERROR_NO_MASKS: maskrcnn_status = 5;
/// A mistake of the library's own. The handle that it happened with is good for nothing but to be freed.
pub const MASKRCNN_ERROR_PANIC: maskrcnn_status = 6;
/// A handle that MASKRCNN_ERROR_PANIC was said of before.
pub const MASKRCNN_ERROR_POISONED: maskrcnn_status = 7;
/// An image that cannot be decoded or used.
pub const MASKRCNN_ERROR_IMAGE: maskrcnn_status = 100;
/// A weights file that is not what it should be.
pub const MASKRCNN_ERROR_WEIGHTS: maskrcnn_status = 101;
/// One tensor of a weights file is missing or wrong.
pub const MASKRCNN_ERROR_TENSOR: maskrcnn_status = 102;
/// A download that failed.
pub const MASKRCNN_ERROR_DOWNLOAD: maskrcnn_status = 103;
/// A setting that cannot be.
pub const MASKRCNN_ERROR_CONFIG: maskrcnn_status = 104;
/// Settings and weights that do not go together.
pub const MASKRCNN_ERROR_SHAPE: maskrcnn_status = 105;
/// No GPU driver, or not the device that was asked for.
pub const MASKRCNN_ERROR_NO_DEVICE: maskrcnn_status = 106;
/// The device cannot hold or address what is needed.
pub const MASKRCNN_ERROR_LIMIT: maskrcnn_status = 107;
/// A shader that the driver's compiler refused.
pub const MASKRCNN_ERROR_SHADER: maskrcnn_status = 108;
/// The device has no memory left.
pub const MASKRCNN_ERROR_OUT_OF_MEMORY: maskrcnn_status = 109;
/// The device is gone; detectors on it are lost.
pub const MASKRCNN_ERROR_DEVICE_LOST: maskrcnn_status = 110;
/// Something was asked of a device that it does not offer.
pub const MASKRCNN_ERROR_UNSUPPORTED: maskrcnn_status = 111;
/// The device failed in another way.
pub const MASKRCNN_ERROR_DEVICE: maskrcnn_status = 112;
/// What cannot be, is: a mistake of the library's own that it noticed.
pub const MASKRCNN_ERROR_INTERNAL: maskrcnn_status = 113;
/// A file that cannot be read.
pub const MASKRCNN_ERROR_IO: maskrcnn_status = 114;
/// An error of a kind that this interface has no number for.
pub const MASKRCNN_ERROR_OTHER: maskrcnn_status = 199;

/// Why a call failed.
#[derive(Debug)]
pub struct Failure {
    status: maskrcnn_status,
    message: String,
}

impl Failure {
    /// A failure of that kind, told in words.
    pub fn new(status: maskrcnn_status, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    /// An argument that cannot be.
    pub fn argument(name: &str, reason: impl std::fmt::Display) -> Self {
        Self::new(MASKRCNN_ERROR_ARGUMENT, format!("argument `{name}` {reason}"))
    }

    /// What a panic said.
    pub fn panic(payload: Box<dyn Any + Send>) -> Self {
        let said = payload.downcast_ref::<&str>().map(|s| s.to_string());
        let said = said.or_else(|| payload.downcast_ref::<String>().cloned());
        // A payload of whatever kind may panic once more where it is dropped.
        drop(catch_unwind(AssertUnwindSafe(|| drop(payload))));
        let said = said.unwrap_or_else(|| "it said nothing".into());
        Self::new(MASKRCNN_ERROR_PANIC, format!("a mistake of this library's, please report it: {said}"))
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let status = match &error {
            Error::Image { .. } => MASKRCNN_ERROR_IMAGE,
            Error::Weights { .. } => MASKRCNN_ERROR_WEIGHTS,
            Error::Tensor { .. } => MASKRCNN_ERROR_TENSOR,
            Error::Download { .. } => MASKRCNN_ERROR_DOWNLOAD,
            Error::Config { .. } => MASKRCNN_ERROR_CONFIG,
            Error::Shape { .. } => MASKRCNN_ERROR_SHAPE,
            Error::NoAdapter(_) => MASKRCNN_ERROR_NO_DEVICE,
            Error::Limit { .. } => MASKRCNN_ERROR_LIMIT,
            Error::Shader { .. } => MASKRCNN_ERROR_SHADER,
            Error::OutOfMemory { .. } => MASKRCNN_ERROR_OUT_OF_MEMORY,
            Error::DeviceLost { .. } => MASKRCNN_ERROR_DEVICE_LOST,
            Error::Unsupported { .. } => MASKRCNN_ERROR_UNSUPPORTED,
            Error::Device { .. } => MASKRCNN_ERROR_DEVICE,
            Error::Internal(_) => MASKRCNN_ERROR_INTERNAL,
            Error::Io { .. } => MASKRCNN_ERROR_IO,
            _ => MASKRCNN_ERROR_OTHER,
        };
        Self::new(status, error.to_string())
    }
}

thread_local! {
    static LAST: RefCell<Option<(maskrcnn_status, CString)>> = const { RefCell::new(None) };
}

/// Runs what a function of the interface does. What it fails with, and what it panics with, becomes the thread's last error.
pub fn entry(body: impl FnOnce() -> Result<(), Failure>) -> maskrcnn_status {
    let failure = match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => return MASKRCNN_OK,
        Ok(Err(failure)) => failure,
        Err(payload) => Failure::panic(payload),
    };
    let message = c_text(&failure.message);
    // A thread that is ending has no last error any more.
    let _ = LAST.try_with(|last| last.replace(Some((failure.status, message))));
    failure.status
}

/// Text as C has it; a NUL within it, which no text of ours has, becomes a replacement character.
pub fn c_text(text: &str) -> CString {
    CString::new(text).unwrap_or_else(|_| CString::new(text.replace('\0', "\u{fffd}")).unwrap_or_default())
}

/// What went wrong in the last call that failed on the calling thread, as a sentence that names the culprit and the cure, in UTF-8;
/// empty where none failed. A call that goes well leaves it as it is.
///
/// The text is the library's: it is there until the next call that fails on this thread, and until the thread ends.
/// Never null.
#[unsafe(no_mangle)]
pub extern "C" fn maskrcnn_last_error() -> *const c_char {
    let text =
        |last: &RefCell<Option<(_, CString)>>| last.borrow().as_ref().map_or(c"".as_ptr(), |(_, text)| text.as_ptr());
    LAST.try_with(text).unwrap_or(c"".as_ptr())
}

/// The kind of that error: what the call returned. MASKRCNN_OK where none failed on this thread.
#[unsafe(no_mangle)]
pub extern "C" fn maskrcnn_last_status() -> maskrcnn_status {
    LAST.try_with(|last| last.borrow().as_ref().map_or(MASKRCNN_OK, |last| last.0)).unwrap_or(MASKRCNN_OK)
}

/// Forgets the calling thread's last error.
#[unsafe(no_mangle)]
pub extern "C" fn maskrcnn_clear_error() {
    let _ = LAST.try_with(|last| last.replace(None));
}

/// A word for a kind of error, "image" say, that is there for as long as the library is; "unknown" for a number that is none.
#[unsafe(no_mangle)]
pub extern "C" fn maskrcnn_status_name(status: maskrcnn_status) -> *const c_char {
    let name = match status {
        MASKRCNN_OK => c"ok",
        MASKRCNN_ERROR_ARGUMENT => c"argument",
        MASKRCNN_ERROR_HANDLE => c"handle",
        MASKRCNN_ERROR_BUFFER => c"buffer",
        MASKRCNN_ERROR_INDEX => c"index",
        MASKRCNN_ERROR_NO_MASKS => c"no masks",
        MASKRCNN_ERROR_PANIC => c"panic",
        MASKRCNN_ERROR_POISONED => c"poisoned",
        MASKRCNN_ERROR_IMAGE => c"image",
        MASKRCNN_ERROR_WEIGHTS => c"weights",
        MASKRCNN_ERROR_TENSOR => c"tensor",
        MASKRCNN_ERROR_DOWNLOAD => c"download",
        MASKRCNN_ERROR_CONFIG => c"config",
        MASKRCNN_ERROR_SHAPE => c"shape",
        MASKRCNN_ERROR_NO_DEVICE => c"no device",
        MASKRCNN_ERROR_LIMIT => c"limit",
        MASKRCNN_ERROR_SHADER => c"shader",
        MASKRCNN_ERROR_OUT_OF_MEMORY => c"out of memory",
        MASKRCNN_ERROR_DEVICE_LOST => c"device lost",
        MASKRCNN_ERROR_UNSUPPORTED => c"unsupported",
        MASKRCNN_ERROR_DEVICE => c"device",
        MASKRCNN_ERROR_INTERNAL => c"internal",
        MASKRCNN_ERROR_IO => c"io",
        MASKRCNN_ERROR_OTHER => c"other",
        _ => c"unknown",
    };
    name.as_ptr()
}
