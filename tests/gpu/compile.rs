//! What it takes the driver that is here to compile the default model's shaders: seconds, and no more memory than a small
//! machine has.

use std::process::Command;
use std::sync::{Arc, Mutex};

use maskrcnn::{Detector, Device};

/// Says to this program that it is the process that compiles.
const CHILD: &str = "MASKRCNN_TEST_COMPILES";

/// CPU seconds of one shader. The largest, convolution, takes 0.7 on lavapipe 22.3.
const MOST_SECONDS: f64 = 4.0;
/// CPU seconds of all of them. lavapipe 22.3 takes 5, on a busy machine 7; 25.0 three times that.
const MOST_IN_ALL: f64 = 24.0;
/// Bytes that the process ever held, the network's own 200 MB included.
const MOST_BYTES: u64 = 3 << 30;

/// A field of a file in /proc/self.
fn about(file: &str, field: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/self/{file}")).unwrap();
    let line = text.lines().find_map(|l| l.strip_prefix(field)).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// CPU seconds of this process so far.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    // After the name, which may hold anything: fields 14 and 15 are hundredths in user and system mode.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    fields[11..13].iter().map(|t| t.parse::<f64>().unwrap() / 100.0).sum()
}

/// Runs a test of this file in a process of its own, since drivers read their cache's settings once and what was compiled stays.
fn apart(test: &str, name: &str, value: impl AsRef<std::ffi::OsStr>) -> String {
    let cache = tempfile::tempdir().unwrap();
    let out = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("compile::{test}"), "--nocapture"])
        .env_remove("MESA_SHADER_CACHE_DISABLE")
        .env(CHILD, "1")
        .env(name, value)
        .env("MASKRCNN_CACHE", cache.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    println!("{text}");
    let passed = out.status.success() && text.contains("1 passed");
    assert!(passed, "{text}{}", String::from_utf8_lossy(&out.stderr));
    text
}

#[test]
fn each_shader_compiles_in_seconds() {
    if std::env::var_os(CHILD).is_some() {
        return compile();
    }
    apart("each_shader_compiles_in_seconds", "MESA_SHADER_CACHE_DISABLE", "true");
}

/// Further devices compile for lavapipe what the first then finds on disk: the very same shaders, or there would be more of them than
/// the plans have.
#[test]
fn each_shader_is_compiled_once_by_all_cores() {
    if std::env::var_os(CHILD).is_some() {
        let device = Device::open(None).expect("a Vulkan driver");
        let of = Arc::new(Mutex::new(0));
        let log = of.clone();
        device.watch_compiling(move |c| {
            *log.lock().unwrap() += usize::from(!c.kernel.is_empty() && c.done == c.of) * c.of
        });
        let detector = Detector::builder().device(&device).build().unwrap();
        let image = maskrcnn::Image::from_rgb8(704, 520, vec![90; 3 * 704 * 520]).unwrap();
        detector.detect(&image).unwrap();
        // What was compiled last is written beside.
        std::thread::sleep(std::time::Duration::from_secs(1));
        println!("shaders: {} on {}", of.lock().unwrap(), device.name());
        return;
    }
    let shaders = tempfile::tempdir().unwrap();
    let text = apart("each_shader_is_compiled_once_by_all_cores", "MESA_SHADER_CACHE_DIR", shaders.path());
    let (of, device) = text.split_once("shaders: ").and_then(|(_, rest)| rest.split_once(" on ")).unwrap();
    let names = files(shaders.path());
    // Of some versions of Mesa several lie in a file.
    if !device.starts_with("llvmpipe") || names.iter().any(|name| name.ends_with(".db")) {
        println!("not asked here: {device} {names:?}");
        return;
    }
    let kept = names.iter().filter(|name| *name != "index" && *name != "marker").count();
    assert_eq!(kept, of.parse::<usize>().unwrap(), "{names:?}");
}

/// The names of all files in a folder and its folders.
fn files(dir: &std::path::Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    entries
        .flat_map(|entry| match entry.file_type().unwrap().is_dir() {
            true => files(&entry.path()),
            false => vec![entry.file_name().to_string_lossy().into_owned()],
        })
        .collect()
}

fn compile() {
    let device = Device::open(None).expect("a Vulkan driver");
    let seen = Arc::new(Mutex::new((cpu(), Vec::new(), (0, 0))));
    let log = seen.clone();
    device.watch_compiling(move |c| {
        let (before, shaders, last) = &mut *log.lock().unwrap();
        let now = cpu();
        shaders.push((now - *before, format!("{} {}", c.kernel, c.variant)));
        (*before, *last) = (now, (c.done, c.of));
    });
    let detector = Detector::builder().device(&device).build().unwrap();
    detector.warm_up(520, 704).unwrap();
    let (_, mut shaders, (done, of)) = std::mem::replace(&mut *seen.lock().unwrap(), (0.0, Vec::new(), (0, 0)));
    let total: f64 = shaders.iter().map(|s| s.0).sum();
    shaders.sort_by(|a, b| b.0.total_cmp(&a.0));
    let most = about("status", "VmHWM:") << 10;
    println!("{} on {}: {total:.1} CPU seconds, {} MB at most", of, device.name(), most >> 20);
    shaders.iter().take(20).for_each(|(seconds, shader)| println!("{seconds:6.2} {shader}"));
    assert!(of > 20 && done == of, "{done} of {of} shaders");
    let late: Vec<_> = shaders.iter().filter(|s| s.0 > MOST_SECONDS).collect();
    assert!(late.is_empty() && total < MOST_IN_ALL, "{total:.1} s in all; more than {MOST_SECONDS} s: {late:?}");
    assert!(most < MOST_BYTES, "{most} bytes");

    // Nothing is left for the first image, nor for the same size again.
    detector.warm_up(520, 704).unwrap();
    let image = maskrcnn::Image::from_rgb8(704, 520, vec![90; 3 * 704 * 520]).unwrap();
    detector.detect(&image).unwrap();
    assert!(seen.lock().unwrap().1.is_empty(), "{:?} was compiled after the warming up", seen.lock().unwrap().1);
}
