//! Rules about the source text: who may know whom, how long files may be, and what must not be left in them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What each room of the library may name with `crate::`. The errors may be named everywhere.
const ROOMS: &[(&str, &[&str])] = &[
    ("error", &[]),
    // Files that are whole or not there.
    ("atomic", &[]),
    // The files that outlive a run.
    ("versioned", &[]),
    // The user's folder for what can be had again.
    ("cache", &["atomic"]),
    ("tensor", &[]),
    // What plans are made for.
    ("target", &[]),
    ("rng", &["tensor"]),
    ("ops", &["rng", "tensor"]),
    ("kernels", &["ops", "rng", "target", "tensor", "params"]),
    ("lowering", &["kernels", "ops", "target", "tensor"]),
    ("shader", &["atomic", "kernels"]),
    // What Vulkan drivers made of a shader.
    ("driver", &["atomic", "kernels", "shader", "target", "versioned"]),
    ("graph", &["kernels", "lowering", "ops", "rng", "target", "tensor"]),
    ("vision", &["atomic"]),
    ("gpu", &["atomic", "cache", "graph", "kernels", "ops", "rng", "shader", "target", "tensor", "vision"]),
    // Every setting of a network.
    ("config", &["tensor"]),
    ("weights", &["atomic", "cache", "config", "tensor"]),
    ("model", &["config", "graph", "kernels", "ops", "target", "tensor", "weights"]),
    // Where objects may be, without a network.
    ("proposals", &["rng", "vision"]),
    // How good results are.
    ("eval", &["vision"]),
    // A network from its configuration to its results: the detector, the profiler, bench and tests run what it makes.
    ("compiled", &["config", "gpu", "graph", "model", "ops", "target", "tensor", "vision", "weights"]),
    (
        "detector",
        &[
            "atomic", "config", "compiled", "gpu", "graph", "kernels", "model", "ops", "target", "tensor", "vision",
            "weights",
        ],
    ),
    (
        "bench",
        &[
            "config",
            "atomic",
            "compiled",
            "gpu",
            "graph",
            "kernels",
            "model",
            "ops",
            "rng",
            "shader",
            "target",
            "tensor",
            "versioned",
            "vision",
            "weights",
        ],
    ),
    (
        "tune",
        &[
            "config", "bench", "cache", "gpu", "graph", "kernels", "lowering", "model", "ops", "rng", "shader",
            "target", "tensor", "weights",
        ],
    ),
    ("cli", &[]),
    ("main", &[]),
];

const LONGEST_SOURCE: usize = 400;
const LONGEST_SHADER: usize = 200;
const LONGEST_TEST: usize = 500;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Files under a folder of the repository, by path, with their text.
fn texts(folder: &str, endings: &[&str]) -> Vec<(String, String)> {
    let mut out = Vec::new();
    let mut left: Vec<PathBuf> = vec![root().join(folder)];
    while let Some(path) = left.pop() {
        if path.is_dir() {
            left.extend(std::fs::read_dir(&path).unwrap().map(|f| f.unwrap().path()));
        } else if endings.iter().any(|e| path.extension().is_some_and(|p| p == *e)) {
            let name = path.strip_prefix(root()).unwrap().display().to_string().replace('\\', "/");
            out.push((name, std::fs::read_to_string(&path).unwrap()));
        }
    }
    out.sort();
    out
}

/// The text without its comments, line by line. `//` after a colon is an address in a string.
fn code(text: &str) -> String {
    let strip = |line: &str| {
        let cut = line.match_indices("//").find(|(at, _)| *at == 0 || line.as_bytes()[at - 1] != b':');
        line[..cut.map_or(line.len(), |c| c.0)].to_string()
    };
    text.lines().map(strip).collect::<Vec<_>>().join("\n")
}

/// Places where `word` stands as a whole identifier.
fn identifiers<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    text.match_indices(word)
        .map(|m| m.0)
        .filter(move |&at| !part(text[..at].chars().next_back()) && !part(text[at + word.len()..].chars().next()))
}

/// The first names after `crate::`, alone or in braces.
fn names(text: &str) -> BTreeSet<String> {
    let word = |t: &str| t.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut out = BTreeSet::new();
    for at in identifiers(text, "crate") {
        let Some(rest) = text[at..].strip_prefix("crate::") else { continue };
        let Some(group) = rest.strip_prefix('{') else {
            out.insert(word(rest));
            continue;
        };
        // Names at the group's own depth: those after its brace and after each comma.
        let (mut depth, mut begin) = (1, 0);
        for (i, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            if depth == 0 || (depth == 1 && c == ',') {
                out.insert(word(&group[begin..]));
                begin = i + 1;
            }
            if depth == 0 {
                break;
            }
        }
    }
    out.remove("");
    out
}

/// The room that a name at the crate's root stands for: the root gives some types a shorter name.
fn room_of(name: &str) -> &str {
    match name {
        "Error" | "Result" => "error",
        "Device" => "gpu",
        "Detector" => "detector",
        "Config" => "config",
        "Precision" => "model",
        "Detection" | "Detections" | "Image" | "Mask" => "vision",
        other => other,
    }
}

#[test]
fn rooms_know_only_those_below_them() {
    let mut failures = Vec::new();
    for (path, text) in texts("src", &["rs"]) {
        let room = path.trim_start_matches("src/").split('/').next().unwrap().trim_end_matches(".rs");
        // The face names what it shows.
        if room == "lib" {
            continue;
        }
        let Some((_, allowed)) = ROOMS.iter().find(|r| r.0 == room) else {
            failures.push(format!("{path}: the room `{room}` is not in the list of tests/host/layering.rs"));
            continue;
        };
        for name in names(&code(&text)) {
            let other = room_of(&name);
            if other != room && other != "error" && !allowed.contains(&other) {
                failures.push(format!("{path}: `{room}` must not know `{other}` (crate::{name})"));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn wgpu_is_named_in_one_room_only() {
    for (path, text) in texts("src", &["rs"]) {
        if !path.starts_with("src/gpu/") {
            let mut text = code(&text);
            if path == "src/lib.rs" {
                // Apps get it from here.
                text = text.replacen(", wgpu};", "};", 1);
            }
            if let Some(at) = identifiers(&text, "wgpu").next() {
                panic!("{path}:{}: `wgpu` is named outside src/gpu", text[..at].lines().count());
            }
        }
    }
}

/// Whatever is said to Vulkan stands in one place, and so does what could go wrong unseen.
#[test]
fn ash_is_named_in_one_place_only() {
    for (path, text) in texts("src", &["rs"]) {
        if path != "src/driver/vulkan.rs" && !path.starts_with("src/driver/vulkan/") {
            let text = code(&text);
            if let Some(at) = identifiers(&text, "ash").find(|at| text[at + 3..].starts_with("::")) {
                panic!("{path}:{}: `ash` is named outside src/driver/vulkan", text[..at].lines().count());
            }
        }
    }
}

/// `println!` panics where nobody reads, or the disk is full: `src/cli/say.rs` has what does not.
#[test]
fn nothing_prints_by_what_may_panic() {
    for (path, text) in texts("src", &["rs"]) {
        let text = code(&text);
        for word in ["println", "print", "eprintln", "eprint"] {
            let mut macros = identifiers(&text, word).filter(|at| text[at + word.len()..].starts_with('!'));
            if let Some(at) = macros.next() {
                panic!("{path}:{}: `{word}!`; use `say!` or `note!`", text[..at].lines().count());
            }
        }
    }
}

#[test]
fn files_are_short_enough_to_be_read() {
    let sources = texts("src", &["rs"]).into_iter().map(|f| (f, LONGEST_SOURCE));
    let shaders = texts("shaders", &["wgsl"]).into_iter().map(|f| (f, LONGEST_SHADER));
    let tests = texts("tests", &["rs"]).into_iter().map(|f| (f, LONGEST_TEST));
    let long: Vec<String> = sources
        .chain(shaders)
        .chain(tests)
        .filter(|((_, text), most)| text.lines().count() > *most)
        .map(|((path, text), most)| format!("{path}: {} lines; split it, {most} are allowed", text.lines().count()))
        .collect();
    assert!(long.is_empty(), "{}", long.join("\n"));
}

#[test]
fn nothing_is_left_undone_or_switched_off() {
    // Put together here, so that this file does not find itself.
    let marks = [["to", "do!("], ["unimple", "mented!("], ["db", "g!("], ["#[ig", "nore"], ["#[cfg(an", "y())]"]];
    let folders = ["src", "tests", "benches", "examples"].into_iter().filter(|f| root().join(f).is_dir());
    for (path, text) in folders.flat_map(|f| texts(f, &["rs"])) {
        for mark in marks.map(|m| m.concat()) {
            if let Some(at) = text.find(&mark) {
                panic!("{path}:{}: `{mark}`", text[..at].lines().count() + 1);
            }
        }
    }
}

/// A path of the machine that something was made on means nothing on another.
#[test]
fn no_file_names_a_place_on_one_machine() {
    let homes = [["/wo", "rk/"], ["/ho", "me/"], ["/ro", "ot/"], ["/Us", "ers/"]].map(|p| p.concat());
    let ignored = std::fs::read_to_string(root().join(".gitignore")).unwrap_or_default();
    let ignored: BTreeSet<&str> = ignored.lines().map(|l| l.trim_matches('/')).collect();
    let mut left: Vec<PathBuf> = vec![root().to_path_buf()];
    let mut seen = 0;
    while let Some(path) = left.pop() {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path != root() && (name == ".git" || ignored.contains(name.as_str())) {
            continue;
        }
        if path.is_dir() {
            left.extend(std::fs::read_dir(&path).unwrap().map(|f| f.unwrap().path()));
            continue;
        }
        // Pictures and weights are no text.
        let Ok(text) = String::from_utf8(std::fs::read(&path).unwrap()) else { continue };
        seen += 1;
        for (i, line) in text.lines().enumerate() {
            for home in &homes {
                // An address has it after a host's name.
                let local = line.match_indices(home.as_str()).any(|(at, _)| {
                    !line[..at].chars().next_back().is_some_and(|c| c.is_alphanumeric() || "._-".contains(c))
                });
                assert!(!local, "{}:{}: names `{home}`", path.display(), i + 1);
            }
        }
    }
    assert!(seen > 50, "only {seen} files were looked at");
}

#[test]
fn the_reader_of_sources_sees_what_it_should() {
    let text = "use crate::{Error, gpu::{Device, x}, tensor::Shape};\nlet a = crate::graph::f(); // crate::cli\n";
    let seen = names(&code(text));
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), ["Error", "gpu", "graph", "tensor"]);
    assert_eq!(code("let u = \"https://a\"; // b"), "let u = \"https://a\"; ");
    assert_eq!(identifiers("wgpu_x xwgpu wgpu::y", "wgpu").count(), 1);
}

/// What depends on the class of device is read from one table.
#[test]
fn the_class_of_device_is_asked_in_the_policy_alone() {
    for (path, text) in texts("src", &["rs"]) {
        let text = code(&text);
        let asked = ["DeviceType::Cpu", ".cpu", "_CPU", "policy::CPU", "policy::GPU"];
        let product = text.split("#[cfg(test)]").next().unwrap_or_default();
        let told = path.starts_with("src/target/") || path == "src/gpu/adapter.rs";
        // One place plans parts as for a GPU where they are asked for by name.
        let told = told || path == "src/lowering/split_k.rs" || path.ends_with("tests.rs");
        if let Some(word) = asked.iter().find(|word| product.contains(*word)).filter(|_| !told) {
            panic!("{path}: `{word}` is asked outside src/target/policy.rs");
        }
    }
}

/// Files of a room that name one another in a circle.
#[test]
fn kernels_ops_and_lowerings_have_no_circles() {
    for room in ["kernels", "ops", "lowering"] {
        let files = texts(&format!("src/{room}"), &["rs"]);
        let stem = |path: &str| path.trim_end_matches(".rs").rsplit('/').next().unwrap_or_default().to_string();
        let names: Vec<String> = files.iter().map(|(path, _)| stem(path)).collect();
        // Who names whom: `super::other` and `crate::room::other`, outside the tests; `mod.rs` lists them all.
        let known = |text: &str| -> Vec<usize> {
            let text = code(text);
            let product = text.split("#[cfg(test)]").next().unwrap_or_default().replace(['\n', ' '], "");
            let named = |name: &String| {
                let paths = [format!("super::{name}::"), format!("crate::{room}::{name}::"), format!("super::{name};")];
                let groups = product.split("super::{").skip(1).filter_map(|group| group.split("};").next());
                let grouped =
                    groups.flat_map(|g| g.split([',', '{', '}'])).any(|part| part.split("::").next() == Some(name));
                paths.iter().any(|path| product.contains(path.as_str())) || grouped
            };
            (0..names.len()).filter(|&i| named(&names[i])).collect()
        };
        let edges: Vec<Vec<usize>> = files
            .iter()
            .enumerate()
            .map(|(i, (path, text))| match path.ends_with("mod.rs") {
                true => Vec::new(),
                false => known(text).into_iter().filter(|&j| j != i && names[j] != "cases").collect(),
            })
            .collect();
        // What can be reached from a file must not reach back.
        for start in 0..files.len() {
            let (mut seen, mut left) = (BTreeSet::new(), edges[start].clone());
            while let Some(next) = left.pop() {
                assert_ne!(next, start, "src/{room}/{}.rs is in a circle", names[start]);
                if seen.insert(next) {
                    left.extend(&edges[next]);
                }
            }
        }
    }
}

/// Who names whom among the rooms, without what is reached through another: a picture for ARCHITECTURE.md.
fn picture() -> String {
    let names_of = |room: &str| -> BTreeSet<String> {
        let inside = texts("src", &["rs"]).into_iter().filter(|(path, _)| room_of_file(path) == room);
        let all = inside.flat_map(|(_, text)| names(&code(&text)).into_iter().map(|n| room_of(&n).to_string()));
        all.filter(|other| other != room && ROOMS.iter().any(|r| r.0 == other) && other != "error").collect()
    };
    let drawn: Vec<&str> = ROOMS.iter().map(|r| r.0).filter(|r| !["error", "main", "cli"].contains(r)).collect();
    let edges: Vec<(&str, BTreeSet<String>)> = drawn.iter().map(|room| (*room, names_of(room))).collect();
    let of = |room: &str| edges.iter().find(|e| e.0 == room).map(|e| e.1.clone()).unwrap_or_default();
    fn reaches(of: &dyn Fn(&str) -> BTreeSet<String>, from: &str, to: &str) -> bool {
        of(from).iter().any(|next| next == to || reaches(of, next, to))
    }
    let mut out = "```mermaid\ngraph TD\n".to_string();
    for (room, others) in &edges {
        let through = |other: &&String| others.iter().any(|via| via != *other && reaches(&of, via, other));
        for other in others.iter().filter(|o| !through(o)) {
            out += &format!("    {room} --> {other}\n");
        }
    }
    out + "```\n"
}

fn room_of_file(path: &str) -> &str {
    path.trim_start_matches("src/").split('/').next().unwrap_or_default().trim_end_matches(".rs")
}

#[test]
fn the_picture_of_the_rooms_is_of_this_source() {
    let path = root().join("ARCHITECTURE.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once("<!-- rooms -->\n").unwrap();
    let (shown, after) = rest.split_once("<!-- end of rooms -->").unwrap();
    let picture = picture();
    if std::env::var_os("MASKRCNN_BLESS").is_some() {
        std::fs::write(&path, format!("{before}<!-- rooms -->\n{picture}<!-- end of rooms -->{after}")).unwrap();
        return;
    }
    assert!(shown == picture, "draw it anew: MASKRCNN_BLESS=1 cargo test --test host picture\n{picture}");
}

/// The list of rooms is in the order of who may know whom, so there is no circle.
#[test]
fn no_room_knows_a_later_one() {
    for (i, (room, known)) in ROOMS.iter().enumerate() {
        let later = ROOMS[i..].iter().find(|(other, _)| known.contains(other));
        assert!(later.is_none(), "`{room}` may know `{}`, which comes later", later.unwrap().0);
    }
}
