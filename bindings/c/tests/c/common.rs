//! A small network, the installed library, and C programs made with it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use maskrcnn::engine::vision::scene;
use maskrcnn::engine::weights::synth::{synthetic, to_safetensors};
use maskrcnn::{BlockKind, Config, Detector, Image, MaskHead};

/// The folder of the C interface.
pub(crate) fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A folder for what tests make.
pub(crate) fn scratch() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
}

/// Says past the test harness that something is left out.
pub(crate) fn left_out(what: &str, cure: &str) {
    use std::io::Write;
    std::io::stderr().lock().write_all(format!("\nLEFT OUT: {what}; {cure}\n").as_bytes()).unwrap();
}

/// Whether there is a program of that name.
pub(crate) fn is_here(program: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&paths).any(|dir| dir.join(program).is_file())
}

/// So small that a picture takes milliseconds on a CPU; it finds things, if no sensible ones.
pub(crate) fn tiny() -> Config {
    let mut config = Config { name: "tiny".into(), fpn_channels: 8, ..Config::default() };
    config.backbone.block = BlockKind::Basic;
    config.backbone.layers = vec![1; 4];
    config.backbone.base_width = 8;
    (config.num_classes, config.class_names) = (3, ["background", "cat", "dög"].map(String::from).to_vec());
    config.anchor_sizes = [8.0, 16.0, 24.0, 32.0, 64.0].map(|size| vec![size]).to_vec();
    (config.transform.min_size, config.transform.max_size) = (64, 64);
    (config.rpn.pre_nms_top_n, config.rpn.post_nms_top_n) = (32, 16);
    (config.box_head.representation, config.box_head.detections_per_img) = (16, 5);
    // Random weights find little: nearly all of it is kept.
    (config.rpn.nms_thresh, config.box_head.nms_thresh, config.box_head.score_thresh) = (0.95, 0.9, 0.01);
    config.mask = Some(MaskHead { layers: vec![8], dim_reduced: 8, ..MaskHead::default() });
    config
}

/// Its weights, as a file.
pub(crate) fn weights() -> &'static Path {
    static FILE: OnceLock<PathBuf> = OnceLock::new();
    FILE.get_or_init(|| {
        let bytes = to_safetensors(synthetic(&tiny(), 46), &tiny().to_json().unwrap()).unwrap();
        write("tiny.safetensors", &bytes)
    })
}

/// The same network as the library has it.
pub(crate) fn detector() -> &'static Detector {
    static DETECTOR: OnceLock<Detector> = OnceLock::new();
    DETECTOR.get_or_init(|| Detector::open(weights()).unwrap())
}

/// A picture whose sides are no multiples of anything, and whose colours differ.
pub(crate) fn picture() -> Image {
    coloured(3)
}

/// Another for each number.
pub(crate) fn coloured(seed: u64) -> Image {
    let grey = scene::nuclei(61, 47, seed, 5).unwrap().image;
    let turn = |(i, p): (usize, &[u8])| [p[0], p[1] / 2 + (i % 61) as u8, 255 - p[2]];
    let rgb = grey.rgb().chunks(3).enumerate().flat_map(turn).collect();
    Image::from_rgb8(61, 47, rgb).unwrap()
}

/// It as a PPM.
pub(crate) fn picture_file() -> &'static Path {
    static FILE: OnceLock<PathBuf> = OnceLock::new();
    FILE.get_or_init(|| {
        let image = picture();
        let head = format!("P6\n{} {}\n255\n", image.width(), image.height());
        write("picture.ppm", &[head.as_bytes(), image.rgb()].concat())
    })
}

/// It as a PNG, which the library itself reads.
pub(crate) fn picture_png() -> Vec<u8> {
    // Uncompressed, so that no encoder is needed.
    let image = picture();
    let rows = image.rgb().chunks(3 * image.width() as usize).flat_map(|row| [&[0], row].concat()).collect::<Vec<u8>>();
    let adler =
        rows.iter().fold((1_u32, 0_u32), |(a, b), &v| ((a + u32::from(v)) % 65521, (b + a + u32::from(v)) % 65521));
    let length = u16::try_from(rows.len()).unwrap();
    let mut data = vec![0x78, 1, 1];
    data.extend([length.to_le_bytes(), (!length).to_le_bytes()].concat());
    data.extend(&rows);
    data.extend((adler.1 << 16 | adler.0).to_be_bytes());
    let crc = |bytes: &[u8]| {
        !bytes.iter().fold(!0_u32, |crc, &b| {
            (0..8).fold(crc ^ u32::from(b), |c, _| if c & 1 == 1 { c >> 1 ^ 0xedb8_8320 } else { c >> 1 })
        })
    };
    let chunk = |kind: &[u8], data: &[u8]| {
        let body = [kind, data].concat();
        [&(data.len() as u32).to_be_bytes()[..], &body, &crc(&body).to_be_bytes()].concat()
    };
    let size = [image.width().to_be_bytes(), image.height().to_be_bytes()].concat();
    let header = [&size[..], &[8, 2, 0, 0, 0]].concat();
    [b"\x89PNG\r\n\x1a\n".to_vec(), chunk(b"IHDR", &header), chunk(b"IDAT", &data), chunk(b"IEND", b"")].concat()
}

/// Writes a file into the scratch folder, whole or not at all.
pub(crate) fn write(name: &str, bytes: &[u8]) -> PathBuf {
    let path = scratch().join(name);
    let part = scratch().join(format!("{name}.{}", std::process::id()));
    std::fs::write(&part, bytes).unwrap();
    std::fs::rename(&part, &path).unwrap();
    path
}

/// Where cargo has put the libraries that these tests are linked to.
pub(crate) fn built() -> PathBuf {
    let me = std::env::current_exe().unwrap();
    let deps = me.parent().unwrap();
    assert!(deps.join("libmaskrcnn_c.so").is_file(), "no library beside {}", me.display());
    deps.to_path_buf()
}

/// The library as `install.sh` lays it out.
pub(crate) fn prefix() -> &'static Path {
    static PREFIX: OnceLock<PathBuf> = OnceLock::new();
    PREFIX.get_or_init(|| {
        let prefix = scratch().join("prefix");
        let _ = std::fs::remove_dir_all(&prefix);
        let mut install = Command::new(folder().join("install.sh"));
        good(install.arg(&prefix).arg("--built").arg(built()));
        prefix
    })
}

/// Runs a command that has to go well.
pub(crate) fn good(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        text(&output.stdout),
        text(&output.stderr)
    );
    output
}

/// What pkg-config says.
pub(crate) fn pkg_config(asked: &[&str]) -> Vec<String> {
    let mut command = Command::new("pkg-config");
    let output = good(command.env("PKG_CONFIG_PATH", prefix().join("lib/pkgconfig")).args(asked).arg("maskrcnn"));
    String::from_utf8(output.stdout).unwrap().split_whitespace().map(String::from).collect()
}

/// Compiles a C or C++ source, linked to the shared library. Warnings are errors.
pub(crate) fn compile(source: &Path, name: &str, extra: &[&str]) -> PathBuf {
    let program = scratch().join(name);
    let (compiler, standard) = match source.extension().is_some_and(|e| e == "cpp") {
        true => ("g++", "-std=c++17"),
        false => ("gcc", "-std=c99"),
    };
    let mut command = Command::new(compiler);
    command.args([standard, "-g", "-O1", "-Wall", "-Wextra", "-Werror", "-pedantic"]).args(extra).arg(source);
    good(command.args(pkg_config(&["--cflags", "--libs"])).arg("-o").arg(&program));
    program
}

/// A program, which finds the shared library. A layer of Mesa's that complains of missing sessions is left out.
pub(crate) fn program(path: &Path) -> Command {
    let mut command = Command::new(path);
    command.env("LD_LIBRARY_PATH", prefix().join("lib")).env("NODEVICE_SELECT", "1");
    command
}
