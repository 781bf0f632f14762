//! The seeds of the fuzz targets (`fuzz/seeds`, by `fuzz/make_seeds.py`), read as the targets read them: each ends where it should.
//! What a fuzzer found and was mended is among them.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use maskrcnn::engine::config::Config;
use maskrcnn::engine::weights::{NetworkWeights, WeightsFile};

/// The seeds of a target by name.
fn seeds(target: &str) -> BTreeMap<String, Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let read = |entry: std::io::Result<std::fs::DirEntry>| {
        let path = entry.unwrap().path();
        let mut bytes = Vec::new();
        flate2::read::GzDecoder::new(std::fs::File::open(&path).unwrap()).read_to_end(&mut bytes).unwrap();
        (path.file_stem().unwrap().to_str().unwrap().to_string(), bytes)
    };
    let found: BTreeMap<_, _> = folder.read_dir().unwrap().map(read).collect();
    assert!(!found.is_empty(), "{target}");
    found
}

/// Whole networks load, so that a change of a seed ends in what reads networks, and not where a file is known to be none.
#[test]
fn whole_networks_are_whole() {
    for (target, family, count) in [
        ("checkpoint", ["", "detectron2", "MMDetection", "maskrcnn-benchmark", "torchvision"].as_slice(), 7),
        ("arrays", &["detectron2", "Detectron"], 2),
        ("safetensors", &["torchvision", "detectron2", "MMDetection"], 3),
        ("onnx", &["torchvision"], 3),
        ("hdf5", &["matterport"], 1),
    ] {
        let mut whole = 0;
        for (name, bytes) in seeds(target) {
            let Ok(file) = WeightsFile::from_bytes(bytes, name.clone()) else { continue };
            for tensor in file.names() {
                let _ = file.tensor(tensor, file.shape(tensor).unwrap());
            }
            let Ok(config) = file.config() else { continue };
            match NetworkWeights::load(&file, &config) {
                Ok(_) => whole += 1,
                // Settings, and tensors of no network.
                Err(_) if name == "odd" => continue,
                Err(told) => panic!("{target}/{name}: {told}"),
            }
            assert!(family.contains(&file.family_name()), "{target}/{name}: {}", file.family_name());
        }
        assert_eq!(whole, count, "{target}");
    }
}

/// A seed is small, or a fuzzer is slow.
#[test]
fn seeds_are_small() {
    for target in ["arrays", "checkpoint", "config", "hdf5", "image", "mm_config", "onnx", "safetensors"] {
        for (name, bytes) in seeds(target) {
            assert!(bytes.len() <= 250_000, "{target}/{name}: {} bytes", bytes.len());
        }
    }
}

#[cfg(feature = "image")]
#[test]
fn pictures_and_settings_are_read() {
    for (name, bytes) in seeds("image") {
        let read = maskrcnn::Image::decode(&bytes, &name);
        // Of floats nothing says which is white.
        assert!(read.is_ok() || name == "float.tif", "{name}: {:?}", read.err());
    }
    for (name, bytes) in seeds("config") {
        let read = Config::from_json(std::str::from_utf8(&bytes).unwrap(), &name);
        assert!(read.is_ok(), "{name}: {:?}", read.err());
    }
}
