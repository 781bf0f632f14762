//! Choosing a GPU.

use std::collections::BTreeSet;
use std::fs;

use image::{Rgb, RgbImage};

use crate::program::{Ran, program};
use crate::{files, names, results, run, save, scene};

#[test]
fn devices_are_listed_and_chosen() {
    let dir = tempfile::tempdir().unwrap();
    let list = run(dir.path(), &["devices"]).good().out;
    let first = list.lines().next().unwrap();
    let name = first.strip_prefix("0: ").and_then(|l| l.strip_suffix("  (the default)")).expect(first);
    for part in ["subgroups", "MiB a binding", "driver", "invocations"] {
        assert!(list.contains(part), "no `{part}` in {list}");
    }
    save(dir.path(), "blank.png", RgbImage::from_pixel(128, 8, Rgb([3; 3])));
    let letters: String = name.chars().take_while(|c| c.is_alphanumeric()).collect();
    for choice in ["0", &letters.to_uppercase()] {
        let ran = run(dir.path(), &["detect", "blank.png", "--out", "out", "--device", choice]).good();
        assert!(ran.out.contains(name), "--device {choice}: {}", ran.out);
        assert!(ran.out.contains("nothing found above 0.5 (this model knows: nucleus)"), "{}", ran.out);
        assert_eq!(fs::read_to_string(dir.path().join("out/blank.json")).unwrap(), "[\n]\n");
        image::open(dir.path().join("out/blank.png")).unwrap();
    }
    // Digits are a number, whatever digits stand in the names: nearly all have a 0 or a 5.
    for choice in ["no such GPU", "99", "-1", "5", "15", "256"] {
        let ran = run(dir.path(), &["detect", "blank.png", "--out", "none", &format!("--device={choice}")]);
        assert!(ran.error().contains(name) && ran.error().contains("0: "), "{choice}: {}", ran.err);
        assert_eq!(files(&dir.path().join("none")), BTreeSet::new());
    }
}

/// lavapipe gets the widest vectors that the CPU has, unless the user has chosen others or has a GPU; both find the same.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[test]
fn a_cpu_driver_gets_the_widest_vectors() {
    let dir = tempfile::tempdir().unwrap();
    scene(dir.path(), "cells.png", (200, 160), 12);
    let with = |width: Option<&str>, args: &[&str]| {
        let mut command = program();
        command.env_remove("LP_NATIVE_VECTOR_WIDTH");
        if let Some(width) = width {
            command.env("LP_NATIVE_VECTOR_WIDTH", width);
        }
        Ran::new(command.current_dir(dir.path()).args(args).output().unwrap()).good()
    };
    let says = "vectors of 512 bits, as this program asked for";
    let chosen = with(Some("256"), &["devices"]).out;
    assert!(!chosen.contains(says), "{chosen}");
    let features = ["avx512f", "avx512bw", "avx512dq", "avx512vl"];
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let wide = features.iter().all(|feature| cpu.split_whitespace().any(|word| word == *feature));
    let renders = fs::read_dir("/dev/dri").into_iter().flatten().flatten();
    let gpu = renders.into_iter().any(|node| node.file_name().to_string_lossy().starts_with("renderD"));
    let unset = with(None, &["devices"]).out;
    if !wide || gpu || std::path::Path::new("/dev/nvidia0").exists() || !chosen.contains("256 bits") {
        assert!(!unset.contains(says), "{unset}");
        return;
    }
    assert!(chosen.contains("256 bits") && unset.contains("512 bits") && unset.contains(says), "{chosen}\n{unset}");
    let detect = |width, out: &str| {
        with(width, &["detect", "cells.png", "--out", out]);
        results(&dir.path().join(out).join("cells.json"))
    };
    let (narrow, wide) = (detect(Some("256"), "narrow"), detect(None, "wide"));
    assert!(!narrow.is_empty() && narrow.len() == wide.len());
    for (a, b) in narrow.iter().zip(&wide) {
        assert!((a.score - b.score).abs() < 1e-4, "{} {}", a.score, b.score);
        assert!(a.bbox.iter().zip(&b.bbox).all(|(a, b)| (a - b).abs() < 0.01), "{:?} {:?}", a.bbox, b.bbox);
    }
}

/// An unset variable of a shell looks like this; it must not pick a device silently.
#[test]
fn an_empty_device_name_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    save(dir.path(), "blank.png", RgbImage::from_pixel(128, 8, Rgb([3; 3])));
    let ran = run(dir.path(), &["detect", "blank.png", "--out", "out", "--device="]);
    assert!(ran.code == 1 || ran.code == 2, "{}", ran.out);
    assert!(ran.err.contains("error:"), "{}", ran.err);
}

/// Without any graphics driver, the message says what to install.
#[test]
fn a_machine_without_a_driver_is_told_what_to_install() {
    if cfg!(not(target_os = "linux")) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    save(dir.path(), "x.png", RgbImage::new(64, 8));
    for args in [&["detect", "x.png", "--out", "out"][..], &["devices"]] {
        let mut command = program();
        for variable in ["VK_DRIVER_FILES", "VK_ICD_FILENAMES"] {
            command.env(variable, "/nonexistent");
        }
        let ran = Ran::new(command.current_dir(dir.path()).args(args).output().unwrap());
        let line = ran.error();
        assert!(line.contains("no usable GPU") && line.contains("install") && line.contains("Vulkan"), "{line}");
        assert_eq!(files(dir.path()), names(&["x.png"]), "{args:?}");
    }
    // What needs no GPU still works, and what is wrong with the weights is told first.
    let bad = |args: &[&str]| {
        let output = program().current_dir(dir.path()).env("VK_ICD_FILENAMES", "/nonexistent").args(args).output();
        Ran::new(output.unwrap())
    };
    bad(&["scene", "s.png", "--width", "32", "--height", "32"]).good();
    let ran = bad(&["detect", "x.png", "--weights", "none.safetensors"]);
    assert!(ran.error().contains("none.safetensors"), "{}", ran.err);
}
