//! docs/ADD_A_SHADER.md, done as it is printed: in a copy of the tree, touching no file but those that it names.

use std::path::{Path, PathBuf};
use std::process::Command;

/// What the page says to write.
#[derive(Debug)]
enum Step {
    /// A new file.
    File { path: String, text: String },
    /// Lines after a line that is there once.
    After { path: String, line: String, text: String },
}

fn steps(page: &str) -> Vec<Step> {
    let mut out = Vec::new();
    let mut rest = page;
    while let Some((_, marked)) = rest.split_once("<!-- ") {
        let (mark, after) = marked.split_once(" -->\n```").expect("a code block after its mark");
        let (_, block) = after.split_once('\n').unwrap();
        let (text, after) = block.split_once("\n```").expect("an end of the code block");
        let text = format!("{text}\n");
        out.push(match mark.split_once(": ").expect("a word and what it is about") {
            ("file", path) => Step::File { path: path.into(), text },
            ("after", what) => {
                let (line, path) = what.rsplit_once(" in: ").expect("a line and its file");
                Step::After { path: path.into(), line: line.into(), text }
            }
            _ => panic!("`{mark}` is no step"),
        });
        rest = after;
    }
    out
}

fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        std::fs::create_dir_all(to).unwrap();
        for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
            copy(&entry.path(), &to.join(entry.file_name()));
        }
    } else {
        std::fs::copy(from, to).unwrap();
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn a_shader_is_added_as_the_page_says() {
    let steps = steps(&std::fs::read_to_string(root().join("docs/ADD_A_SHADER.md")).unwrap());
    assert_eq!(steps.len(), 7, "an op, a kernel of two files, a lowering, and a line for each");
    let target: PathBuf = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().into();
    let tree = Path::new(env!("CARGO_TARGET_TMPDIR")).join("walkthrough");
    let _ = std::fs::remove_dir_all(&tree);
    std::fs::create_dir_all(&tree).unwrap();
    let parts =
        ["Cargo.toml", "Cargo.lock", "build.rs", "src", "shaders", "assets", "tests", "benches", "examples", "docs"];
    // The bindings are members of the workspace.
    for part in parts.into_iter().chain(["bindings"]) {
        copy(&root().join(part), &tree.join(part));
    }
    for step in &steps {
        match step {
            Step::File { path, text } => {
                let path = tree.join(path);
                assert!(!path.exists(), "{} is there already", path.display());
                std::fs::write(path, text).unwrap();
            }
            Step::After { path, line, text } => {
                let path = tree.join(path);
                let before = std::fs::read_to_string(&path).unwrap();
                let ends: Vec<usize> = before.match_indices(line.as_str()).map(|(at, _)| at + line.len()).collect();
                let [end] = ends[..] else { panic!("`{line}` stands {} times in {}", ends.len(), path.display()) };
                std::fs::write(path, format!("{}\n{text}{}", &before[..end], &before[end + 1..])).unwrap();
            }
        }
    }
    let run = |args: &[&str], told: &str| {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["test", "--offline", "--locked", "--config", "profile.dev.opt-level=0"]).args(args);
        // The dependencies are those that were built for this test.
        let out = cargo.current_dir(&tree).env("CARGO_TARGET_DIR", &target).output().unwrap();
        let text = String::from_utf8_lossy(&out.stdout) + String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success() && text.contains(told), "cargo test {args:?}:\n{text}");
    };
    run(&["--lib", "stacked_pool"], "two_small_pools_are_a_large_one ... ok");
    run(&["--test", "gpu", "kernels::hard_swish"], "kernels::hard_swish ... ok");
    std::fs::remove_dir_all(&tree).unwrap();
}
