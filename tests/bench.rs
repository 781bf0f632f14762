//! `maskrcnn bench`: what it measures, keeps and compares, and how it ends.
#![cfg(all(feature = "cli", feature = "embedded-model"))]

#[path = "common/program.rs"]
mod program;

use std::fs;
use std::path::Path;

use program::{Ran, run_with_cache};
use serde_json::Value;

/// `maskrcnn bench` in `dir`. All runs share one cache, so that the roofs are measured once.
fn bench(dir: &Path, args: &[&str]) -> Ran {
    run_with_cache(dir, Path::new(env!("CARGO_TARGET_TMPDIR")), &[&["bench"], args].concat())
}

/// What a run printed that went well.
fn good(ran: Ran) -> String {
    ran.good().out
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// A launch that takes about a millisecond.
const LINEAR: [&str; 4] = ["--kernel", "linear", "--shape", "256x256,128x256"];

#[test]
fn a_given_launch_is_measured_in_every_variant() {
    let dir = tempfile::tempdir().unwrap();
    let args = [&LINEAR[..], &["--seconds", "0.1", "--json", "a.json", "--csv", "a.csv"]].concat();
    let out = good(bench(dir.path(), &args));
    assert!(out.contains("linear plain"), "{out}");
    let record = json(&dir.path().join("a.json"));
    let entries = record["entries"].as_array().unwrap();
    assert!(entries.len() >= 2, "{entries:?}");
    for e in entries {
        let number = |path: &str| e.pointer(path).and_then(Value::as_f64).unwrap_or_else(|| panic!("{path}: {e}"));
        assert_eq!(number("/flops"), 2.0 * 256.0 * 256.0 * 128.0);
        assert!(number("/executed") >= number("/flops"));
        assert_eq!(number("/bytes"), 4.0 * (256.0 * 256.0 + 128.0 * 256.0 + 128.0 + 256.0 * 128.0));
        assert!(number("/wall/median") > 0.0 && number("/wall/low") <= number("/wall/median"));
        assert!(number("/wall/samples") >= 7.0);
        assert!(e["text"].as_str().unwrap().contains("@compute"));
    }
    let csv = fs::read_to_string(dir.path().join("a.csv")).unwrap();
    assert_eq!(csv.lines().count(), entries.len() + 1);
    let commas = |line: &str| line.split('"').step_by(2).map(|part| part.matches(',').count()).sum::<usize>();
    assert!(csv.lines().all(|l| commas(l) == commas(csv.lines().next().unwrap())), "{csv}");
    assert!(!out.contains("WRONG"), "{out}");
}

#[test]
fn a_network_s_launches_are_measured_with_what_they_are_given() {
    let dir = tempfile::tempdir().unwrap();
    let args =
        ["--image-size", "64x64", "--min-size", "64", "--max-size", "64", "--best", "--seconds", "0", "--json", "a"];
    let out = good(bench(dir.path(), &args));
    assert!(!out.contains("WRONG"), "{out}");
    let record = json(&dir.path().join("a"));
    let kernels: std::collections::BTreeSet<&str> =
        record["entries"].as_array().unwrap().iter().map(|e| e["kernel"].as_str().unwrap()).collect();
    // On GPUs only: products split along their rows where blocks are few, and the mask head's last layers on their own.
    let gpus = ["split_product", "split_sum", "deconv2d", "mask_predict"];
    let elsewhere = |n: &&str| n.starts_with("roof") || gpus.contains(n);
    for kernel in maskrcnn::kernels::REGISTRY.iter().map(|e| e.name).filter(|n| !elsewhere(n)) {
        assert!(kernels.contains(kernel), "{kernel} is not measured");
    }
    // One launch that the network has several times is measured once.
    let counted = record["entries"].as_array().unwrap().iter().map(|e| e["count"].as_u64().unwrap()).max();
    assert!(counted.unwrap() > 1);
}

/// As on a device that has no time stamps.
#[test]
fn without_the_gpu_s_clock_the_wall_s_is_used_and_said() {
    let dir = tempfile::tempdir().unwrap();
    let args = [&LINEAR[..], &["--best", "--wall", "--seconds", "0", "--json", "a.json", "--csv", "a.csv"]].concat();
    let out = good(bench(dir.path(), &args));
    assert!(out.contains("times are the host's") && out.contains("--wall was given"), "{out}");
    let entry = &json(&dir.path().join("a.json"))["entries"][0];
    assert!(entry["gpu"].is_null() && entry["wall"]["median"].as_f64().unwrap() > 0.0, "{entry}");
    assert!(fs::read_to_string(dir.path().join("a.csv")).unwrap().contains(",wall,"));
    good(bench(dir.path(), &[&args[..6], &["--seconds", "0", "--against", "a.json"]].concat()));
}

#[test]
fn sweeps_try_every_combination() {
    let dir = tempfile::tempdir().unwrap();
    let args = [
        &LINEAR[..],
        &["--variant", "registers", "--sweep", "TP=1,2", "--sweep", "TL=4,8", "--seconds", "0", "--json", "a"],
    ];
    let out = good(bench(dir.path(), &args.concat()));
    assert!(!out.contains("WRONG"), "{out}");
    let record = json(&dir.path().join("a"));
    let constants: Vec<String> =
        record["entries"].as_array().unwrap().iter().map(|e| e["constants"].to_string()).collect();
    assert_eq!(constants.len(), 4);
    for (tp, tl) in [(1, 4), (1, 8), (2, 4), (2, 8)] {
        let found = |c: &&String| c.contains(&format!("[\"TP\",{tp}]")) && c.contains(&format!("[\"TL\",{tl}]"));
        assert_eq!(constants.iter().filter(found).count(), 1, "{constants:?}");
    }
}

/// An edited shader is held against the built-in one, though it is the only one that is measured.
#[test]
fn a_wrong_shader_is_marked() {
    let dir = tempfile::tempdir().unwrap();
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("shaders/linear.wgsl")).unwrap();
    let right = "let v = sum + bias[k];";
    assert!(text.contains(right));
    for (folder, wrong) in [("off", "let v = sum - bias[k] + 1.0;"), ("nan", "let v = sqrt(-1.0 - sum * sum);")] {
        fs::create_dir(dir.path().join(folder)).unwrap();
        fs::write(dir.path().join(folder).join("linear.wgsl"), text.replace(right, wrong)).unwrap();
        let args = [&LINEAR[..], &["--best", "--seconds", "0", "--shaders", folder]].concat();
        let out = good(bench(dir.path(), &args));
        assert!(out.contains("WRONG"), "{folder}: {out}");
    }
}

#[test]
fn another_result_and_another_device_are_said() {
    let dir = tempfile::tempdir().unwrap();
    let plain = [&LINEAR[..], &["--variant", "plain", "--seconds", "0"]].concat();
    let with = |more: &[&str]| bench(dir.path(), &[&plain[..], more].concat());
    good(with(&["--save", "a.json"]));
    let text = fs::read_to_string(dir.path().join("a.json")).unwrap();

    let wrong = text.replace("sum + bias[k]", "sum - bias[k] + 1.0");
    assert_ne!(wrong, text);
    fs::write(dir.path().join("wrong.json"), wrong).unwrap();
    assert!(good(with(&["--against", "wrong.json"])).contains("ITS RESULT IS ANOTHER"));

    let mut record: Value = serde_json::from_str(&text).unwrap();
    record["key"] = "Imaginary 9000, Vulkan, 1.0".into();
    for time in ["gpu", "wall"] {
        let entry = &mut record["entries"][0];
        for end in ["median", "low", "high"] {
            if let Some(t) = entry.pointer(&format!("/{time}/{end}")).and_then(Value::as_f64) {
                *entry.pointer_mut(&format!("/{time}/{end}")).unwrap() = (t / 100.0).into();
            }
        }
    }
    fs::write(dir.path().join("other.json"), record.to_string()).unwrap();
    let out = good(with(&["--against", "other.json"]));
    assert!(out.contains("another device, Imaginary 9000") && out.contains("slower: +"), "{out}");

    record["entries"][0]["work"] = "another".into();
    fs::write(dir.path().join("unknown.json"), record.to_string()).unwrap();
    assert!(good(with(&["--against", "unknown.json"])).contains("1 not among the kept results"));
}

#[test]
fn what_cannot_be_measured_is_one_clear_error() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("text.json"), "hello").unwrap();
    fs::write(dir.path().join("old.json"), r#"{"format": "maskrcnn bench", "version": 0}"#).unwrap();
    fs::write(dir.path().join("half.json"), r#"{"format": "maskrcnn bench", "version": 1}"#).unwrap();
    fs::create_dir(dir.path().join("bad")).unwrap();
    fs::write(dir.path().join("bad/linear.wgsl"), "#ifdef X\nfn f(").unwrap();
    let on = |more: &[&'static str]| [&LINEAR[..], more].concat();
    for (args, told) in [
        (vec!["--kernel", "conv3d"], &["`conv3d`", "conv2d"][..]),
        (vec!["--kernel", "conv2d", "--shape", "1x2"], &["conv2d:", "NxHxWxC"]),
        (vec!["--kernel", "conv2d", "--shape", "1x8x8x8,8x3x3x7"], &["conv2d:"]),
        (vec!["--kernel", "linear", "--shape", "65536x65536,4x65536"], &["linear:", "elements"]),
        (vec!["--kernel", "linear", "--shape", "60000x1024,8x1024"], &["input", "bytes"]),
        (on(&["--variant", "fastest"]), &["`fastest`", "plain"]),
        (on(&["--sweep", "XY=1"]), &["--sweep", "XY"]),
        (on(&["--set", "stride=2"]), &["stride"]),
        (on(&["--against", "none.json"]), &["none.json"]),
        (on(&["--against", "text.json"]), &["text.json", "not a file of benchmark results"]),
        (on(&["--against", "old.json"]), &["old.json", "version 0", "--save"]),
        (on(&["--against", "half.json"]), &["half.json", "damaged"]),
        (on(&["--shaders", "none"]), &["none"]),
        (on(&["--shaders", "bad"]), &["linear"]),
        (on(&["--device", "no such device"]), &["no such device"]),
        (on(&["--best", "--seconds", "0", "--json", "none/a.json"]), &["none/a.json"]),
        (vec!["--op", "nothing", "--image-size", "64x64", "--min-size", "64"], &["no such op"]),
    ] {
        let Ran { code, out, err } = bench(dir.path(), &args);
        let errors: Vec<&str> = err.lines().filter(|l| l.starts_with("error:")).collect();
        assert_eq!((code, errors.len()), (1, 1), "{args:?}: {out} {err}");
        assert!(told.iter().all(|t| err.contains(t)), "{args:?}: {err}");
    }
    // Options that cannot be are the parser's to refuse.
    for args in [&["--image-size", "0x5"][..], &["--fail-over", "5%"], &["--sweep", "TP=a"], &["--set", "a=1"]] {
        assert_eq!(bench(dir.path(), args).code, 2, "{args:?}");
    }
}
