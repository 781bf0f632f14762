//! Every shader in every variant, without a GPU: naga's validation, the translations that Vulkan, Metal and DX12 get,
//! parameters against the WGSL's layout, and limits.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
#[cfg(feature = "emit")]
use std::path::PathBuf;
#[cfg(feature = "emit")]
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

#[cfg(feature = "emit")]
use crate::skipped::skipped;
use maskrcnn::engine::kernels::{self, Entry, Launch, REGISTRY, Variant};
use maskrcnn::engine::ops::{Info, Io};
#[cfg(feature = "emit")]
use maskrcnn::engine::shader::emit::{Language, Valid};
use maskrcnn::engine::shader::{Access, Processed, Reflection, SNIPPETS, compile, reflect, share};
use maskrcnn::engine::target::{Caps, Factors, Matrices, Matrix, Policy, Target, policy};

/// Devices of all kinds: the least, CPU drivers, GPUs with one subgroup size, a GPU with several; each also with
/// cooperative matrices, and f16 wanted.
fn devices() -> Vec<(String, Target)> {
    let mut out = vec![("minimum".to_string(), Target::MINIMUM)];
    let cpu = |lanes, lavapipe| (lanes, Policy::of_cpu(lanes, lavapipe));
    let others = [4, 8, 16].map(|lanes| cpu(lanes, None));
    let versions = [[22, 3], [25, 0], [26, 1]];
    let lavapipe = versions.into_iter().flat_map(|version| [4, 8, 16].map(|lanes| cpu(lanes, Some(version))));
    let mut cpus: Vec<(u32, &Policy)> = others.into_iter().chain(lavapipe).collect();
    cpus.sort_by_key(|(lanes, pays)| (*lanes, pays.name));
    cpus.dedup_by_key(|(lanes, pays)| (*lanes, pays.name));
    for (subgroup, pays) in cpus.into_iter().chain([32, 64].map(|lanes| (lanes, &policy::GPU))) {
        let least = Caps { subgroup: Some(subgroup), ..Caps::MINIMUM };
        let can = Caps { max_invocations: 1024, workgroup_bytes: 32768, ..least };
        let name = format!("{}, subgroups of {subgroup}", pays.name);
        // Subgroups where all else is at its least.
        out.push((format!("small {name}"), Target { can: least, pays, ..Target::MINIMUM }));
        out.push((name, Target { can, pays, ..Target::MINIMUM }));
    }
    let large = Caps { max_invocations: 1024, workgroup_bytes: 49152, ..Caps::MINIMUM };
    out.push(("no fixed subgroup".into(), Target { can: large, ..Target::MINIMUM }));
    let matrices: Matrices = Matrix::ALL.into_iter().collect();
    for i in 1..out.len() {
        let (name, target) = &out[i];
        let can = Caps { f16: true, matrices, ..target.can };
        out.push((format!("{name}, matrices"), Target { can, wants: Factors::F16, ..*target }));
    }
    out
}

/// A text, and everything that uses it.
pub(crate) struct Unit {
    entry: &'static Entry,
    pub(crate) variant: Variant,
    pub(crate) text: Processed,
    pub(crate) module: naga::Module,
    reflection: Reflection,
    uses: Vec<Use>,
}

/// One case on one device that a text is offered for.
struct Use {
    label: String,
    target: Target,
    /// Whether it is the last variant offered: the one that must run anywhere.
    last: bool,
    tensors: (usize, usize),
    absent: Vec<usize>,
    launch: Launch,
}

impl Unit {
    pub(crate) fn label(&self) -> String {
        format!("{}, {}", self.entry.name, self.variant)
    }
}

/// All, made once, kernels side by side.
pub(crate) fn units() -> &'static [Unit] {
    static UNITS: OnceLock<Vec<Unit>> = OnceLock::new();
    UNITS.get_or_init(|| {
        let next = AtomicUsize::new(0);
        let some = || {
            let mine = || REGISTRY.get(next.fetch_add(1, Ordering::Relaxed));
            std::iter::from_fn(mine).map(|entry| (entry.name, units_of(entry))).collect::<Vec<_>>()
        };
        let threads = std::thread::available_parallelism().map_or(1, |n| n.get());
        let all: BTreeMap<&str, Vec<Unit>> = std::thread::scope(|scope| {
            let running: Vec<_> = (0..threads).map(|_| scope.spawn(some)).collect();
            running.into_iter().flat_map(|r| r.join().unwrap_or_else(|e| std::panic::resume_unwind(e))).collect()
        });
        all.into_values().flatten().collect()
    })
}

/// Those of a kernel. Many cases and devices ask for the same variant: it is compiled once.
fn units_of(entry: &'static Entry) -> Vec<Unit> {
    let mut units: BTreeMap<String, Unit> = BTreeMap::new();
    let mut texts: HashMap<Variant, String> = HashMap::new();
    for case in (entry.cases)() {
        let infos: Vec<Info> = case.inputs.iter().map(|v| Info { shape: v.shape, dtype: v.dtype() }).collect();
        let outputs = case.kernel.infer(&infos).unwrap_or_else(|e| panic!("{}, {}: {e}", entry.name, case.name));
        assert_eq!(case.kernel.name(), entry.name, "case {}", case.name);
        let io = Io { inputs: &infos, outputs: &outputs };
        for (device, target) in devices() {
            let mut variants = case.kernel.variants(&io, &target);
            assert!(!variants.is_empty(), "{}, {}: no variant on {device}", entry.name, case.name);
            let names: BTreeSet<&str> = variants.iter().map(|v| v.name).collect();
            assert_eq!(names.len(), variants.len(), "{}, {}: names are shared", entry.name, case.name);
            let plain = variants.len();
            if target.wants_f16() {
                let (inputs, outputs) = kernels::in_f16(case.kernel.as_ref(), &io);
                let io = Io { inputs: &inputs, outputs: &outputs };
                variants.extend(kernels::variants(case.kernel.as_ref(), &io, &target));
            }
            for (i, variant) in variants.iter().enumerate() {
                let key = texts.entry(variant.clone()).or_insert_with(|| {
                    let text = compile(entry, variant).unwrap_or_else(|e| panic!("{variant}: {e}"));
                    let key = text.text.clone();
                    units.entry(key.clone()).or_insert_with(|| {
                        let (module, reflection) =
                            reflect(&text).unwrap_or_else(|e| panic!("{}, {variant}: {e}", entry.name));
                        Unit { entry, variant: variant.clone(), text, module, reflection, uses: Vec::new() }
                    });
                    key
                });
                let unit = units.get_mut(key).expect("its text is there");
                unit.uses.push(Use {
                    label: format!("{}, {}, {variant}, {device}", entry.name, case.name),
                    target,
                    last: i + 1 == plain,
                    tensors: (infos.len(), outputs.len()),
                    absent: variant.absent.clone(),
                    launch: case.kernel.launch(&io, variant),
                });
            }
        }
    }
    units.into_values().collect()
}

/// Metal's buffers have the numbers of the bindings.
#[cfg(feature = "emit")]
fn assert_numbered(unit: &Unit, text: &str) {
    for (i, binding) in unit.reflection.bindings.iter().enumerate() {
        let kind = if binding.access == Access::Texture { "texture" } else { "buffer" };
        assert!(text.contains(&format!("[[{kind}({i})]]")), "{}: {kind} {i}\n{text}", unit.label());
    }
}

/// As shipped, and as any WebGPU page would have it.
#[cfg(feature = "emit")]
const CHECKS: [(&str, bool); 2] = [("unchecked", false), ("checked", true)];

#[cfg(feature = "emit")]
#[test]
fn every_variant_is_valid_and_translates_to_metal_and_dx12() {
    let mut failures = Vec::new();
    for unit in units() {
        let valid = match Valid::new(&unit.text, &unit.module, &unit.variant) {
            Ok(valid) => valid,
            Err(e) => {
                failures.push(format!("{}: {e}", unit.label()));
                continue;
            }
        };
        for (name, checked) in CHECKS {
            for target in [Language::Msl, Language::Hlsl] {
                match valid.emit(target, checked) {
                    // naga has no cooperative matrices in HLSL, and wgpu offers none on DX12.
                    Err(e) if target == Language::Hlsl && unit.variant.matrices => assert!(e.contains("HLSL"), "{e}"),
                    Ok(_) if target == Language::Hlsl && unit.variant.matrices => {
                        failures.push(format!("{}: HLSL has cooperative matrices now: translate them", unit.label()))
                    }
                    Err(e) => failures.push(format!("{}, {name}, {target:?}: {e}", unit.label())),
                    Ok(text) if target == Language::Msl => assert_numbered(unit, &String::from_utf8(text).unwrap()),
                    Ok(text) => assert!(!text.is_empty(), "{}, {name}, {target:?}", unit.label()),
                }
            }
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
    eprintln!("{} texts from {} uses", units().len(), units().iter().map(|u| u.uses.len()).sum::<usize>());
}

/// A dispatch can be cut: told where it begins, each text does a share of its grid, and translates as before. What is put in is the
/// same in all texts of a schedule: that it translates is looked at in the first.
#[cfg(feature = "emit")]
#[test]
fn every_variant_does_a_share_of_its_grid() {
    let mut translated = BTreeSet::new();
    for unit in units() {
        let Some(text) = share(&unit.text, unit.reflection.bindings.len()) else {
            // Of one workgroup.
            let alone = ["live_grids", "binary_loss", "class_loss", "box_loss"];
            assert!(alone.contains(&unit.entry.name), "{}: cannot be cut", unit.label());
            continue;
        };
        assert_eq!(text.text.lines().count(), unit.text.text.lines().count(), "{}", unit.label());
        let (module, reflection) = reflect(&text).unwrap_or_else(|e| panic!("{}: {e}", unit.label()));
        let (last, before) = reflection.bindings.split_last().unwrap();
        assert_eq!((last.access, before.len()), (Access::Uniform, unit.reflection.bindings.len()), "{}", unit.label());
        let valid = Valid::new(&text, &module, &unit.variant).unwrap_or_else(|e| panic!("{}: {e}", unit.label()));
        let first = translated.insert((unit.entry.name, unit.variant.name));
        for target in [Language::Spirv, Language::Msl, Language::Hlsl].into_iter().filter(|_| first) {
            if target != Language::Hlsl || !unit.variant.matrices {
                valid.emit(target, false).unwrap_or_else(|e| panic!("{}, {target:?}: {e}", unit.label()));
            }
        }
    }
}

/// The WGSL that comes back declares the same, is valid, and translates as the first did.
#[cfg(feature = "emit")]
#[test]
fn every_variant_is_the_same_after_a_trip_through_naga() {
    for unit in units() {
        let valid = Valid::new(&unit.text, &unit.module, &unit.variant).unwrap();
        let text = String::from_utf8(valid.emit(Language::Wgsl, false).unwrap()).unwrap();
        let lines = (1..=text.lines().count()).map(|n| ("again".to_string(), n)).collect();
        let text = Processed { text, lines };
        let (module, r) = reflect(&text).unwrap_or_else(|e| panic!("{}: {e}\n{}", unit.label(), text.text));
        let accesses = |r: &Reflection| r.bindings.iter().map(|b| b.access).collect::<Vec<_>>();
        let was = &unit.reflection;
        assert_eq!(accesses(&r), accesses(was), "{}", unit.label());
        assert_eq!(r.workgroup_size, was.workgroup_size, "{}", unit.label());
        assert_eq!(r.workgroup_bytes, was.workgroup_bytes, "{}", unit.label());
        Valid::new(&text, &module, &unit.variant).unwrap_or_else(|e| panic!("{}: {e}", unit.label()));
    }
}

/// Whether the validator that says `SPIRV-Tools v2023.4 …` of itself knows SPV_KHR_cooperative_matrix: the first that
/// does is v2023.4.
#[cfg(feature = "emit")]
fn knows_matrices(version: &str) -> bool {
    let numbers = version.split_whitespace().find_map(|w| w.strip_prefix('v')?.split_once('.'));
    let parse = |(year, n): (&str, &str)| Some((year.parse::<u32>().ok()?, n.parse::<u32>().ok()?));
    numbers.and_then(parse).is_some_and(|v| v >= (2023, 4))
}

#[cfg(feature = "emit")]
#[test]
fn every_variant_translates_to_spirv_that_khronos_accepts() {
    let dir = tempfile::tempdir().unwrap();
    let mut files: Vec<(String, PathBuf, bool)> = Vec::new();
    for unit in units() {
        let Ok(valid) = Valid::new(&unit.text, &unit.module, &unit.variant) else { continue };
        for (name, checked) in CHECKS {
            let label = format!("{}, {name}", unit.label());
            let bytes = valid.emit(Language::Spirv, checked).unwrap_or_else(|e| panic!("{label}, SPIR-V: {e}"));
            let path = dir.path().join(format!("{}.spv", files.len()));
            std::fs::write(&path, bytes).unwrap();
            files.push((label, path, unit.variant.matrices));
        }
    }
    let Ok(version) = Command::new("spirv-val").arg("--version").output() else {
        let what = format!("{} modules of SPIR-V were written but not judged", files.len());
        return skipped(&what, "install spirv-val (Debian's spirv-tools)");
    };
    if !knows_matrices(&String::from_utf8_lossy(&version.stdout)) {
        let all = files.len();
        files.retain(|(_, _, matrices)| !matrices);
        let what = format!("{} modules of SPIR-V with cooperative matrices were not judged", all - files.len());
        skipped(&what, "install spirv-val v2023.4 or newer");
    }
    // It takes one file a call, so a few calls run at a time.
    let judge = |(label, path, _): &(String, PathBuf, bool)| {
        let out = Command::new("spirv-val").args(["--target-env", "vulkan1.2"]).arg(path).output().unwrap();
        let said = String::from_utf8_lossy(&out.stderr).into_owned() + &String::from_utf8_lossy(&out.stdout);
        (!out.status.success()).then(|| format!("{label}: {said}"))
    };
    let failures: Vec<String> = std::thread::scope(|scope| {
        let parts: Vec<_> = files.chunks(files.len().div_ceil(4).max(1)).collect();
        let running: Vec<_> =
            parts.iter().map(|p| scope.spawn(|| p.iter().filter_map(judge).collect::<Vec<_>>())).collect();
        running.into_iter().flat_map(|r| r.join().unwrap()).collect()
    });
    assert!(failures.is_empty(), "{} of {} modules:\n{}", failures.len(), files.len(), failures.join("\n"));
}

/// Kilobytes of SPIR-V that a driver of this kind is given at most: what compiles in seconds there. SwiftShader had not
/// compiled a text of 108 kB after sixteen minutes, with 12 GB taken.
#[cfg(feature = "emit")]
fn most_kilobytes(target: &Target) -> usize {
    match target.pays {
        pays if *pays == policy::CPU => 64,
        pays if pays.own_cores => 144,
        _ => 96,
    }
}

/// What a driver cannot compile in seconds is not offered to it.
#[cfg(feature = "emit")]
#[test]
fn texts_are_no_larger_than_their_drivers_can_take() {
    let mut wrong = Vec::new();
    for unit in units() {
        let Ok(valid) = Valid::new(&unit.text, &unit.module, &unit.variant) else { continue };
        let bytes = valid.emit(Language::Spirv, false).unwrap().len();
        // Mesa's CPU driver of 26 has matrices, too, and takes what GPUs do.
        let least = unit.uses.iter().map(|used| most_kilobytes(&used.target)).min().unwrap_or(0);
        let most = if unit.variant.matrices { 256 } else { least };
        if bytes > most << 10 {
            wrong.push(format!("{}: {} kB of SPIR-V, at most {most}", unit.label(), bytes.div_ceil(1024)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The Rust struct, the WGSL struct and the bytes of each launch agree.
#[test]
fn params_are_laid_out_as_the_shader_reads_them() {
    let mut wrong = BTreeSet::new();
    for unit in units() {
        let ours: Vec<(String, usize)> =
            (unit.entry.params)().into_iter().map(|f| (f.name.to_string(), f.offset)).collect();
        if ours != unit.reflection.params {
            wrong.insert(format!("{}: Rust {ours:?}, WGSL {:?}", unit.entry.name, unit.reflection.params));
        }
        let mut layouter = naga::proc::Layouter::default();
        layouter.update(unit.module.to_ctx()).unwrap();
        let uniform = unit.module.global_variables.iter().find(|(_, v)| v.space == naga::AddressSpace::Uniform);
        let layout = layouter[uniform.expect("a uniform").1.ty];
        for used in &unit.uses {
            let length = used.launch.params.len() as u32;
            // The runner binds the length rounded up to 16.
            if layout.alignment.round_up(length) != layout.size || length.next_multiple_of(16) < layout.size {
                wrong.insert(format!("{}: {length} bytes of parameters for {}", used.label, layout.size));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.into_iter().collect::<Vec<_>>().join("\n"));
}

#[test]
fn bindings_come_in_order_and_match_the_tensors() {
    for unit in units() {
        let accesses: Vec<Access> = unit.reflection.bindings.iter().map(|b| b.access).collect();
        let (first, rest) = accesses.split_first().expect("bindings");
        assert_eq!(*first, Access::Uniform, "{}", unit.label());
        assert!(rest.len() <= 8, "{}: {} storage buffers", unit.label(), rest.len());
        for used in &unit.uses {
            let (inputs, outputs) = used.tensors;
            let textures = &unit.variant.textures;
            let read = |i: usize| if textures.contains(&i) { Access::Texture } else { Access::Read };
            let mut want: Vec<Access> = (0..inputs).map(read).collect();
            used.absent.iter().for_each(|&place| want.insert(place, Access::Read));
            want.extend([Access::ReadWrite].repeat(outputs));
            assert_eq!(rest, want, "{}: {:?}", used.label, unit.reflection.bindings);
        }
    }
}

#[test]
fn workgroups_and_grids_keep_within_the_limits() {
    for unit in units() {
        let r = &unit.reflection;
        let invocations: u32 = r.workgroup_size.iter().product();
        assert_eq!(unit.text.text.contains("subgroup"), unit.variant.subgroups, "{}", unit.label());
        let halves = unit.variant.needs_f16();
        for (part, used) in [("enable wgpu_cooperative_matrix;", unit.variant.matrices), ("enable f16;", halves)] {
            assert_eq!(unit.text.text.contains(part), used, "{}: {part}", unit.label());
        }
        for used in &unit.uses {
            assert!(used.target.wants_f16() || !unit.variant.f16, "{}: f16 where it is not wanted", used.label);
            assert!(invocations <= used.target.can.max_invocations, "{}: {invocations} invocations", used.label);
            assert!(
                r.workgroup_bytes <= used.target.can.workgroup_bytes,
                "{}: {} bytes",
                used.label,
                r.workgroup_bytes
            );
            if unit.variant.matrices {
                assert!(!used.target.can.matrices.is_empty(), "{}: where there are no matrices", used.label);
                // Vulkan asks for whole subgroups; 128 is a multiple of all sizes that there are.
                let size = used.target.can.subgroup.unwrap_or(128);
                assert!(r.workgroup_size[0].is_multiple_of(size), "{}: {invocations} by {size}", used.label);
            } else if unit.variant.subgroups {
                let size = used.target.can.subgroup.expect("a subgroup variant where the device has subgroups");
                // A broadcast reads lanes that a part of a subgroup would lack.
                assert!(invocations.is_multiple_of(size), "{}: {invocations} by {size}", used.label);
            }
            if used.last {
                assert!(invocations <= Caps::MINIMUM.max_invocations, "{}: the last, {invocations}", used.label);
                assert!(r.workgroup_bytes <= Caps::MINIMUM.workgroup_bytes, "{}: the last", used.label);
                assert!(!unit.variant.subgroups, "{}: the last uses subgroups", used.label);
                assert!(!unit.variant.matrices, "{}: the last uses matrices", used.label);
                assert!(!unit.variant.f16, "{}: the last uses f16", used.label);
            }
            let grid = used.launch.grid;
            assert!(grid.iter().all(|&n| (1..=65_535).contains(&n)), "{}: grid {grid:?}", used.label);
        }
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Names of the files in a folder of the repository that end so, without the ending.
fn stems(folder: &str, ending: &str) -> BTreeSet<String> {
    let files = std::fs::read_dir(root().join(folder)).unwrap();
    let names = files.map(|f| f.unwrap().file_name().into_string().unwrap());
    names.filter_map(|n| n.strip_suffix(ending).map(String::from)).collect()
}

#[test]
fn no_shader_file_is_an_orphan() {
    let registered: BTreeSet<String> = REGISTRY.iter().map(|e| e.name.to_string()).collect();
    assert_eq!(stems("shaders", ".wgsl"), registered, "shaders/*.wgsl and `with_kernels!`");
    // Kernels have cases; what they share has none.
    let text = |name: &String| std::fs::read_to_string(root().join(format!("src/kernels/{name}.rs"))).unwrap();
    let has_cases =
        |name: &String| text(name).contains("pub fn cases()") || text(name).contains("pub use cases::cases");
    let rust: BTreeSet<String> = stems("src/kernels", ".rs").into_iter().filter(has_cases).collect();
    assert_eq!(rust, registered, "src/kernels/*.rs and `with_kernels!`");

    // Where the texts' lines come from tells which snippets are in use.
    let used: BTreeSet<&str> = units().iter().flat_map(|u| u.text.lines.iter().map(|l| l.0.as_str())).collect();
    for (name, _) in SNIPPETS {
        assert!(used.contains(name), "no kernel imports shaders/{name}.wgsl");
    }
}

/// The built-in count of workgroups costs an extra dispatch or a hidden uniform on some backends.
#[test]
fn no_shader_asks_for_the_number_of_workgroups() {
    let builtin = "num_workgroups";
    let kernels = REGISTRY.iter().map(|e| (e.name, e.source));
    for (name, text) in kernels.chain(SNIPPETS.iter().copied()) {
        assert!(!text.contains(builtin), "shaders/{name}.wgsl asks for `{builtin}`");
    }
}

/// What naga refuses is reported at the file and line of the source, across imports.
#[test]
fn errors_point_into_the_source_files() {
    let entry = |source| Entry {
        name: "wrong",
        source,
        params: Vec::new,
        cases: || unreachable!("only its text is used"),
        of: |_, _| None,
    };
    let variant = Variant::own("plain", &[("N", 2)]);
    let told = |source: &'static str| match compile(&entry(source), &variant) {
        Ok(text) => reflect(&text).map(|_| ()).unwrap_err(),
        Err(e) => e.to_string(),
    };
    let main = "@compute @workgroup_size(64)\nfn main() {}";
    let broken = "#import shared/order\n\nfn f() -> u32 {\n    return missing;\n}\n";
    let reason = told(broken);
    assert!(reason.contains("shaders/wrong.wgsl:4") && reason.contains("missing"), "{reason}");
    let reason = told("#import nowhere/at_all");
    assert!(reason.contains("kernel `wrong`") && reason.contains("shaders/wrong.wgsl:1"), "{reason}");
    assert!(told("fn other() {}").contains("no entry point `main`"));
    let gap: &'static str = Box::leak(format!("@group(0) @binding(1) var<uniform> p: u32;\n{main}").into_boxed_str());
    assert!(told(gap).contains("gaps"));
}
