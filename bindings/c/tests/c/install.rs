//! What is installed can be found by pkg-config and CMake, and is no more than was meant.

use std::process::Command;

use super::common::{
    built, compile, folder, good, is_here, left_out, pkg_config, prefix, program, scratch, weights, write,
};

const SOURCE: &str = "#include <maskrcnn.h>\n#include <stdio.h>\nint main(int argc, char **argv) {\n  maskrcnn_options o;\n  \
    maskrcnn_detector *d;\n  maskrcnn_results *r;\n  maskrcnn_options_init(&o, sizeof o);\n  o.weights = argv[argc - 1];\n  \
    if (maskrcnn_open(&o, &d)) return puts(maskrcnn_last_error()), 1;\n  if (maskrcnn_detect_file(d, \"nowhere\", &r) != MASKRCNN_ERROR_IO) return 2;\n  \
    return maskrcnn_detector_free(d);\n}\n";

/// Names that the dynamic linker can find.
#[test]
fn only_the_interface_is_exported() {
    let output = good(Command::new("nm").args(["-D", "--defined-only"]).arg(prefix().join("lib/libmaskrcnn.so")));
    let text = String::from_utf8(output.stdout).unwrap();
    let mut names: Vec<&str> = text.lines().filter_map(|l| l.split_whitespace().nth(2)).collect();
    names.sort_unstable();
    let header = std::fs::read_to_string(folder().join("include/maskrcnn.h")).unwrap();
    let functions = header.lines().filter(|l| !l.starts_with([' ', '/', '#', '}', '*']) && !l.starts_with("typedef"));
    let mut declared: Vec<&str> = functions.filter_map(|l| l.split_once('(')?.0.rsplit([' ', '*']).next()).collect();
    declared.sort_unstable();
    assert!(declared.len() > 20, "{declared:?}");
    assert_eq!(names, declared);
}

#[test]
fn the_shared_library_has_its_name() {
    let output = good(Command::new("objdump").arg("-p").arg(prefix().join("lib/libmaskrcnn.so")));
    let text = String::from_utf8(output.stdout).unwrap();
    let soname = format!("libmaskrcnn.so.{}", maskrcnn_c::MASKRCNN_ABI_VERSION);
    assert!(text.lines().any(|l| l.split_whitespace().eq(["SONAME", &soname])), "{text}");
    let lib = prefix().join("lib");
    let file = format!("libmaskrcnn.so.{}", env!("CARGO_PKG_VERSION"));
    assert_eq!(std::fs::read_link(lib.join("libmaskrcnn.so")).unwrap().to_str(), Some(&*soname));
    assert_eq!(std::fs::read_link(lib.join(&soname)).unwrap().to_str(), Some(&*file));
}

#[test]
fn pkg_config_finds_it() {
    assert_eq!(pkg_config(&["--modversion"]), [env!("CARGO_PKG_VERSION")]);
    let source = write("found.c", SOURCE.as_bytes());
    good(program(&compile(&source, "found", &[])).arg(weights()));
    // The static one: the same words with the libraries that it needs.
    let libs = pkg_config(&["--static", "--libs"]);
    assert!(libs.iter().any(|l| l == "-lm"), "{libs:?}");
    let libs = libs.into_iter().map(|l| if l == "-lmaskrcnn" { "-l:libmaskrcnn.a".into() } else { l });
    let to = scratch().join("found_static");
    good(Command::new("gcc").arg(&source).args(pkg_config(&["--cflags"])).arg("-o").arg(&to).args(libs));
    good(Command::new(&to).arg(weights()));
    std::fs::remove_file(&to).unwrap();
}

#[test]
fn cmake_finds_it() {
    if !is_here("cmake") {
        return left_out("CMake's package", "install cmake");
    }
    let dir = scratch().join("cmake");
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("main.c"), SOURCE).unwrap();
    let text = "cmake_minimum_required(VERSION 3.13)\nproject(app C)\nfind_package(maskrcnn 0.1 REQUIRED)\nadd_executable(app main.c)\n\
        target_link_libraries(app PRIVATE maskrcnn::maskrcnn)\nadd_executable(app_static main.c)\n\
        target_link_libraries(app_static PRIVATE maskrcnn::static)\n";
    std::fs::write(dir.join("CMakeLists.txt"), text).unwrap();
    let configure = |version: &str| {
        std::fs::write(dir.join("CMakeLists.txt"), text.replace("maskrcnn 0.1", version)).unwrap();
        let mut command = Command::new("cmake");
        command
            .arg("-S")
            .arg(&dir)
            .arg("-B")
            .arg(dir.join("b"))
            .arg(format!("-DCMAKE_PREFIX_PATH={}", prefix().display()));
        command
    };
    assert!(!configure("maskrcnn 0.2").output().unwrap().status.success(), "0.2 is not here");
    good(&mut configure("maskrcnn 0.1"));
    good(Command::new("cmake").arg("--build").arg(dir.join("b")));
    good(Command::new(dir.join("b/app")).arg(weights()));
    good(Command::new(dir.join("b/app_static")).arg(weights()));
    std::fs::remove_dir_all(&dir).unwrap();
}

/// Where nothing was built, cargo is asked to, with optimisation.
#[test]
fn install_builds_the_library() {
    let (bin, target) = (scratch().join("bin"), scratch().join("built"));
    std::fs::create_dir_all(&bin).unwrap();
    let text = "#!/bin/sh\necho \"$*\"\nmkdir -p \"$CARGO_TARGET_DIR/release\"\n\
        for f in libmaskrcnn_c.so libmaskrcnn_c.a; do ln -sf \"$BUILT/$f\" \"$CARGO_TARGET_DIR/release/$f\"; done\n";
    std::fs::write(bin.join("cargo"), text).unwrap();
    good(Command::new("chmod").arg("+x").arg(bin.join("cargo")));
    let path = std::env::join_paths([bin].into_iter().chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())));
    let mut install = Command::new(folder().join("install.sh"));
    install.arg("/usr").env("DESTDIR", scratch().join("staged")).env("PATH", path.unwrap());
    let output = good(install.env("CARGO_TARGET_DIR", &target).env("BUILT", built()));
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(said.lines().next(), Some("build --release -p maskrcnn-c"), "{said}");
    let pc = std::fs::read_to_string(scratch().join("staged/usr/lib/pkgconfig/maskrcnn.pc")).unwrap();
    assert!(!pc.contains('@') && pc.contains(&format!("Version: {}", env!("CARGO_PKG_VERSION"))), "{pc}");
    std::fs::remove_dir_all(scratch().join("staged")).unwrap();
}

#[test]
fn install_says_what_is_wrong() {
    let said = |args: &[&str]| {
        let output = Command::new(folder().join("install.sh")).args(args).output().unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(said(&[]).contains("give the folder"));
    assert!(said(&["/nowhere/x", "--builtt", "y"]).contains("--built FOLDER"));
    let empty = scratch().join("empty");
    std::fs::create_dir_all(&empty).unwrap();
    assert!(said(&["/nowhere/x", "--built", empty.to_str().unwrap()]).contains("cargo build --release -p maskrcnn-c"));
}
