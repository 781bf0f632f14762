//! The preprocessor: what WGSL lacks for families of kernels, and no more.
//!
//! | line | meaning |
//! |---|---|
//! | `#import NAME` | the snippet of that name, once: declarations |
//! | `#paste NAME` | the snippet of that name, here: a part of a function |
//! | `#ifdef X` … `#else` … `#endif`, `#ifndef X` | by whether constant `X` is given |
//! | `#repeat v N` … `#end` | the lines N times, `${v}` standing for 0, 1, …; N a number, a constant, or one over the other |
//! | `#expects a b` | in a snippet: what stands before it must have named `a` and `b` |
//! | `@slot var …` | `@group(0) @binding(k)`, counting the active ones from 0 |
//! | `${X}` | the value of constant `X`, where WGSL takes no constant: in a name |
//!
//! Constants are prepended as `const NAME: u32 = value;`, and `enable …;` comes before them. Repeats are unrolled as text, since shader compilers differ
//! in what they unroll, and an array that is indexed by a loop that was not unrolled leaves the registers.

use std::collections::HashSet;

/// Most lines of a text: repeats that make more are a mistake in a constant.
const MOST_LINES: usize = 50_000;

/// Text ready for naga, and where each of its lines came from.
#[derive(Clone, Debug)]
pub struct Processed {
    /// The WGSL.
    pub text: String,
    /// File and line number (from 1) of each line of `text`.
    pub lines: Vec<(String, usize)>,
}

impl Processed {
    /// `file.wgsl:line` of line `line` (from 1) of the text.
    pub fn origin(&self, line: usize) -> String {
        match self.lines.get(line.wrapping_sub(1)) {
            Some((file, n)) => format!("shaders/{file}.wgsl:{n}"),
            None => "the end of the shader".into(),
        }
    }
}

/// Expands `source`. Errors are one sentence with file and line.
pub fn preprocess(
    name: &str,
    source: &str,
    defines: &[(String, u32)],
    snippets: &[(&str, &str)],
) -> Result<Processed, String> {
    let mut state = State {
        defines,
        snippets,
        imported: HashSet::new(),
        within: Vec::new(),
        slot: 0,
        out: Vec::new(),
        named: HashSet::new(),
        read: 0,
    };
    for (k, v) in defines {
        state.out.push((format!("const {k}: u32 = {v}u;"), ("constants".into(), 1)));
    }
    let lines: Vec<Line> = number(name, source);
    state.block(&lines)?;
    // WGSL wants these before all else; the sort keeps the order of all others.
    state.out.sort_by_key(|(text, _)| !text.starts_with("enable "));
    let (text, lines): (Vec<String>, Vec<(String, usize)>) = state.out.into_iter().unzip();
    Ok(Processed { text: text.join("\n") + "\n", lines })
}

#[derive(Clone)]
struct Line {
    text: String,
    origin: (String, usize),
}

fn number(name: &str, source: &str) -> Vec<Line> {
    let line = |(i, text): (usize, &str)| Line { text: text.into(), origin: (name.into(), i + 1) };
    source.lines().enumerate().map(line).collect()
}

struct State<'a> {
    defines: &'a [(String, u32)],
    snippets: &'a [(&'a str, &'a str)],
    imported: HashSet<String>,
    /// The snippets that the lines at hand come from, outermost first.
    within: Vec<String>,
    slot: usize,
    out: Vec<(String, (String, usize))>,
    /// Names in the first `read` lines of `out`.
    named: HashSet<String>,
    read: usize,
}

impl State<'_> {
    /// Whether something before has this name.
    fn is_named(&mut self, name: &str) -> bool {
        for (text, _) in &self.out[self.read..] {
            let code = text.split("//").next().unwrap_or_default();
            let words = code.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty());
            self.named.extend(words.map(String::from));
        }
        self.read = self.out.len();
        self.named.contains(name)
    }

    fn defined(&self, name: &str) -> Option<u32> {
        self.defines.iter().find(|d| d.0 == name).map(|d| d.1)
    }

    fn block(&mut self, lines: &[Line]) -> Result<(), String> {
        let mut i = 0;
        while i < lines.len() {
            let line = &lines[i];
            let words: Vec<&str> = line.text.split_whitespace().collect();
            let fail = |what: &str| Err(format!("shaders/{}.wgsl:{}: {what}", line.origin.0, line.origin.1));
            match words.as_slice() {
                [word @ ("#import" | "#paste"), name] => {
                    let Some((_, text)) = self.snippets.iter().find(|s| s.0 == *name) else {
                        return fail(&format!("there is no snippet `{name}` to {}", &word[1..]));
                    };
                    if *word == "#paste" || self.imported.insert(name.to_string()) {
                        if self.within.iter().any(|n| n == name) {
                            return fail(&format!("`{name}` pastes itself"));
                        }
                        self.within.push(name.to_string());
                        self.block(&number(name, text))?;
                        self.within.pop();
                    }
                }
                ["#expects", names @ ..] => {
                    if let Some(name) = names.iter().find(|name| !self.is_named(name)) {
                        return fail(&format!("expects `{name}`, which nothing before it names"));
                    }
                }
                [word @ ("#ifdef" | "#ifndef"), name] => {
                    let Some((middle, end)) = branches(lines, i) else {
                        return fail("this condition has no #endif");
                    };
                    let yes = self.defined(name).is_some() == (*word == "#ifdef");
                    let otherwise = middle.map_or(end, |m| m + 1);
                    let (from, to) = if yes { (i + 1, middle.unwrap_or(end)) } else { (otherwise, end) };
                    self.block(&lines[from..to])?;
                    i = end;
                }
                ["#repeat", variable, count] => {
                    let value = |word: &str| word.parse().ok().or_else(|| self.defined(word));
                    let times = match count.split_once('/') {
                        Some((whole, part)) => value(whole).zip(value(part)).and_then(|(w, p)| w.checked_div(p)),
                        None => value(count),
                    };
                    let Some(times) = times else {
                        return fail(&format!("`{count}` is neither a number nor a constant of this variant"));
                    };
                    let Some(end) = closing(lines, i, "#repeat", "#end") else {
                        return fail("this #repeat has no #end");
                    };
                    let key = format!("${{{variable}}}");
                    for n in 0..times {
                        let with =
                            |l: &Line| Line { text: l.text.replace(&key, &n.to_string()), origin: l.origin.clone() };
                        let body: Vec<Line> = lines[i + 1..end].iter().map(with).collect();
                        self.block(&body)?;
                    }
                    i = end;
                }
                [first, ..] if first.starts_with('#') => return fail(&format!("`{first}` is no directive")),
                _ => {
                    let mut text = line.text.clone();
                    if let Some(at) = text.find("@slot") {
                        text.replace_range(at..at + 5, &format!("@group(0) @binding({})", self.slot));
                        self.slot += 1;
                    }
                    for (name, value) in self.defines {
                        text = text.replace(&format!("${{{name}}}"), &value.to_string());
                    }
                    if text.contains("${") {
                        return fail("a ${…} that is no constant, outside the #repeat that gives it a value");
                    }
                    if self.out.len() >= MOST_LINES {
                        return fail(&format!("its repeats make more than {MOST_LINES} lines"));
                    }
                    self.out.push((text, line.origin.clone()));
                }
            }
            i += 1;
        }
        Ok(())
    }
}

/// Line of the `close` that ends the block opened on line `start`.
fn closing(lines: &[Line], start: usize, open: &str, close: &str) -> Option<usize> {
    let mut depth = 0;
    for (i, line) in lines.iter().enumerate().skip(start) {
        let word = line.text.split_whitespace().next().unwrap_or("");
        if word == open {
            depth += 1;
        } else if word == close {
            depth -= 1;
            if depth == 0 {
                return Some(i);
            }
        }
    }
    None
}

/// Lines of the `#else`, if any, and the `#endif` of the condition on line `start`.
fn branches(lines: &[Line], start: usize) -> Option<(Option<usize>, usize)> {
    let (mut depth, mut middle) = (0, None);
    for (i, line) in lines.iter().enumerate().skip(start) {
        match line.text.split_whitespace().next().unwrap_or("") {
            "#ifdef" | "#ifndef" => depth += 1,
            "#else" if depth == 1 => middle = Some(i),
            "#endif" => {
                depth -= 1;
                if depth == 0 {
                    return Some((middle, i));
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(source: &str, defines: &[(&str, u32)]) -> Result<String, String> {
        let defines: Vec<(String, u32)> = defines.iter().map(|(k, v)| (k.to_string(), *v)).collect();
        preprocess("t", source, &defines, &[("a", "from a\n#ifdef X\nboth\n#endif"), ("itself", "x\n#paste itself")])
            .map(|p| p.text)
    }

    #[test]
    fn conditions_nest() {
        let source = "#ifdef X\n1\n#ifdef Y\n2\n#else\n3\n#endif\n#else\n4\n#endif";
        assert_eq!(run(source, &[]).unwrap(), "4\n");
        assert_eq!(run(source, &[("X", 7)]).unwrap(), "const X: u32 = 7u;\n1\n3\n");
        assert_eq!(run("#ifndef X\n1\n#endif", &[]).unwrap(), "1\n");
    }

    #[test]
    fn repeats_nest_and_take_constants() {
        let source = "#repeat i N\n#repeat j 2\na_${i}_${j}\n#end\n#end";
        assert_eq!(run(source, &[("N", 2)]).unwrap(), "const N: u32 = 2u;\na_0_0\na_0_1\na_1_0\na_1_1\n");
    }

    #[test]
    fn constants_become_parts_of_names_and_enables_come_first() {
        let source = "// first\nenable f16;\nm${N}x${N}\n#repeat i 1\na_${i}_${N}\n#end\nenable b;";
        let want = "enable f16;\nenable b;\nconst N: u32 = 8u;\n// first\nm8x8\na_0_8\n";
        assert_eq!(run(source, &[("N", 8)]).unwrap(), want);
        let defines = [("N".to_string(), 8)];
        let p = preprocess("t", source, &defines, &[]).unwrap();
        assert_eq!((p.origin(1), p.origin(5)), ("shaders/t.wgsl:2".into(), "shaders/t.wgsl:3".into()));
    }

    #[test]
    fn slots_count_the_active_ones() {
        let source = "@slot var a;\n#ifdef X\n@slot var b;\n#endif\n@slot var c;";
        assert_eq!(run(source, &[]).unwrap(), "@group(0) @binding(0) var a;\n@group(0) @binding(1) var c;\n");
    }

    #[test]
    fn imports_come_once_pastes_each_time_and_errors_name_the_line() {
        assert_eq!(run("#import a\n#import a\nend", &[]).unwrap(), "from a\nend\n");
        assert_eq!(run("#paste a\n#repeat n 2\n#paste a\n#end\n#import a", &[]).unwrap(), "from a\n".repeat(4));
        for (source, part) in [
            ("let xi = 1; // c\n#expects xi c", "t.wgsl:2: expects `c`, which nothing before it names"),
            ("x\n#import b", "t.wgsl:2: there is no snippet `b`"),
            ("#paste b", "t.wgsl:1: there is no snippet `b` to paste"),
            ("#paste itself", "itself.wgsl:2: `itself` pastes itself"),
            ("#ifdef X", "no #endif"),
            ("#repeat i 2", "no #end"),
            ("#repeat i M\n#end", "`M` is neither"),
            ("#pragma once", "`#pragma` is no directive"),
            ("a_${i}", "is no constant, outside the #repeat"),
            ("#repeat i 4000000000\nx\n#end", "t.wgsl:2: its repeats make more than 50000 lines"),
        ] {
            let error = run(source, &[]).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn what_a_snippet_expects_may_be_made_by_repeats() {
        let source = "#repeat i 2\nlet xi_${i} = 1;\n#end\n#expects xi_0 xi_1 let\nend";
        assert_eq!(run(source, &[]).unwrap(), "let xi_0 = 1;\nlet xi_1 = 1;\nend\n");
        assert!(run("#expects a", &[("a", 1)]).is_ok(), "a constant is a name");
    }

    #[test]
    fn lines_are_traced_to_their_files() {
        let p = preprocess("t", "one\n#import a\ntwo", &[], &[("a", "in a")]).unwrap();
        assert_eq!(p.origin(2), "shaders/a.wgsl:1");
        assert_eq!(p.origin(3), "shaders/t.wgsl:3");
    }
}
