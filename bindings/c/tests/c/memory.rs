//! A life of handles under valgrind: nothing is read or written that must not be, and nothing is lost. What drivers lose is in
//! `valgrind.supp`.

use std::path::Path;
use std::process::Command;

use super::common::{compile, folder, good, is_here, left_out, picture_png, prefix, program, weights, write};

fn valgrind(program: &Path, arguments: &[&Path], environment: &[(&str, &Path)]) {
    let mut command = Command::new("valgrind");
    let suppressions = folder().join("tests/c/valgrind.supp");
    command.args(["--leak-check=full", "--show-leak-kinds=definite", "--errors-for-leak-kinds=definite"]);
    command.args(["--error-exitcode=9", "--num-callers=40"]).arg(format!("--suppressions={}", suppressions.display()));
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
