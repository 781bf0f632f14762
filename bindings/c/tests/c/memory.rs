//! A life of handles under valgrind: nothing is read or written that must not be, and nothing is lost. What drivers lose is in
//! `valgrind.supp`.

use std::path::Path;
use std::process::Command;

use super::common::{compile, folder, good, is_here, left_out, picture_png, prefix, program, scratch, weights, write};

fn valgrind(program: &Path, arguments: &[&Path], environment: &[(&str, &Path)]) {
    let mut command = Command::new("valgrind");
    let suppressions = folder().join("tests/c/valgrind.supp");
    command.args(["--leak-check=full", "--show-leak-kinds=definite", "--errors-for-leak-kinds=definite"]);
    // Drivers are unloaded before leaks are looked for: their names are kept.
    command
        .args(["--error-exitcode=9", "--num-callers=40", "--keep-debuginfo=yes"])
        .arg(format!("--suppressions={}", suppressions.display()));
    command.arg(program).args(arguments).envs(environment.iter().copied());
    let output = good(command.env("LD_LIBRARY_PATH", prefix().join("lib")).env("NODEVICE_SELECT", "1"));
    let said = String::from_utf8(output.stderr).unwrap();
    println!("{said}");
    assert!(said.contains("ERROR SUMMARY: 0 errors") && output.stdout == b"well\n", "{said}");
}

fn life(name: &str) -> std::path::PathBuf {
    compile(&folder().join("tests/c/life.c"), name, &[])
}

#[test]
fn misuse_leaves_nothing_behind() {
    let life = life("life");
    good(program(&life).arg(weights()).arg(write("life.png", &picture_png())));
    if !is_here("valgrind") {
        return left_out("memory", "install valgrind");
    }
    valgrind(&life, &[weights()], &[]);
}

/// lavapipe compiles its shaders under valgrind, too, which takes minutes once: it keeps them in the tests' folder. Vectors of 128
/// bits are compiled soonest.
#[test]
#[ignore = "minutes: make valgrind-c"]
fn a_detection_leaves_nothing_behind() {
    assert!(is_here("valgrind"), "install valgrind");
    let shaders = scratch().join("shaders");
    let environment = [
        ("MESA_SHADER_CACHE_DIR", &*shaders),
        ("GALLIUM_OVERRIDE_CPU_CAPS", Path::new("sse4.1")),
        ("LP_NATIVE_VECTOR_WIDTH", Path::new("128")),
    ];
    valgrind(&life("life_detects"), &[weights(), &write("life_detects.png", &picture_png())], &environment);
}
