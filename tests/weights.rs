//! The program and weights files: checkpoints as torch writes them, settings, conversion, downloads.
#![cfg(all(feature = "cli", feature = "embedded-model"))]

#[path = "common/program.rs"]
mod program;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use maskrcnn::model::config::{Backbone, BlockKind, BoxHead, MaskHead};
use maskrcnn::vision::coco::CocoResult;
use maskrcnn::weights::{NetworkWeights, WeightsFile, synth};
use maskrcnn::{Config, Detector, Device, Image};
use program::{Ran, run_with_cache};

/// Runs the program in `dir`, which is its cache as well.
fn run(dir: &Path, args: &[&str]) -> Ran {
    run_with_cache(dir, &dir.join("cache"), args)
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// A folder with the fixture as `model.pth` and a picture as `a.png`.
fn folder(name: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::copy(fixture(name), dir.path().join("model.pth")).unwrap();
    run(dir.path(), &["scene", "a.png", "--width", "96", "--height", "80", "--count", "6"]).good();
    dir
}

/// The network of the fixtures (`tests/oracle/make_tiny.py`).
fn tiny() -> Config {
    let mut config = Config {
        backbone: Backbone { layers: [1; 4], block: BlockKind::Basic, base_width: 4, ..Default::default() },
        fpn_channels: 4,
        num_classes: 3,
        class_names: Config::names_of(3),
        box_head: BoxHead { representation: 8, ..Default::default() },
        mask: Some(MaskHead { layers: vec![8], dim_reduced: 8, ..Default::default() }),
        ..Default::default()
    };
    (config.transform.min_size, config.transform.max_size) = (64, 128);
    config
}

const SMALL: [&str; 6] = ["--min-size", "64", "--max-size", "128", "--score", "0.05"];

/// What `detect` writes for `a.png` with these weights and options.
fn detect(dir: &Path, weights: &str, options: &[&str]) -> (Vec<CocoResult>, Ran) {
    let ran =
        run(dir, &[&["detect", "a.png", "--out", "out", "--weights", weights], &SMALL[..], options].concat()).good();
    (serde_json::from_slice(&fs::read(dir.join("out/a.json")).unwrap()).unwrap(), ran)
}

/// Torch's files of a network give what the same network gives that was never in a file.
#[test]
fn checkpoints_are_detected_with_as_they_are() {
    let config = tiny();
    let device = Device::open(std::env::var("MASKRCNN_DEVICE").ok().as_deref()).unwrap();
    let detector = Detector::new(&device, &synth::synthetic_file(&config, 3).unwrap()).unwrap();
    for name in ["tiny_zip.pth", "tiny_legacy.pth"] {
        let dir = folder(name);
        let (found, ran) = detect(dir.path(), "model.pth", &["--bn-eps", "1e-5"]);
        assert!(!ran.err.contains("warning"), "{}", ran.err);
        let want = detector.detect(&Image::open(dir.path().join("a.png")).unwrap()).unwrap();
        assert!(want.len() > 5, "{} detections show nothing", want.len());
        assert_eq!(found.len(), want.len());
        for (f, w) in found.iter().zip(&want) {
            assert_eq!((f.category_id, f.score), (w.label, w.score), "{name}");
            let [x1, y1, x2, y2] = w.bbox;
            assert_eq!(f.bbox, [x1, y1, x2 - x1, y2 - y1], "{name}");
            assert_eq!(f.segmentation.as_ref().unwrap().area(), w.mask.area(), "{name}");
        }
    }
}

#[test]
fn an_epsilon_that_nobody_stated_is_a_warning() {
    let dir = folder("tiny_legacy.pth");
    let (silent, _) = detect(dir.path(), "model.pth", &["--bn-eps", "0"]);
    let (warned, ran) = detect(dir.path(), "model.pth", &[]);
    assert!(ran.err.contains("warning: model.pth") && ran.err.contains("--bn-eps"), "{}", ran.err);
    assert!(warned == silent, "0 is not what is assumed");
    let (other, _) = detect(dir.path(), "model.pth", &["--bn-eps", "0.1"]);
    assert!(other != silent, "the epsilon does nothing");
    fs::copy(dir.path().join("model.pth"), dir.path().join("mine-bf2d0c1e.pth")).unwrap();
    let (published, ran) = detect(dir.path(), "mine-bf2d0c1e.pth", &[]);
    assert!(!ran.err.contains("warning") && published == silent, "{}", ran.err);
    // Stated in a file of settings, and in the metadata of a converted file.
    fs::write(dir.path().join("s.toml"), "[backbone]\nnorm = \"batchnorm eps 0.1\"\n").unwrap();
    let (stated, ran) = detect(dir.path(), "model.pth", &["--config", "s.toml"]);
    assert!(!ran.err.contains("warning") && stated == other, "{}", ran.err);
    run(dir.path(), &["weights", "convert", "model.pth", "m.safetensors", "--config", "s.toml"]).good();
    let (converted, ran) = detect(dir.path(), "m.safetensors", &[]);
    assert!(!ran.err.contains("warning") && converted == other, "{}", ran.err);
}

#[test]
fn settings_come_from_a_file_and_flags() {
    let dir = folder("tiny_zip.pth");
    let settings = "class_names = [\"background\", \"cat\", \"dog\"]\n[box]\ndetections_per_img = 5\n";
    fs::write(dir.path().join("s.toml"), settings).unwrap();
    let (found, _) = detect(dir.path(), "model.pth", &["--config", "s.toml", "--bn-eps", "1e-5"]);
    assert_eq!(found.len(), 5);
    assert!(found.iter().all(|f| ["cat", "dog"].contains(&f.category_name.as_str())), "{found:?}");
    let (few, _) = detect(dir.path(), "model.pth", &["--config", "s.toml", "--detections", "3", "--bn-eps", "1e-5"]);
    assert!(few[..] == found[..3]);
    let (overlapping, _) = detect(dir.path(), "model.pth", &["--nms", "1", "--bn-eps", "1e-5"]);
    let (usual, _) = detect(dir.path(), "model.pth", &["--bn-eps", "1e-5"]);
    assert!(overlapping != usual);

    for (text, told) in [
        ("[rpn]\nnms_tresh = 0.5", &["`rpn.nms_tresh`", "nms_thresh", "bad.toml"][..]),
        ("[rpn]\nnms_thresh = 1.5", &["`rpn.nms_thresh`", "allowed 0 to 1", "bad.toml"]),
        ("[rpn", &["bad.toml", "not valid TOML"]),
        ("num_classes = 5", &["cls_score", "[5, 8]"]),
        ("anchor_ratios = [1.0]", &["anchor_sizes", "trained with 3"]),
    ] {
        fs::write(dir.path().join("bad.toml"), text).unwrap();
        let ran =
            run(dir.path(), &["detect", "a.png", "--weights", "model.pth", "--config", "bad.toml", "--bn-eps", "0"]);
        assert!(told.iter().all(|t| ran.err.contains(t)), "{text}: {}", ran.err);
        assert_eq!(ran.code, 1);
    }
    for (args, told) in [
        (&["--config", "none.toml"][..], "none.toml"),
        (&["--nms", "2"], "`--nms`"),
        (&["--detections", "0"], "`--detections`"),
        (&["--min-size", "0"], "`--min-size, --max-size`"),
        (&["--bn-eps", "nan"], "`--bn-eps`"),
    ] {
        let ran = run(dir.path(), &[&["detect", "a.png", "--weights", "model.pth"], args].concat());
        assert!(ran.error().contains(told), "{}", ran.err);
    }
}

#[test]
fn inspect_tells_what_a_file_is() {
    let dir = folder("tiny_zip.pth");
    let ran = run(dir.path(), &["weights", "inspect", "model.pth", "--bn-eps", "1e-5"]).good();
    for told in
        ["PyTorch checkpoint", "maskrcnn_resnet_fpn", "1+1+1+1", "class 1, class 2", "nothing missing", "eps 1e-5"]
    {
        assert!(ran.out.contains(told), "{told}: {}", ran.out);
    }
    // The settings that it prints are a file of settings.
    let toml = ran.out.split_once("# settings").unwrap().1.split_once('\n').unwrap().1;
    fs::write(dir.path().join("s.toml"), toml).unwrap();
    let again = run(dir.path(), &["weights", "inspect", "model.pth", "--config", "s.toml"]).good();
    assert_eq!(again.out, ran.out);

    let ran = run(dir.path(), &["weights", "inspect", "model.pth", "--config", "missing.toml"]);
    assert!(ran.error().contains("missing.toml"));
    let config = Config { num_classes: 4, class_names: Config::names_of(4), ..tiny() };
    let mut tensors = synth::synthetic(&config, 1);
    tensors.retain(|(name, _)| name != "rpn.head.bbox_pred.bias");
    tensors.push(("extra".into(), maskrcnn::tensor::HostTensor::new(&[1], vec![0.0])));
    let bytes = synth::to_safetensors(tensors, &tiny().to_json().unwrap()).unwrap();
    fs::write(dir.path().join("odd.safetensors"), bytes).unwrap();
    let ran = run(dir.path(), &["weights", "inspect", "odd.safetensors"]).good();
    for told in ["missing   rpn.head.bbox_pred.bias", "left over extra", "cls_score.weight is [4, 8], [3, 8] is needed"]
    {
        assert!(ran.out.contains(told), "{told}: {}", ran.out);
    }
    assert!(!ran.out.contains("nothing missing"));
}

#[test]
fn converted_files_are_the_same_network() {
    let dir = folder("tiny_legacy.pth");
    let (want, _) = detect(dir.path(), "model.pth", &["--bn-eps", "1e-5"]);
    let convert =
        |args: &[&str]| run(dir.path(), &[&["weights", "convert", "model.pth"], args, &["--bn-eps", "1e-5"]].concat());
    convert(&["whole.safetensors"]).good();
    assert!(detect(dir.path(), "whole.safetensors", &[]).0 == want);
    convert(&["half.safetensors", "--f16"]).good();
    assert!(!detect(dir.path(), "half.safetensors", &[]).0.is_empty());
    let size = |name: &str| fs::metadata(dir.path().join(name)).unwrap().len();
    assert!(size("half.safetensors") < size("whole.safetensors"));
    let file = WeightsFile::open(dir.path().join("half.safetensors")).unwrap();
    NetworkWeights::load(&file, &file.config().unwrap()).unwrap();

    assert!(convert(&["model.txt"]).error().contains("ending"));
    assert!(convert(&["none/x.safetensors"]).error().contains("none/x.safetensors"));
    let ran = run(dir.path(), &["weights", "convert", "whole.safetensors", "whole.safetensors"]);
    assert!(ran.error().contains("over itself"));
    assert!(detect(dir.path(), "whole.safetensors", &[]).0 == want);
}

/// A pickle that calls something: refused by name, and not called.
#[test]
fn hostile_checkpoints_do_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let head = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.\x80\x02}X\x0d\0\0\0little_endian\x88s.";
    let call = b"\x80\x02cos\nsystem\nX\x0f\0\0\0touch owned.txt;\x85R.\x80\x02].";
    fs::write(dir.path().join("evil.pth"), [&head[..], call].concat()).unwrap();
    for args in [&["weights", "inspect", "evil.pth"][..], &["detect", "a.png", "--weights", "evil.pth"]] {
        let ran = run(dir.path(), args);
        assert!(ran.error().contains("`os.system`") && ran.error().contains("nothing was executed"), "{}", ran.err);
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn checkpoints_cut_anywhere_are_refused() {
    for name in ["tiny_zip.pth", "tiny_legacy.pth"] {
        let whole = fs::read(fixture(name)).unwrap();
        for percent in 0..100 {
            let bytes = whole[..whole.len() * percent / 100].to_vec();
            let message = WeightsFile::from_bytes(bytes, "cut.pth").unwrap_err().to_string();
            assert!(
                message.contains("cut.pth") && (message.contains("download") || percent == 0),
                "{percent} %: {message}"
            );
        }
        WeightsFile::from_bytes(whole, name).unwrap();
    }
}

#[test]
fn published_models_are_offered_by_name() {
    let dir = folder("tiny_zip.pth");
    for args in [
        &["detect", "a.png", "--weights", "maskrcnn_resnet50_fpn_v2"][..],
        &["weights", "inspect", "maskrcnn_resnet50_fpn_v2"],
    ] {
        let ran = run(dir.path(), args);
        assert!(ran.error().contains("`maskrcnn weights pull maskrcnn_resnet50_fpn_v2`"), "{}", ran.err);
    }
    let ran = run(dir.path(), &["weights", "pull", "maskrcnn"]);
    assert!(ran.error().contains("fasterrcnn_resnet50_fpn_v2"), "{}", ran.err);
    let ran = run(dir.path(), &["weights", "pull", "maskrcnn_resnet50_fpn", "--mirror", "here"]);
    assert!(ran.error().contains("`here`"), "{}", ran.err);
}

/// A server that has something else under the file's name.
#[test]
fn a_pull_keeps_nothing_that_is_not_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let mirror = format!("http://{}/models", server.local_addr().unwrap());
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = server.accept().unwrap();
        let mut request = [0; 1 << 12];
        let n = stream.read(&mut request).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello").unwrap();
        String::from_utf8_lossy(&request[..n]).into_owned()
    });
    let ran = run(dir.path(), &["weights", "pull", "fasterrcnn_resnet50_fpn", "--mirror", &mirror]);
    assert!(ran.error().contains(&mirror) && ran.error().contains("5 bytes"), "{}", ran.err);
    assert!(thread.join().unwrap().starts_with("GET /models/fasterrcnn_resnet50_fpn_coco-258fb6c6.pth "));
    let left: Vec<_> = fs::read_dir(dir.path().join("cache")).unwrap().map(|f| f.unwrap().path()).collect();
    assert!(left.iter().all(|f| f.extension().is_some_and(|e| e == "lock")), "{left:?}");
}
