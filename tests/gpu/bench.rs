//! `maskrcnn bench`: what it measures, keeps and compares, and how it ends.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use crate::program::{Ran, run_with_cache, write_roofs};
use serde_json::Value;

/// `maskrcnn bench` in `dir`. All runs share one cache, which has the roofs: nothing here is about them.
fn bench(dir: &Path, args: &[&str]) -> Ran {
    static CACHE: LazyLock<PathBuf> = LazyLock::new(|| {
        let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench");
        write_roofs(&cache, 1e12);
        cache
    });
    run_with_cache(dir, &CACHE, &[&["bench"], args].concat())
}

/// What a run printed that went well.
fn good(ran: Ran) -> String {
    ran.good().out
}

/// The figures of a run for programs.
fn figures(dir: &Path, args: &[&str]) -> Value {
    let ran = bench(dir, &[args, &["--json"]].concat()).good();
    serde_json::from_str(&ran.out).unwrap_or_else(|e| panic!("{e}: {}", ran.out))
}

fn entries(figures: &Value) -> &[Value] {
    figures["entries"].as_array().unwrap()
}

/// A launch that takes about a millisecond.
const LINEAR: [&str; 4] = ["--kernel", "linear", "--shape", "256x256,128x256"];

#[test]
fn a_given_launch_is_measured_in_every_variant() {
    let dir = tempfile::tempdir().unwrap();
    let args = [&LINEAR[..], &["--seconds", "0.1"]].concat();
    let out = good(bench(dir.path(), &args));
    assert!(out.contains("  linear plain") && !out.contains("WRONG"), "{out}");
    let figures = figures(dir.path(), &args);
    let entries = entries(&figures);
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
    let csv = good(bench(dir.path(), &[&args[..], &["--csv"]].concat()));
    assert_eq!(csv.lines().count(), entries.len() + 1);
    let commas = |line: &str| line.split('"').step_by(2).map(|part| part.matches(',').count()).sum::<usize>();
    assert!(csv.lines().all(|l| commas(l) == commas(csv.lines().next().unwrap())), "{csv}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "files are left about");
}

/// A column is as wide as what is in it.
fn in_columns(table: &str, heading: &str) {
    let all: Vec<&str> = table.lines().collect();
    let first = all.iter().position(|l| l.starts_with(heading)).unwrap_or_else(|| panic!("no heading in {table}"));
    let at = |line: &str, word: &str| line.find(word).map(|at| line[..at].chars().count());
    let last = at(all[first], "kernel, variant").unwrap();
    for row in all[first + 1..].iter().take_while(|l| l.contains(" %")) {
        let before: Vec<char> = row.chars().take(last).collect();
        assert!(
            before.len() == last && before.ends_with(&[' ', ' ']) && !row.chars().nth(last).unwrap().is_whitespace(),
            "{row}\n{table}"
        );
    }
}

#[test]
fn a_network_s_launches_are_measured_with_what_they_are_given() {
    let dir = tempfile::tempdir().unwrap();
    // Of a thousand proposals the heads would be at it for most of the time.
    fs::write(dir.path().join("few.toml"), "[rpn]\npost_nms_top_n = 100\n").unwrap();
    let size = ["--image-size", "64x64", "--min-size", "64", "--max-size", "64", "--config", "few.toml"];
    let args = [&size[..], &["--best", "--seconds", "0"]].concat();
    let out = good(bench(dir.path(), &[&args[..], &["--save", "a.json"]].concat()));
    assert!(!out.contains("WRONG") && out.contains(" on a made-up image of 64x64 with "), "{out}");
    in_columns(&out, "op (× times in the network)");
    let record: Value = serde_json::from_slice(&fs::read(dir.path().join("a.json")).unwrap()).unwrap();
    let kernels: std::collections::BTreeSet<&str> =
        entries(&record).iter().map(|e| e["kernel"].as_str().unwrap()).collect();
    // On GPUs only: products split along their rows where blocks are few, Winograd in one launch, the mask head's last layers on
    // their own, and selections by tiles.
    let gpus = [
        "split_product",
        "split_sum",
        "winograd_conv2d",
        "winograd_matrix",
        "deconv2d",
        "mask_predict",
        "topk_tiles",
        "topk_join",
    ];
    // Suppression, by one of two ways.
    let ways = [&["nms"][..], &["nms_pairs", "nms_sweep"]];
    assert!(ways.iter().any(|way| way.iter().all(|kernel| kernels.contains(kernel))), "{kernels:?}");
    // In selections of more than 1,024, and heads of more RoIs than a binding takes.
    let large = ["topk_select", "topk_sort", "topk_merge", "take_rows", "put_rows"];
    // The default model's convolutions have one group, and what follows them is fused.
    let groups = ["depthwise_conv2d", "grouped_conv2d", "elementwise"];
    // By settings that are not the default model's.
    let set = ["group_norm", "mean_pool", "move_ends", "roi_crop", "roi_pool", "soft_nms", "warp"];
    // Around the network, for pictures that lie on the device.
    let around = ["gather_pixels", "instance_ids", "tint"];
    // Of the loss.
    let loss = ["anchors", "best_overlaps", "match_boxes", "append_boxes", "sampling_keys", "samples", "gather_rows"];
    let terms = ["box_targets", "label_targets", "mask_targets", "take_class", "binary_loss", "class_loss", "box_loss"];
    let others = [&gpus[..], &ways.concat(), &large, &groups, &set, &around, &loss, &terms].concat();
    let elsewhere = |n: &&str| n.starts_with("roof") || others.contains(n);
    for kernel in maskrcnn::engine::kernels::REGISTRY.iter().map(|e| e.name).filter(|n| !elsewhere(n)) {
        assert!(kernels.contains(kernel), "{kernel} is not measured");
    }
    // One launch that the network has several times is measured once.
    let counted = entries(&record).iter().map(|e| e["count"].as_u64().unwrap()).max();
    assert!(counted.unwrap() > 1);

    // Shaders that are the same need not be timed to be told equal, however busy the machine is.
    let again = bench(dir.path(), &[&args[..], &["--against", "a.json", "--fail-over", "0%"]].concat()).good();
    let equal = format!("0 slower, 0 faster, {} equal; 0 not among", entries(&record).len());
    assert!(again.out.contains(&equal) && !again.out.contains("confidence"), "{}", again.out);
}

/// The launches of a network that lack a variant are told of and left out; it is an error where all lack it.
#[test]
fn what_lacks_a_variant_is_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let small = ["--image-size", "64x64", "--min-size", "64", "--max-size", "64", "--seconds", "0"];
    let of = |more: &[&str]| bench(dir.path(), &[&small[..], more].concat());
    // Taken apart, P2 is transforms and a product; the predictor has a plain variant alone there.
    let ran = of(&["--op", "rpn", "--variant", "plain"]).good();
    let rows = ran.out.lines().filter(|l| l.contains(" plain")).count();
    assert!(rows >= 1 && ran.err.contains(" left out, without a variant `plain`: rpn."), "{} {}", ran.out, ran.err);
    let ran = of(&["--op", "rpn", "--variant", "fastest"]);
    assert!(ran.error().contains("`fastest`") && ran.out.is_empty(), "rows, and then an error: {}", ran.out);
    let ran = of(&["--op", "rpn", "--sweep", "XY=1"]);
    assert!(ran.error().contains("XY") && ran.out.is_empty(), "{}", ran.out);
}

/// As on a device that has no time stamps.
#[test]
fn without_the_gpu_s_clock_the_wall_s_is_used_and_said() {
    let dir = tempfile::tempdir().unwrap();
    let args = [&LINEAR[..], &["--best", "--wall", "--seconds", "0"]].concat();
    let out = good(bench(dir.path(), &[&args[..], &["--save", "a.json"]].concat()));
    assert!(out.contains("times are the host's") && out.contains("--wall was given"), "{out}");
    let entry = &figures(dir.path(), &args)["entries"][0];
    assert!(entry["gpu"].is_null() && entry["wall"]["median"].as_f64().unwrap() > 0.0, "{entry}");
    let ran = bench(dir.path(), &[&args[..], &["--csv"]].concat()).good();
    assert!(ran.out.contains(",wall,") && ran.err.contains("--wall was given"), "{} {}", ran.out, ran.err);
    good(bench(dir.path(), &[&args[..6], &["--seconds", "0", "--against", "a.json"]].concat()));
}

#[test]
fn sweeps_try_every_combination() {
    let dir = tempfile::tempdir().unwrap();
    let args =
        [&LINEAR[..], &["--variant", "registers", "--sweep", "TP=1,2", "--sweep", "TL=4,8", "--seconds", "0"]].concat();
    let out = good(bench(dir.path(), &args));
    assert!(!out.contains("WRONG"), "{out}");
    let record = figures(dir.path(), &args);
    let constants: Vec<String> = entries(&record).iter().map(|e| e["constants"].to_string()).collect();
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
    // Memory that was never written reads as zero, which is what is due where ReLU cuts off.
    let write = "y[at] = stored(activated(v));";
    assert!(text.contains(write));
    fs::create_dir(dir.path().join("half")).unwrap();
    let half = text.replace(write, "if v > T(0.0) { y[at] = stored(v); }");
    fs::write(dir.path().join("half/linear.wgsl"), half).unwrap();
    let args = [&LINEAR[..], &["--set", "relu=1", "--variant", "plain", "--seconds", "0"]].concat();
    assert!(!good(bench(dir.path(), &args)).contains("WRONG"));
    let out = good(bench(dir.path(), &[&args[..], &["--shaders", "half"]].concat()));
    assert!(out.contains("WRONG"), "elements are left unwritten: {out}");
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
    let out: Value = serde_json::from_str(&good(with(&["--against", "other.json", "--json"]))).unwrap();
    let against = &out["entries"][0]["against"];
    assert!(against["verdict"] == "slower" && against["change"].as_f64().unwrap() > 1.0, "{against}");

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
        (on(&["--best", "--seconds", "0", "--save", "none/a.json"]), &["none/a.json"]),
        (vec!["--op", "nothing", "--image-size", "64x64", "--min-size", "64"], &["no such op"]),
    ] {
        let Ran { code, out, err } = bench(dir.path(), &args);
        let errors: Vec<&str> = err.lines().filter(|l| l.starts_with("error:")).collect();
        assert_eq!((code, errors.len()), (1, 1), "{args:?}: {out} {err}");
        assert!(told.iter().all(|t| err.contains(t)), "{args:?}: {err}");
    }
    // Options that cannot be are the parser's to refuse.
    for args in [
        &["--image-size", "0x5"][..],
        &["--json", "--csv"],
        &["--fail-over", "5%"],
        &["--sweep", "TP=a"],
        &["--set", "a=1"],
    ] {
        assert_eq!(bench(dir.path(), args).code, 2, "{args:?}");
    }
}
