//! A contact sheet: one HTML file that needs no other, and asks the network for nothing.

use std::fmt::Write as _;

use serde_json::json;

use super::page_text::{BODY, HEAD};
use super::{base64, measures, rounded, shape};
use crate::vision::detections::Detections;

/// An image of the sheet.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// What it is called there.
    pub name: &'a str,
    /// What was found in it.
    pub found: &'a Detections,
    /// The thumbnail: a JPEG, its width and height.
    pub thumbnail: (&'a [u8], u32, u32),
    /// A file beside the sheet that shows more, if there is one.
    pub link: Option<&'a str>,
}

/// The part of the sheet that shows an image: whole without the sheet's script, which sorts, and shows each instance
/// on a click.
pub fn page_entry(entry: Entry) -> String {
    let Entry { name, found, thumbnail: (jpeg, w, h), link } = entry;
    let best = found.first().map_or(0.0, |d| d.score);
    let counts = found.counts_by_class();
    let told = match counts.is_empty() {
        true => "nothing found".into(),
        false => counts.iter().map(|&(l, n)| format!("{n} × {}", found.name(l))).collect::<Vec<_>>().join(", "),
    };
    let mut classes: Vec<String> = Vec::new();
    let instances: Vec<_> = found
        .iter()
        .map(|d| {
            let class = found.name(d.label).into_owned();
            let at = classes.iter().position(|c| *c == class).unwrap_or_else(|| {
                classes.push(class);
                classes.len() - 1
            });
            let area = measures(&shape(found, d)).map_or(0, |m| m.area);
            let [x1, y1, x2, y2] = d.bbox.map(|v| rounded(f64::from(v), 1));
            json!([at, rounded(f64::from(d.score), 3), area, x1, y1, rounded(x2 - x1, 1), rounded(y2 - y1, 1)])
        })
        .collect();
    let data = json!({ "w": found.width, "h": found.height, "k": classes, "i": instances, "f": link.map(address) });
    // A script ends where it says so, whatever the text around it means.
    let data = data.to_string().replace('<', "\\u003c");
    // A card has room for the file's own name.
    let short = escaped(name.rsplit(['/', '\\']).next().unwrap_or(name));
    let name = escaped(name);
    let mut out = String::new();
    let _ = writeln!(
        out,
        "<article data-n=\"{}\" data-s=\"{best:.4}\" data-t=\"{name}\"><button type=\"button\"><img loading=\"lazy\" \
         decoding=\"async\" width=\"{w}\" height=\"{h}\" alt=\"{name}\" src=\"data:image/jpeg;base64,{}\"></button>\
         <h2 title=\"{name}\">{short}</h2><p>{}{}</p><script type=\"application/json\">{data}</script></article>",
        found.len(),
        base64(jpeg),
        escaped(&told),
        if found.is_empty() { String::new() } else { format!(" · best {best:.2}") }
    );
    out
}

/// What stands before the images: `title`, and a line of text about all of them.
pub fn page_head(title: &str, about: &str) -> String {
    HEAD.replace("{title}", &escaped(title)).replace("{about}", &escaped(about))
}

/// What stands behind them.
pub const PAGE_END: &str = BODY;

/// The address of a file beside the sheet. A name could look like an address of its own kind.
fn address(name: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    let letters = name.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") });
    "./".chars().map(String::from).chain(letters).collect()
}

/// Text as HTML shows it.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
