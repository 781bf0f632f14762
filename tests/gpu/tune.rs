//! `maskrcnn tune`: what it finds is kept, used, and harmless.

use std::fs;
use std::path::Path;

use crate::program::{Ran, run_with_cache};
use serde_json::Value;

/// A network small enough to be tried out in a second.
const SMALL: [&str; 4] = ["--min-size", "96", "--max-size", "96"];

/// The key of one of its launches.
const LATERAL3: &str = "conv2d residual of [1×12×12×64] [128×1×1×64] [128] [1×6×6×128]";

fn tune(dir: &Path, more: &[&str]) -> Ran {
    let args = [&["tune", "--image-size", "96x96", "--seconds", "0"], &SMALL[..], more].concat();
    run_with_cache(dir, &dir.join("cache"), &args)
}

fn kept(dir: &Path) -> Value {
    serde_json::from_slice(&fs::read(dir.join("cache/tuned.json")).unwrap()).unwrap()
}

/// The one device's entry.
fn names(all: &mut Value) -> &mut serde_json::Map<String, Value> {
    let devices = all["devices"].as_object_mut().unwrap();
    assert_eq!(devices.len(), 1);
    devices.values_mut().next().unwrap()["names"].as_object_mut().unwrap()
}

/// The variant of each step of the plan, by op.
fn variants(dir: &Path, more: &[&str]) -> String {
    let args = [&["graph", "--image-size", "96x96"], &SMALL[..], more].concat();
    run_with_cache(dir, &dir.join("cache"), &args).good().out
}

fn line<'a>(text: &'a str, op: &str) -> &'a str {
    text.lines().find(|l| l.contains(op)).unwrap_or_else(|| panic!("no {op} in {text}"))
}

#[test]
fn every_way_is_tried_and_what_was_chosen_is_run() {
    let dir = tempfile::tempdir().unwrap();
    let out = tune(dir.path(), &["--op", "lateral"]).good().out;
    for op in ["lateral2", "lateral3", "lateral4", "lateral5"] {
        let columns: Vec<&str> = line(&out, op).split_whitespace().collect();
        assert!(columns[1].parse::<f64>().unwrap() > 0.0 && columns[3].parse::<usize>().unwrap() >= 2, "{columns:?}");
    }
    // How many have one is the clock's to say: "1 of 4 launches has", "3 of 4 launches have".
    assert!(out.contains("of 4 launches ha") && out.contains(" a faster way") && out.contains("tuned.json"), "{out}");

    // A choice is honoured, whatever the guess would be, and left aside where that is asked for.
    assert!(!line(&variants(dir.path(), &[]), "lateral3").contains("plain"));
    let mut all = kept(dir.path());
    let before = names(&mut all).clone();
    let plan = variants(dir.path(), &["--untuned"]);
    // `tune` writes keys; the one of a launch that it kept, or its form, names kernel, settings and shapes.
    let key = LATERAL3;
    assert!(line(&plan, "lateral3").contains("[1×12×12×64]"), "{plan}");
    assert!(before.keys().all(|k| k.starts_with("conv2d ")), "{before:?}");
    names(&mut all).insert(key.into(), serde_json::json!(["plain"]));
    fs::write(dir.path().join("cache/tuned.json"), all.to_string()).unwrap();
    assert!(line(&variants(dir.path(), &[]), "lateral3").contains("plain"));
    assert!(!line(&variants(dir.path(), &["--untuned"]), "lateral3").contains("plain"));

    // Further runs add to what is kept, and say the truth about what they replace.
    tune(dir.path(), &["--op", "lateral3"]).good();
    assert!(!line(&variants(dir.path(), &[]), "lateral3").contains("plain"));

    let told = tune(dir.path(), &["--op", "nothing"]);
    assert!(told.code == 1 && told.err.contains("no such op"), "{}", told.err);
    let forget = |text: &str| {
        let ran = run_with_cache(dir.path(), &dir.path().join("cache"), &["tune", "--forget"]).good();
        assert!(ran.out.contains(text), "{}", ran.out);
    };
    forget("dropped what was kept");
    forget("nothing was kept");
}

#[test]
fn a_file_that_makes_no_sense_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("cache")).unwrap();
    tune(dir.path(), &["--op", "lateral5"]).good();
    let file = dir.path().join("cache/tuned.json");
    let plan = variants(dir.path(), &["--untuned"]);
    let mut odd = kept(dir.path());
    let device = odd["devices"].as_object().unwrap().keys().next().unwrap().clone();
    names(&mut odd).insert("conv2d".into(), serde_json::json!(["no such variant", "", "winograd"]));
    let mut old = odd.clone();
    old["devices"][&device]["shaders"] = "00000000".into();
    let mut wrong = odd.clone();
    wrong["devices"][&device]["names"] = 7.into();
    let odd = odd.to_string();
    for text in [odd.clone(), old.to_string(), wrong.to_string(), "{".into(), String::new(), "[1]".into()] {
        fs::write(&file, &text).unwrap();
        let now = variants(dir.path(), &[]);
        assert!(text == odd || now == plan, "{text}");
        assert_eq!(line(&now, "lateral3"), line(&plan, "lateral3"), "{text}");
    }
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    assert_eq!(variants(dir.path(), &[]), plan);
    let told = tune(dir.path(), &["--op", "lateral5"]);
    assert!(told.code == 1 && told.err.contains("tuned.json"), "{}", told.err);
}

/// A level of the pyramid is a slice of a tensor, and the rest of it is no level's business.
#[test]
fn no_way_is_taken_for_wrong_by_what_it_does_not_write() {
    let dir = tempfile::tempdir().unwrap();
    let args = ["tune", "--op", "P3", "--size", "256x256", "--min-size", "256", "--max-size", "256", "--seconds", "0"];
    let ran = run_with_cache(dir.path(), &dir.path().join("cache"), &[&args[..], &["--json"]].concat()).good();
    let found: Value = serde_json::from_str(&ran.out).unwrap();
    let launch = &found["launches"][0];
    assert_eq!((&launch["label"], &launch["wrong"], ran.err.as_str()), (&"P3".into(), &serde_json::json!([]), ""));
    assert!(launch["ways"].as_u64().unwrap() >= 2 && launch["guess_ms"].as_f64().unwrap() > 0.0, "{launch}");
}

/// What was found for products of f16 is not used for those of f32.
#[test]
fn what_was_found_at_one_precision_is_not_used_at_another() {
    let dir = tempfile::tempdir().unwrap();
    tune(dir.path(), &["--op", "lateral3"]).good();
    let mut all = kept(dir.path());
    names(&mut all).insert(format!("{LATERAL3} in f16"), serde_json::json!(["registers-f16"]));
    fs::write(dir.path().join("cache/tuned.json"), all.to_string()).unwrap();
    let of = |precision: &str| line(&variants(dir.path(), &["--precision", precision]), "lateral3").to_string();
    assert!(!of("f32").contains("registers-f16"), "{}", of("f32"));
    // Where the device has f16 at all.
    let args = ["graph", "--image-size", "96x96", "--precision", "f16"];
    let ran = run_with_cache(dir.path(), &dir.path().join("cache"), &[&args[..], &SMALL].concat());
    assert!(
        ran.code == 1 && ran.err.contains("no f16") || line(&ran.out, "lateral3").contains("registers-f16"),
        "{}",
        ran.out
    );
}
