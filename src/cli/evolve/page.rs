//! All sections as one HTML file that needs no other, and asks the network for nothing.

use std::fmt::Write as _;

use maskrcnn::engine::vision::export;
use maskrcnn::{Error, Result};

use super::section::{Section, png};

const HEAD: &str = r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'">
<title>From R-CNN to Mask R-CNN, on one picture</title>
<style>
:root { color-scheme: light dark; --ground: #fff; --ink: #1c1c22; --dim: #5d5d6b; --line: #d9d9e0 }
@media (prefers-color-scheme: dark) { :root { --ground: #17171b; --ink: #ececf1; --dim: #a2a2b0; --line: #3a3a44 } }
body { margin: 0 auto; padding: 24px; max-width: 1600px; font: 16px/1.45 system-ui, sans-serif; background: var(--ground); color: var(--ink) }
h1 { font-size: 30px; margin: 0 } h2 { font-size: 23px; margin: 40px 0 8px; border-top: 2px solid; padding-top: 12px }
p { max-width: 90ch } .about { color: var(--dim); margin-top: 4px }
.figures { display: flex; flex-wrap: wrap; gap: 20px; align-items: flex-start }
figure { margin: 0; max-width: 100%; width: var(--w) } figure img { max-width: 100%; height: auto; display: block; background: #fff }
figcaption { font-size: 14px; color: var(--dim) } figcaption b { display: block; color: var(--ink); font-size: 16px; margin-top: 6px }
.table { overflow-x: auto; margin-top: 18px } table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 14px }
th, td { padding: 4px 10px; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap } th:first-child, td:first-child { text-align: left; font-weight: 600 }
th { color: var(--dim); font-weight: 500 }
</style>
</head>
<body>
<h1>From R-CNN to Mask R-CNN, on one picture</h1>
"#;

/// # Errors
/// [`Error::Internal`] where a picture cannot be encoded.
pub(super) fn page(about: &str, sections: &[Section]) -> Result<String> {
    let mut out = HEAD.to_string();
    // Writing to a string cannot fail.
    let _ = writeln!(out, "<p class=\"about\">{}</p>", escaped(about));
    for section in sections {
        let _ = writeln!(out, "<section><h2>{}</h2>", escaped(&section.title));
        for text in &section.text {
            let _ = writeln!(out, "<p>{}</p>", escaped(text));
        }
        out += "<div class=\"figures\">\n";
        for figure in &section.figures {
            let mut bytes = Vec::new();
            png(&figure.picture, &mut bytes).map_err(|e| Error::Internal(format!("a picture of the page: {e}")))?;
            let (w, h) = figure.picture.dimensions();
            let _ = writeln!(
                out,
                "<figure style=\"--w: {}px\"><img width=\"{w}\" height=\"{h}\" alt=\"{title}\" \
                 src=\"data:image/png;base64,{}\"><figcaption><b>{title}</b>{}</figcaption></figure>",
                w.max(200),
                export::base64(&bytes),
                escaped(&figure.caption),
                title = escaped(&figure.title),
            );
        }
        out += "</div>\n";
        table(&mut out, &section.table);
        out += "</section>\n";
    }
    out += "</body>\n</html>\n";
    Ok(out)
}

fn table(out: &mut String, rows: &[Vec<String>]) {
    let Some((head, rows)) = rows.split_first() else { return };
    let cells = |row: &[String], tag: &str| {
        row.iter().map(|cell| format!("<{tag}>{}</{tag}>", escaped(cell))).collect::<String>()
    };
    let _ = writeln!(out, "<div class=\"table\"><table><tr>{}</tr>", cells(head, "th"));
    for row in rows {
        let _ = writeln!(out, "<tr>{}</tr>", cells(row, "td"));
    }
    *out += "</table></div>\n";
}

fn escaped(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            c => out.push(c),
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use image::RgbImage;

    use super::*;
    use crate::cli::evolve::section::Figure;

    #[test]
    fn the_page_needs_nothing_else_and_names_cannot_break_it() {
        let figure = Figure { title: "<b>".into(), caption: "a & b".into(), picture: RgbImage::new(3, 2) };
        let table = vec![vec!["x".into()], vec!["\"1\"".into()]];
        let section = Section { title: "T".into(), text: vec!["<script>".into()], figures: vec![figure], table };
        let text = page("<img src=x>", &[section]).unwrap();
        assert!(text.contains("&lt;img src=x&gt;") && text.contains("&lt;script&gt;") && text.contains("a &amp; b"));
        assert!(text.contains("alt=\"&lt;b&gt;\"") && text.contains("<td>&quot;1&quot;</td>"));
        assert!(!text.contains("<script") && !text.contains("http://") && !text.contains("https://"));
        assert_eq!(text.matches("src=\"").count(), text.matches("src=\"data:image/png;base64,").count());
    }
}
