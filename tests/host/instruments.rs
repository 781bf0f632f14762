//! What looks at the engine without running it: `maskrcnn graph` and `maskrcnn shaders`.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use maskrcnn::engine::kernels::REGISTRY;
use maskrcnn::engine::shader::emit::Language;

/// A run of the program that ended.
struct Ran {
    code: i32,
    bytes: Vec<u8>,
    err: String,
}

impl Ran {
    fn new(output: Output) -> Self {
        let err = String::from_utf8(output.stderr).expect("UTF-8");
        assert!(!err.contains("panicked"), "{err}");
        Ran { code: output.status.code().unwrap_or_else(|| panic!("killed: {err}")), bytes: output.stdout, err }
    }

    /// What a run printed that went well and had nothing to remark.
    fn text(self) -> String {
        assert!(self.code == 0 && self.err.is_empty(), "{}: {}", self.code, self.err);
        String::from_utf8(self.bytes).expect("UTF-8")
    }

    /// The one message of a run that failed with this code.
    fn error(&self, code: i32) -> &str {
        assert_eq!(self.code, code, "{}", self.err);
        let lines: Vec<&str> = self.err.lines().filter(|l| l.starts_with("error:")).collect();
        assert_eq!(lines.len(), 1, "{}", self.err);
        lines[0]
    }
}

fn program(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_maskrcnn"));
    command.args(args);
    command
}

fn run(args: &[&str]) -> Ran {
    Ran::new(program(args).output().unwrap())
}

fn tiny() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tiny_zip.pth").display().to_string()
}

/// The number before ` MiB` on the line that begins so.
fn mib(text: &str, line: &str) -> f64 {
    let line = text.lines().find(|l| l.starts_with(line)).unwrap_or_else(|| panic!("no `{line}` in {text}"));
    line.split_whitespace().nth(1).and_then(|w| w.parse().ok()).unwrap_or_else(|| panic!("{line}"))
}

#[test]
fn the_plan_of_the_embedded_model_is_printed() {
    let text = run(&["graph", "--device", "none", "--image-size", "100x300"]).text();
    let mut lines = text.lines();
    assert!(lines.next().unwrap().contains("nuclei"), "{text}");
    let line = lines.next().unwrap();
    assert!(line.starts_with("image 100×300 (rows × columns), resized to "), "{line}");
    assert!(line.contains(", planned for "), "{line}");
    assert!(lines.next().unwrap().contains("the least device"), "{text}");

    let steps: Vec<&str> = text.lines().filter(|l| l.contains(" -> ")).collect();
    assert!(text.contains(&format!("\n{} steps, ", steps.len())), "{text}");
    for (i, line) in steps.iter().enumerate() {
        assert_eq!(line.split_whitespace().next(), Some(i.to_string().as_str()), "{line}");
    }
    assert!(steps[0].contains("resize") && steps[0].contains("preprocess"), "{}", steps[0]);
    for part in ["C2", "FPN", "RPN", "conv2d", "registers", "×1", "-end", "c[", "#0["] {
        assert!(steps.iter().any(|l| l.contains(part)), "no `{part}` in {text}");
    }
    let slots = text.lines().filter(|l| l.starts_with('#')).count();
    assert!(text.contains(&format!(" MiB in {slots} slots\n")), "{slots} slots in {text}");
    let (planned, peak) = (mib(&text, "planned"), mib(&text, "peak"));
    assert!(0.0 < peak && peak <= planned, "{peak} of {planned}");
    let line = text.lines().find(|l| l.starts_with("peak")).unwrap();
    let step: usize = line.split("at step ").nth(1).and_then(|r| r.split(',').next()).unwrap().parse().unwrap();
    assert!(step < steps.len() && line.contains("["), "{line}");
    assert!(mib(&text, "constants") > 20.0, "{text}");
}

/// What programs get is the plan of the table; the size has a second name.
#[test]
fn a_plan_is_json_too() {
    let of = |more: &[&str]| run(&[&["graph", "--device", "none"], more].concat()).text();
    let table = of(&["--image-size", "64x96"]);
    assert_eq!(of(&["--size", "64x96"]), table);
    let plan: serde_json::Value = serde_json::from_str(&of(&["--image-size", "64x96", "--json"])).unwrap();
    let steps = plan["steps"].as_array().unwrap();
    let rows: Vec<&str> = table.lines().filter(|l| l.contains(" -> ")).collect();
    assert_eq!((steps.len(), plan["image"].clone()), (rows.len(), serde_json::json!([64, 96])));
    for (row, step) in rows.iter().zip(steps) {
        let told = [&step["op"], &step["kernel"], &step["variant"]].map(|v| v.as_str().unwrap());
        assert!(told.iter().all(|word| row.contains(word)), "{row}: {told:?}");
        assert!(!step["outputs"].as_array().unwrap().is_empty());
    }
    let planned = plan["activation_bytes"].as_f64().unwrap() / f64::from(1 << 20);
    assert!((planned - mib(&table, "planned")).abs() < 0.06);
    assert!(run(&["graph", "--json", "--dot"]).error(2).contains("--dot"));
}

/// Whatever device there is, or none at all: the same network, planned.
#[test]
fn a_plan_needs_no_device() {
    let file = tiny();
    let args = ["graph", &file, "--bn-eps", "1e-5", "--min-size", "64", "--max-size", "64"];
    let here = run(&args).text();
    let mut without = program(&args);
    for variable in ["VK_DRIVER_FILES", "VK_ICD_FILENAMES"] {
        without.env(variable, "/nonexistent");
    }
    let without = Ran::new(without.output().unwrap()).text();
    if cfg!(target_os = "linux") {
        assert!(without.contains("no GPU driver was found"), "{without}");
    }
    let count = |text: &str| text.lines().filter(|l| l.contains(" -> ")).count();
    // Neither need have more: grids that follow a live count here, an op in several steps there.
    assert!(count(&here) > 40 && count(&without) > 40, "{here}");
    assert!(here.contains("image 640×640") && here.contains("planned for 64×64"), "{here}");
    // The same file by the option.
    let option = ["graph", "--weights", &file, "--bn-eps", "1e-5", "--min-size", "64", "--max-size", "64"];
    assert_eq!(run(&option).text(), here);
}

/// Text outside the quotes, and how many quoted strings there are.
fn outside_quotes(text: &str) -> (String, usize) {
    let (mut out, mut strings, mut inside, mut escaped) = (String::new(), 0, false, false);
    for c in text.chars() {
        match (inside, c) {
            (true, '"') if !escaped => inside = false,
            (true, _) => escaped = c == '\\' && !escaped,
            (false, '"') => (inside, escaped, strings) = (true, false, strings + 1),
            (false, c) => out.push(c),
        }
    }
    assert!(!inside, "a quote is left open");
    (out, strings)
}

#[test]
fn the_drawing_has_every_step_and_only_known_nodes() {
    let plan = run(&["graph", "--device", "none", "--image-size", "64x64"]).text();
    let text = run(&["graph", "--device", "none", "--image-size", "64x64", "--dot"]).text();
    let steps = plan.lines().filter(|l| l.contains(" -> ")).count();
    let (bare, strings) = outside_quotes(&text);
    let (mut depth, mut lowest) = (0, 1);
    for (i, c) in bare.char_indices() {
        depth += (c == '{') as i32 - (c == '}') as i32;
        if i > bare.find('{').unwrap() && i + 2 < bare.len() {
            lowest = lowest.min(depth);
        }
    }
    assert_eq!((depth, lowest), (0, 1), "{bare}");
    assert!(bare.starts_with("digraph plan {") && bare.ends_with("}\n"), "{bare}");
    assert!(strings > 3 * steps, "{strings} labels for {steps} steps");
    let nodes: Vec<&str> = bare
        .lines()
        .filter(|l| l.contains('[') && !l.contains("->"))
        .map(|l| l.split_whitespace().next().unwrap())
        .collect();
    for i in 0..steps {
        assert_eq!(nodes.iter().filter(|n| **n == format!("op{i}")).count(), 1, "op{i}");
    }
    assert!(!nodes.contains(&format!("op{steps}").as_str()));
    let edges: Vec<&str> = bare.lines().filter(|l| l.contains("->")).collect();
    for edge in &edges {
        let ends: Vec<&str> = edge.split_whitespace().collect();
        assert!(nodes.contains(&ends[0]) && nodes.contains(&ends[2]), "{edge}");
    }
    for i in 0..steps {
        assert!(edges.iter().any(|e| e.contains(&format!("-> op{i} "))), "nothing comes into op{i}");
    }
}

#[test]
fn sizes_that_cannot_be_are_refused() {
    for size in ["0x5", "axb", "640", "5x", "4294967296x2", ""] {
        let ran = run(&["graph", &format!("--image-size={size}")]);
        let line = ran.error(2);
        assert!(line.contains("--image-size <RxC>") && line.contains("rows x columns"), "{size}: {line}");
    }
    for size in ["100000x100000", "4294967295x4294967295"] {
        let ran = run(&["graph", "--device", "none", "--image-size", size]);
        let line = ran.error(1);
        assert!(line.contains(size) && line.contains("134217728") && line.contains("binding"), "{line}");
        assert!(ran.bytes.is_empty());
    }
    let ran = run(&["graph", "--image-size", "1x5000"]);
    assert!(ran.error(1).contains("--image-size 1x5000") && ran.err.contains("narrow"), "{}", ran.err);
    // The image is small and what becomes of it is not: the plan is there, and what does not fit is named.
    let ran = run(&["graph", "--device", "none", "--min-size", "8000", "--max-size", "8000"]);
    let line = ran.error(1);
    assert!(line.contains("a binding of `") && line.contains("134217728"), "{line}");
    assert!(String::from_utf8_lossy(&ran.bytes).contains("planned for 8000×8000"));
}

/// A class of devices is planned for with what its steps should take; nothing can run on it.
#[test]
fn a_class_of_devices_is_planned_for() {
    let ran = run(&["graph", &tiny(), "--bn-eps", "1e-5", "--device", "profile:hopper"]);
    let text = ran.text();
    for part in
        ["profile:hopper (NVIDIA H100 or H200", "nothing was measured", "products of f16", "bound by", "together"]
    {
        assert!(text.contains(part), "no `{part}` in {text}");
    }
    let ran = run(&["graph", &tiny(), "--bn-eps", "1e-5", "--device", "profile:rdna2", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&ran.text()).unwrap();
    assert_eq!(json["products"], "f32");
    let steps = json["steps"].as_array().unwrap();
    let sum: f64 = steps.iter().map(|s| s["predicted_seconds"].as_f64().unwrap()).sum();
    assert!(sum > 0.0 && (sum - json["predicted_seconds"].as_f64().unwrap()).abs() < 1e-9);
    assert!(json["predicted_stages"].as_array().unwrap().len() > 5 && steps[0]["bound_by"].is_string());
    let shown = run(&["shaders", "show", "conv2d", "--device", "profile:rdna3"]).text();
    assert!(shown.contains("fn main"), "{shown}");
    let (image, dir) = (concat!(env!("CARGO_MANIFEST_DIR"), "/assets/demo.png"), tempfile::tempdir().unwrap());
    let out = dir.path().join("out").display().to_string();
    for command in [&["detect", image, "--out", &out][..], &["profile", image]] {
        let ran = run(&[command, &["--device", "profile:hopper"]].concat());
        let line = ran.error(1);
        assert!(line.contains("`profile:hopper`") && line.contains("nothing can run on it"), "{line}");
    }
}

#[test]
fn other_mistakes_about_graphs_are_named() {
    let file = tiny();
    assert!(run(&["graph", &file, "--weights", &file]).error(2).contains("--weights"));
    assert!(run(&["graph", "none.pth"]).error(1).contains("none.pth"));
    assert!(run(&["graph", "--device", "no such GPU"]).error(1).contains("no usable GPU"));
    let strange = run(&["graph", "--device", "profile:voodoo"]);
    assert!(strange.error(1).contains("`voodoo`") && strange.err.contains("hopper, ada, rdna3"), "{}", strange.err);
    let ran = run(&["graph", "--device", "none", "--precision", "f16"]);
    let lacking = ran.error(1);
    assert!(lacking.contains("the least device") && lacking.contains("no f16") && lacking.contains("f32"), "{lacking}");
    assert!(run(&["graph", "--precision", "half"]).error(2).contains("f32, f16, auto"));
}

#[test]
fn every_kernel_is_listed_with_its_variants() {
    let text = run(&["shaders", "list", "--device", "none"]).text();
    for entry in REGISTRY {
        let lines = entry.source.lines().count();
        assert!(text.contains(&format!("\n{}: {lines} lines, ", entry.name)), "{}: {text}", entry.name);
    }
    let names = text.lines().filter(|l| l.contains(" lines in ")).count();
    assert!(names >= REGISTRY.len() && text.contains("uniform, ") && text.contains(" written"), "{text}");
    let one = run(&["shaders", "list", "conv2d", "--device", "none"]).text();
    assert!(one.contains("[residual read]") && one.contains("[live read]"), "{one}");
    let case = one.lines().find(|l| l.starts_with("     0  one by one by one  ")).expect("the first case");
    assert!(case.ends_with("  plain"), "{one}");
    let text = one.lines().find(|l| l.trim_start().starts_with("PLAIN=1  ")).expect("the plain variant's first text");
    assert!(text.contains("  cases 0, 1, 3 to 5, "), "{one}");
    assert!(!one.contains("softmax"), "{one}");
    run(&["shaders", "list"]).text();
}

/// Every list fits a window, and what programs get says the same.
#[test]
fn lists_are_no_wider_than_a_window() {
    for entry in REGISTRY {
        for device in [&["--device", "none"][..], &[]] {
            let text = run(&[&["shaders", "list", entry.name], device].concat()).text();
            let wide = text.lines().find(|l| l.chars().count() > 120);
            assert!(wide.is_none(), "{}: {}", entry.name, wide.unwrap());
        }
    }
    let json = run(&["shaders", "list", "conv2d", "--device", "none", "--json"]).text();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let kernel = &json["kernels"][0];
    let (cases, texts) = (kernel["cases"].as_array().unwrap(), kernel["texts"].as_array().unwrap());
    assert!(kernel["name"] == "conv2d" && cases.len() > 20 && texts.len() > 5);
    for (i, case) in cases.iter().enumerate() {
        for name in case["variants"].as_array().unwrap() {
            let of =
                |t: &&serde_json::Value| t["variant"] == *name && t["cases"].as_array().unwrap().contains(&i.into());
            assert_eq!(texts.iter().filter(of).count(), 1, "case {i}, {name}");
        }
    }
}

#[test]
fn every_kernel_is_shown_and_translated() {
    let dir = tempfile::tempdir().unwrap();
    for entry in REGISTRY {
        assert_eq!(run(&["shaders", "show", entry.name, "--source"]).text(), entry.source);
        let shown = run(&["shaders", "show", entry.name, "--device", "none"]).text();
        assert!(shown.starts_with(&format!("// {}, variant ", entry.name)), "{shown}");
        naga::front::wgsl::parse_str(&shown).unwrap_or_else(|e| panic!("{}: {e}", entry.name));
        for target in Language::ALL {
            let args = ["shaders", "emit", entry.name, "--device", "none", "--target", target.name()];
            let path = dir.path().join(format!("{}.{}", entry.name, target.name()));
            let path = path.display().to_string();
            let said = run(&[&args[..], &["--out", &path]].concat()).text();
            let bytes = fs::read(&path).unwrap();
            assert!(said.contains(&path) && said.contains(&format!("{} bytes", bytes.len())), "{said}");
            let text = || std::str::from_utf8(&bytes).expect("UTF-8");
            match target {
                Language::Spirv => assert_eq!(bytes[..4], 0x0723_0203_u32.to_le_bytes(), "{}", entry.name),
                Language::Wgsl => drop(naga::front::wgsl::parse_str(text()).expect(entry.name)),
                Language::Msl => assert!(text().contains("kernel void main_("), "{}", text()),
                Language::Hlsl => assert!(text().contains("[numthreads("), "{}", text()),
            }
        }
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 4 * REGISTRY.len(), "nothing else is left");
}

/// Without a kernel, every text that the device is offered; what a language cannot have is told.
#[test]
fn all_texts_are_translated_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("all").display().to_string();
    let listed: serde_json::Value =
        serde_json::from_str(&run(&["shaders", "list", "--json", "--device", "profile:rdna3"]).text()).unwrap();
    let kernels = listed["kernels"].as_array().unwrap().iter();
    let texts: usize = kernels.map(|k| k["texts"].as_array().unwrap().len()).sum();
    let args = ["shaders", "emit", "--device", "profile:rdna3", "--out", &folder, "--target"];
    let said = run(&[&args[..], &["msl"]].concat()).text();
    assert!(said.starts_with(&format!("{folder}: {texts} texts for profile:rdna3")), "{said}");
    let said = run(&[&args[..], &["hlsl"]].concat()).text();
    let files: Vec<_> = fs::read_dir(&folder).unwrap().map(|f| f.unwrap().path()).collect();
    let of = |ending: &str| files.iter().filter(|f| f.extension().is_some_and(|e| e == ending)).count();
    assert_eq!(of("msl"), texts);
    let left_out = texts - of("hlsl");
    assert!(left_out > 0 && of("hlsl") > texts / 2, "{said}");
    assert!(said.contains(&format!("{left_out} texts left out, the first of them conv2d, matrix-16")), "{said}");
    for file in files {
        assert!(!fs::read(&file).unwrap().is_empty(), "{}", file.display());
        assert!(!file.display().to_string().contains(' '), "{}", file.display());
    }
}

#[test]
fn a_text_is_chosen_by_variant_case_and_constants() {
    let show = |args: &[&str]| run(&[&["shaders", "show", "conv2d", "--device", "none"], args].concat()).text();
    let first = |text: &str| text.lines().next().unwrap().to_string();
    // Without a case, the first that has the variant.
    let text = show(&["--variant", "registers"]);
    assert!(first(&text).contains("variant registers WG=64") && first(&text).contains("case 1, stem"), "{text}");
    let text = show(&["--case", "residual"]);
    assert!(text.contains("const RESIDUAL: u32 = 1u;") && text.contains("residual: array<"), "{text}");
    assert_eq!(show(&["--case", "2"]), text);
    let text = show(&["--case", "LATERAL", "--set", "WG=32", "--set", "TP=2"]);
    assert!(text.contains("const WG: u32 = 32u;") && text.contains("const TP: u32 = 2u;"), "{text}");
    // To standard output, as text and as binary that is piped; checks make a longer text.
    let emit = |args: &[&str]| {
        let ran = run(&[&["shaders", "emit", "softmax", "--device", "none"], args].concat());
        assert!(ran.code == 0 && ran.err.is_empty(), "{}", ran.err);
        ran.bytes
    };
    let (plain, checked) = (emit(&["--target", "msl"]), emit(&["--target", "msl", "--checked"]));
    assert!(plain.starts_with(b"// language: metal") && checked.len() > plain.len());
    assert!(emit(&["--target", "spirv"]).starts_with(&0x0723_0203_u32.to_le_bytes()));
}

#[test]
fn mistakes_about_shaders_are_one_message_each() {
    for (args, code, parts) in [
        (&["show", "conv3d"][..], 1, &["conv3d", "choose from", "conv2d", "paste_layout"][..]),
        (&["list", "conv3d"], 1, &["conv3d", "conv2d"]),
        (&["emit", "conv3d", "--target", "msl"], 1, &["conv3d", "conv2d"]),
        (&["show", "conv2d", "--device", "none", "--variant", "huge"], 1, &["`huge`", "plain", "registers"]),
        (&["show", "conv2d", "--case", "99"], 1, &["`99`", "0: one by one by one", "depthwise"]),
        (&["show", "softmax", "--set", "WG=3"], 1, &["`WG`", "it has none"]),
        (&["show", "conv2d", "--set", "WG"], 2, &["NAME=VALUE"]),
        (&["show", "conv2d", "--set", "WG=-1"], 2, &["whole number"]),
        (&["show", "conv2d", "--set", "WG=70000"], 2, &["65535"]),
        (&["show", "conv2d", "--source", "--variant", "plain"], 2, &["--source"]),
        (&["emit", "conv2d"], 2, &["required"]),
        (&["emit", "--target", "msl"], 2, &["required", "NAME"]),
        (&["emit", "--target", "msl", "--out", "none", "--case", "0"], 1, &["`--case`", "name it"]),
        (&["emit", "conv2d", "--target", "glsl"], 2, &["glsl"]),
        (&["emit", "softmax", "--target", "spirv", "--out", "none/a.spv"], 1, &["none/a.spv"]),
        (&["show", "conv2d", "--device", "none", "--case", "lateral", "--set", "TP=65535"], 1, &["50000 lines"]),
        (
            &["emit", "conv2d", "--device", "none", "--case", "lateral", "--set", "WG=0", "--target", "hlsl"],
            1,
            &["WG=0"],
        ),
    ] {
        let ran = run(&[&["shaders"], args].concat());
        let line = ran.error(code);
        assert!(ran.bytes.is_empty(), "{args:?}");
        for part in parts {
            assert!(ran.err.contains(part), "{args:?}: no `{part}` in {}", ran.err);
        }
        assert!(
            code != 1 || line.contains(args[1]) || line.contains("--case") || line.contains("none/a.spv"),
            "{args:?}: {line}"
        );
    }
}

/// `head` closes the pipe before all is written.
#[test]
fn a_reader_may_leave_early() {
    use std::process::Stdio;
    let args = ["graph", "--device", "none", "--image-size", "64x64", "--dot"];
    let mut child = program(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    Ran::new(child.wait_with_output().unwrap()).text();
}
