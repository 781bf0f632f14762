//! Memory of the caller's: text and arrays to be read, structs that grow, and room for answers. Nothing of it needs to be
//! aligned.

use std::ffi::{CStr, c_char};
use std::ptr;

use crate::status::{Failure, MASKRCNN_ERROR_BUFFER, c_text};

/// The longest struct that is believed: what is beyond is memory that nobody has set.
const LONGEST_STRUCT: usize = 4096;

/// Text of the caller's; `None` where it is null.
///
/// # Safety
/// Where it is not null, it ends with a NUL, and stays as it is for `'a`.
pub unsafe fn text<'a>(name: &str, text: *const c_char) -> Result<Option<&'a str>, Failure> {
    if text.is_null() {
        return Ok(None);
    }
    // SAFETY: it is not null, and the caller promises the rest.
    let text = unsafe { CStr::from_ptr(text) };
    text.to_str().map(Some).map_err(|e| Failure::argument(name, format_args!("is not UTF-8: {e}")))
}

/// Bytes of the caller's.
///
/// # Safety
/// Where it is not null, `length` bytes lie there and stay as they are for `'a`.
pub unsafe fn bytes<'a>(name: &str, data: *const u8, length: usize) -> Result<&'a [u8], Failure> {
    if data.is_null() {
        return Err(Failure::argument(name, "is null"));
    }
    if isize::try_from(length).is_err() {
        return Err(Failure::argument(name, format_args!("cannot have {length} bytes")));
    }
    // SAFETY: it is not null, of a length that a slice can have, and the caller promises the rest.
    Ok(unsafe { std::slice::from_raw_parts(data, length) })
}

/// A struct that begins with its size, as whoever was compiled with an older or a newer header has it. All of its bits may be 0.
///
/// # Safety
/// Plain old data: every pattern of bits is a value.
pub unsafe trait Grows: Copy {
    /// Bytes that it had when it was new.
    const FIRST: usize;
}

/// Such a struct, read. What an older caller does not have is 0; what this library does not know has to be.
///
/// # Safety
/// Where it is not null, as many bytes lie there as its first field says.
pub unsafe fn read_struct<T: Grows>(name: &str, from: *const T) -> Result<T, Failure> {
    // SAFETY: passed on.
    let size = unsafe { size_of_struct::<T>(name, from)? };
    let known = size.min(size_of::<T>());
    // SAFETY: the caller promises `size` bytes.
    let beyond = unsafe { std::slice::from_raw_parts(from.cast::<u8>().add(known), size - known) };
    if let Some(at) = beyond.iter().position(|&b| b != 0) {
        let reason =
            format!("sets its byte {}, which this version of the library does not know: link a newer one", known + at);
        return Err(Failure::argument(name, reason));
    }
    let mut value = std::mem::MaybeUninit::<T>::zeroed();
    // SAFETY: `known` bytes lie in both; `T` takes any bits, zeros included.
    unsafe {
        ptr::copy_nonoverlapping(from.cast::<u8>(), value.as_mut_ptr().cast::<u8>(), known);
        Ok(value.assume_init())
    }
}

/// Such a struct, filled in. What an older caller has no room for is left out; what this library does not know becomes 0.
///
/// # Safety
/// As [`read_struct`], and that memory can be written to.
pub unsafe fn write_struct<T: Grows>(name: &str, to: *mut T, value: T) -> Result<(), Failure> {
    // SAFETY: passed on.
    let size = unsafe { size_of_struct::<T>(name, to)? };
    let known = size.min(size_of::<T>());
    let (to, head) = (to.cast::<u8>(), size_of::<usize>());
    // SAFETY: `size` bytes lie there, as the caller promises. The size itself stays.
    unsafe {
        ptr::copy_nonoverlapping((&raw const value).cast::<u8>().add(head), to.add(head), known - head);
        to.add(known).write_bytes(0, size - known);
    }
    Ok(())
}

/// What its first field says.
///
/// # Safety
/// Where it is not null, a `size_t` lies there.
unsafe fn size_of_struct<T: Grows>(name: &str, at: *const T) -> Result<usize, Failure> {
    if at.is_null() {
        return Err(Failure::argument(name, "is null"));
    }
    // SAFETY: it is not null, and the caller promises the rest.
    let size = unsafe { at.cast::<usize>().read_unaligned() };
    if !(T::FIRST..=LONGEST_STRUCT).contains(&size) {
        let reason = format!("has a struct_size of {size}: set it to its sizeof, which is {}", size_of::<T>());
        return Err(Failure::argument(name, reason));
    }
    Ok(size)
}

/// Puts a value where the caller wants it.
///
/// # Safety
/// Where it is not null, a value can be written there.
pub unsafe fn put<T>(name: &str, to: *mut T, value: T) -> Result<(), Failure> {
    if to.is_null() {
        return Err(Failure::argument(name, "is null"));
    }
    // SAFETY: it is not null, and the caller promises the rest.
    unsafe { to.write_unaligned(value) };
    Ok(())
}

/// Where the caller wants an array, with the room that there is.
pub struct Room<T> {
    /// Null to ask how long the answer is.
    pub buffer: *mut T,
    /// In elements.
    pub length: usize,
    /// Where to say how long the answer is; may be null.
    pub needed: *mut usize,
}

impl<T: Copy> Room<T> {
    /// Gives all of `items`, or none.
    ///
    /// # Safety
    /// What is not null can be written to: so many elements of `buffer`, and one number.
    pub unsafe fn fill(&self, what: &str, items: &[T]) -> Result<(), Failure> {
        if !self.needed.is_null() {
            // SAFETY: it is not null, and the caller promises the rest.
            unsafe { self.needed.write_unaligned(items.len()) };
        }
        if self.buffer.is_null() {
            return match (self.length, self.needed.is_null()) {
                (0, false) => Ok(()),
                (0, true) => Err(Failure::argument("needed", "is null, and so is the buffer: nothing would be told")),
                (length, _) => Err(Failure::argument("buffer", format_args!("is null, and its length {length}"))),
            };
        }
        let (room, need) = (self.length, items.len());
        if room < need {
            let reason = format!("{what} takes {need} elements, and the buffer has {room}");
            return Err(Failure::new(MASKRCNN_ERROR_BUFFER, reason));
        }
        // SAFETY: there is room for as many, as the caller promises; bytes need no alignment.
        unsafe { ptr::copy_nonoverlapping(items.as_ptr().cast::<u8>(), self.buffer.cast::<u8>(), size_of_val(items)) };
        Ok(())
    }
}

impl Room<c_char> {
    /// Gives text, with its closing NUL, or none of it.
    ///
    /// # Safety
    /// As [`Room::fill`].
    pub unsafe fn fill_text(&self, what: &str, text: &str) -> Result<(), Failure> {
        let text: Vec<c_char> = c_text(text).as_bytes_with_nul().iter().map(|&b| b as c_char).collect();
        // SAFETY: passed on.
        unsafe { self.fill(what, &text) }
    }
}

/// Rows in a buffer of the caller's, each of which begins `stride` elements after the one before.
pub struct Rows<T> {
    buffer: *mut T,
    stride: usize,
}

impl<T: Copy> Rows<T> {
    /// Checks that `rows` of `width` elements fit. What lies between them is not touched.
    pub fn new(buffer: *mut T, length: usize, stride: usize, (width, rows): (usize, usize)) -> Result<Self, Failure> {
        if rows == 0 || width == 0 {
            return Ok(Self { buffer, stride });
        }
        if buffer.is_null() {
            return Err(Failure::argument("buffer", "is null"));
        }
        if stride < width {
            return Err(Failure::argument("stride", format_args!("is {stride}, and a row takes {width} elements")));
        }
        let need = stride.checked_mul(rows - 1).and_then(|n| n.checked_add(width));
        if need.is_none_or(|need| need > length.min(isize::MAX as usize / size_of::<T>())) {
            let reason = format!(
                "{rows} rows of {width}, {stride} apart, do not end within the {length} elements of the buffer"
            );
            return Err(Failure::new(MASKRCNN_ERROR_BUFFER, reason));
        }
        Ok(Self { buffer, stride })
    }

    /// Writes a row.
    ///
    /// # Safety
    /// `row` is below the rows of [`Rows::new`], `items` no longer than its width, and the buffer can be written to.
    pub unsafe fn write(&self, row: usize, items: &[T]) {
        if items.is_empty() {
            return;
        }
        // SAFETY: `new` has seen that it ends within the buffer; bytes need no alignment.
        unsafe {
            let to = self.buffer.cast::<u8>().add(row * self.stride * size_of::<T>());
            ptr::copy_nonoverlapping(items.as_ptr().cast::<u8>(), to, size_of_val(items));
        }
    }
}
