//! Weights files that are not what they should be.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use image::RgbImage;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

use crate::program::{Ran, program};
use crate::{files, names, run, save};

/// What a tensor of a file is: type, shape and bytes.
type Raw = (Dtype, Vec<usize>, Vec<u8>);

/// The embedded weights with some tensors changed: `change` gives the new one, or none to leave it out.
fn altered(change: impl Fn(&str, &TensorView) -> Option<Raw>) -> Vec<u8> {
    let bytes = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/nuclei.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    let changed: Vec<(String, Raw)> =
        file.iter().filter_map(|(name, view)| Some((name.to_string(), change(name, &view)?))).collect();
    let views: HashMap<&String, TensorView> =
        changed.iter().map(|(n, (t, s, d))| (n, TensorView::new(*t, s.clone(), d).unwrap())).collect();
    safetensors::serialize(views, header.metadata().clone()).unwrap()
}

fn same(view: &TensorView) -> Option<Raw> {
    Some((view.dtype(), view.shape().to_vec(), view.data().to_vec()))
}

#[test]
fn bad_weights_are_named_and_leave_nothing() {
    const TENSOR: &str = "backbone.fpn.inner_blocks.2.0.bias";
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    save(dir, "blank.png", RgbImage::new(64, 8));
    let whole = altered(|_, v| same(v));
    let missing = altered(|name, v| if name == TENSOR { None } else { same(v) });
    let nan = altered(|name, v| {
        let (dtype, shape, mut data) = same(v)?;
        if name == TENSOR {
            // NaN in half precision, at element 3.
            data[6..8].copy_from_slice(&0x7E00_u16.to_le_bytes());
        }
        Some((dtype, shape, data))
    });
    let wrong = altered(|name, v| {
        let (dtype, shape, data) = same(v)?;
        if name == TENSOR { Some((dtype, vec![shape[0] / 2, 2], data)) } else { Some((dtype, shape, data)) }
    });
    let integers = altered(|name, v| {
        let (dtype, shape, data) = same(v)?;
        Some((if name == TENSOR { Dtype::I16 } else { dtype }, shape, data))
    });
    let more = {
        let mut bytes = whole.clone();
        bytes.extend([0; 64]);
        bytes
    };
    let random: Vec<u8> = (0..5000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let cases: Vec<(&str, Vec<u8>, &[&str])> = vec![
        ("truncated.safetensors", whole[..whole.len() / 2].to_vec(), &["truncated"]),
        ("header.safetensors", whole[..1000].to_vec(), &["truncated"]),
        ("longer.safetensors", more, &["corrupt"]),
        ("random.safetensors", random, &["no weights file"]),
        ("empty.safetensors", Vec::new(), &["empty"]),
        ("model.pth", b"PK\x03\x04\x00\x00\x08\x08\x00\x00archive/data.pkl".to_vec(), &["truncated", "download"]),
        ("missing.safetensors", missing, &[TENSOR, "missing"]),
        ("nan.safetensors", nan, &[TENSOR, "NaN", "index 3"]),
        ("wrong.safetensors", wrong, &[TENSOR, "shape", "[64, 2]", "[128]"]),
        ("integers.safetensors", integers, &[TENSOR, "I16"]),
    ];
    let mut tries: Vec<(&str, &[&str])> = vec![("absent.safetensors", &["no such file"]), (".", &["directory"])];
    for (name, bytes, parts) in &cases {
        fs::write(dir.join(name), bytes).unwrap();
        tries.push((name, parts));
    }
    for (name, parts) in tries {
        let ran = run(dir, &["detect", "blank.png", "--out", "out", "--weights", name]);
        let line = ran.error();
        assert_eq!(ran.err.trim_end().lines().count(), 1, "{}", ran.err);
        for part in parts.iter().chain([&name]) {
            assert!(line.contains(part), "{name}: no `{part}` in {line}");
        }
        assert!(!dir.join("out").exists(), "{name}: left a folder");
    }

    // The file that they were made of is sound.
    fs::write(dir.join("whole.safetensors"), &whole).unwrap();
    run(dir, &["detect", "blank.png", "--out", "out", "--weights", "whole.safetensors"]).good();
    assert_eq!(files(&dir.join("out")), names(&["blank.json", "blank.png"]));
}

/// A name is bytes, on Linux at least, and not always text.
#[cfg(target_os = "linux")]
#[test]
fn weights_may_have_any_name() {
    use std::os::unix::ffi::OsStrExt as _;
    let dir = tempfile::tempdir().unwrap();
    save(dir.path(), "blank.png", RgbImage::from_pixel(64, 8, image::Rgb([3; 3])));
    let name = std::ffi::OsStr::from_bytes(b"gr\xFCn.safetensors");
    fs::write(dir.path().join(name), altered(|_, v| same(v))).unwrap();
    let with = |args: &[&str], last: &[&str]| {
        let mut command = program();
        command.current_dir(dir.path()).args(args).arg(name).args(last);
        Ran::new(command.output().unwrap())
    };
    with(&["detect", "blank.png", "--weights"], &[]).good();
    with(&["weights", "inspect"], &[]).good();
    with(&["graph"], &["--device", "none"]).good();
}

#[test]
fn presets_and_files_of_settings_go_over_one_another() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    fs::write(dir.join("mine.toml"), "[box]\nscore_thresh = 0.3\n").unwrap();
    fs::write(dir.join("whole.safetensors"), altered(|_, v| same(v))).unwrap();
    let inspect = |more: &[&str]| run(dir, &[&["weights", "inspect", "whole.safetensors"], more].concat());
    let lines =
        |out: &str| -> Vec<String> { out.lines().map(|line| line.split("  ").collect::<Vec<_>>().join(" ")).collect() };
    let is = |out: &str, line: &str| assert!(lines(out).iter().any(|l| l == line), "no `{line}` in {out}");

    let out = inspect(&["--config", "d2-lvis"]).good().out;
    is(&out, "score_thresh = 0.0001 # given: d2-lvis");
    is(&out, "detections_per_img = 300 # given: d2-lvis");
    is(&out, "roi_levels = \"fixed\" # given: d2-lvis");
    is(&out, "colours = \"rgb\" # assumed: the default of torchvision");
    is(&out, "image_mean = [0.25, 0.25, 0.25] # read: `config` in the file's metadata");
    // The later one wins, and leaves the rest.
    let out = inspect(&["--config", "d2-lvis", "--config", "mine.toml"]).good().out;
    is(&out, "score_thresh = 0.3 # given: mine.toml");
    is(&out, "detections_per_img = 300 # given: d2-lvis");
    let out = inspect(&["--config", "mine.toml", "--config", "d2-lvis"]).good().out;
    is(&out, "score_thresh = 0.0001 # given: d2-lvis");

    let ran = inspect(&["--config", "d2-lviz"]);
    let line = ran.error();
    assert!(line.contains("there is no `d2-lviz`; there are torchvision, "), "{line}");
    let ran = inspect(&["--config", "lost.toml"]);
    let line = ran.error();
    assert!(line.contains("lost.toml") && !line.contains("d2-coco"), "{line}");
    // What lies there is meant.
    fs::write(dir.join("d2-lvis"), "[box]\nscore_thresh = 0.7\n").unwrap();
    is(&inspect(&["--config", "d2-lvis"]).good().out, "score_thresh = 0.7 # given: d2-lvis");
}

#[test]
fn what_is_published_is_listed_with_its_licence() {
    let dir = tempfile::tempdir().unwrap();
    let out = run(dir.path(), &["weights", "list"]).good().out;
    let row = |name: &str| out.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name}: {out}"));
    let cells: Vec<&str> =
        row("detectron2/COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x ").split_whitespace().collect();
    assert_eq!(cells[1..5], ["41.0", "37.2", "COCO", "2017"]);
    assert!(row("maskrcnn_resnet50_fpn_v2 ").contains("177 MiB"));
    assert!(row("detectron2: dl.fbaipublicfiles.com").contains("licence CC BY-SA 3.0"));
    assert!(row("d2-cityscapes").contains("1024"));
    let cells = |name: &str| row(name).split_whitespace().map(String::from).collect::<Vec<_>>();
    assert_eq!(cells("mmdetection/mask_rcnn_r50_fpn_1x_coco ")[1..3], ["38.2", "34.7"]);
    assert_eq!(cells("onnx-zoo/MaskRCNN-10 ")[1..], ["36.1", "32.7", "COCO", "2017", "170", "MiB"]);
    assert!(row("matterport/mask_rcnn_balloon ").contains("61 balloons"));
    assert!(row("onnx-zoo: huggingface.co").contains("licence MIT") && row("mmdetection: ").contains("Apache-2.0"));
    assert!(row("mmdet-caffe").contains("blue first") && row("onnx-zoo  ").contains("last pixel"));

    let ran = run(dir.path(), &["weights", "pull", "mask_rcnn_R_50_FPN_1x"]);
    let line = ran.error();
    assert!(line.contains("is several: detectron2/COCO-Inst") && line.contains("detectron2/LVISv0.5"), "{line}");
    let ran = run(dir.path(), &["weights", "pull", "mask_rcnn"]);
    let line = ran.error();
    assert!(line.contains("`maskrcnn weights list` has the names"), "{line}");
    let ran = run(dir.path(), &["weights", "inspect", "mask_rcnn_R_50_FPN_3x"]);
    let line = ran.error();
    assert!(
        line.contains("`maskrcnn weights pull detectron2/COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x` brings it"),
        "{line}"
    );
}
