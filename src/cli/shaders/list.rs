//! `maskrcnn shaders list`

use std::collections::BTreeSet;
use std::fmt::Write as _;

use maskrcnn::engine::kernels::{Case, Entry, Variant};
use maskrcnn::engine::shader::{Access, Binding, Reflection, compile, reflect};
use maskrcnn::{Error, Result};
use serde_json::json;

use super::variants;
use crate::cli::class::Class;
use crate::cli::words::{count, width, wrapped};

/// Lines are cut at so many columns.
const COLUMNS: usize = 118;

/// A kernel's cases with the variants that each is offered, and those variants' texts.
pub(super) struct Kernel<'a> {
    entry: &'a Entry,
    cases: Vec<(Case, Vec<Variant>)>,
    rows: Vec<Row>,
}

/// The texts of one variant over all cases.
struct Row {
    name: &'static str,
    texts: Vec<Text>,
}

/// One text of a variant.
struct Text {
    variant: Variant,
    lines: usize,
    about: Reflection,
    /// The cases that have it.
    cases: Vec<usize>,
}

impl<'a> Kernel<'a> {
    pub(super) fn new(entry: &'a Entry, class: &Class) -> Result<Self> {
        let offered = |case: Case| {
            let variants = variants(&case, class)?;
            Ok((case, variants))
        };
        let cases: Vec<(Case, Vec<Variant>)> = (entry.cases)().into_iter().map(offered).collect::<Result<_>>()?;
        let mut kernel = Self { entry, cases: Vec::new(), rows: Vec::new() };
        for (i, (_, variants)) in cases.iter().enumerate() {
            variants.iter().try_for_each(|variant| kernel.add(i, variant))?;
        }
        Ok(Self { cases, ..kernel })
    }

    /// Every text once, variant by variant.
    pub(super) fn texts(self) -> Vec<Variant> {
        self.rows.into_iter().flat_map(|row| row.texts).map(|text| text.variant).collect()
    }

    fn add(&mut self, case: usize, variant: &Variant) -> Result<()> {
        let at = self.rows.iter().position(|r| r.name == variant.name).unwrap_or_else(|| {
            self.rows.push(Row { name: variant.name, texts: Vec::new() });
            self.rows.len() - 1
        });
        let texts = &mut self.rows[at].texts;
        if let Some(known) = texts.iter_mut().find(|t| t.variant == *variant) {
            known.cases.push(case);
            return Ok(());
        }
        let wrong = |e: String| Error::Shader { kernel: self.entry.name.into(), reason: format!("{variant}: {e}") };
        let text = compile(self.entry, variant)?;
        let (_, about) = reflect(&text).map_err(wrong)?;
        texts.push(Text { variant: variant.clone(), lines: text.lines.len(), about, cases: vec![case] });
        Ok(())
    }
}

/// Every kernel with its variants; `whole`: with their constants and the cases.
pub(super) fn text(entries: &[&Entry], whole: bool, class: &Class) -> Result<String> {
    let mut out = format!("for {}\n", class.name);
    for entry in entries {
        let kernel = Kernel::new(entry, class)?;
        let wide = width(kernel.rows.iter().map(|r| r.name));
        let (lines, cases) = (entry.source.lines().count(), kernel.cases.len());
        // Writing to a string cannot fail.
        let _ = writeln!(out, "\n{}: {}, {}", entry.name, count(lines, "line"), count(cases, "case"));
        kernel.rows.iter().for_each(|row| row.print(&mut out, wide, whole));
        if whole {
            print_cases(&mut out, &kernel.cases);
        }
    }
    Ok(out)
}

fn print_cases(out: &mut String, cases: &[(Case, Vec<Variant>)]) {
    let wide = width(cases.iter().map(|c| c.0.name.as_str()).chain(["name"]));
    let _ = writeln!(out, "\n  case  {:wide$}  best guess", "name");
    for (i, (case, variants)) in cases.iter().enumerate() {
        let first = variants.first().map_or("-", |v| v.name);
        let _ = writeln!(out, "  {i:4}  {:wide$}  {first}", case.name);
    }
}

/// The numbers, those that follow one another as ranges: `0, 3 to 5`.
fn ranges(numbers: &[usize]) -> Vec<String> {
    let parts = numbers.chunk_by(|a, b| a + 1 == *b);
    parts
        .flat_map(|part| match part {
            [one] => vec![one.to_string()],
            [one, next] => vec![one.to_string(), next.to_string()],
            [first, .., last] => vec![format!("{first} to {last}")],
            [] => Vec::new(),
        })
        .collect()
}

impl Row {
    /// Sizes, then bindings with those in brackets that not every text has, then each text's constants and its cases.
    fn print(&self, out: &mut String, wide: usize, whole: bool) {
        let range = |of: &dyn Fn(&Text) -> u32| {
            let all: BTreeSet<u32> = self.texts.iter().map(of).collect();
            match (all.first(), all.last()) {
                (Some(a), Some(b)) if a != b => format!("{a} to {b}"),
                (Some(a), _) => a.to_string(),
                _ => String::new(),
            }
        };
        let blank = "";
        let _ = writeln!(
            out,
            "  {:wide$}  {} lines in {}, for {}; {} threads, {} bytes of workgroup memory",
            self.name,
            range(&|t| t.lines as u32),
            count(self.texts.len(), "text"),
            count(self.texts.iter().map(|t| t.cases.len()).sum(), "case"),
            range(&|t| t.about.workgroup_size.iter().product()),
            range(&|t| t.about.workgroup_bytes),
        );
        let _ = writeln!(out, "  {blank:wide$}  {}", wrapped(&self.bindings(), ", ", COLUMNS, wide + 4));
        if !whole {
            return;
        }
        let constants: Vec<String> = self.texts.iter().map(Text::constants).collect();
        let column = width(&constants);
        for (text, constants) in self.texts.iter().zip(&constants) {
            let cases = format!("case{} ", if text.cases.len() == 1 { "" } else { "s" });
            let begin = wide + 6 + column + 2 + cases.len();
            let numbers = ranges(&text.cases);
            if begin + width([numbers.join(", ")]) > COLUMNS {
                // Below the constants, where the line has no room for them.
                let list = wrapped(&numbers, ", ", COLUMNS, wide + 8 + cases.len());
                let words: Vec<String> = constants.split(' ').map(String::from).collect();
                let constants = wrapped(&words, " ", COLUMNS, wide + 6);
                let _ = writeln!(out, "  {blank:wide$}    {constants}\n  {blank:wide$}      {cases}{list}");
                continue;
            }
            let list = numbers.join(", ");
            let _ = writeln!(out, "  {blank:wide$}    {constants:column$}  {cases}{list}");
        }
    }

    fn bindings(&self) -> Vec<String> {
        let mut union: Vec<&Binding> = Vec::new();
        for text in &self.texts {
            let mut at = 0;
            for binding in &text.about.bindings {
                match union.iter().position(|b| b.name == binding.name) {
                    Some(known) => at = known + 1,
                    None => {
                        union.insert(at, binding);
                        at += 1;
                    }
                }
            }
        }
        let told = |b: &&Binding| {
            let access = match b.access {
                Access::Uniform => "uniform",
                Access::Read => "read",
                Access::ReadWrite => "written",
                Access::Texture => "a texture",
            };
            let always = self.texts.iter().all(|t| t.about.bindings.iter().any(|other| other.name == b.name));
            if always { format!("{} {access}", b.name) } else { format!("[{} {access}]", b.name) }
        };
        union.iter().map(told).collect()
    }
}

impl Text {
    fn constants(&self) -> String {
        let constants: Vec<String> = self.variant.constants().iter().map(|(k, v)| format!("{k}={v}")).collect();
        if constants.is_empty() { "no constants".into() } else { constants.join(" ") }
    }
}

/// All of it for programs.
pub(super) fn json(entries: &[&Entry], class: &Class) -> Result<String> {
    let constants = |v: &Variant| v.constants().into_iter().map(|(k, n)| (k.to_string(), json!(n))).collect();
    let constants = |v: &Variant| serde_json::Value::Object(constants(v));
    let mut kernels = Vec::new();
    for entry in entries {
        let kernel = Kernel::new(entry, class)?;
        let cases = kernel.cases.iter().map(|(case, variants)| {
            let variants: Vec<&str> = variants.iter().map(|v| v.name).collect();
            json!({ "name": case.name, "variants": variants })
        });
        let texts = kernel.rows.iter().flat_map(|row| &row.texts).map(|t| {
            let threads: u32 = t.about.workgroup_size.iter().product();
            json!({ "variant": t.variant.name, "constants": constants(&t.variant), "cases": t.cases, "lines": t.lines,
                "threads": threads, "workgroup_bytes": t.about.workgroup_bytes })
        });
        let (cases, texts) = (cases.collect::<Vec<_>>(), texts.collect::<Vec<_>>());
        kernels.push(json!({ "name": entry.name, "lines": entry.source.lines().count(), "cases": cases,
            "texts": texts }));
    }
    Ok(format!("{:#}\n", json!({ "device": class.name, "kernels": kernels })))
}

#[cfg(test)]
mod tests {
    use super::ranges;

    #[test]
    fn numbers_in_a_row_are_ranges() {
        assert_eq!(ranges(&[0, 3, 4, 5, 7, 8, 10]).join(", "), "0, 3 to 5, 7, 8, 10");
        assert!(ranges(&[]).is_empty());
    }
}
