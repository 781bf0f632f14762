//! The examples, built and run as a reader runs them.

use std::process::Command;

/// What an example says.
fn run(name: &str, args: &[&str]) -> String {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["run", "--quiet", "--example", name, "--"]).args(args).current_dir(env!("CARGO_MANIFEST_DIR"));
    let output = cargo.output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{name}: {told}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_examples_find_the_same() {
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
