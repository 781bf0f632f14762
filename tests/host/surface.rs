//! What a program can rely on: the types of the crate's root with their public fields, variants and methods, as a listing
//! in `tests/fixtures/surface.txt`. A change of it is a change for everyone who uses the library.
//!
//! `MASKRCNN_SURFACE=write cargo test --test host surface` writes the listing anew.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const LISTING: &str = "tests/fixtures/surface.txt";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The sources of a room, with their text.
fn sources(room: &str) -> Vec<String> {
    let mut left: Vec<PathBuf> = vec![root().join(format!("src/{room}.rs")), root().join(format!("src/{room}"))];
    let mut out = Vec::new();
    while let Some(path) = left.pop() {
        if path.is_dir() {
            left.extend(std::fs::read_dir(&path).unwrap().map(|f| f.unwrap().path()));
        } else if path.extension().is_some_and(|e| e == "rs") && path.is_file() {
            let text = std::fs::read_to_string(&path).unwrap();
            // Tests stand at the end of a file.
            out.push(text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default().to_string());
        }
    }
    out
}

fn rooms() -> BTreeSet<String> {
    let names = std::fs::read_dir(root().join("src")).unwrap().map(|f| f.unwrap().path());
    names.map(|p| p.file_stem().unwrap().to_string_lossy().into_owned()).collect()
}

/// What the root gives away: the room of each name, and the name that it is given.
fn names(lib: &str) -> Vec<(String, String, String)> {
    let stable = lib.split("pub mod engine").next().unwrap();
    let mut out = Vec::new();
    for import in stable.split("\npub use ").skip(1) {
        let import = import.split(';').next().unwrap();
        let (room, rest) = import.split_once("::").unwrap();
        for name in rest.trim_matches(['{', '}']).split(',').map(str::trim).filter(|n| !n.is_empty()) {
            let (own, shown) = name.split_once(" as ").unwrap_or((name, name));
            out.push((room.to_string(), own.to_string(), shown.to_string()));
        }
    }
    out
}

/// Whether `line` begins an item of that name: `pub struct Name`, `pub fn name`.
fn defines(line: &str, name: &str) -> bool {
    // A crate that is passed on.
    if line.strip_prefix("pub use ").and_then(|rest| rest.strip_suffix(';')) == Some(name) {
        return true;
    }
    let kinds = ["pub struct ", "pub enum ", "pub trait ", "pub type ", "pub fn ", "pub const "];
    let rest = kinds.iter().find_map(|kind| line.strip_prefix(kind)?.strip_prefix(name));
    rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
}

/// The head of the item that begins with line `at`, on one line: up to its body.
fn head(lines: &[&str], at: usize) -> String {
    let mut out = String::new();
    for line in &lines[at..] {
        out.push_str(line.trim());
        out.push(' ');
        if line.ends_with('{') || line.ends_with(';') || line.ends_with('}') {
            break;
        }
    }
    let mut out = out.trim().trim_end_matches(['{', ';']).trim().to_string();
    for (from, to) in [("( ", "("), (", )", ")"), (" )", ")")] {
        out = out.replace(from, to);
    }
    out
}

/// The body of the item at line `at` of a formatted file, whose end stands where its begin does.
fn body<'a>(lines: &'a [&'a str], at: usize) -> &'a [&'a str] {
    let Some(open) = (at..lines.len()).find(|&i| lines[i].ends_with(['{', ';', '}'])) else { return &[] };
    if !lines[open].ends_with('{') {
        return &[];
    }
    let end = (open..lines.len()).find(|&i| lines[i] == "}" || lines[i] == ");").unwrap_or(lines.len());
    &lines[open + 1..end]
}

/// The item itself, with what is public in it.
fn item(out: &mut Vec<String>, lines: &[&str], at: usize, shown: &str) {
    for derived in lines[..at].iter().rev().take_while(|l| l.starts_with("#[") || l.starts_with("///")) {
        if derived.starts_with("#[derive") || derived.starts_with("#[non_exhaustive") {
            out.push(format!("{shown}: {derived}"));
        }
    }
    out.push(format!("{shown}: {}", head(lines, at)));
    let is_enum = lines[at].starts_with("pub enum");
    let inside = body(lines, at);
    for (i, line) in inside.iter().enumerate() {
        let field = line.strip_prefix("    ").filter(|l| !l.starts_with([' ', '/', '#', '}', ')']));
        if let Some(field) = field.filter(|l| is_enum || l.starts_with("pub ")) {
            // The fields of a variant stand on lines of their own.
            let fields = inside[i + 1..].iter().take_while(|l| l.starts_with("        ") && field.ends_with('{'));
            let fields: Vec<&str> = fields.map(|l| l.trim()).filter(|l| !l.starts_with(['/', '#'])).collect();
            let end = if fields.is_empty() {
                String::new()
            } else {
                format!(" {} }}", fields.join(" ").trim_end_matches(','))
            };
            out.push(format!("{shown}: . {}{end}", field.trim_end_matches(',')));
        }
    }
}

/// Whether `line` begins an inherent block of the type, or a trait's for it.
fn block(line: &str, name: &str) -> Option<bool> {
    let rest = line.strip_prefix("impl")?;
    // Lifetimes and parameters.
    let rest = if rest.starts_with('<') { rest.split_once("> ")?.1 } else { rest.trim_start() };
    let of = |text: &str| text.split([' ', '<']).next() == Some(name);
    match rest.split_once(" for ") {
        Some((_, subject)) => of(subject.trim_start_matches('&').trim_start_matches("'a ")).then_some(true),
        None => of(rest).then_some(false),
    }
}

/// Whether the doc comment that ends these lines says that nobody should rely on what follows.
fn is_unstable(before: &[&str]) -> bool {
    let head = before.iter().rev().map(|line| line.trim()).take_while(|line| line.starts_with(['/', '#']));
    head.into_iter().any(|line| line.contains("**Unstable**"))
}

/// The listing of all that the root gives away, but for what is said to be unstable.
fn surface() -> String {
    let lib = std::fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let rooms = rooms();
    let mut out = Vec::new();
    for (room, own, shown) in names(&lib) {
        let mut seen = false;
        for other in &rooms {
            let texts = sources(other);
            let mut texts: Vec<Vec<&str>> = texts.iter().map(|t| t.lines().collect()).collect();
            texts.sort();
            // Another room may have a type of this name.
            let defined = texts.iter().flatten().any(|l| defines(l, &own));
            if *other != room && defined {
                continue;
            }
            for lines in &texts {
                for (at, line) in lines.iter().enumerate() {
                    if *other == room && defines(line, &own) {
                        seen = true;
                        item(&mut out, lines, at, &shown);
                    }
                    match block(line, &own) {
                        Some(true) => out.push(format!("{shown}: {}", head(lines, at))),
                        Some(false) => {
                            let first = lines.len() - lines[at..].len() + 1;
                            let inside = body(lines, at);
                            for (i, line) in inside.iter().enumerate() {
                                let public =
                                    ["    pub fn ", "    pub const "].iter().any(|kind| line.starts_with(kind));
                                if public && !is_unstable(&inside[..i]) {
                                    out.push(format!("{shown}:: {}", head(lines, first + i)));
                                }
                            }
                        }
                        None => {}
                    }
                }
            }
        }
        assert!(seen, "{own} is nowhere in src/{room}: the walker of tests/host/surface.rs does not see it");
    }
    out.sort();
    out.dedup();
    out.join("\n") + "\n"
}

#[test]
fn the_stable_surface_is_as_listed() {
    let (path, now) = (root().join(LISTING), surface());
    if std::env::var_os("MASKRCNN_SURFACE").is_some_and(|v| v == "write") {
        std::fs::write(&path, &now).unwrap();
        return;
    }
    let before = std::fs::read_to_string(&path).unwrap_or_default();
    let (old, new): (BTreeSet<&str>, BTreeSet<&str>) = (before.lines().collect(), now.lines().collect());
    let gone = old.difference(&new).map(|l| format!("- {l}"));
    let come = new.difference(&old).map(|l| format!("+ {l}"));
    let diff: Vec<String> = gone.chain(come).collect();
    assert!(
        diff.is_empty(),
        "what programs rely on has changed; if that is meant, `MASKRCNN_SURFACE=write cargo test --test host surface` \
         writes {LISTING} anew:\n{}",
        diff.join("\n")
    );
}

/// What a program can rely on is made of what it can rely on, and of others' types.
#[test]
fn the_stable_surface_names_no_type_of_the_engine() {
    let lib = std::fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let given: BTreeSet<String> = names(&lib).into_iter().map(|(_, _, shown)| shown).collect();
    let others = "Self Option Result String Vec Arc Path PathBuf Duration HashMap BTreeMap Cow Error Iterator Into From FromStr Item Fn FnMut Send \
                  Sync IntoIterator Drop I T E Hash Serialize Deserialize Copy Clone Debug Default PartialEq Eq AsRef \
                  IntoIter Display ExactSizeIterator ControlFlow";
    let known = |word: &str| given.contains(word) || others.split_whitespace().any(|other| other == word);
    for line in surface().lines().filter(|line| line.contains(":: pub fn") || line.contains(": . pub ")) {
        let text = line.split_once(": ").unwrap().1.split_once("pub ").unwrap().1;
        // A path says whose type it is: another crate's.
        let words = text
            .split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'))
            .filter(|w| !w.trim_end_matches(':').contains("::"));
        let types = words.map(|w| w.trim_matches(':')).filter(|w| w.starts_with(|c: char| c.is_uppercase()));
        let strange: Vec<&str> = types.filter(|w| w.chars().any(char::is_lowercase) && !known(w)).collect();
        assert!(strange.is_empty(), "`{line}` names {strange:?}: give it at the root, or say that it is **Unstable**");
    }
}

#[test]
fn the_walker_sees_what_it_should() {
    let lines: Vec<&str> = "/// A.\n#[derive(Clone)]\npub struct A<'a> {\n    pub x: u32,\n    y: &'a u8,\n}\n\nimpl<'a> A<'a> {\n    \
                            /// F.\n    pub fn f(\n        &self,\n        b: u32,\n    ) -> u32 {\n        pub_fn();\n    }\n\n    \
                            fn g() {}\n}\n\nimpl From<A<'_>> for u8 {\n}\n\nimpl<'a> From<&'a u8> for A<'a> {\n}"
        .lines()
        .collect();
    assert!(defines(lines[2], "A") && !defines(lines[2], "Ab") && !defines("pub struct Ab {", "A"));
    let mut out = Vec::new();
    item(&mut out, &lines, 2, "A");
    assert_eq!(out, ["A: #[derive(Clone)]", "A: pub struct A<'a>", "A: . pub x: u32"]);
    let blocks: Vec<Option<bool>> = lines.iter().map(|l| block(l, "A")).filter(Option::is_some).collect();
    assert_eq!(blocks, [Some(false), Some(true)]);
    assert_eq!(head(&lines, 9), "pub fn f(&self, b: u32) -> u32");
    assert!(names("\npub use a::{B, c as D};\npub mod engine {\npub use x::Y;").len() == 2);
}
