//! What a driver made of the shaders: `maskrcnn shaders stats`, with AMD's compiler of Mesa and no GPU.

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;

use crate::program::{Ran, program};
use crate::skipped::skipped;

/// Mesa's RADV on its null winsys, as if an RX 7900 were there: its file and its name of that GPU. Nothing where it is
/// not installed, or too new: then it asks for a shim.
pub(crate) fn null_device() -> Option<&'static [String; 2]> {
    static FOUND: OnceLock<Option<[String; 2]>> = OnceLock::new();
    let find = || {
        let folder = Path::new("/usr/share/vulkan/icd.d");
        let names = ["radeon_icd.x86_64.json", "radeon_icd.json", "radeon_icd.aarch64.json"];
        let icd = names.iter().map(|name| folder.join(name)).find(|path| path.exists())?.display().to_string();
        // Of 22.3, and of 25.0. Of a name that it does not know, it dies.
        let gpus = ["gfx1100", "navi31"].map(|family| [icd.clone(), family.to_string()]);
        gpus.into_iter().find(|gpu| {
            let ran = on(gpu).args(["shaders", "stats", "softmax"]).output().unwrap();
            ran.status.success() && String::from_utf8_lossy(&ran.stdout).contains(&gpu[1].to_uppercase())
        })
    };
    let found = FOUND.get_or_init(find).as_ref();
    if found.is_none() {
        let cure = "install Mesa's RADV of 22.3 to 25.0, which has a null winsys";
        skipped("what RADV makes of the shaders is not looked at", cure);
    }
    found
}

/// The program where that GPU is the only one.
pub(crate) fn on([icd, family]: &[String; 2]) -> Command {
    let mut command = program();
    for (name, value) in [("VK_DRIVER_FILES", icd), ("VK_ICD_FILENAMES", icd), ("RADV_FORCE_FAMILY", family)] {
        command.env(name, value);
    }
    command.env("MESA_SHADER_CACHE_DISABLE", "true").env("NODEVICE_SELECT", "1");
    command
}

fn stats(gpu: &[String; 2], args: &[&str]) -> Ran {
    Ran::new(on(gpu).args(["shaders", "stats"]).args(args).output().unwrap())
}

fn json(ran: Ran) -> Value {
    serde_json::from_str(&ran.good().out).unwrap()
}

fn figure(text: &Value, name: &str) -> u64 {
    text["made"][0]["figures"][name].as_u64().unwrap_or_else(|| panic!("no {name} in {text}"))
}

/// Every f32 text that a GPU of AMD is offered keeps to its registers, but for Winograd's tiles of 36 vectors.
#[test]
fn no_text_in_f32_spills_on_amd() {
    let Some(gpu) = null_device() else { return };
    let all = json(stats(gpu, &["--json"]));
    let texts = all["texts"].as_array().unwrap();
    assert!(texts.len() > 200, "{} texts", texts.len());
    let (mut blocked, mut spills) = (0, Vec::new());
    for text in texts {
        let (kernel, variant) = (text["kernel"].as_str().unwrap(), text["variant"].as_str().unwrap());
        assert!(text["needs"].is_null() && text["refused"].is_null(), "{text}");
        assert!(figure(text, "instructions") > 0 && [32, 64].contains(&figure(text, "subgroup")), "{text}");
        // AMD's compiler may round it up, and puts nothing else there.
        assert!(figure(text, "workgroup") >= text["workgroup_bytes"].as_u64().unwrap(), "{text}");
        if text["constants"]["HALVES"].is_null() && figure(text, "spills") > 0 {
            spills.push(kernel);
        }
        if variant == "blocked-128" {
            blocked += 1;
            // With levels of a pyramid 132, or 144 of Mesa 25.0.
            let most = if text["constants"]["LEVELS"].is_null() { 128 } else { 144 };
            assert!(figure(text, "registers") <= most, "{text}");
        }
    }
    spills.dedup();
    assert!(blocked > 10 && spills.iter().all(|kernel| *kernel == "winograd_in"), "spills in {spills:?}");
}

/// Nor does one before RDNA, whose larger workgroups have 84 registers a thread.
#[test]
fn no_text_spills_on_an_older_gpu_of_amd() {
    let Some([icd, _]) = null_device() else { return };
    let older = [icd.clone(), "polaris10".to_string()];
    let all = json(stats(&older, &["--json"]));
    let texts = all["texts"].as_array().unwrap();
    let spills = |text: &&Value| figure(text, "spills") > 0;
    let spilled: Vec<_> = texts.iter().filter(spills).map(|text| (&text["kernel"], &text["variant"])).collect();
    assert!(texts.len() > 200 && spilled.is_empty(), "{} texts, spills in {spilled:?}", texts.len());
}

/// The loop that takes the time is arithmetic for the most part.
#[test]
fn the_busiest_loops_are_multiply_adds() {
    let Some(gpu) = null_device() else { return };
    let cases = [
        ("conv2d", "blocked-128", 0.80),
        ("linear", "blocked-128", 0.80),
        ("winograd_gemm", "blocked-128", 0.80),
        // Mesa 22.3 makes a product and a sum of every fourth; 25.0 has 0.68.
        ("conv2d", "registers", 0.40),
    ];
    for (kernel, variant, least) in cases {
        let code = json(stats(gpu, &[kernel, "--variant", variant, "--isa", "--json"]));
        let program = &code["programs"][0];
        let (share, found) = (program["multiply_adds"].as_f64().unwrap(), &program["busiest_loop"]);
        assert!(share >= least, "{kernel}/{variant}: {share:.2} of {found}");
        let counts = found["counts"].as_object().unwrap();
        let all: u64 = counts.values().map(|n| n.as_u64().unwrap()).sum();
        assert!(counts["multiply_add"].as_u64().unwrap() >= 90 && all > 90, "{found}");
        let lines: Vec<u64> = found["lines"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).collect();
        // Every instruction of it stands on a line of its own.
        assert!(lines[1] - lines[0] + 1 >= all, "{found}");
    }
}

/// For people: a line a variant, a line a text, machine code; what cannot be compiled is told.
#[test]
fn what_a_driver_made_is_printed() {
    let Some(gpu) = null_device() else { return };
    let table = stats(gpu, &["--variant", "blocked-64"]).good().out;
    for part in
        ["(RADV ", "registers", "waves", "\nconv2d/blocked-64 ", "\nlinear/blocked-64 ", " compiled, none spills"]
    {
        assert!(table.contains(part), "no `{part}` in {table}");
    }
    assert!(!table.contains("blocked-128"), "{table}");
    let one = stats(gpu, &["softmax"]).good().out;
    assert!(one.contains("\n4 of 4 texts compiled, none spills\n"), "{one}");
    let set = stats(gpu, &["winograd_gemm", "--variant", "registers", "--set", "TP=2"]).good().out;
    assert!(set.contains("\n1 of 1 text compiled") && set.contains(" TP=2"), "{set}");
    let left_out = stats(gpu, &["conv2d", "--variant", "matrix-16", "--device", "profile:rdna3"]);
    let told = "not compiled: conv2d/matrix-16 (9 texts): needs cooperative matrices 16x16x16 f16 with f32 sums";
    // Mesa 23.3 and newer has them.
    assert!(left_out.out.contains(told) || left_out.out.contains("\n9 of 9 texts compiled"), "{}", left_out.out);
    let code = stats(gpu, &["linear", "--variant", "blocked-128", "--isa"]).good().out;
    for part in ["v_fma", "s_endpgm", "; the busiest loop, lines ", ";   multiply-adds  "] {
        assert!(code.contains(part), "no `{part}` in {code}");
    }
}

/// What has changed since is told; more registers or spills are a failure.
#[test]
fn a_later_run_is_compared() {
    let Some(gpu) = null_device() else { return };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("before.json");
    let file = path.to_str().unwrap();
    stats(gpu, &["softmax", "--save", file]).good();
    let same = stats(gpu, &["softmax", "--against", file]).good().out;
    assert_eq!(same, "4 texts, none has changed\n");

    let mut record: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    let figures = &mut record["texts"][1]["made"][0]["figures"];
    let (registers, instructions) = (figures["registers"].as_u64().unwrap(), figures["instructions"].as_u64().unwrap());
    figures["registers"] = (registers - 1).into();
    figures["instructions"] = (instructions + 1).into();
    std::fs::write(&path, record.to_string()).unwrap();
    let worse = stats(gpu, &["softmax", "--against", file]);
    // A finding is no error.
    assert!(worse.code == 1 && !worse.err.contains("error"), "{}{}", worse.out, worse.err);
    for part in [
        format!("registers {} -> {registers} (worse)", registers - 1),
        format!("instructions {} -> {instructions} (better)", instructions + 1),
        "4 texts, 1 changed, 1 with more registers or spills".into(),
    ] {
        assert!(worse.out.contains(&part), "no `{part}` in {}", worse.out);
    }
    // Of another kernel, nothing was kept; a file of another kind is named.
    let new = stats(gpu, &["nms", "--against", file]).good().out;
    assert!(new.contains(": is new\n"), "{new}");
    std::fs::write(&path, "{}").unwrap();
    let bad = stats(gpu, &["softmax", "--against", file]);
    assert!(bad.error().contains("before.json") && bad.error().contains("shaders stats --save"), "{}", bad.err);
}

/// What is asked for in vain is refused, with or without a driver.
#[test]
fn what_cannot_be_is_refused() {
    let with = |args: &[&str]| {
        let mut command = program();
        command.env("VK_DRIVER_FILES", "/nonexistent").env("VK_ICD_FILENAMES", "/nonexistent");
        Ran::new(command.args(["shaders", "stats"]).args(args).output().unwrap())
    };
    if cfg!(target_os = "linux") {
        let ran = with(&["softmax"]);
        assert!(ran.error().contains("no Vulkan") && ran.error().contains("install"), "{}", ran.err);
    }
    assert_eq!(with(&["--isa"]).code, 2);
    let Some(gpu) = null_device() else { return };
    for (args, part) in [
        (&["no_such"][..], "there is no such kernel"),
        (&["softmax", "--variant", "no such"], "has no variant `no such`"),
        (&["--variant", "no such"], "no kernel has a variant `no such`"),
        (&["--set", "TP=1"], "`--set`"),
        (&["--case", "1"], "`--case`"),
        (&["softmax", "--driver", "no such"], "none of the devices here"),
        (&["softmax", "--device", "profile:none"], "no profile"),
    ] {
        let ran = stats(gpu, args);
        assert!(ran.error().contains(part), "{args:?}: {}", ran.err);
    }
}
