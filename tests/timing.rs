//! What is judged by the clock. Tests of one file run at the same time, so these have a file of their own and wait for
//! one another: each has the machine to itself, as far as that is ours to give.
#![cfg(all(feature = "cli", feature = "embedded-model"))]

#[path = "common/mod.rs"]
mod common;
#[path = "common/program.rs"]
mod program;

use std::fs;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use maskrcnn::{Detector, Image};
use program::{Ran, run_with_cache};

fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How often a comparison is repeated: other programs may disturb one, but hardly each.
const TRIES: usize = 4;

/// `maskrcnn bench` of a small launch in its plain variant.
fn bench(dir: &Path, more: &[&str]) -> Ran {
    let launch =
        ["bench", "--kernel", "linear", "--shape", "256x256,128x256", "--variant", "plain", "--seconds", "0.3"];
    run_with_cache(dir, Path::new(env!("CARGO_TARGET_TMPDIR")), &[&launch[..], more].concat())
}

/// A folder of shaders in which the plain variant of `linear` does its work `times` times.
fn slowed(dir: &Path, times: usize) {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("shaders/linear.wgsl")).unwrap();
    let one = "        sum += x[n * p.c + c] * weight[k * p.c + c];\n";
    assert!(text.contains(one));
    // What is added is too little to change the sum, but the compiler does not know it. Each time reads other elements:
    // the same ones would be read once.
    let more = format!(
        "        for (var again = 1u; again < {times}u; again++) {{\n            \
         let other = (c + again) % p.c;\n            \
         sum += x[n * p.c + other] * weight[k * p.c + other] * f32(p.grid_x) * 1e-30;\n        }}\n"
    );
    fs::create_dir(dir.join("slow")).unwrap();
    fs::write(dir.join("slow/linear.wgsl"), text.replace(one, &format!("{one}{more}"))).unwrap();
}

#[test]
fn slower_faster_and_equal_are_told_apart() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    slowed(dir.path(), 6);
    bench(dir.path(), &["--save", "before.json"]).good();
    bench(dir.path(), &["--save", "slow.json", "--shaders", "slow"]).good();

    let mut seen = String::new();
    // Whether one of the comparisons comes out as `verdict`; the other way round is wrong however busy the machine is.
    let mut told = |args: &[&str], verdict: &str, never: &str| {
        (0..TRIES).any(|_| {
            let Ran { code, out, err } = bench(dir.path(), &[args, &["--fail-over", "10%"]].concat());
            assert!(!out.contains("RESULT") && !out.contains(never), "{out} {err}");
            assert_eq!(code, i32::from(err.contains("error:")), "{out} {err}");
            let found = out.contains(verdict)
                && (code == 1) == verdict.starts_with("1 slower")
                && (code == 0 || err.contains("error: given is slower than before") && err.contains("10.0 %"));
            seen = format!("{out}{err}");
            found
        })
    };
    let slow = told(&["--against", "before.json", "--shaders", "slow"], "1 slower, 0 faster, 0 equal", "faster: -");
    let fast = told(&["--against", "slow.json"], "0 slower, 1 faster, 0 equal", "slower: +");
    let equal = told(&["--against", "before.json"], "0 slower, 0 faster, 1 equal", "WRONG");
    assert!(slow && fast && equal, "slower {slow}, faster {fast}, equal {equal}; the last run: {seen}");
}

/// The default model on the demo image: the steps' times add up to the time of the whole.
#[test]
fn steps_add_up_to_the_whole() {
    let _alone = alone();
    let detector = Detector::embedded_on(common::device()).unwrap();
    let image = Image::open(Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/demo.png")).unwrap();
    let mut seen = Vec::new();
    for _ in 0..TRIES {
        let p = detector.profile(&image, 2, None).unwrap();
        seen.push(p.sum() / p.whole);
        if (0.9..=1.1).contains(&seen[seen.len() - 1]) {
            return;
        }
    }
    panic!("the steps' share of the whole was {seen:?}");
}
