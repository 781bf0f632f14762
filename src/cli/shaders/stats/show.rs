//! The tables of `shaders stats`.

use std::fmt::Write as _;

use maskrcnn::engine::driver::{Change, Figure, Record, Text};

use crate::cli::words::{count, width};

/// A line of the table: its name, and the texts whose figures it shows; a heading shows none.
struct Row<'a> {
    name: String,
    texts: Vec<&'a Text>,
}

/// A line a variant; with `whole` a line a text, below what those of a variant have in common.
pub(super) fn table(record: &Record, whole: bool) -> String {
    let compiled: Vec<&Text> = record.texts.iter().filter(|text| text.is_compiled()).collect();
    let mut rows: Vec<Row> = Vec::new();
    for texts in compiled.chunk_by(|a, b| (&a.kernel, &a.variant) == (&b.kernel, &b.variant)) {
        let first = texts[0];
        if !whole {
            rows.push(Row { name: format!("{}/{}", first.kernel, first.variant), texts: texts.to_vec() });
        } else if texts.len() == 1 {
            rows.push(Row { name: title(first), texts: texts.to_vec() });
        } else {
            let shared = |k: &str, v: u32| texts.iter().all(|text| text.constants.get(k) == Some(&v));
            rows.push(Row { name: first.variant.clone() + &constants(first, shared), texts: Vec::new() });
            let own = |text: &Text| constants(text, |k, v| !shared(k, v));
            let name = |own: String| if own.is_empty() { "  nothing more".into() } else { format!(" {own}") };
            rows.extend(texts.iter().map(|text| Row { name: name(own(text)), texts: vec![text] }));
        }
    }
    let figures: Vec<Figure> = Figure::ALL.into_iter().filter(|f| told(&compiled, *f).is_some()).collect();
    let heads = ["text", "kernel/variant"][usize::from(!whole)];
    let heads = [heads.to_string()].into_iter().chain((!whole).then(|| "texts".into()));
    let mut lines: Vec<Vec<String>> = vec![heads.chain(figures.iter().map(|f| f.name().to_string())).collect()];
    lines.extend(rows.iter().map(|row| {
        let texts = (!whole).then(|| row.texts.len().to_string());
        let cells = figures.iter().filter(|_| !row.texts.is_empty());
        let cells = cells.map(|f| told(&row.texts, *f).unwrap_or_else(|| "-".into()));
        [row.name.clone()].into_iter().chain(texts).chain(cells).collect()
    }));
    let column = |i: usize| lines.iter().filter(|line| line.len() > 1).filter_map(move |line| line.get(i));
    let wide: Vec<usize> = (0..lines[0].len()).map(|i| width(column(i))).collect();
    let mut out = format!("for {}\ncompiled by {}\n\n", record.device, record.driver);
    for line in &lines {
        let mut text = format!("{:w$}", line[0], w = wide[0]);
        line.iter().zip(&wide).skip(1).for_each(|(cell, w)| text.push_str(&format!("  {cell:>w$}")));
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{}", text.trim_end());
    }
    let _ = writeln!(out, "\n{}", total(record));
    for (what, why) in left_out(record) {
        let _ = writeln!(out, "not compiled: {what}: {why}");
    }
    out
}

/// A figure of these texts: a range where they differ, nothing where no driver tells it.
fn told(texts: &[&Text], figure: Figure) -> Option<String> {
    let all = || texts.iter().filter_map(|text| text.figure(figure));
    let (least, most) = (all().min()?, all().max()?);
    Some(if least == most { least.to_string() } else { format!("{least}-{most}") })
}

/// Those constants of a text that are wanted.
fn constants(text: &Text, wanted: impl Fn(&str, u32) -> bool) -> String {
    let wanted = text.constants.iter().filter(|(k, v)| wanted(k, **v));
    wanted.map(|(k, v)| format!(" {k}={v}")).collect()
}

/// Variant and constants.
fn title(text: &Text) -> String {
    text.variant.clone() + &constants(text, |_, _| true)
}

fn total(record: &Record) -> String {
    let compiled = record.texts.iter().filter(|text| text.is_compiled());
    let spill = compiled.clone().filter(|text| text.figure(Figure::Spills).is_some_and(|n| n > 0)).count();
    let tells = compiled.clone().any(|text| text.figure(Figure::Spills).is_some());
    let spill = match tells {
        true if spill == 0 => ", none spills".into(),
        true => format!(", {spill} of them with spills"),
        false => String::new(),
    };
    format!("{} of {} compiled{spill}", compiled.count(), count(record.texts.len(), "text"))
}

/// What was not compiled, with the reason, alike ones on a line.
fn left_out(record: &Record) -> Vec<(String, String)> {
    let mut groups: Vec<(String, String, usize)> = Vec::new();
    for text in &record.texts {
        let why = match (&text.needs, &text.refused) {
            (Some(needs), _) => format!("needs {needs}, which the driver does not offer"),
            (None, Some(refused)) => refused.clone(),
            (None, None) => continue,
        };
        let name = format!("{}/{}", text.kernel, text.variant);
        match groups.iter_mut().find(|(n, w, _)| (n, w) == (&name, &why)) {
            Some((_, _, texts)) => *texts += 1,
            None => groups.push((name, why, 1)),
        }
    }
    groups.into_iter().map(|(name, why, texts)| (format!("{name} ({})", count(texts, "text")), why)).collect()
}

/// What has changed, a line a text.
pub(super) fn changes(changes: &[Change], texts: usize) -> String {
    let mut out = String::new();
    for group in changes.chunk_by(|a, b| std::ptr::eq(a.text(), b.text())) {
        let told: Vec<String> = group.iter().map(change).collect();
        let text = group[0].text();
        let _ = writeln!(out, "{} {}: {}", text.kernel, title(text), told.join(", "));
    }
    let back = changes.iter().filter(|change| change.is_step_back());
    let mut back: Vec<*const Text> = back.map(|change| std::ptr::from_ref(change.text())).collect();
    back.dedup();
    let changed = changes.chunk_by(|a, b| std::ptr::eq(a.text(), b.text())).count();
    let _ = match (changed, back.len()) {
        (0, _) => writeln!(out, "{}, none has changed", count(texts, "text")),
        (n, 0) => writeln!(out, "{}, {n} changed, none with more registers or spills", count(texts, "text")),
        (n, back) => {
            writeln!(out, "{}, {n} changed, {back} with more registers or spills or not compiled", count(texts, "text"))
        }
    };
    out
}

fn change(change: &Change) -> String {
    match change {
        Change::Figure { figure, before, now, .. } => {
            format!("{} {before} -> {now} ({})", figure.name(), change.verdict().name())
        }
        Change::Lost(text) => {
            let needs = text.needs.as_ref().map(|needs| format!("needs {needs}"));
            let why = needs.or_else(|| text.refused.clone()).unwrap_or_default();
            format!("compiles no longer: {why} (worse)")
        }
        Change::Gained(_) => "compiles now (better)".into(),
        Change::New(_) => "is new".into(),
        Change::Gone(_) => "is gone".into(),
    }
}
