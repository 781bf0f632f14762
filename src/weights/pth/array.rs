//! Arrays of NumPy's, whose elements lie in the pickle itself: a detector of detectron2's, or of Detectron's, is a dict of
//! such. Where they lie as they are, they are read in place; what older protocols wrote as text, or another machine in its
//! order of bytes, is decoded once, into no more bytes than the file has.

use safetensors::Dtype;

use super::pickle::{self, Coding, Order, Pickle};
use super::{DOWNLOAD, SAVE_STATE, view};
use crate::weights::entry::Entry;

/// The elements of all arrays of a file, where they cannot be read in place.
pub(super) struct Decoded(Option<Vec<u8>>);

impl Decoded {
    /// Of a file from which these arrays are taken: if one cannot be read in place, none is.
    pub(super) fn of(pickle: &Pickle<'_>, arrays: &[u32]) -> Self {
        let in_place = |&number: &u32| {
            let array = pickle.arena.array(number)?;
            let order = pickle.arena.dtype(array.dtype)?.order;
            Some(order == Order::Little && array.data?.0 == Coding::Raw)
        };
        // At once: to grow step by step would take twice as much on the way.
        let length = |&number: &u32| {
            pickle.arena.array(number).and_then(|array| array.data).map_or(0, |(_, text)| text.length as usize)
        };
        let room = || Vec::with_capacity(arrays.iter().map(length).fold(0, usize::saturating_add).min(pickle.length));
        Self(arrays.iter().any(|number| in_place(number) == Some(false)).then(room))
    }

    pub(super) fn bytes(self) -> Option<Vec<u8>> {
        self.0
    }
}

/// Where the elements of an array lie: in the file or, where there is such, in `decoded`.
///
/// # Errors
/// A clause that reads on after the tensor's name.
pub(super) fn entry(pickle: &Pickle<'_>, number: u32, decoded: &mut Decoded) -> Result<Entry, String> {
    let unfit = |what: String| format!("{what}: {SAVE_STATE}, as arrays or tensors of f32, f16 or f64");
    let array = pickle.arena.array(number);
    let Some((array, dtype)) = array.and_then(|array| Some((array, pickle.arena.dtype(array.dtype)?))) else {
        return Err(unfit("is a NumPy array of a kind that holds no numbers".into()));
    };
    let code = pickle.text(dtype.name);
    let (element, Some((coding, span)), false) = (element(code), array.data, dtype.order == Order::Parts) else {
        return Err(unfit(format!("is a NumPy array of dtype `{}`, which is no number", shown(code))));
    };
    let Some(element) = element else {
        return Err(unfit(format!("is a NumPy array of dtype `{}`, which weights do not have", shown(code))));
    };
    let shape = view::axes(&pickle.arena, array.shape)?;
    let count = view::elements(&shape)?;
    let size = (element.bitsize() / 8) as u64;
    // Both fit: a shape has at most 2^28 elements.
    let (due, shape) = (count * size, shape.iter().map(|&axis| axis as usize).collect::<Vec<_>>());
    let wrong = |have: usize| {
        format!(
            "has shape {shape:?} of {size} bytes an element, and {have} bytes of them: the file is corrupt, {DOWNLOAD}"
        )
    };
    let text = pickle.text(span);
    let start = match &mut decoded.0 {
        None if text.len() as u64 == due => span.start as usize,
        None => return Err(wrong(text.len())),
        Some(decoded) => {
            let start = decoded.len();
            // Arrays that share their text would be decoded again and again.
            if due > text.len() as u64 || start + text.len() > pickle.length {
                return Err(wrong(text.len()));
            }
            decode(coding, text, decoded);
            let have = decoded.len() - start;
            if have as u64 != due {
                return Err(wrong(have));
            }
            if dtype.order == Order::Big {
                decoded[start..].chunks_exact_mut(size as usize).for_each(<[u8]>::reverse);
            }
            start
        }
    };
    let strides = match array.fortran {
        false => Entry::dense_strides(&shape),
        true => {
            let reversed: Vec<usize> = shape.iter().rev().copied().collect();
            Entry::dense_strides(&reversed).into_iter().rev().collect()
        }
    };
    Ok(Entry { dtype: element, shape, strides, start })
}

/// The element type of NumPy's code for it.
fn element(code: &[u8]) -> Option<Dtype> {
    Some(match code {
        b"f8" => Dtype::F64,
        b"f4" => Dtype::F32,
        b"f2" => Dtype::F16,
        b"i8" => Dtype::I64,
        b"i4" => Dtype::I32,
        b"i2" => Dtype::I16,
        b"i1" => Dtype::I8,
        b"u8" => Dtype::U64,
        b"u4" => Dtype::U32,
        b"u2" => Dtype::U16,
        b"u1" => Dtype::U8,
        b"b1" => Dtype::BOOL,
        _ => return None,
    })
}

fn shown(code: &[u8]) -> String {
    crate::weights::names::shown(&pickle::lossy(code))
}

/// Adds the bytes that a text stands for: never more than it has.
fn decode(coding: Coding, text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some((&first, after)) = rest.split_first() {
        let (byte, left) = match (coding, first, after) {
            // U+0080 to U+00FF.
            (Coding::Utf8, 0xc2 | 0xc3, [low, left @ ..]) => ((first & 3) << 6 | low & 0x3f, left),
            (Coding::Unicode, b'\\', [b'u', digits @ ..]) => match hex(digits, 4) {
                Some((value, left)) => (value as u8, left),
                None => (first, after),
            },
            (Coding::Quoted, b'\\', [b'x', digits @ ..]) => match hex(digits, 2) {
                Some((value, left)) => (value as u8, left),
                None => (first, after),
            },
            (Coding::Quoted, b'\\', [b'n', left @ ..]) => (b'\n', left),
            (Coding::Quoted, b'\\', [b'r', left @ ..]) => (b'\r', left),
            (Coding::Quoted, b'\\', [b't', left @ ..]) => (b'\t', left),
            (Coding::Quoted, b'\\', [other, left @ ..]) => (*other, left),
            _ => (first, after),
        };
        out.push(byte);
        rest = left;
    }
}

/// A number of so many hexadecimal digits, and what follows.
fn hex(text: &[u8], digits: usize) -> Option<(u32, &[u8])> {
    let (digits, left) = text.split_at_checked(digits)?;
    Some((u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?, left))
}
