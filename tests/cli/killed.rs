//! Runs that are killed at any moment leave whole pairs of results, and nothing else.

use std::collections::BTreeSet;
use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::program::program;
use crate::{files, names, results, run, scene};

/// Images of a run.
const IMAGES: usize = 20;

fn start(dir: &Path, images: &[String]) -> Child {
    let mut command = program();
    command.current_dir(dir).args(["detect", "--out", "out"]).args(images);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Part of the way, at random.
fn share() -> f64 {
    RandomState::new().hash_one(0) as f64 / u64::MAX as f64
}

/// The results in `out`, each whole and with its other half.
fn pairs(out: &Path) -> BTreeSet<String> {
    let mut stems = BTreeSet::new();
    // Written in the end, of all of them.
    let all: Vec<String> = files(out).into_iter().filter(|f| f != "summary.json").collect();
    for file in &all {
        let path = out.join(file);
        if file.starts_with('.') {
            // Gone with the process where the system has files without names; else swept by the next run.
            assert!(file.ends_with(".part") && cfg!(not(target_os = "linux")), "{file}");
        } else if let Some(stem) = file.strip_suffix(".json") {
            assert!(!results(&path).is_empty(), "{file}");
            stems.insert(stem.to_string());
        } else {
            image::open(&path).unwrap_or_else(|e| panic!("{file}: {e}"));
            assert!(path.with_extension("json").exists(), "{file} is alone");
        }
    }
    let want = stems.iter().flat_map(|s| [format!("{s}.json"), format!("{s}.png")]).collect();
    let seen: BTreeSet<String> = all.iter().filter(|f| !f.starts_with('.')).cloned().collect();
    assert_eq!(seen, want);
    stems
}

/// `MASKRCNN_KILLS` sets how often. Every other time the results of an earlier run are there to be replaced.
#[test]
fn a_run_that_is_killed_leaves_no_half_files() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let out = dir.join("out");
    scene(dir, "first.png", (192, 12), 6);
    let images: Vec<String> = (0..IMAGES).map(|i| format!("i{i}.png")).collect();
    for image in &images {
        fs::copy(dir.join("first.png"), dir.join(image)).unwrap();
    }
    let begin = Instant::now();
    assert!(start(dir, &images).wait().unwrap().success());
    let whole = begin.elapsed();

    let kills = std::env::var("MASKRCNN_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(3);
    let mut counts = Vec::new();
    for i in 0..kills {
        let old = if i % 2 == 0 {
            fs::remove_dir_all(&out).unwrap();
            0
        } else {
            // Killed here too.
            pairs(&out).len()
        };
        let mut child = start(dir, &images);
        std::thread::sleep(whole.mul_f64(share()).min(Duration::from_secs(60)));
        child.kill().unwrap();
        child.wait().unwrap();
        let left = if out.exists() { pairs(&out).len() } else { 0 };
        counts.push((old, left));
        fs::create_dir_all(&out).unwrap();
    }
    println!("pairs before and after each of {kills} kills in a run of {whole:.1?}: {counts:?}");
    assert!(start(dir, &images).wait().unwrap().success());
    assert_eq!(pairs(&out).len(), IMAGES);
    assert_eq!(files(&out).len(), 2 * IMAGES + 1);
}

/// What other systems leave, and earlier versions left.
#[test]
fn what_dead_runs_left_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    scene(dir, "x.png", (64, 8), 1);
    let mut dead = program().arg("--version").stdout(Stdio::null()).spawn().unwrap();
    dead.wait().unwrap();
    let out = dir.join("out");
    fs::create_dir(&out).unwrap();
    let (dead, alive) = (dead.id(), std::process::id());
    let gone = [format!(".x.png.{dead}.0.part"), format!(".y.json.{dead}.7.part")];
    let mut stay = vec![".mine.part".to_string(), format!(".notes.txt.{dead}.0.part"), format!("x.png.{dead}.0.part")];
    if cfg!(target_os = "linux") {
        stay.push(format!(".x.png.{alive}.0.part"));
    }
    for name in gone.iter().chain(&stay) {
        fs::write(out.join(name), b"half").unwrap();
    }
    run(dir, &["detect", "x.png", "--out", "out"]).good();
    stay.extend(["x.json", "x.png"].map(String::from));
    assert_eq!(files(&out), names(&stay.iter().map(String::as_str).collect::<Vec<_>>()));
}
