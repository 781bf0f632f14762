//! The examples, built and run as a reader runs them.
#![cfg(all(feature = "cli", feature = "embedded-model"))]

mod live;
#[allow(dead_code)]
#[path = "../../examples/live/scene.rs"]
mod scene;
mod server;
mod short;
#[path = "../common/skipped.rs"]
mod skipped;
#[path = "../../examples/live/text.rs"]
mod text;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// One test after the other: of the window's frames, times are judged.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An example, to be given arguments.
fn example(name: &str) -> Command {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        // Beside the tests themselves: target/debug/deps.
        let tests = std::env::current_exe().unwrap();
        let profile = tests.ancestors().nth(2).unwrap();
        // `cargo test` has built them; `cargo test --test examples` has not.
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "--examples"]).current_dir(root());
        if profile.ends_with("release") {
            build.arg("--release");
        }
        assert!(build.status().unwrap().success());
        profile.join("examples")
    });
    let mut command = Command::new(folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX)));
    command.current_dir(root()).env("NODEVICE_SELECT", "1");
    command
}
