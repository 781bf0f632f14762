//! Pickles of NumPy's arrays, which detectron2 publishes: those that NumPy wrote (`make_arrays.py`), and lying ones.

use serde_json::Value;

use super::torch::{name, values};
use super::*;

/// Every fixture, by NumPy's version and the pickle's protocol.
macro_rules! fixtures {
    ($($name:literal),*) => { [$(($name, include_bytes!(concat!("../fixtures/arrays_", $name, ".pkl")).as_slice())),*] };
}

const EXPECTED: &str = include_str!("../fixtures/expected_arrays.json");

pub(super) const FILES: [(&str, &[u8]); 11] = fixtures![
    "numpy2_protocol0",
    "numpy2_protocol1",
    "numpy2_protocol2",
    "numpy2_protocol3",
    "numpy2_protocol4",
    "numpy2_protocol5",
    "numpy2_big",
    "numpy1_protocol2",
    "numpy1_protocol4",
    "numpy1_protocol5",
    "numpy1_big"
];

/// An array of f32 with this state; `dtype` as NumPy's code, `order` as its sign.
fn array(asm: Asm, dtype: &str, order: &str, shape: &[i64], data: &[u8]) -> Asm {
    let asm = asm.global("numpy.core.multiarray", "_reconstruct").op(b"(").global("numpy", "ndarray");
    let asm = asm.ints(&[0]).op(b"C\x01btR(K\x01").ints(shape);
    let asm = asm.global("numpy", "dtype").op(b"(").text(dtype).op(b"K\0K\x01tR(K\x03").text(order);
    asm.op(b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb\x89B").op((data.len() as u32).to_le_bytes()).op(data).op(b"tb")
}

fn of(dtype: &str, order: &str, shape: &[i64], data: &[u8]) -> Vec<u8> {
    Asm::of(|asm| array(asm, dtype, order, shape, data))
}

#[test]
fn reads_what_numpy_wrote() {
    let expected: Value = serde_json::from_str(EXPECTED).unwrap();
    for (file, bytes) in FILES {
        assert!(is_pth(bytes), "{file}");
        let taken = super::super::read(bytes, None).unwrap_or_else(|reason| panic!("{file} {reason}"));
        // In place where it can be: little-endian, from protocol 3 on.
        let in_place = ["protocol3", "protocol4", "protocol5"].iter().any(|protocol| file.ends_with(protocol));
        assert_eq!(taken.decoded.is_none(), in_place, "{file}");
        let data = taken.decoded.as_deref().unwrap_or(bytes);
        assert!(data.len() <= bytes.len());
        assert_within(data, &taken.tensors);
        let tensors = expected.as_array().unwrap();
        assert_eq!(taken.tensors.len(), tensors.len(), "{file}");
        for ((found, entry), tensor) in taken.tensors.iter().zip(tensors) {
            assert_eq!(found.as_str(), tensor["name"], "{file}");
            assert_eq!(name(entry.dtype), tensor["dtype"], "{file} {found}");
            assert_eq!(Value::from(entry.shape.clone()), tensor["shape"], "{file} {found}");
            assert_eq!(Value::from(values(data, entry)), tensor["values"], "{file} {found}");
        }
    }
}

/// Python 2 wrote the bytes as strings, and of protocol 0 with what its source text has for them.
#[test]
fn reads_what_python_2_wrote() {
    let head = "(dp1\nS'w'\np2\ncnumpy.core.multiarray\n_reconstruct\np3\n(cnumpy\nndarray\np4\n(I0\ntS'b'\ntRp5\n\
                (I1\n(L2L\ntcnumpy\ndtype\np6\n(S'f4'\nI0\nI1\ntRp7\n(I3\nS'<'\nNNNI-1\nI-1\nI0\ntbI00\nS";
    let two = "'\\x00\\x00\\x80?\\x00\\n\\\\A'";
    let bytes = format!("{head}{two}\np8\ntbs.").into_bytes();
    let taken = super::super::read(&bytes, None).unwrap();
    let [(name, entry)] = &taken.tensors[..] else { panic!() };
    let data = taken.decoded.unwrap();
    assert_eq!((name.as_str(), entry.shape.as_slice()), ("w", &[2][..]));
    assert_eq!(entry.floats(&data).unwrap(), [1.0, f32::from_le_bytes([0, b'\n', b'\\', b'A'])]);
    // Of protocol 2, as strings of bytes.
    let binary = of("f4", "<", &[1], &[0, 0, 128, 63]);
    let at = binary.iter().rposition(|&b| b == b'B').unwrap();
    let binary = [&binary[..at], b"T", &binary[at + 1..]].concat();
    let taken = super::super::read(&binary, None).unwrap();
    assert_eq!(taken.tensors[0].1.floats(&binary).unwrap(), [1.0]);
    assert!(taken.decoded.is_none());
}

#[test]
fn lying_arrays() {
    assert_eq!(read(&of("f4", "<", &[2], &[0; 8])).unwrap().len(), 1);
    for (shape, bytes, words) in [
        (&[3][..], 8, "8 bytes of them"),
        (&[2], 9, "9 bytes of them"),
        (&[-1], 8, "the size or stride -1"),
        (&[1 << 40], 8, "more than 268435456 elements"),
        (&[1 << 40, 1 << 40, 0], 8, "more than 268435456 elements"),
        (&[i64::MIN], 8, "size or stride -9223372036854775808"),
        (&[1; 9], 4, "more than 8 axes"),
        (&[2, 0], 8, "8 bytes of them"),
    ] {
        refused(&of("f4", "<", shape, &vec![0; bytes]), &["tensor `w`", words]);
    }
    refused(&of("O8", "|", &[1], &[0; 8]), &["tensor `w`", "dtype `O8`", "f32, f16 or f64"]);
    refused(&of("V8", "|", &[1], &[0; 8]), &["dtype `V8`"]);
    refused(&of("f4", "?", &[1], &[0; 4]), &["dtype `f4`, which is no number"]);
    refused(&of("\u{1b}[31m", "<", &[1], &[0; 4]), &["dtype `\\u{1b}[31m`"]);
    // An array that nothing filled, one filled with a list of objects, and one of a type that is another object.
    let bare = |asm: Asm| {
        asm.global("numpy.core.multiarray", "_reconstruct")
            .op(b"(")
            .global("numpy", "ndarray")
            .ints(&[0])
            .op(b"C\x01btR")
    };
    refused(&Asm::of(bare), &["tensor `w`", "holds no numbers"]);
    let list =
        Asm::of(|asm| bare(asm).op(b"(K\x01").ints(&[1]).global("numpy", "dtype").op(b"(").text("O8").op(b"tR\x89]tb"));
    refused(&list, &["tensor `w`", "dtype `O8`, which is no number"]);
    let other = Asm::of(|asm| bare(asm).op(b"(K\x01").ints(&[1]).op(b"N\x89C\x04aaaatb"));
    refused(&other, &["tensor `w`", "holds no numbers"]);
    let after = [of("f4", "<", &[2], &[0; 8]), b"more".to_vec()].concat();
    refused(&after, &["4 bytes follow its pickle"]);
}

/// NumPy's own functions that would do something are opaque, and Python's are refused by name.
#[test]
fn nothing_of_numpy_s_is_called() {
    for (module, function) in [("numpy", "fromfile"), ("numpy", "load"), ("numpy.core.multiarray", "frombuffer")] {
        let call = Asm::of(|asm| asm.global(module, function).op(b"(").text("/etc/passwd").op(b"tR"));
        let reason = refusal(&call);
        assert!(reason.contains(function) && reason.contains("`model.state_dict()`"), "{reason}");
    }
    let system = Asm::of(|asm| array(asm.global("os", "system").op(b"0"), "f4", "<", &[1], &[0; 4]));
    refused(&system, &["`os.system`", "nothing was executed"]);
    // A state that is a call.
    let state = |asm: Asm| {
        let asm = asm.global("numpy.core.multiarray", "_reconstruct").op(b"(").global("numpy", "ndarray");
        asm.ints(&[0]).op(b"C\x01btR").global("numpy", "memmap").op(b"(").text("x").op(b"tRb")
    };
    refused(&Asm::of(state), &["tensor `w`", "holds no numbers"]);
}

/// Text that many arrays share is not decoded more often than the file is long.
#[test]
fn shared_text_is_not_decoded_again_and_again() {
    let big = |asm: Asm| array(asm, "f4", ">", &[64], &[7; 256]);
    let once = Asm::new().op(b"}(").text("a");
    let once = big(once).op(b"q\x01");
    let many = (0..50).fold(once, |asm, i| asm.text(&format!("w{i}")).op(b"h\x01")).op(b"u").stop();
    refused(&many, &["256 bytes of them"]);
}
