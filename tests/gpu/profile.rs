//! `maskrcnn profile`: its tables, its JSON, its trace, the roofs that it keeps, and whether its times add up.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::common::device;
use crate::program::{settled, write_roofs};
use maskrcnn::engine::gpu::Clock;
use maskrcnn::{Detector, Image};
use serde_json::Value;

const STAGES: [&str; 15] = [
    "resize",
    "C1",
    "C2",
    "C3",
    "C4",
    "C5",
    "FPN",
    "RPN",
    "proposals",
    "box RoIAlign",
    "box head",
    "class NMS",
    "mask RoIAlign",
    "mask head",
    "paste",
];

/// Runs the program in `dir`, which is its cache as well; gives the exit code, standard output and standard error.
fn run(dir: &Path, args: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_maskrcnn"));
    command.current_dir(dir).env("MASKRCNN_CACHE", dir.join("cache")).args(args).stdin(Stdio::null());
    // The device of this process: the program would ask lavapipe for wider vectors.
    let width = std::env::var("LP_NATIVE_VECTOR_WIDTH");
    command.env("LP_NATIVE_VECTOR_WIDTH", width.as_deref().unwrap_or("256"));
    if let (Ok(device), "profile") = (std::env::var("MASKRCNN_DEVICE"), args[0]) {
        command.args(["--device", &device]);
    }
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let (out, err) = (text(output.stdout), settled(&text(output.stderr)));
    assert!(!err.contains("panicked"), "{err}");
    (output.status.code().unwrap_or_else(|| panic!("killed: {err}")), out, err)
}

/// A good run on a small network input, that takes little time: what it printed, and what it said beside that.
fn profiled(dir: &Path, args: &[&str]) -> (String, String) {
    let mut all = vec!["profile", "a.png", "--min-size", "96", "--runs", "2"];
    all.extend(args);
    let (code, out, err) = run(dir, &all);
    assert_eq!(code, 0, "{out} {err}");
    (out, err)
}

fn profile(dir: &Path, args: &[&str]) -> String {
    profiled(dir, args).0
}

/// A folder with a small picture, and the device's roofs in its cache, so that they are not measured each time.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let (code, _, err) = run(dir.path(), &["scene", "a.png", "--width", "96", "--height", "80", "--count", "6"]);
    assert_eq!(code, 0, "{err}");
    write_roofs(&dir.path().join("cache"), 1e12);
    dir
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

#[test]
fn tables_show_steps_by_time_and_stages_in_order() {
    let dir = folder();
    let few = profile(dir.path(), &[]);
    let all = profile(dir.path(), &["--all", "--trace", "t.json"]);
    for part in
        ["roofs: copy 2.0 GB/s, multiply-adds 1000.0 GFLOP/s", "steps together", "ratio", "GPU memory: ", "rows that"]
    {
        assert!(few.contains(part) && all.contains(part), "no `{part}` in {few}");
    }
    assert!(few.contains("more steps (--all lists them)") && !all.contains("--all"), "{few}");
    assert!(!few.contains("perfetto") && all.contains("t.json: open it in https://ui.perfetto.dev"), "{all}");
    let tables = |text: &str| -> Vec<Vec<String>> {
        // Whether a step was faster than the roof of a copy is the cache's affair.
        let lines = |part: &str| part.lines().skip(1).filter(|l| !l.starts_with('*')).map(String::from).collect();
        text.split("\n\n").map(lines).collect()
    };
    let (short, long) = (tables(&few), tables(&all));
    assert_eq!((short[1].len(), short[2].len()), (21, long[2].len()), "{few}");
    assert!(long[1].len() > 60, "{all}");
    // Columns are as wide as what is in them.
    for text in [&few, &all] {
        let mut lines = text.lines().skip_while(|l| !l.ends_with("kernel, variant"));
        let last = lines.next().unwrap().find("kernel, variant").unwrap();
        for line in lines.take_while(|l| !l.is_empty() && !l.contains("more steps")) {
            let before: Vec<char> = line.chars().take(last).collect();
            assert!(before.len() == last && before.ends_with(&[' ', ' ']), "{line}\n{text}");
        }
    }
    let found = few.lines().find(|l| l.starts_with("found: ")).unwrap();
    assert!(
        found.contains("a score of 0.05 or more") && found.contains("`detect` leaves out those below 0.5"),
        "{few}"
    );
    let times: Vec<f64> = long[1].iter().map(|line| line.split_whitespace().next().unwrap().parse().unwrap()).collect();
    assert!(times.is_sorted_by(|a, b| a >= b), "{all}");
    for (line, stage) in long[2].iter().zip(STAGES) {
        assert!(line.contains(&format!(" {stage} ")), "{stage}: {all}");
    }
    // A share of a roof is at most all of it, or marked.
    for line in long[1].iter().chain(&long[2]).filter(|l| !l.starts_with('*')) {
        let share = line.split_whitespace().nth(6).unwrap();
        assert!(share == ">100*" || share.parse::<f64>().is_ok_and(|s| (0.0..=100.0).contains(&s)), "{line}");
    }
}

#[test]
fn json_has_the_numbers_of_all_steps() {
    let dir = folder();
    for (flag, clock) in [(None, device().clock()), (Some("--wall"), Clock::Wall)] {
        let args: Vec<&str> = ["--json"].into_iter().chain(flag).collect();
        let p: Value = serde_json::from_str(&profile(dir.path(), &args)).unwrap();
        assert_eq!(p["clock"], clock.to_string());
        let (stages, steps) = (list(&p["stages"]), list(&p["steps"]));
        assert_eq!(stages.iter().map(|s| s["stage"].as_str().unwrap()).collect::<Vec<_>>(), STAGES);
        assert_eq!(stages.iter().map(|s| s["steps"].as_u64().unwrap()).sum::<u64>(), steps.len() as u64);
        for key in ["ms", "share", "flops", "bytes", "floor_ms"] {
            let sum = |list: &[Value]| list.iter().map(|s| number(&s[key])).sum::<f64>();
            let (a, b) = (sum(stages), sum(steps));
            assert!((a - b).abs() <= 1e-9 * b, "{key}: {a} and {b}");
        }
        let total: f64 = steps.iter().map(|s| number(&s["ms"])).sum();
        assert!((total - number(&p["steps_ms"])).abs() < 1e-6 * total);
        assert!((number(&p["ratio"]) - total / number(&p["whole_ms"])).abs() < 1e-6);
        assert_eq!((number(&p["roofs"]["copy"]), number(&p["roofs"]["fma"])), (2e9, 1e12));
        // The heads' work is that of the live rows.
        assert!((number(&p["score_threshold"]) - 0.05).abs() < 1e-6 && p["roofs_passed"] == false);
        let found = number(&p["rows"]["detections"]["live"]);
        let room = number(&p["rows"]["detections"]["room"]);
        assert!(found >= number(&p["found"]) && found < room, "{found} of {room}");
        let step = |label: &str| steps.iter().find(|s| s["label"] == label).unwrap();
        // An op that was taken apart has its work in pieces.
        let pieces = steps.iter().filter(|s| s["label"].as_str().unwrap().split(' ').next() == Some("mask.conv0"));
        let conv: f64 = pieces.map(|s| number(&s["flops"])).sum();
        let row = conv / found;
        assert!(found == 0.0 || (conv > 0.0 && (row - row.round()).abs() < 1e-9 * row), "{conv} for {found} rows");
        assert!(step("stem")["variant"].is_string() && list(&step("stem")["workgroups"]).len() == 3);
    }
}

/// What Perfetto needs: complete events that follow each other on a track, and steps that lie in their stages.
#[test]
fn traces_nest_and_add_up() {
    let dir = folder();
    let p: Value = serde_json::from_str(&profile(dir.path(), &["--trace", "t.json", "--json"])).unwrap();
    let trace = read(&dir.path().join("t.json"));
    let events = list(&trace["traceEvents"]);
    let track = |name: &str| -> Vec<&Value> {
        let named = |e: &&Value| e["ph"] == "M" && e["name"] == "thread_name" && e["args"]["name"] == name;
        let tid = &events.iter().find(named).expect("a track")["tid"];
        events.iter().filter(|e| e["ph"] == "X" && e["tid"] == *tid).collect()
    };
    let (stages, steps) = (track("stages"), track("steps"));
    assert_eq!(stages.len(), STAGES.len());
    assert_eq!((steps.len(), stages.len() + steps.len() + 3), (list(&p["steps"]).len(), events.len()));
    let (begin, long) = (|e: &Value| number(&e["ts"]), |e: &Value| number(&e["dur"]));
    let end = |e: &Value| begin(e) + long(e);
    for track in [&stages, &steps] {
        assert_eq!(begin(track[0]), 0.0);
        assert!(track.iter().all(|e| long(e) >= 0.0));
        assert!(track.windows(2).all(|w| (end(w[0]) - begin(w[1])).abs() < 1e-3));
        // Microseconds.
        let sum: f64 = track.iter().map(|e| long(e)).sum();
        assert!((sum / 1e3 - number(&p["steps_ms"])).abs() < 1e-6 * sum, "{sum}");
    }
    for stage in &stages {
        let inside = steps.iter().filter(|s| s["cat"] == stage["name"]);
        let inside: Vec<_> =
            inside.inspect(|s| assert!(begin(s) >= begin(stage) && end(s) <= end(stage) + 1e-3)).collect();
        assert_eq!(number(&stage["args"]["steps"]), inside.len() as f64);
    }
    for (step, known) in steps.iter().zip(list(&p["steps"])) {
        assert_eq!((&step["name"], &step["args"]["flops"]), (&known["label"], &known["flops"]));
        assert!(!list(&step["args"]["inputs"]).is_empty() && !list(&step["args"]["outputs"]).is_empty());
        assert!(step["args"]["variant"].is_string() && step["args"]["bytes"].is_number());
    }
}

#[test]
fn roofs_are_measured_once_and_again_when_asked() {
    let dir = folder();
    let file = dir.path().join("cache/roofs.json");
    fs::write(&file, "no JSON").unwrap();
    let roofs = |out: &str| out.lines().find(|l| l.starts_with("roofs: ")).unwrap().to_string();
    let (first, said) = profiled(dir.path(), &[]);
    let key = device().key();
    let shown = || {
        let kept = read(&file)["devices"][&key].clone();
        let mut shown = format!(
            "roofs: copy {:.1} GB/s, multiply-adds {:.1} GFLOP/s",
            number(&kept["copy"]) / 1e9,
            number(&kept["fma"]) / 1e9
        );
        if device().target().can.matrices.is_empty() {
            assert_eq!(kept["matrix"], Value::Null);
        } else {
            shown += &format!(", matrices {:.1} GFLOP/s", number(&kept["matrix"]) / 1e9);
        }
        (shown, kept)
    };
    let (text, kept) = shown();
    assert_eq!(roofs(&first), text);
    let busy = |said: &str| said.contains("warning: the machine was busy") && said.contains("--remeasure");
    assert_eq!(kept["steady"], !busy(&said), "{said}");
    let again = profile(dir.path(), &[]);
    if kept["steady"] == true {
        assert_eq!(roofs(&again), text, "measured again");
    }
    let (text, now) = shown();
    assert_eq!(roofs(&again), text);
    let rates = |kept: &Value| ["copy", "fma"].map(|rate| number(&kept[rate]));
    assert!(rates(&now).iter().zip(rates(&kept)).all(|(now, then)| *now >= then), "the best is kept: {kept} {now}");
    write_roofs(&dir.path().join("cache"), 1.0);
    assert!(roofs(&profile(dir.path(), &[])).ends_with("multiply-adds 0.0 GFLOP/s"), "the cache is read");
    assert!(!roofs(&profile(dir.path(), &["--remeasure"])).ends_with("multiply-adds 0.0 GFLOP/s"));
    let all = read(&file);
    assert!(number(&all["devices"][&key]["fma"]) > 1e6, "{all}");
    assert_eq!(number(&all["devices"]["another"]["fma"]), 1.0, "another device's entry is gone");
    // What cannot be is told, with the cure.
    write_roofs(&dir.path().join("cache"), 1e7);
    let (out, said) = profiled(dir.path(), &["--json"]);
    assert!(said.contains("more arithmetic than the roof") && said.contains("--remeasure"), "{said}");
    assert_eq!(serde_json::from_str::<Value>(&out).unwrap()["roofs_passed"], true);
    // A cache that cannot be written is no error.
    fs::remove_dir_all(dir.path().join("cache")).unwrap();
    fs::write(dir.path().join("cache"), "a file").unwrap();
    profile(dir.path(), &[]);
}

#[test]
fn mistakes_are_told_in_one_line() {
    let dir = folder();
    fs::write(dir.path().join("text.png"), "no picture").unwrap();
    for (args, part) in [
        (&["profile", "missing.png"][..], "missing.png"),
        (&["profile", "text.png"], "text.png"),
        (&["profile", "a.png", "--weights", "none.safetensors"], "none.safetensors"),
        (&["profile", "a.png", "--min-size", "96", "--runs", "1", "--trace", "none/t.json"], "none/t.json"),
        (&["profile", "a.png", "--min-size", "96", "--runs", "1", "--trace", "cache"], "directory"),
    ] {
        let (code, out, err) = run(dir.path(), args);
        assert_eq!((code, err.lines().count()), (1, 1), "{args:?}: {err}");
        assert!(err.starts_with("error: ") && err.contains(part) && out.is_empty(), "{args:?}: {err} {out}");
    }
    for args in [&["profile"][..], &["profile", "a.png", "--runs", "0"], &["profile", "a.png", "--trace"]] {
        assert_eq!(run(dir.path(), args).0, 2, "{args:?}");
    }
}

/// Every clock that the device offers times the same steps.
#[test]
fn every_clock_times_every_step() {
    let dir = folder();
    let detector = Detector::builder().device(device()).build().unwrap();
    let image = Image::open(dir.path().join("a.png")).unwrap();
    let steps = detector.plan(image.height(), image.width()).unwrap().steps.len();
    for clock in [Clock::Wall, Clock::Passes, Clock::Stamps] {
        let timed = detector.profile(&image, 1, Some(clock));
        if clock > device().clock() {
            let told = timed.unwrap_err().to_string();
            assert!(told.contains("does not offer") && told.contains(&clock.to_string()), "{told}");
            continue;
        }
        let p = timed.unwrap();
        assert_eq!((p.clock, p.steps.len()), (clock, steps));
        assert!(p.steps.iter().all(|s| s.seconds.is_finite()) && p.sum() > 0.0 && p.whole > 0.0);
        // Nobody is faster than half of the whole, whatever else the machine does.
        assert!(p.sum() > 0.2 * p.whole, "{clock}: {} of {}", p.sum(), p.whole);
    }
}
