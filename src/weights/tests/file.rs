use half::{bf16, f16};
use proptest::prelude::*;
use safetensors::tensor::Dtype;

use super::{nuclei, serialize, single, tiny_config, tiny_model};
use crate::config::BlockKind;
use crate::error::Error;
use crate::weights::WeightsFile;

/// The reason of the `Error::Weights` due for these bytes; the message must name the file.
fn refusal(bytes: Vec<u8>) -> String {
    reason(WeightsFile::from_bytes(bytes, "model.bin"), "model.bin")
}

fn reason(result: crate::Result<WeightsFile>, name: &str) -> String {
    match result {
        Err(Error::Weights { file, reason }) => {
            assert!(file.contains(name), "{file}");
            reason
        }
        other => panic!("a weights error was due, not {other:?}"),
    }
}

/// The reason of the `Error::Tensor` due for tensor `x` of these bytes.
fn tensor_refusal(bytes: Vec<u8>, name: &str, shape: &[usize]) -> String {
    match WeightsFile::from_bytes(bytes, "model.bin").unwrap().tensor(name, shape) {
        Err(Error::Tensor { file, tensor, reason }) => {
            assert_eq!((file.as_str(), tensor.as_str()), ("model.bin", name));
            reason
        }
        other => panic!("a tensor error was due, not {other:?}"),
    }
}

/// A file whose header is `json` and which ends with `data` zero bytes.
fn with_header(json: &str, data: usize) -> Vec<u8> {
    let mut bytes = (json.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(json.as_bytes());
    bytes.resize(bytes.len() + data, 0);
    bytes
}

fn le<const N: usize>(values: impl IntoIterator<Item = [u8; N]>) -> Vec<u8> {
    values.into_iter().flatten().collect()
}

#[test]
fn converts_every_float_type() {
    let values = [0.0f32, -1.5, 0.25, 1024.0, -0.0, 6.1035156e-5];
    for (dtype, bytes) in [
        (Dtype::F64, le(values.map(|v| f64::from(v).to_le_bytes()))),
        (Dtype::F32, le(values.map(f32::to_le_bytes))),
        (Dtype::F16, le(values.map(|v| f16::from_f32(v).to_le_bytes()))),
        (Dtype::BF16, le(values.map(|v| bf16::from_f32(v).to_le_bytes()))),
    ] {
        let file = WeightsFile::from_bytes(single(dtype, &[2, 3], bytes), "model.bin").unwrap();
        let tensor = file.tensor("x", &[2, 3]).unwrap();
        assert_eq!(tensor.shape, [2, 3]);
        assert_eq!(tensor.data.map_bits(), values.to_vec().map_bits(), "{dtype}");
    }
}

/// Compares zeros by sign too.
trait MapBits {
    fn map_bits(&self) -> Vec<u32>;
}

impl MapBits for Vec<f32> {
    fn map_bits(&self) -> Vec<u32> {
        self.iter().map(|v| v.to_bits()).collect()
    }
}

#[test]
fn refuses_other_types() {
    for (dtype, bytes) in [(Dtype::I64, 16), (Dtype::I8, 2), (Dtype::BOOL, 2), (Dtype::F8_E4M3, 2)] {
        let reason = tensor_refusal(single(dtype, &[2], vec![0; bytes]), "x", &[2]);
        assert!(reason.contains(&dtype.to_string()) && reason.contains("f16"), "{reason}");
    }
}

#[test]
fn refuses_a_missing_name_and_a_wrong_shape() {
    let file = || single(Dtype::F32, &[2, 3], vec![0; 24]);
    assert!(tensor_refusal(file(), "y", &[2, 3]).contains("closest name in the file is `x`"));
    let reason = tensor_refusal(file(), "x", &[3, 2]);
    assert!(reason.contains("[2, 3]") && reason.contains("[3, 2]"), "{reason}");
    assert!(tensor_refusal(with_header("{}", 0), "x", &[1]).contains("no tensors"));
    // Names come from outside: control characters must not reach a terminal.
    let hostile = with_header(r#"{"\u001b[2J":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, 4);
    assert!(!tensor_refusal(hostile, "x", &[1]).contains('\u{1b}'));
}

#[test]
fn counts_values_that_are_not_finite() {
    let f32s = |values: [f32; 5]| single(Dtype::F32, &[5], le(values.map(f32::to_le_bytes)));
    let reason = tensor_refusal(f32s([1.0, 2.0, f32::INFINITY, f32::NAN, f32::NEG_INFINITY]), "x", &[5]);
    assert!(reason.contains("1 NaN and 2 infinite values among 5") && reason.contains("flat index 2"), "{reason}");
    let half = single(Dtype::F16, &[2], le([f16::ONE, f16::NAN].map(f16::to_le_bytes)));
    assert!(tensor_refusal(half, "x", &[2]).contains("1 NaN"));
    // Finite in the file, but not as f32.
    let double = single(Dtype::F64, &[1], le([1e300f64.to_le_bytes()]));
    assert!(tensor_refusal(double, "x", &[1]).contains("1 infinite"));
}

#[test]
fn refuses_paths_that_are_no_file() {
    let dir = tempfile::tempdir().unwrap();
    // As of an image that is not there.
    let missing = WeightsFile::open(dir.path().join("nothing.safetensors")).err().unwrap();
    assert!(matches!(&missing, Error::Io { path, .. } if path.ends_with("nothing.safetensors")), "{missing:?}");
    assert!(missing.to_string().contains("no such file"), "{missing}");
    let folder = WeightsFile::open(dir.path()).err().unwrap();
    assert!(matches!(folder, Error::Io { .. }) && folder.to_string().contains("directory"), "{folder}");
    let empty = dir.path().join("empty.safetensors");
    std::fs::write(&empty, b"").unwrap();
    assert!(reason(WeightsFile::open(&empty), "empty").contains("is empty"));
    assert!(refusal(Vec::new()).contains("is empty"));
    #[cfg(unix)]
    assert!(reason(WeightsFile::open("/dev/null"), "null").contains("regular file"));
}

#[test]
fn names_other_formats_and_the_cure() {
    let padded = |magic: &[u8]| [magic, &[7; 400]].concat();
    for (magic, format) in [
        (&b"\x89PNG\r\n\x1a\n\x00"[..], "PNG"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", "JPEG"),
        (b"GGUF\x03\x00\x00\x00{", "GGUF"),
    ] {
        let reason = refusal(padded(magic));
        assert!(reason.contains(format) && reason.contains("state dict"), "{reason}");
    }
    let reason = refusal(padded(b"just some text"));
    assert!(reason.contains("no weights file") && reason.contains("state dict"), "{reason}");
    for short in [&b"x"[..], b"\x01\0\0\0\0\0\0\0", b"\x02\0\0\0\0\0\0\0{"] {
        refusal(short.to_vec());
    }
}

#[test]
fn a_pickles_magic_can_be_a_header_length() {
    // 0x0280 = 640 bytes of header begin like a pickle of protocol 2.
    let file = with_header(&format!("{:<640}", "{}"), 0);
    assert_eq!(file[..2], [0x80, 0x02]);
    assert_eq!(WeightsFile::from_bytes(file, "model.bin").unwrap().names().count(), 0);
}

#[test]
fn refuses_lies_about_sizes_without_allocating_for_them() {
    let tensor =
        |shape: &str, from: u64, to: u64| format!(r#"{{"dtype":"F32","shape":{shape},"data_offsets":[{from},{to}]}}"#);
    let one = |shape: &str, from, to| format!(r#"{{"x":{}}}"#, tensor(shape, from, to));
    for (json, data) in [
        (one("[2]", 0, 16), 16),                                // shape and range differ
        (one("[4]", 0, 16), 12),                                // range beyond the end
        (one("[4]", 0, 16), 20),                                // bytes that are no tensor's
        (one("[4]", 4, 20), 20),                                // a hole
        (one("[4]", 16, 0), 16),                                // backwards
        (one("[1099511627776]", 0, 1 << 42), 16),               // 4 TiB
        (one("[4294967296,4294967296,4294967296]", 0, 16), 16), // overflows
        (one("[-1]", 0, 16), 16),
        (format!(r#"{{"x":{0},"y":{0}}}"#, tensor("[4]", 0, 16)), 16), // overlap
        (format!(r#"{{"x":{},"y":{}}}"#, tensor("[4]", 0, 16), tensor("[4]", 8, 24)), 24),
        (r#"{"x":{"dtype":"F99","shape":[1],"data_offsets":[0,4]}}"#.into(), 4),
        (r#"{"x":{"dtype":"F32","shape":[1]}}"#.into(), 4),
        (r#"{"x":3}"#.into(), 0),
        (r#"{"__metadata__":{"config":3}}"#.into(), 0),
        (r#"{"x":"#.into(), 0),
        ("{\u{0}}".into(), 0),
        (format!("{{\"x\":{}", "[".repeat(100_000)), 0),
    ] {
        let reason = refusal(with_header(&json, data));
        assert!(reason.contains("corrupt") || reason.contains("truncated"), "{json:.80}: {reason}");
    }
    let mut invalid_utf8 = with_header(r#"{"a":1}"#, 0);
    invalid_utf8[10] = 0xff;
    assert!(refusal(invalid_utf8).contains("corrupt header"));
    // A header length that the file cannot hold, or that would wrap round.
    for length in [1000, LIMIT, LIMIT + 1, u64::MAX, u64::MAX - 7, 1 << 40] {
        let mut file = with_header("{}", 0);
        file[..8].copy_from_slice(&length.to_le_bytes());
        let reason = refusal(file);
        assert!(reason.contains(if length <= LIMIT { "truncated" } else { "corrupt" }), "{reason}");
    }
}

/// The longest header that is read.
const LIMIT: u64 = 2 << 20;

/// Views that repeat one element, as torch's `expand` makes them, are read, but not where they claim what no such file has.
#[test]
fn refuses_views_of_far_more_than_the_file() {
    let checkpoint = |elements: u32| {
        let head = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.\x80\x02}X\x0d\0\0\0little_endian\x88s.";
        let tensor = b"ctorch._utils\n_rebuild_tensor\n((U\x07storagectorch\nFloatStorage\nU\x010U\x03cpuK\x01tQK\0J";
        let named = |name: &[u8]| [b"U\x01", name, tensor, &elements.to_le_bytes(), b"\x85K\0\x85tR"].concat();
        let object = [b"\x80\x02}(".as_slice(), &named(b"a"), &named(b"b"), b"u."].concat();
        [head.as_slice(), &object, b"\x80\x02](U\x010e.\x01\0\0\0\0\0\0\0\0\0\x80\x3f"].concat()
    };
    let file = WeightsFile::from_bytes(checkpoint(1000), "model.bin").unwrap();
    assert_eq!(file.tensor("b", &[1000]).unwrap().data, [1.0; 1000]);
    // Each of a sound size: together above 64 MiB.
    assert!(WeightsFile::from_bytes(checkpoint(8 << 20), "model.bin").is_ok());
    let reason = refusal(checkpoint((8 << 20) + 1));
    assert!(reason.contains("claims 67108872 bytes of weights") && reason.contains("save it again"), "{reason}");
    assert!(refusal(checkpoint(1 << 28)).contains("claims 2147483648 bytes"));
}

/// Each size is possible by itself; the end of the last is so near 2^64 that adding the header's length overflows.
#[test]
fn refuses_offsets_whose_sum_overflows() {
    let ends: Vec<u64> = (0..16).map(|i| i << 60).chain([u64::MAX]).collect();
    let tensors = ends.windows(2).map(|range| {
        let (from, to) = (range[0], range[1]);
        format!(r#""t{from}":{{"dtype":"I8","shape":[{}],"data_offsets":[{from},{to}]}}"#, to - from)
    });
    let json = format!("{{{}}}", tensors.collect::<Vec<_>>().join(","));
    assert!(refusal(with_header(&json, 4)).contains("truncated"));
}

#[test]
fn refuses_a_file_cut_at_every_percent() {
    let config = tiny_config(BlockKind::Basic);
    let bytes = serialize(&tiny_model(&config), Some(&config.to_json().unwrap()));
    WeightsFile::from_bytes(bytes.clone(), "model.bin").unwrap();
    for percent in 0..100 {
        let reason = refusal(bytes[..bytes.len() * percent / 100].to_vec());
        assert!(reason.contains("truncated") || percent == 0, "{percent} %: {reason}");
    }
    assert!(refusal(bytes[..bytes.len() - 1].to_vec()).contains("truncated"));
    assert!(refusal([&bytes[..], b"\0"].concat()).contains("corrupt: 1 bytes follow"));
}

#[test]
fn the_default_model_is_refused_cut() {
    let bytes = std::fs::read(nuclei()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cut.safetensors");
    for percent in (1..100).step_by(7) {
        std::fs::write(&path, &bytes[..bytes.len() * percent / 100]).unwrap();
        assert!(reason(WeightsFile::open(&path), "cut").contains("truncated"));
    }
}

#[test]
fn says_what_a_file_without_configuration_lacks() {
    let file = WeightsFile::from_bytes(single(Dtype::F32, &[1], vec![0; 4]), "model.bin").unwrap();
    assert!(file.metadata().is_empty());
    match file.config() {
        Err(Error::Weights { reason, .. }) => assert!(reason.contains("begins with `x`"), "{reason}"),
        other => panic!("{other:?}"),
    }
    let broken = WeightsFile::from_bytes(serialize(&Default::default(), Some("{")), "model.bin").unwrap();
    assert!(matches!(broken.config(), Err(Error::Weights { .. })));
    let wrong = WeightsFile::from_bytes(serialize(&Default::default(), Some(r#"{"fpn_channels":5}"#)), "f").unwrap();
    assert!(matches!(wrong.config(), Err(Error::Config { setting, .. }) if setting == "fpn_channels"));
}

proptest! {
    /// Any damage to a header is an error or another sound file, never a panic.
    #[test]
    fn damaged_headers_never_panic(changes in prop::collection::vec((0usize..400, any::<u8>()), 1..4)) {
        let mut tensors = super::Tensors::new();
        for name in ["a", "b", "c"] {
            tensors.insert(name.into(), super::Raw { dtype: Dtype::F16, shape: vec![2, 2], bytes: vec![0; 8] });
        }
        let mut bytes = serialize(&tensors, Some("{}"));
        for (at, value) in changes {
            let at = at % bytes.len();
            bytes[at] = value;
        }
        if let Ok(file) = WeightsFile::from_bytes(bytes, "model.bin") {
            for name in file.names() {
                let _ = file.tensor(name, &[2, 2]);
            }
            let _ = file.config();
        }
    }

    #[test]
    fn noise_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = WeightsFile::from_bytes(bytes, "model.bin");
    }
}
