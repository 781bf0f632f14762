//! Those that run once.

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
    let changed = demo.pixels().zip(drawn.pixels()).filter(|(a, b)| a != b).count();
    assert!(lines > 10 && changed > 1000, "{lines} instances, {changed} pixels drawn");
}
