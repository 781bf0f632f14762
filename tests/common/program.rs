//! Running the program, and what holds of every run.
#![allow(dead_code)]

use std::path::Path;
use std::process::{Command, Output, Stdio};

/// A run of the program that ended by itself, without a panic.
pub(crate) struct Ran {
    /// Exit code.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Ran {
    /// Judges what holds of every run: it ends by itself, and without a panic.
    pub(crate) fn new(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
        let (out, err) = (text(output.stdout), settled(&text(output.stderr)));
        assert!(!err.contains("panicked") && !out.contains("panicked"), "{err}");
        Ran { code: output.status.code().unwrap_or_else(|| panic!("killed: {err}")), out, err }
    }

    /// The lines that tell errors, of a run that failed.
    pub(crate) fn errors(&self) -> Vec<&str> {
        assert_eq!(self.code, 1, "{} {}", self.out, self.err);
        self.err.lines().filter(|l| l.starts_with("error:")).collect()
    }

    /// The one error of a run that failed.
    pub(crate) fn error(&self) -> &str {
        let lines = self.errors();
        assert_eq!(lines.len(), 1, "{}", self.err);
        assert!(!lines[0].contains("Error {") && !lines[0].contains("Os {"), "a debug dump: {}", lines[0]);
        lines[0]
    }

    /// A run that went well.
    pub(crate) fn good(self) -> Self {
        assert_eq!(self.code, 0, "{} {}", self.out, self.err);
        assert!(!self.err.contains("error"), "{}", self.err);
        self
    }
}

/// What was said on standard error, but for what depends on how fast shaders are compiled.
pub(crate) fn settled(err: &str) -> String {
    let compiling = |l: &str| l.contains(" shaders") && (l.starts_with("compiling ") || l.starts_with("compiled "));
    err.split_inclusive('\n').filter(|l| !compiling(l)).collect()
}

/// The program, to be given arguments.
pub(crate) fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_maskrcnn"))
}

/// A detection's arguments with a quick network's settings among them: small maps and few proposals, since most runs are not about
/// what is found. Other commands' arguments, and those that have settings of their own, are as they are.
pub(crate) fn quick<'a>(args: &[&'a str]) -> Vec<&'a str> {
    const SETTINGS: [&str; 2] = ["--config", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/quick.toml")];
    let (command, rest) = match args {
        ["detect", rest @ ..] => (&["detect"][..], rest),
        // A picture or a folder: the same without the word.
        [first, ..] if first.contains(['.', '/', '*']) || ["in", "-"].contains(first) => (&[][..], args),
        _ => return args.to_vec(),
    };
    let own = ["--config", "--weights", "--min-size", "--max-size", "--diameter", "--tile"];
    match rest.iter().any(|arg| own.iter().any(|own| arg.starts_with(own))) {
        true => args.to_vec(),
        false => [command, rest, &SETTINGS[..]].concat(),
    }
}

/// Runs the program in `dir`, without a terminal, with `cache` as the user's cache.
pub(crate) fn run_with_cache(dir: &Path, cache: &Path, args: &[&str]) -> Ran {
    let mut command = program();
    command.current_dir(dir).env("MASKRCNN_CACHE", cache).env("NODEVICE_SELECT", "1").stdin(Stdio::null());
    Ran::new(command.args(args).output().unwrap())
}

/// Puts roofs of the device into a cache, so that they are not measured: a copy of 2 GB/s and so many multiply-adds a
/// second, and another device's.
pub(crate) fn write_roofs(cache: &Path, fma: f64) {
    let choice = std::env::var("MASKRCNN_DEVICE").ok();
    let key = maskrcnn::engine::gpu::choose(choice.as_deref()).unwrap_or_else(|e| panic!("{e}")).key();
    let roof = serde_json::json!({ "copy": 2e9, "fma": fma, "matrix": null, "steady": true });
    let all = serde_json::json!({ "version": 3, "devices": { key: roof, "another": roof } });
    std::fs::create_dir_all(cache).unwrap();
    std::fs::write(cache.join("roofs.json"), all.to_string()).unwrap();
}
