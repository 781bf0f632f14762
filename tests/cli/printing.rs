//! Where nobody reads what is printed, or it cannot be written, the work is done all the same and nothing panics.

use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};

use image::{Rgb, RgbImage};

use crate::program::{Ran, program};
use crate::{files, save};

fn pictures(dir: &Path, count: usize) -> Vec<String> {
    let names: Vec<String> = (0..count).map(|i| format!("{i}.png")).collect();
    names.iter().for_each(|n| save(dir, n, RgbImage::from_pixel(64, 8, Rgb([7; 3]))));
    names
}

fn command(dir: &Path, args: &[&str]) -> Command {
    let mut command = program();
    command.current_dir(dir).args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// As `| head -1`, in a list with a bad image.
#[test]
fn a_reader_that_has_seen_enough_ends_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let names = pictures(dir, 8);
    let mut child = command(dir, &["detect", "--out", "out"]).args(&names).spawn().unwrap();
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    assert!(line.contains(" on "), "{line}");
    drop(reader);
    let status = child.wait().unwrap();
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert_eq!((status.code(), crate::program::settled(&err).as_str()), (Some(0), ""));
    assert_eq!(files(&dir.join("out")).len(), 17, "images were left out");
}

/// Everything that prints much or little.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told_once() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let names = pictures(dir, 3);
    let full = || OpenOptions::new().write(true).open("/dev/full").unwrap();
    let detect: Vec<&str> = ["detect", "--out", "out"].into_iter().chain(names.iter().map(String::as_str)).collect();
    for args in [
        &detect[..],
        &["devices"],
        &["--help"],
        &["detect", "--help"],
        &["--version"],
        &["graph", "--device", "none"],
        &["shaders", "list"],
        &["shaders", "emit", "softmax", "--target", "msl"],
        &["weights", "inspect", concat!(env!("CARGO_MANIFEST_DIR"), "/assets/nuclei.safetensors")],
        &["scene", "s.png", "--width", "32", "--height", "32"],
    ] {
        let ran = Ran::new(command(dir, args).stdout(full()).output().unwrap());
        assert_eq!(ran.code, 1, "{args:?}");
        assert!(ran.error().contains("standard output: No space left"), "{args:?}: {}", ran.err);
        assert_eq!(ran.err.lines().count(), 1, "{}", ran.err);
    }
    assert_eq!(files(&dir.join("out")).len(), 7, "images were left out");
    assert!(dir.join("s.png").exists());

    // Where not even an error can be said, the exit code says it.
    fs::remove_file(dir.join("0.png")).unwrap();
    for args in [&detect[..], &["detect", "0.png"], &["scene", "s.jpg"], &["graph", "nothing.pth"]] {
        let ran = Ran::new(command(dir, args).stderr(full()).output().unwrap());
        assert_eq!(ran.code, 1, "{args:?}: {}", ran.out);
    }
    let ran = Ran::new(command(dir, &["detect"]).stderr(full()).output().unwrap());
    assert_eq!(ran.code, 2, "{}", ran.out);
}
