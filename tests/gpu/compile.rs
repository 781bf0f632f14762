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

/// A process of its own, since drivers read their cache's settings once and what was compiled stays.
#[test]
fn each_shader_compiles_in_seconds() {
    if std::env::var_os(CHILD).is_some() {
        return compile();
    }
    let cache = tempfile::tempdir().unwrap();
    let out = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "compile::each_shader_compiles_in_seconds", "--nocapture"])
        .env(CHILD, "1")
        .env("MESA_SHADER_CACHE_DISABLE", "true")
        .env("MASKRCNN_CACHE", cache.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&out.stdout);
    println!("{text}");
    let compiled = out.status.success() && text.contains("1 passed");
    assert!(compiled, "{text}{}", String::from_utf8_lossy(&out.stderr));
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
