//! What is judged by the clock: on a machine that others use, chance decides. So `make test` leaves this out, and says so;
//! `make bench-check` runs it, one test after the other, each with the machine to itself as far as that is ours to give.

#[path = "common/mod.rs"]
mod common;
#[path = "common/program.rs"]
mod program;

use std::fs;
use std::path::Path;

use maskrcnn::{Detector, Image};
use program::{Ran, run_with_cache, write_roofs};

/// Set to have it run.
const VARIABLE: &str = "MASKRCNN_BENCH_CHECK";

fn main() {
    let tests: [(&str, fn()); 2] = [
        ("slower_faster_and_equal_are_told_apart", slower_faster_and_equal_are_told_apart),
        ("steps_add_up_to_the_whole", steps_add_up_to_the_whole),
    ];
    // Programs that run tests one by one ask for a list first.
    if std::env::args().any(|a| a == "--list") {
        return;
    }
    if std::env::var_os(VARIABLE).is_none() {
        println!("\nSKIPPED: {} tests that the clock judges; `make bench-check` runs them\n", tests.len());
        return;
    }
    for (name, test) in tests {
        println!("test {name} ...");
        test();
        println!("test {name} ... ok");
    }
}

/// How often a comparison is repeated: other programs may disturb one, but hardly each.
const TRIES: usize = 4;

/// `maskrcnn bench` of a small launch in its plain variant.
fn bench(dir: &Path, more: &[&str]) -> Ran {
    let launch =
        ["bench", "--kernel", "linear", "--shape", "256x256,128x256", "--variant", "plain", "--seconds", "0.3"];
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("timing");
    write_roofs(&cache, 1e12);
    run_with_cache(dir, &cache, &[&launch[..], more].concat())
}

/// A folder of shaders whose text differs from today's, and nothing else.
fn another(dir: &Path) {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("shaders/linear.wgsl")).unwrap();
    fs::create_dir(dir.join("another")).unwrap();
    fs::write(dir.join("another/linear.wgsl"), format!("{text}// Another text.\n")).unwrap();
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

fn slower_faster_and_equal_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    slowed(dir.path(), 6);
    another(dir.path());
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
    let equal = told(&["--against", "before.json", "--shaders", "another"], "0 slower, 0 faster, 1 equal", "the same");
    assert!(slow && fast && equal, "slower {slow}, faster {fast}, equal {equal}; the last run: {seen}");
}

/// The default model on the demo image: the steps' times add up to the time of the whole.
fn steps_add_up_to_the_whole() {
    let detector = Detector::builder().device(common::device()).build().unwrap();
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
