//! Long runs: what is said in the end, and how they are stopped and taken up again.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;

use crate::program::{program, quick};
use crate::{files, run, scene};

fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    files(folder).into_iter().map(|f| (f.clone(), fs::read(folder.join(&f)).unwrap())).collect()
}

fn summary(out: &Path) -> Value {
    serde_json::from_slice(&fs::read(out.join("summary.json")).unwrap()).unwrap()
}

/// Pictures of one size, three of them broken.
fn pictures(dir: &Path, count: u32) {
    fs::create_dir(dir.join("in")).unwrap();
    for i in 0..count {
        // Few are drawn: what is read is what counts.
        match i {
            0..4 => drop(scene(dir, &format!("in/i{i}.png"), (96 + 8 * i, 12), 3)),
            _ => drop(fs::copy(dir.join(format!("in/i{}.png", i % 4)), dir.join(format!("in/i{i}.png"))).unwrap()),
        }
    }
    let whole = fs::read(dir.join("in/i0.png")).unwrap();
    fs::write(dir.join("in/b1.png"), b"").unwrap();
    fs::write(dir.join("in/b2.png"), &whole[..whole.len() / 2]).unwrap();
    fs::write(dir.join("in/b3.jpg"), b"text").unwrap();
}

#[test]
fn a_run_says_what_became_of_the_pictures() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    pictures(dir, 6);
    let ran = run(dir, &["in", "--out", "out", "--jobs", "3"]);
    assert_eq!(ran.errors().len(), 3, "{}", ran.err);
    let speed = ran.out.lines().find(|l| l.starts_with("6 images in ")).expect("a line on speed");
    for part in [" images/s", "the GPU working for ", " % of the time"] {
        assert!(speed.contains(part), "{speed}");
    }
    let last = ran.out.lines().last().unwrap();
    assert!(last.starts_with("6 of 9 images done, ") && last.ends_with(" × nucleus"), "{last}");
    for line in ["3 of 9 images failed", "  in/b1.png: the file is empty", "  in/b3.jpg: is not an image"] {
        assert!(ran.err.contains(line), "no `{line}` in {}", ran.err);
    }
    let told = summary(&dir.join("out"));
    let number = |key: &str| told[key].as_u64().unwrap();
    assert_eq!((number("images"), number("done"), number("not_begun")), (9, 6, 0));
    assert!(told["instances"]["nucleus"].as_u64().unwrap() > 6 && told["failed"].as_array().unwrap().len() == 3);
    assert!(!told.to_string().contains("second"), "times would differ from run to run");
    // One picture has no summary.
    let ran = run(dir, &["in/i0.png", "--out", "one"]).good();
    assert!(files(&dir.join("one")).len() == 2 && ran.out.lines().count() == 2, "{}", ran.out);

    // A summary of somebody else's stays, and so does a picture of that name.
    fs::write(dir.join("out/summary.json"), b"mine").unwrap();
    let ran = run(dir, &["in/i0.png", "in/i1.png", "--out", "out"]).good();
    assert!(ran.err.contains("summary.json") && ran.err.contains("--overwrite"), "{}", ran.err);
    assert_eq!(fs::read(dir.join("out/summary.json")).unwrap(), b"mine");
    run(dir, &["in/i0.png", "in/i1.png", "--out", "out", "--overwrite"]).good();
    assert_eq!(summary(&dir.join("out"))["images"], 2);
    fs::copy(dir.join("in/i0.png"), dir.join("in/summary.png")).unwrap();
    run(dir, &["in/summary.png", "in/i1.png", "--out", "named"]).good();
    assert!(dir.join("named/summary-2.json").exists() && summary(&dir.join("named"))["done"] == 2);
}

#[test]
fn what_is_finished_is_skipped_until_something_changes() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    pictures(dir, 4);
    ["b1.png", "b2.png", "b3.jpg"].iter().for_each(|bad| fs::remove_file(dir.join("in").join(bad)).unwrap());
    // One in which there is nothing: its results have no entry to mark.
    image::RgbImage::new(96, 12).save(dir.join("in/i4.png")).unwrap();
    let resume = |more: &[&str]| {
        let ran = run(dir, &[&["in", "--out", "out", "--resume"], more].concat()).good();
        let skipped = ran.out.lines().find_map(|l| l.strip_suffix(" of 5 images were finished before, and skipped"));
        skipped.map_or(0, |n| n.parse::<usize>().unwrap())
    };
    assert_eq!(resume(&[]), 0);
    let out = dir.join("out");
    let whole = contents(&out);
    assert_eq!(whole.len(), 11);
    assert_eq!(resume(&[]), 5);
    assert_eq!(contents(&out), whole);
    // How they are handed round is no setting.
    assert_eq!(resume(&["--jobs", "1", "--batch", "2"]), 5);

    // Half of a pair, and one that is not whole.
    fs::remove_file(out.join("i0.png")).unwrap();
    let cut = &whole["i1.png"][..100];
    fs::write(out.join("i1.png"), cut).unwrap();
    let ran = run(dir, &["in", "--out", "out", "--resume"]);
    assert!(ran.error().contains("i1.png is there already"), "{}", ran.err);
    fs::remove_file(out.join("i1.png")).unwrap();
    assert_eq!(resume(&[]), 4);
    assert_eq!(contents(&out), whole);

    // Another picture of that name; other settings.
    fs::copy(dir.join("in/i3.png"), dir.join("in/i2.png")).unwrap();
    assert_eq!(resume(&[]), 4);
    assert_eq!(resume(&[]), 5);
    for (i, more) in
        [["--score", "0.4"], ["--nms", "0.4"], ["--normalize", "minmax"], ["--channels", "0"]].iter().enumerate()
    {
        assert_eq!((resume(more), resume(more)), (0, 5), "{i}");
    }
}

/// Stopped in the middle, and by a kill: what is there is whole, and a further run makes the rest as one would have made
/// all.
#[cfg(unix)]
#[test]
fn a_run_that_is_stopped_is_taken_up_again() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    pictures(dir, 40);
    let failed = run(dir, &["in", "--out", "want"]);
    assert_eq!(failed.errors().len(), 3);
    let want = contents(&dir.join("want"));
    assert_eq!(want.len(), 81);

    for signal in ["INT", "KILL"] {
        let out = dir.join("out");
        let _ = fs::remove_dir_all(&out);
        let mut command = program();
        command
            .current_dir(dir)
            .args(quick(&["in", "--out", "out", "--jobs", "2"]))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut done = lines.by_ref().filter(|l| l.as_ref().unwrap().contains(" -> "));
        assert!(done.nth(6).is_some());
        let kill = std::process::Command::new("kill").args([format!("-{signal}"), child.id().to_string()]).status();
        assert!(kill.unwrap().success());
        let rest: Vec<String> = lines.map(Result::unwrap).collect();
        let ended = child.wait_with_output().unwrap();
        let err = String::from_utf8(ended.stderr).unwrap();
        let left = contents(&out);
        for (file, bytes) in left.iter().filter(|(file, _)| *file != "summary.json") {
            assert!(want[file] == *bytes, "{file} is not whole");
        }
        let pairs = left.keys().filter(|f| f.ends_with(".png")).count();
        assert!((7..40).contains(&pairs), "{pairs} of 40 after {signal}: {err}");
        if signal == "INT" {
            assert_eq!(ended.status.code(), Some(130), "{err}");
            assert!(err.contains("stopping after the image at hand") && err.contains("--resume does them"), "{err}");
            assert!(rest.iter().any(|l| l.starts_with(&format!("{pairs} of 43 images done, "))), "{rest:?}");
            let told = summary(&out);
            assert_eq!(told["done"], pairs);
        }
        let ran = run(dir, &["in", "--out", "out", "--resume"]);
        assert_eq!(ran.errors().len(), 3);
        assert!(ran.out.contains(" of 43 images were finished before, and skipped"), "{}", ran.out);
        assert!(contents(&out) == want, "after {signal}");
    }
}
