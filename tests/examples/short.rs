//! Those that run once.

use maskrcnn::{Detector, Image};

use crate::{alone, example};

/// What an example says.
fn run(name: &str, args: &[&str]) -> String {
    let output = example(name).args(args).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{name}: {told}");
    String::from_utf8(output.stdout).unwrap()
}

/// What one finds on the host is drawn by the other on the device: the instances' pixels, and no others.
#[test]
fn the_examples_find_the_same() {
    let _alone = alone();
    let lines = run("minimal", &["assets/demo.png"]).lines().count();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("overlay.png");
    let told = run("on_my_device", &["assets/demo.png", file.to_str().unwrap()]);
    assert_eq!(told, format!("{lines} instances are to be seen\n"));
    let [demo, drawn] = ["assets/demo.png".as_ref(), file.as_path()].map(|f| image::open(f).unwrap().to_rgb8());
    assert_eq!(demo.dimensions(), drawn.dimensions());
    let found = Detector::embedded().unwrap().detect(&Image::open("assets/demo.png").unwrap()).unwrap().above(0.5);
    assert!(found.len() == lines && lines > 10, "{lines} instances, and {}", found.len());
    let is_masked = |x: u32, y: u32| found.iter().any(|one| one.mask.get(x, y));
    let (mut masked, mut changed) = (0, 0);
    for (x, y, pixel) in demo.enumerate_pixels() {
        let differs = pixel != drawn.get_pixel(x, y);
        assert!(is_masked(x, y) || !differs, "pixel {x}, {y} is no instance's, and is drawn");
        masked += usize::from(is_masked(x, y));
        changed += usize::from(differs);
    }
    assert!(changed * 100 > 98 * masked, "{changed} of {masked} pixels are drawn");
}
