//! What docs/C.md prints is compiled and run as printed, in the repository's root; only the library is not built once more.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::common::{built, compile, folder, good, program, write};

fn root() -> PathBuf {
    folder().join("../..").canonicalize().unwrap()
}

/// The blocks of the page in a language.
fn blocks(language: &str) -> Vec<String> {
    let page = std::fs::read_to_string(root().join("docs/C.md")).unwrap();
    let begin = format!("```{language}\n");
    let parts = page.split(&begin).skip(1);
    parts.map(|part| part.split("```").next().unwrap().to_string()).collect()
}

/// What was found in assets/demo.png by the default model, the best one's box.
fn found(said: &[u8]) -> usize {
    let lines = std::str::from_utf8(said).unwrap().lines().count();
    assert!(lines > 20, "{}", String::from_utf8_lossy(said));
    lines
}

#[test]
fn the_page_runs_as_printed() {
    let [commands] = &blocks("sh")[..] else { panic!("one block of commands") };
    let install = "bindings/c/install.sh out/c\n";
    assert!(commands.starts_with(install), "{commands}");
    let quick = format!("bindings/c/install.sh out/c --built '{}'\n", built().display());
    let script = commands.replacen(install, &quick, 1);
    let written = |path: &str| root().join(path);
    let mut shell = Command::new("sh");
    let output = good(shell.args(["-euc", &script]).current_dir(root()).env("NODEVICE_SELECT", "1"));
    let said = output.stdout.split(|&b| b == b'\n').skip(1).collect::<Vec<_>>().join(&b'\n');
    let mask = std::fs::read(written("out/mask.pgm")).unwrap();
    assert!(mask.starts_with(b"P5\n384 320\n255\n") && mask.len() == 15 + 384 * 320, "{} bytes", mask.len());

    let [example] = &blocks("c")[..] else { panic!("one example") };
    let example: &Path = &write("page.c", example.as_bytes());
    let output = good(program(&compile(example, "page", &[])).current_dir(root()));
    assert_eq!(found(&output.stdout), found(&said));
}
