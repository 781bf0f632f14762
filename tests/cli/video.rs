//! Videos, through programs that stand for ffmpeg and ffprobe: what they are asked, and what becomes of the frames.
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use maskrcnn::engine::vision::results::is_ours;

use crate::program::{Ran, program, quick};
use crate::{files, names, run, scene};

const SIZE: (u32, u32) = (96, 64);

/// A folder with three frames, a video that is none, and the two programs.
fn prepared(dir: &Path) {
    let mut all = Vec::new();
    for i in 0..3 {
        let name = format!("frame{i}.png");
        scene(dir, &name, SIZE, 3 + i);
        let mut bmp = std::io::Cursor::new(Vec::new());
        image::open(dir.join(&name)).unwrap().to_rgb8().write_to(&mut bmp, image::ImageFormat::Bmp).unwrap();
        all.extend(bmp.into_inner());
    }
    fs::write(dir.join("frames"), all).unwrap();
    fs::write(dir.join("clip.mp4"), b"a video").unwrap();
    fs::create_dir(dir.join("bin")).unwrap();
    let said = r#"{"streams": [{"avg_frame_rate": "10/1", "nb_read_packets": "3"}]}"#;
    put(dir, "ffprobe", &format!("echo \"$@\" >> {0}/asked\necho '{said}'\n", dir.display()));
    // What it is given is what it gives, behind the begin of an MP4 file.
    let encode = "printf '\\0\\0\\0\\10ftyp'; cat";
    let work = format!("case \"$*\" in *image2pipe*) cat {0}/frames;; *) {encode};; esac", dir.display());
    put(dir, "ffmpeg", &format!("echo \"$@\" >> {}/asked\n{work}\n", dir.display()));
}

fn put(dir: &Path, name: &str, script: &str) {
    let path = dir.join("bin").join(name);
    fs::write(&path, format!("#!/bin/sh\n{script}")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn with_path(dir: &Path, path: &str, args: &[&str]) -> Ran {
    let mut command: Command = program();
    command.current_dir(dir).env("PATH", path).env("NODEVICE_SELECT", "1").stdin(Stdio::null());
    Ran::new(command.args(quick(args)).output().unwrap())
}

fn detect(dir: &Path, args: &[&str]) -> Ran {
    let path = format!("{}:{}", dir.join("bin").display(), std::env::var("PATH").unwrap());
    with_path(dir, &path, &[&["detect"], args].concat())
}

#[test]
fn each_frame_is_a_picture_and_overlays_are_a_video() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    prepared(dir);
    let ran = detect(dir, &["clip.mp4", "--out", "out"]).good();
    assert!(ran.out.contains("clip.mp4, frame 2: ") && ran.out.contains("3 frames, 10/1 a second"), "{}", ran.out);
    let frames = ["clip-p1", "clip-p2", "clip-p3"];
    let pairs = frames.iter().flat_map(|s| [format!("{s}.json"), format!("{s}.png")]);
    let all: Vec<String> = pairs.chain(["clip.mp4".into(), "summary.json".into()]).collect();
    assert_eq!(files(&dir.join("out")), names(&all.iter().map(String::as_str).collect::<Vec<_>>()));
    // The overlays, in their order and nothing else, with the mark behind them.
    let video = fs::read(dir.join("out/clip.mp4")).unwrap();
    let mut due = b"\0\0\0\x08ftyp".to_vec();
    for frame in frames {
        due.extend(image::open(dir.join(format!("out/{frame}.png"))).unwrap().to_rgb8().into_raw());
    }
    assert!(video.starts_with(&due), "{} of {} bytes", video.len(), due.len());
    assert!(video.len() < due.len() + 200 && is_ours(&dir.join("out/clip.mp4")));
    let asked = fs::read_to_string(dir.join("asked")).unwrap();
    assert!(asked.contains("file:clip.mp4") && asked.contains("-r 10/1"), "{asked}");

    // The frames are what they are as pictures.
    for i in 0..3 {
        run(dir, &["detect", &format!("frame{i}.png"), "--out", "alone"]).good();
        let [alone, frame] = [format!("alone/frame{i}.png"), format!("out/clip-p{}.png", i + 1)];
        let [alone, frame] = [alone, frame].map(|p| image::open(dir.join(p)).unwrap().to_rgb8());
        assert!(alone == frame, "frame {i}");
    }

    // Again, with what is there: the same video. Changed by somebody, it is not replaced.
    let ran = detect(dir, &["clip.mp4", "--out", "out", "--resume"]).good();
    assert!(ran.out.contains("3 frames"), "{}", ran.out);
    assert_eq!(fs::read(dir.join("out/clip.mp4")).unwrap(), video);
    fs::write(dir.join("out/clip.mp4"), b"holidays").unwrap();
    let ran = detect(dir, &["clip.mp4", "--out", "out"]);
    assert_eq!(ran.errors().len(), 3, "{}", ran.err);
    assert!(ran.err.contains("clip.mp4 is there already"), "{}", ran.err);
    assert_eq!(fs::read(dir.join("out/clip.mp4")).unwrap(), b"holidays");
}

#[test]
fn frames_are_chosen_and_overlays_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    prepared(dir);
    detect(dir, &["clip.mp4", "--pages", "2-3", "--save", "coco", "--out", "out"]).good();
    assert_eq!(files(&dir.join("out")), names(&["clip-p2.json", "clip-p3.json", "summary.json"]));
}

#[test]
fn what_is_wrong_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    prepared(dir);
    let ran = with_path(dir, "/nowhere", &["detect", "clip.mp4"]);
    assert!(ran.error().contains("clip.mp4") && ran.error().contains("install ffmpeg"), "{}", ran.err);
    // Fewer frames than were said.
    let frames = fs::read(dir.join("frames")).unwrap();
    fs::write(dir.join("frames"), &frames[..frames.len() / 3 * 2]).unwrap();
    let ran = detect(dir, &["clip.mp4", "--out", "out"]);
    assert!(ran.error().contains("ends after 2 frames"), "{}", ran.err);
    assert!(ran.out.contains("2 of 3 frames, 10/1 a second"), "{}", ran.out);
    // A file that is no video, as ffprobe says; and an encoder that fails leaves nothing.
    put(dir, "ffprobe", "echo moov atom not found >&2; exit 1\n");
    let ran = detect(dir, &["clip.mp4", "--out", "none"]);
    assert!(ran.error().contains("moov atom not found"), "{}", ran.err);
    prepared_again(dir, &frames);
    put(
        dir,
        "ffmpeg",
        &format!("case \"$*\" in *image2pipe*) cat {}/frames;; *) echo no room >&2; exit 1;; esac\n", dir.display()),
    );
    let ran = detect(dir, &["clip.mp4", "--out", "half"]);
    assert!(ran.error().contains("no room"), "{}", ran.err);
    assert!(!dir.join("half/clip.mp4").exists() && dir.join("half/clip-p3.json").exists());
}

fn prepared_again(dir: &Path, frames: &[u8]) {
    fs::write(dir.join("frames"), frames).unwrap();
    let said = r#"{"streams": [{"avg_frame_rate": "10/1", "nb_read_packets": "3"}]}"#;
    put(dir, "ffprobe", &format!("echo '{said}'\n"));
}
