//! The examples are compiled and run; what they print is what the library finds, bit for bit.

use std::collections::BTreeMap;
use std::path::Path;

use super::common::{
    compile, detector, folder, good, picture, picture_file, picture_png, program, scratch, weights, write,
};

/// As the examples print them: f32 as C's `%a` has them is compared by value, which loses nothing.
fn parse(out: &[u8]) -> Vec<(String, Vec<f64>, u64)> {
    let line = |line: &str| {
        let mut words = line.split(' ');
        let name = words.next().unwrap().to_string();
        let mut rest: Vec<&str> = words.collect();
        let area = rest.pop().unwrap().parse().unwrap();
        (name, rest.into_iter().map(hexadecimal).collect(), area)
    };
    std::str::from_utf8(out).unwrap().lines().map(line).collect()
}

/// `0x1.8p-1`
fn hexadecimal(text: &str) -> f64 {
    let (sign, text) = text.strip_prefix('-').map_or((1.0, text), |rest| (-1.0, rest));
    let (digits, power) = text.strip_prefix("0x").unwrap().split_once('p').unwrap();
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let mantissa = u64::from_str_radix(&format!("{whole}{part}"), 16).unwrap();
    sign * mantissa as f64 * 2_f64.powi(power.parse::<i32>().unwrap() - 4 * part.len() as i32)
}

fn expected() -> Vec<(String, Vec<f64>, u64)> {
    let found = detector().detect(&picture()).unwrap();
    assert!(
        found.len() >= 2 && found.iter().any(|d| d.mask.area() > 0),
        "the small network finds {} only",
        found.len()
    );
    let line = |d: &maskrcnn::Detection| {
        let numbers = [d.score].into_iter().chain(d.bbox).map(f64::from).collect();
        (found.name(d.label).into_owned(), numbers, d.mask.area())
    };
    found.iter().map(line).collect()
}

#[test]
fn c_finds_what_rust_finds() {
    let example = compile(&folder().join("examples/detect.c"), "detect_c", &[]);
    let mask = scratch().join("mask.pgm");
    let png = write("picture.png", &picture_png());
    let mut masks = BTreeMap::new();
    for image in [picture_file(), &png] {
        let output = good(program(&example).arg(image).arg(&mask).arg(weights()));
        assert_eq!(parse(&output.stdout), expected(), "{}", image.display());
        assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        masks.insert(std::fs::read(&mask).unwrap(), image);
    }
    let found = detector().detect(&picture()).unwrap();
    let head = format!("P5\n{} {}\n255\n", found.width, found.height);
    let want = [head.as_bytes(), found[0].mask.to_image(found.width, found.height).as_raw()].concat();
    assert!(masks.len() == 1 && masks.contains_key(&want));
}

#[test]
fn cpp_finds_what_rust_finds() {
    let example = compile(&folder().join("examples/detect.cpp"), "detect_cpp", &[]);
    let png = write("picture_cpp.png", &picture_png());
    let output = good(program(&example).arg(&png).arg(weights()));
    assert_eq!(parse(&output.stdout), expected());
    let output = program(&example).arg("nowhere.png").arg(weights()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && said.starts_with("error: nowhere.png: "), "{said}");
}

/// A published model that was not brought yet: which command brings it.
#[test]
fn names_of_published_models_are_known() {
    let example = compile(&folder().join("examples/detect.c"), "detect_published", &[]);
    let mut command = program(&example);
    command.arg(picture_file()).arg(scratch().join("none.pgm")).arg("maskrcnn_resnet50_fpn_v2");
    let output = command.env("MASKRCNN_CACHE", scratch().join("no-cache")).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    let cure = "maskrcnn weights pull maskrcnn_resnet50_fpn_v2";
    assert!(output.status.code() == Some(1) && said.starts_with("error: open: ") && said.contains(cure), "{said}");
}

/// The header by itself, in each language's oldest that is promised, and every declaration of the C++ one.
#[test]
fn headers_compile_alone() {
    for (source, text, extra) in [
        (
            "alone.c",
            "#include <maskrcnn.h>\n#include <maskrcnn.h>\nint main(void) { return maskrcnn_abi_version() != 1; }\n",
            "-Wstrict-prototypes",
        ),
        (
            "alone.cpp",
            "#include <maskrcnn.hpp>\n#include <maskrcnn.h>\nint main() { return maskrcnn_abi_version() != 1; }\n",
            "-Wold-style-cast",
        ),
    ] {
        let path: &Path = &write(source, text.as_bytes());
        good(&mut program(&compile(path, &source.replace('.', "_"), &[extra, "-Wshadow", "-Wconversion"])));
    }
}
