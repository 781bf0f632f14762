//! Lists the snippets that shaders import, and says whether the default model is here: the registry's package has no room
//! for it (CONTRIBUTING.md).

use std::path::Path;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    println!("cargo::rustc-check-cfg=cfg(model_left_out)");
    println!("cargo::rerun-if-changed=build.rs");
    let model = "assets/nuclei.safetensors";
    if Path::new(model).exists() {
        println!("cargo::rerun-if-changed={model}");
    } else {
        println!("cargo::rustc-cfg=model_left_out");
    }
    let out = env::var("OUT_DIR").map_err(io::Error::other)?;
    fs::write(Path::new(&out).join("snippets.rs"), snippets()?)
}

/// Name and text of every shader in a folder of `shaders/`, as a slice.
fn snippets() -> io::Result<String> {
    println!("cargo::rerun-if-changed=shaders");
    let root = env::current_dir()?.join("shaders");
    let mut found = Vec::new();
    for folder in fs::read_dir(&root)? {
        let folder = folder?;
        if !folder.file_type()?.is_dir() {
            continue;
        }
        println!("cargo::rerun-if-changed={}", folder.path().display());
        for file in fs::read_dir(folder.path())? {
            let path = file?.path();
            if path.extension().is_some_and(|ending| ending == "wgsl") {
                let name = path.strip_prefix(&root).map_err(io::Error::other)?.with_extension("");
                let name = name.to_string_lossy().replace('\\', "/");
                found.push(format!("    ({name:?}, include_str!({:?})),\n", path.to_string_lossy()));
            }
        }
    }
    found.sort();
    Ok(format!("&[\n{}]\n", found.concat()))
}
