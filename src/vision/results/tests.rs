use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};

use super::*;
use crate::vision::coco::results;
use crate::vision::{Detection, Detections, Image, Mask};

/// Results with `count` entries.
fn found(count: usize) -> Vec<CocoResult> {
    let mask = Mask::from_fn(1, 1, 2, 2, |_, _| true);
    let one =
        |i| Detection { bbox: [1.0, 1.0, 3.0, 3.0 + i as f32], score: 0.5, label: 1, mask: mask.clone(), soft: None };
    let names = ["", "a \"}\n{"].map(String::from).into();
    results(&Detections::new(8, 8, names, (0..count).map(one).collect()), "x")
}

fn picture(value: u8) -> RgbImage {
    RgbImage::from_fn(40, 30, |x, y| image::Rgb([value, x as u8, (x * y) as u8]))
}

fn names(dir: &Path) -> BTreeSet<String> {
    fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn own_files_are_known_until_they_are_changed() {
    let dir = tempfile::tempdir().unwrap();
    for count in [0, 1, 3] {
        let pair = Pair::new(dir.path(), "x");
        pair.write(&picture(7), &found(count), false).unwrap();
        assert!(is_ours(pair.json()) && is_ours(pair.png()) && pair.obstacle().is_none(), "{count}");
        // Still what any program reads.
        let back: Vec<CocoResult> = serde_json::from_slice(&fs::read(pair.json()).unwrap()).unwrap();
        assert_eq!(back, found(count));
        assert_eq!(Image::open(pair.png()).unwrap().rgb(), picture(7).as_raw().as_slice());

        for path in [pair.json(), pair.png()] {
            let whole = fs::read(path).unwrap();
            // Every byte counts, those of the mark included; so does what is added and cut.
            let step = 1 + whole.len() / 150;
            let flipped = (0..whole.len()).step_by(step).map(|i| {
                let mut bytes = whole.clone();
                bytes[i] ^= 1;
                bytes
            });
            let longer = [&whole[..], b"\n"].concat();
            for changed in flipped.chain([longer, whole[..whole.len() - 1].to_vec(), whole[1..].to_vec(), vec![]]) {
                fs::write(path, changed).unwrap();
                assert!(!is_ours(path), "{}", path.display());
                assert_eq!(pair.obstacle(), Some((path, Obstacle::Foreign)));
            }
            fs::write(path, whole).unwrap();
        }
        assert!(pair.obstacle().is_none());
    }
}

#[test]
fn results_name_their_run_until_they_are_changed() {
    let dir = tempfile::tempdir().unwrap();
    for count in [0, 2] {
        let pair = Pair::new(dir.path(), "x").of_run("1f");
        pair.write(&picture(7), &found(count), false).unwrap();
        let other = Pair::new(dir.path(), "x").of_run("20");
        assert!(pair.is_of_run() && !other.is_of_run() && !Pair::new(dir.path(), "x").is_of_run(), "{count}");
        assert_eq!((run_of(pair.png()).as_deref(), is_ours(pair.png())), (Some("1f"), true));
        for path in [pair.png(), pair.json()] {
            let whole = fs::read(path).unwrap();
            let mut changed = whole.clone();
            changed[whole.len() / 2] ^= 1;
            for bytes in [Some(changed), None] {
                bytes.map_or_else(|| fs::remove_file(path), |bytes| fs::write(path, bytes)).unwrap();
                assert!(!pair.is_of_run(), "{}", path.display());
            }
            fs::write(path, whole).unwrap();
        }
        assert!(pair.is_of_run());
    }
    // A scene is of this program, and no run's.
    let scene = dir.path().join("s.png");
    save_png_atomic(&scene, &picture(5)).unwrap();
    assert!(is_ours(&scene) && run_of(&scene).is_none());
}

#[test]
fn an_object_replaces_its_own_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("summary.json");
    for text in ["{\n  \"a\": {\n    \"b\": 1\n  }\n}\n", "{\n  \"c\": []\n}\n"] {
        write_object(&path, text, false).unwrap();
        assert!(is_ours(&path) && run_of(&path).is_none());
        let mut back: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        assert!(back.as_object_mut().unwrap().remove("written_by").is_some());
        assert_eq!(back, serde_json::from_str::<serde_json::Value>(text).unwrap());
    }
    let mine = "{\n  \"mine\": 1\n}\n";
    fs::write(&path, mine).unwrap();
    assert!(write_object(&path, "{\n  \"c\": []\n}\n", false).is_err());
    assert_eq!(fs::read_to_string(&path).unwrap(), mine);
    write_object(&path, "{\n  \"c\": []\n}\n", true).unwrap();
    assert!(is_ours(&path));
}

#[test]
fn files_of_others_are_not_known() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x");
    for text in ["", "[]", "[\n]", "[\n]\n\n", "{\"shapes\": []}", "[\n{\"image_id\":1}\n]\n", "[\n{", "[\n}\n{"] {
        fs::write(&path, text).unwrap();
        assert!(!is_ours(&path), "{text}");
    }
    coco::write_results(&path, &found(2)).unwrap();
    assert!(!is_ours(&path), "written by the library, for another program");
    picture(3).save_with_format(&path, image::ImageFormat::Png).unwrap();
    assert!(!is_ours(&path) && !is_ours(dir.path()) && !is_ours(&dir.path().join("none")));
}

#[test]
fn pictures_are_written_whole() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("o.png");
    save_png_atomic(&path, &picture(5)).unwrap();
    assert_eq!(Image::open(&path).unwrap().rgb(), picture(5).as_raw().as_slice());
    assert!(is_ours(&path) && save_png_atomic(dir.path().join("no/o.png"), &picture(5)).is_err());
}

#[test]
fn a_pair_replaces_its_own_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let pair = Pair::new(&dir.path().join("new/folder"), "x.y");
    let folder = pair.json().parent().unwrap();
    for count in [2, 1] {
        pair.write(&picture(count as u8), &found(count), false).unwrap();
        assert_eq!(names(folder), ["x.y.json", "x.y.png"].map(String::from).into());
    }
    // A lone half of a run that was killed, either of them.
    for half in [pair.json(), pair.png()] {
        fs::remove_file(half).unwrap();
        pair.write(&picture(1), &found(1), false).unwrap();
    }
    for path in [pair.json(), pair.png()] {
        let old = [pair.json(), pair.png()].map(|p| fs::read(p).unwrap());
        fs::write(path, b"mine").unwrap();
        let failed = pair.write(&picture(9), &found(3), false).unwrap_err().to_string();
        assert!(failed.contains(&path.display().to_string()) && failed.contains("not written by"), "{failed}");
        assert_eq!(fs::read(path).unwrap(), b"mine");
        assert_eq!(names(folder).len(), 2, "something was left");
        pair.write(&picture(1), &found(1), true).unwrap();
        assert_eq!([pair.json(), pair.png()].map(|p| fs::read(p).unwrap()), old);
    }
}

/// Where one cannot be written, the other is as it was.
#[test]
fn a_failure_leaves_the_old_pair_or_none() {
    let dir = tempfile::tempdir().unwrap();
    for taken in ["x.json", "x.png"] {
        let folder = dir.path().join(taken);
        fs::create_dir_all(folder.join(taken)).unwrap();
        let pair = Pair::new(&folder, "x");
        assert_eq!(pair.obstacle().map(|o| o.1), Some(Obstacle::Folder));
        assert!(pair.write(&picture(1), &found(1), true).is_err());
        assert_eq!(names(&folder), [taken.to_string()].into());
    }
}

/// A kill at any step leaves no results beside another run's picture, and an error at the last brings back what was.
#[test]
fn a_results_file_always_has_its_own_picture() {
    let dir = tempfile::tempdir().unwrap();
    let pair = Pair::new(dir.path(), "x");
    pair.write(&picture(1), &found(1), false).unwrap();
    let old = [pair.json(), pair.png()].map(|p| fs::read(p).unwrap());
    let new = || {
        let text = coco::text(&found(2)).unwrap();
        let png = Unpublished::new(pair.png(), |out| mark::png(&picture(2), None, out)).unwrap();
        (png, Unpublished::new(pair.json(), |out| mark::json(&text, None, out)).unwrap())
    };
    let (png, json) = new();
    let mut steps = 0;
    let failed = pair.replace(png, json, &mut || {
        assert!(!pair.json().exists(), "step {steps}");
        steps += 1;
        if steps == 3 {
            assert!(is_ours(pair.png()));
            fs::create_dir(pair.json()).unwrap();
        }
    });
    assert!(failed.is_err() && steps == 3);
    assert_eq!((fs::read(pair.png()).unwrap(), names(dir.path()).len()), (old[1].clone(), 2));
    fs::remove_dir(pair.json()).unwrap();

    fs::write(pair.json(), &old[0]).unwrap();
    let (png, json) = new();
    pair.replace(png, json, &mut || {}).unwrap();
    assert!(pair.obstacle().is_none() && fs::read(pair.png()).unwrap() != old[1]);
    assert_eq!(names(dir.path()).len(), 2);
}

#[cfg(unix)]
#[test]
fn a_link_that_leads_nowhere_is_not_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let pair = Pair::new(dir.path(), "x");
    std::os::unix::fs::symlink("elsewhere.png", pair.png()).unwrap();
    assert_eq!(pair.obstacle(), Some((pair.png(), Obstacle::Foreign)));
}

const VICTIM: &str = "MASKRCNN_TEST_PAIRS_FOLDER";

/// Writes pairs without end, for the test below to kill; does nothing in a run of all tests.
#[test]
fn writes_pairs_until_it_is_killed() {
    let Some(folder) = std::env::var_os(VICTIM) else { return };
    for i in 0.. {
        let pair = Pair::new(Path::new(&folder), &format!("x{}", i % 7));
        pair.write(&picture(i as u8), &found(i % 4), false).unwrap();
        writeln!(std::io::stdout(), "{VICTIM}").unwrap();
    }
}

/// Nearly every kill meets one of the two being written. That may be between the renames: then one half is missing, and
/// no other thing may be wrong (12 halves were seen after 200 kills of this loop, which does nothing but write).
/// `MASKRCNN_KILLS` sets how many.
#[test]
fn kills_leave_no_half_files() {
    let dir = tempfile::tempdir().unwrap();
    let (mut kills, mut alone) = (0, 0);
    let rounds = std::env::var("MASKRCNN_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(60_u64);
    for round in 0..rounds {
        let test = "vision::results::tests::writes_pairs_until_it_is_killed";
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env(VICTIM, dir.path())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        // By pairs, and only then by the clock: a busy machine writes few in a time.
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut pairs = lines.filter(|line| line.as_ref().unwrap().contains(VICTIM));
        assert!(pairs.nth(round as usize % 8).is_some(), "nothing was written");
        std::thread::sleep(std::time::Duration::from_micros(500 * (1 + round % 60)));
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
        sweep(dir.path(), &[".json", ".png"]);
        for name in names(dir.path()) {
            let path = dir.path().join(&name);
            assert!(is_ours(&path), "{name} is not whole");
            let other = path.with_extension(if name.ends_with("png") { "json" } else { "png" });
            alone += usize::from(!other.exists());
            // With its own results: the entries count the pictures.
            if let (Some(stem), true) = (name.strip_suffix(".json"), other.exists()) {
                let entries: Vec<CocoResult> = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
                let value = Image::open(dir.path().join(format!("{stem}.png"))).unwrap().rgb()[0];
                assert_eq!(entries.len(), usize::from(value) % 4, "{stem}: halves of two pairs");
            }
        }
    }
    writeln!(std::io::stdout(), "{alone} halves after {kills} kills").unwrap();
    assert!(names(dir.path()).len() > 6 && alone <= kills / 3, "{alone} halves after {kills} kills");
}
