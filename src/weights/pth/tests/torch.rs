//! Files that torch wrote; see `make_fixtures.py`.

use safetensors::Dtype;
use serde_json::Value;

use super::*;

/// Every fixture that is to be read.
macro_rules! fixtures {
    ($($name:literal),*) => { [$(($name, include_bytes!(concat!("../fixtures/", $name)).as_slice())),*] };
}

const EXPECTED: &str = include_str!("../fixtures/expected.json");

pub(super) const FILES: [(&str, &[u8]); 15] = fixtures![
    "kinds_zip.pth",
    "kinds_legacy.pth",
    "kinds_protocol4.pth",
    "views_zip.pth",
    "views_legacy.pth",
    "views_protocol4.pth",
    "training_zip.pth",
    "training_legacy.pth",
    "training_protocol4.pth",
    "lightning_zip.pth",
    "lightning_legacy.pth",
    "lightning_protocol4.pth",
    "legacy_protocol4.pth",
    "parallel.pth",
    "compiled.pth"
];

/// Torch's name of a type.
pub(super) fn name(dtype: Dtype) -> &'static str {
    match dtype {
        Dtype::F64 => "float64",
        Dtype::F32 => "float32",
        Dtype::F16 => "float16",
        Dtype::BF16 => "bfloat16",
        Dtype::I64 => "int64",
        Dtype::I32 => "int32",
        Dtype::I16 => "int16",
        Dtype::I8 => "int8",
        Dtype::U8 => "uint8",
        Dtype::BOOL => "bool",
        other => panic!("{other}"),
    }
}

/// A half-precision number with `exponent` bits of exponent, by the book; finite ones only.
fn half(bits: u16, exponent: u32) -> f64 {
    let digits = 15 - exponent;
    let (power, fraction) = (i32::from(bits >> digits) & ((1 << exponent) - 1), f64::from(bits & ((1 << digits) - 1)));
    let bias = (1 << (exponent - 1)) - 1;
    let scale = 2f64.powi(-(digits as i32));
    let size = match power {
        0 => fraction * scale * 2f64.powi(1 - bias),
        _ => (1.0 + fraction * scale) * 2f64.powi(power - bias),
    };
    if bits >> 15 == 1 { -size } else { size }
}

/// All values of a tensor, in the order of its axes.
pub(super) fn values(bytes: &[u8], entry: &Entry) -> Vec<f64> {
    fn at<const N: usize>(bytes: &[u8], start: usize) -> [u8; N] {
        bytes[start..start + N].try_into().unwrap()
    }
    let count: usize = entry.shape.iter().product();
    let value = |flat: usize| {
        let (mut rest, mut place) = (flat, 0);
        for (axis, stride) in entry.shape.iter().zip(&entry.strides).rev() {
            place += rest % axis * stride;
            rest /= axis;
        }
        let start = entry.start + place * entry.dtype.bitsize() / 8;
        match entry.dtype {
            Dtype::F64 => f64::from_le_bytes(at(bytes, start)),
            Dtype::F32 => f32::from_le_bytes(at(bytes, start)).into(),
            Dtype::F16 => half(u16::from_le_bytes(at(bytes, start)), 5),
            Dtype::BF16 => half(u16::from_le_bytes(at(bytes, start)), 8),
            Dtype::I64 => i64::from_le_bytes(at(bytes, start)) as f64,
            Dtype::I32 => i32::from_le_bytes(at(bytes, start)).into(),
            Dtype::I16 => i16::from_le_bytes(at(bytes, start)).into(),
            Dtype::I8 => i8::from_le_bytes(at(bytes, start)).into(),
            _ => bytes[start].into(),
        }
    };
    (0..count).map(value).collect()
}

#[test]
fn reads_what_torch_wrote() {
    let expected: Value = serde_json::from_str(EXPECTED).unwrap();
    assert_eq!(expected.as_object().unwrap().len(), FILES.len());
    for (file, bytes) in FILES {
        assert!(is_pth(bytes), "{file}");
        let entries = read(bytes).unwrap_or_else(|reason| panic!("{file} {reason}"));
        assert_within(bytes, &entries);
        let tensors = expected[file].as_array().unwrap();
        assert_eq!(entries.len(), tensors.len(), "{file}");
        for ((found, entry), tensor) in entries.iter().zip(tensors) {
            assert_eq!(found.as_str(), tensor["name"], "{file}");
            assert_eq!(name(entry.dtype), tensor["dtype"], "{file} {found}");
            assert_eq!(Value::from(entry.shape.clone()), tensor["shape"], "{file} {found}");
            assert_eq!(Value::from(values(bytes, entry)), tensor["values"], "{file} {found}");
        }
    }
}

#[test]
fn a_view_stays_a_view() {
    let entries = read(FILES[3].1).unwrap();
    let find = |name: &str| entries.iter().find(|(found, _)| found == name).map(|(_, entry)| entry).unwrap();
    let base = find("base").start;
    assert_eq!((find("transposed").start, find("transposed").strides.as_slice()), (base, [1, 6].as_slice()));
    assert_eq!((find("sliced").start, find("sliced").strides.as_slice()), (base + 4 * 8, [6, 2].as_slice()));
    assert_eq!(find("expanded").strides, [1, 0]);
    assert!(find("scalar").shape.is_empty() && find("empty").shape == [0, 4]);
}

#[test]
fn refuses_a_whole_model() {
    let model = include_bytes!("../fixtures/whole_model.pth");
    refused(model, &["whole Python model", "`torch.nn.modules.container.Sequential`", "save `model.state_dict()`"]);
}
