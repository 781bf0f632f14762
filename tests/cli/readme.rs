//! What a newcomer reads and types.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What a user reads.
const PAGES: [&str; 5] =
    ["README.md", "docs/PROGRAM.md", "docs/WEIGHTS.md", "docs/INSTRUMENTS.md", "docs/embedding.md"];

/// Their commands: the lines of the shell blocks of a page, without comments.
fn commands(page: &str) -> Vec<Vec<String>> {
    let text = fs::read_to_string(root().join(page)).unwrap();
    let blocks = text.split("```sh\n").skip(1).map(|b| b.split("```").next().unwrap());
    let lines = blocks.flat_map(str::lines).map(|l| l.split(" #").next().unwrap());
    lines.map(|l| l.split_whitespace().map(String::from).collect()).filter(|l: &Vec<String>| !l.is_empty()).collect()
}

/// They leave nothing about, and none replaces what another made to be looked at.
#[test]
fn commands_write_into_folders_of_their_own() {
    let (mut folders, mut seen) = (BTreeSet::new(), 0);
    for (page, words) in PAGES.iter().flat_map(|page| commands(page).into_iter().map(move |words| (page, words))) {
        let line = words.join(" ");
        let after = |word: &str| words.iter().position(|w| w == word).map(|at| words[at + 1].clone());
        if words.iter().any(|w| w == "detect") {
            let image = words.iter().find(|w| w.ends_with(".png") || w.ends_with(".jpg")).unwrap();
            let folder = after("--out").unwrap_or_else(|| "maskrcnn-out".into());
            assert!(folder == "maskrcnn-out" || folder.starts_with("out"), "{line}");
            assert!(folders.insert((page, folder, image.clone())), "{line}: writes over another command's results");
            seen += 1;
            continue;
        }
        for option in ["--out", "--trace", "--save", "--save-sampled", "--csv", "--screenshot", ">", "scene"] {
            if let Some(file) = after(option).filter(|f| !f.starts_with("--")) {
                assert!(file.starts_with("out/"), "{line}: leaves {file} about");
                seen += 1;
            }
        }
    }
    assert!(seen >= 8, "only {seen} files are written");
}

/// Every link to a file of ours leads to one.
#[test]
fn links_lead_somewhere() {
    let others = [
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "docs/COMPILERS.md",
        "docs/ADD_A_SHADER.md",
        "docs/C.md",
        "shaders/README.md",
        "tests/oracle/README.md",
    ];
    let mut seen = 0;
    for page in PAGES.into_iter().chain(others) {
        let text = fs::read_to_string(root().join(page)).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = link.split('#').next().unwrap();
            if file.is_empty() || file.contains("://") {
                continue;
            }
            let there = root().join(page).parent().unwrap().join(file);
            assert!(there.exists(), "{page} leads to {link}");
            seen += 1;
        }
    }
    assert!(seen >= 15, "only {seen} links");
}

/// Without Rust, make says where to get it.
#[cfg(unix)]
#[test]
fn a_machine_without_rust_is_told_how_to_get_it() {
    let home = tempfile::tempdir().unwrap();
    let said = |path: &str| {
        let mut command = std::process::Command::new("/bin/sh");
        command.arg(root().join("tools/rust.sh")).env("PATH", path).env("HOME", home.path()).env_remove("CARGO_HOME");
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, text) = said("/nowhere");
    assert!(code == Some(1) && text.contains("https://rustup.rs") && text.contains("1.88"), "{text}");
    // Installed, but by a shell that was opened before.
    let bin = home.path().join(".cargo/bin");
    fs::create_dir_all(&bin).unwrap();
    std::os::unix::fs::symlink("/bin/true", bin.join("cargo")).unwrap();
    let (code, text) = said("/nowhere");
    assert!(code == Some(1) && text.contains("/.cargo/bin/../env"), "{text}");
    assert_eq!(said(bin.to_str().unwrap()), (Some(0), String::new()));
}
