//! The program and weights files: checkpoints as torch writes them, settings, conversion, downloads.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use crate::program::{Ran, run_with_cache};
use maskrcnn::engine::config::{Backbone, BlockKind, BoxHead, MaskHead};
use maskrcnn::engine::tensor::HostTensor;
use maskrcnn::engine::vision::coco::CocoResult;
use maskrcnn::engine::weights::{NetworkWeights, WeightsFile, synth};
use maskrcnn::{Config, Detector, Device, Image};
use safetensors::Dtype;
use safetensors::tensor::TensorView;

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
        backbone: Backbone { layers: vec![1; 4], block: BlockKind::Basic, base_width: 4, ..Default::default() },
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
    let detector =
        Detector::builder().device(&device).weights_file(&synth::synthetic_file(&config, 3).unwrap()).build().unwrap();
    for name in ["tiny_zip.pth", "tiny_legacy.pth"] {
        let dir = folder(name);
        let (found, ran) = detect(dir.path(), "model.pth", &["--bn-eps", "1e-5"]);
        assert!(!ran.err.contains("epsilon"), "{}", ran.err);
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

/// The lines of standard error that tell what was assumed.
fn told(ran: &Ran) -> String {
    ran.err.lines().filter(|l| l.starts_with("warning: ") || l.starts_with("note: ")).collect::<Vec<_>>().join("\n")
}

#[test]
fn an_epsilon_that_nobody_stated_is_said() {
    let dir = folder("tiny_zip.pth");
    let (usual, _) = detect(dir.path(), "model.pth", &["--bn-eps", "1e-5"]);
    let (assumed, ran) = detect(dir.path(), "model.pth", &[]);
    for part in ["note: model.pth", "1e-5 is assumed", "next to nothing", "`--bn-eps 0`"] {
        assert!(told(&ran).contains(part), "{part}: {}", ran.err);
    }
    assert!(assumed == usual, "1e-5 is not what is assumed");
    let (other, _) = detect(dir.path(), "model.pth", &["--bn-eps", "0.1"]);
    assert!(other != usual, "the epsilon does nothing");
    // The digits of a published file's hash in its name make no other network one of these.
    fs::copy(dir.path().join("model.pth"), dir.path().join("mine-bf2d0c1e.pth")).unwrap();
    assert!(detect(dir.path(), "mine-bf2d0c1e.pth", &[]).0 == usual);
    // Stated in a file of settings, and in the metadata of a converted file.
    fs::write(dir.path().join("s.toml"), "[backbone]\nnorm = \"batchnorm eps 0.1\"\n").unwrap();
    let (stated, ran) = detect(dir.path(), "model.pth", &["--config", "s.toml"]);
    assert!(!ran.err.contains("epsilon") && stated == other, "{}", ran.err);
    run(dir.path(), &["weights", "convert", "model.pth", "m.safetensors", "--config", "s.toml"]).good();
    let (converted, ran) = detect(dir.path(), "m.safetensors", &[]);
    assert!(told(&ran).is_empty() && converted == other, "{}", ran.err);

    // One that matters: a channel of little variance.
    let mut tensors = synth::synthetic(&tiny(), 3);
    let var = tensors.iter_mut().find(|(name, _)| name == "backbone.body.layer1.0.bn1.running_var").unwrap();
    var.1.data[1] = 1e-5;
    fs::write(dir.path().join("odd.safetensors"), plain(tensors)).unwrap();
    let (_, ran) = detect(dir.path(), "odd.safetensors", &[]);
    for part in [
        "warning: odd.safetensors",
        "1 of ",
        "more than 1 % (at most 41 %)",
        "missed",
        "`--bn-eps 0`",
        "`--bn-eps 1e-5`",
    ] {
        assert!(told(&ran).contains(part), "{part}: {}", ran.err);
    }
}

/// A safetensors file without settings.
fn plain(tensors: Vec<(String, HostTensor)>) -> Vec<u8> {
    let raw: Vec<(String, Vec<usize>, Vec<u8>)> = tensors
        .into_iter()
        .map(|(name, t)| (name, t.shape, t.data.iter().flat_map(|v| v.to_le_bytes()).collect()))
        .collect();
    let views =
        raw.iter().map(|(name, shape, bytes)| (name, TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap()));
    safetensors::serialize(views, None).unwrap()
}

/// Where the file carries no settings, those that its tensors cannot tell are named, once, and how to state them.
#[test]
fn settings_that_tensors_cannot_tell_are_said() {
    let dir = folder("tiny_zip.pth");
    let base = ["detect", "a.png", "--out", "out", "--weights", "model.pth", "--bn-eps", "1e-5"];
    let ran = run(dir.path(), &base).good();
    for part in [
        "anchors of 32, 64, 128, 256, 512 pixels, ratios 0.5, 1, 2",
        "mean 0.485, 0.456, 0.406 and std 0.229, 0.224, 0.225",
        "coder weights 10, 10, 5, 5",
        "sampling ratio 2, not aligned",
        "score 0.05, NMS 0.5, of proposals 0.7, mask 0.5",
        "800, at most 1333",
        "`--config FILE.toml`",
        "`maskrcnn weights inspect model.pth`",
    ] {
        assert!(ran.err.contains(part), "{part}: {}", ran.err);
    }
    assert_eq!(told(&ran).lines().count(), 1, "{}", ran.err);
    // What is given is not assumed.
    fs::write(
        dir.path().join("s.toml"),
        "anchor_sizes = [[16], [32], [64], [128], [256]]\nanchor_ratios = [0.5, 1, 2]",
    )
    .unwrap();
    let ran =
        run(dir.path(), &[&base[..], &["--config", "s.toml", "--min-size", "64", "--max-size", "128"]].concat()).good();
    assert!(!ran.err.contains("anchors") && !ran.err.contains("1333") && ran.err.contains("std"), "{}", ran.err);
    let printed = run(dir.path(), &["weights", "inspect", "model.pth"]).good().out;
    fs::write(dir.path().join("all.toml"), settings_of(&printed)).unwrap();
    let ran = run(dir.path(), &[&base[..6], &["--config", "all.toml"]].concat()).good();
    assert!(told(&ran).is_empty(), "{}", ran.err);
    // The embedded model carries its settings.
    let ran = run(dir.path(), &["detect", "a.png", "--out", "out"]).good();
    assert!(told(&ran).is_empty(), "{}", ran.err);
}

/// The settings that `inspect` prints.
fn settings_of(printed: &str) -> &str {
    printed.split_once("# settings").unwrap().1.split_once('\n').unwrap().1
}

/// A checkpoint of PyTorch Lightning's whose network is a field of a field, with a loss and a metric beside it, and
/// hyperparameters of all kinds.
#[test]
fn lightning_s_checkpoints_are_detected_with() {
    let dir = folder("tiny_zip.pth");
    fs::copy(fixture("tiny_lightning.ckpt"), dir.path().join("last.ckpt")).unwrap();
    let (want, _) = detect(dir.path(), "model.pth", &[]);
    let (found, ran) = detect(dir.path(), "last.ckpt", &[]);
    assert!(found == want && !want.is_empty());
    for part in [
        "last.ckpt: the network of `state_dict.model.detector` is read",
        "2 tensors beside it (`loss.weight`, `val_map.scores`)",
    ] {
        assert!(told(&ran).contains(part), "{part}: {}", ran.err);
    }
    let ran = run(dir.path(), &["weights", "inspect", "last.ckpt"]).good();
    for part in ["prefix    state_dict.model.detector", "left out  loss.weight, beside", "nothing missing"] {
        assert!(ran.out.contains(part), "{part}: {}", ran.out);
    }
    run(dir.path(), &["weights", "convert", "last.ckpt", "last.safetensors"]).good();
    assert!(detect(dir.path(), "last.safetensors", &[]).0 == want);
}

/// Two networks in a file, one of them an average.
#[test]
fn a_prefix_chooses_among_networks() {
    let dir = folder("tiny_zip.pth");
    let prefixed = |prefix: &str, seed: u64| {
        let all = synth::synthetic(&tiny(), seed).into_iter();
        all.map(|(name, tensor)| (format!("{prefix}{name}"), tensor)).collect::<Vec<_>>()
    };
    fs::write(dir.path().join("two.safetensors"), plain([prefixed("net.", 3), prefixed("ema_net.", 4)].concat()))
        .unwrap();
    fs::write(dir.path().join("other.safetensors"), plain(prefixed("", 4))).unwrap();
    let (want, _) = detect(dir.path(), "model.pth", &[]);
    let (found, ran) = detect(dir.path(), "two.safetensors", &[]);
    assert!(found == want);
    assert!(
        told(&ran).contains("the network of `net` is read; left out: `ema_net`, which `--prefix` chooses"),
        "{}",
        ran.err
    );
    let (average, _) = detect(dir.path(), "two.safetensors", &["--prefix", "ema_net"]);
    assert!(average == detect(dir.path(), "other.safetensors", &[]).0 && average != want);
    let inspect = |prefix: &str| run(dir.path(), &["weights", "inspect", "two.safetensors", "--prefix", prefix]);
    assert!(inspect("ema_net").good().out.contains("left out  net, another network"));
    assert!(inspect("swa").error().contains("`net`, `ema_net`"));
    let ran = run(dir.path(), &["detect", "a.png", "--out", "out", "--prefix", "net"]);
    assert!(ran.error().contains("--prefix") && ran.error().contains("--weights"), "{}", ran.err);

    let twins = plain([prefixed("left.", 3), prefixed("right.", 4)].concat());
    fs::write(dir.path().join("twins.safetensors"), twins).unwrap();
    let ran = run(dir.path(), &["weights", "inspect", "twins.safetensors"]);
    assert!(ran.error().contains("`left`, `right`") && ran.error().contains("--prefix"), "{}", ran.err);
}

#[test]
fn settings_come_from_a_file_and_flags() {
    let dir = folder("tiny_zip.pth");
    let settings = "class_names = [\"background\", \"cat\", \"dog\"]\n[box]\ndetections_per_img = 5\n";
    fs::write(dir.path().join("s.toml"), settings).unwrap();
    let (found, _) = detect(dir.path(), "model.pth", &["--config", "s.toml", "--bn-eps", "1e-5"]);
    assert_eq!(found.len(), 5);
    assert!(found.iter().all(|f| ["cat", "dog"].contains(&f.category_name.as_str())), "{found:?}");
    let (few, ran) = detect(dir.path(), "model.pth", &["--config", "s.toml", "--detections", "3", "--bn-eps", "1e-5"]);
    assert!(few[..] == found[..3]);
    // What there was no room for is told, with the option that makes room.
    assert!(ran.out.contains("more were found") && ran.out.contains("--detections "), "{}", ran.out);
    let (many, ran) = detect(dir.path(), "model.pth", &["--detections", "1500", "--bn-eps", "1e-5"]);
    assert!(many.len() >= 5 && !ran.out.contains("the most that is allowed"), "{} {}", many.len(), ran.out);
    assert!(ran.err.contains("note: for 1500 detections, the RPN gives 6000 proposals"), "{}", ran.err);
    fs::write(dir.path().join("p.toml"), "[rpn]\npost_nms_top_n = 50\n").unwrap();
    let (some, ran) =
        detect(dir.path(), "model.pth", &["--detections", "60", "--config", "p.toml", "--bn-eps", "1e-5"]);
    assert!(
        some.len() <= 50 && ran.err.contains("warning: 60 detections") && ran.err.contains("240 would do"),
        "{}",
        ran.err
    );
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
        (&["--detections", "0"], "`--detections`"),
        (&["--detections", "16385"], "`--detections`"),
        (&["--min-size", "0"], "`--min-size, --max-size`"),
        (&["--bn-eps", "nan"], "`--bn-eps`"),
    ] {
        let ran = run(dir.path(), &[&["detect", "a.png", "--weights", "model.pth"], args].concat());
        assert!(ran.error().contains(told), "{}", ran.err);
    }
    for value in ["2", "nan"] {
        let ran = run(dir.path(), &["detect", "a.png", "--weights", "model.pth", "--nms", value]);
        assert!(ran.code == 2 && ran.err.contains("--nms") && ran.err.contains("between 0 and 1"), "{}", ran.err);
    }
}

#[test]
fn inspect_tells_what_a_file_is() {
    let dir = folder("tiny_zip.pth");
    let ran = run(dir.path(), &["weights", "inspect", "model.pth", "--bn-eps", "1e-5"]).good();
    for told in [
        "PyTorch checkpoint",
        "maskrcnn_resnet_fpn",
        "1+1+1+1",
        "class 1, class 2",
        "nothing missing",
        "eps 1e-5",
        "RPN with 1 convolution;",
        "mask head of 1 convolution\n",
        "# inferred",
        "anchor_ratios = [0.5, 1.0, 2.0]  # assumed: the default of torchvision",
        "norm = \"batchnorm eps 1e-5\"  # given: --bn-eps",
    ] {
        assert!(ran.out.contains(told), "{told}: {}", ran.out);
    }
    assert!(run(dir.path(), &["weights", "inspect", "model.pth", "--bn-eps", "0"]).good().out.contains("eps 0;"));
    // The settings that it prints are a file of settings.
    fs::write(dir.path().join("s.toml"), settings_of(&ran.out)).unwrap();
    let again = run(dir.path(), &["weights", "inspect", "model.pth", "--config", "s.toml"]).good();
    let unmarked = |text: &str| text.lines().map(|l| l.split("  # ").next().unwrap().to_string()).collect::<Vec<_>>();
    assert_eq!(unmarked(settings_of(&again.out)), unmarked(settings_of(&ran.out)));
    assert!(!again.out.contains("# assumed") && again.out.contains("# given"), "{}", again.out);
    run(dir.path(), &["weights", "convert", "model.pth", "own.safetensors", "--bn-eps", "1e-5"]).good();
    let own = run(dir.path(), &["weights", "inspect", "own.safetensors"]).good();
    assert!(
        own.out.contains("# read") && !own.out.contains("# assumed") && !own.out.contains("# inferred"),
        "{}",
        own.out
    );

    let ran = run(dir.path(), &["weights", "inspect", "model.pth", "--config", "missing.toml"]);
    assert!(ran.error().contains("missing.toml"));
    let config = Config { num_classes: 4, class_names: Config::names_of(4), ..tiny() };
    let mut tensors = synth::synthetic(&config, 1);
    tensors.retain(|(name, _)| name != "rpn.head.bbox_pred.bias");
    tensors.push(("extra".into(), HostTensor::new(&[1], vec![0.0])));
    tensors.push(("rpn.extra".into(), HostTensor::new(&[1], vec![0.0])));
    let bytes = synth::to_safetensors(tensors, &tiny().to_json().unwrap()).unwrap();
    fs::write(dir.path().join("odd.safetensors"), bytes).unwrap();
    let ran = run(dir.path(), &["weights", "inspect", "odd.safetensors"]).good();
    for told in [
        "missing   rpn.head.bbox_pred.bias",
        "left over rpn.extra",
        "left out  extra, beside the network",
        "cls_score.weight is [4, 8], [3, 8] is needed",
    ] {
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
    run(dir.path(), &["scene", "a.png", "--width", "9", "--height", "8", "--count", "1"]).good();
    for args in [&["weights", "inspect", "evil.pth"][..], &["detect", "a.png", "--weights", "evil.pth"]] {
        let ran = run(dir.path(), args);
        assert!(ran.error().contains("`os.system`") && ran.error().contains("nothing was executed"), "{}", ran.err);
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
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
    assert!(ran.error().contains("such as maskrcnn_resnet50_fpn, maskrcnn_resnet50_fpn_v2"), "{}", ran.err);
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
