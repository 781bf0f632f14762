//! The page: numbers, plots, and the images with the most mistakes.

use std::fmt::Write as _;
use std::path::Path;

use image::RgbImage;
use maskrcnn::engine::eval::ImagePairs;
use maskrcnn::engine::vision::export::base64;
use maskrcnn::{Error, Result};

use super::picture::{CROWD, FOUND, MISSED, Picture, Shape, WRONG};
use super::{Args, Outcome, detected, show};

/// The page as HTML. It needs no other file.
pub(super) fn html(args: &Args, outcome: &Outcome, plots: &[(String, String)]) -> Result<String> {
    let mut out = String::from(HEAD);
    let numbers = escaped(&show::text(outcome, true).join("\n"));
    // A String takes whatever is written.
    let _ = writeln!(out, "<h1>maskrcnn eval</h1>\n<pre>{numbers}</pre>");
    plots.iter().for_each(|(_, svg)| out += svg);
    if let Some(folder) = &args.images {
        let worst = worst(outcome, args.worst);
        let least = outcome.matching.first().map_or(0.5, |m| m.threshold);
        let _ = writeln!(
            out,
            "<h2>The {} images with the most mistakes</h2>\n<p>{} with a score from {} on, at IoU {least}. Left what there \
             is, right what was found: {}, {}, {}, {}.</p>",
            worst.len(),
            show::name(outcome.kind),
            outcome.score,
            coloured("found", FOUND),
            coloured("missed", MISSED),
            coloured("false positive", WRONG),
            coloured("crowd, which does not count", CROWD)
        );
        for (at, pairs) in worst {
            out += &entry(args, outcome, folder, at, pairs)?;
        }
    }
    out += "</body>\n</html>\n";
    Ok(out)
}

const HEAD: &str = "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>maskrcnn eval</title>\n\
    <style>body{font-family:sans-serif;margin:2em;background:#fff;color:#222} pre{font-size:13px} \
    img{max-width:48%;image-rendering:pixelated;vertical-align:top;margin-right:1%}</style></head>\n<body>\n";

/// Images with mistakes, those with the most first.
fn worst(outcome: &Outcome, most: usize) -> Vec<(usize, &ImagePairs)> {
    let mistakes = |pairs: &ImagePairs| pairs.wrong.len() + pairs.missed.len();
    let mut out: Vec<(usize, &ImagePairs)> = outcome.images.iter().enumerate().filter(|i| mistakes(i.1) > 0).collect();
    out.sort_by_key(|i| std::cmp::Reverse(mistakes(i.1)));
    out.truncate(most);
    out
}

/// One image with both pictures.
fn entry(args: &Args, outcome: &Outcome, folder: &Path, at: usize, pairs: &ImagePairs) -> Result<String> {
    let annotations = &outcome.paired.annotations;
    let image = &annotations.images[at];
    let path = detected::place(image, folder, &annotations.file)?;
    let picture = args.reading.open(&path)?;
    detected::check_size(image, &picture, &path, &annotations.file)?;
    let (w, h) = (picture.width(), picture.height());
    let pixels = RgbImage::from_raw(w, h, picture.into_rgb())
        .ok_or_else(|| Error::Image { name: path.display().to_string(), reason: "has no pixels".into() })?;
    let picture = Picture::new(pixels);
    let truth = |t: usize, colour| {
        let truth = &annotations.truths[t];
        Shape { bbox: truth.bbox, mask: truth.mask.as_ref(), colour }
    };
    let result = |p: usize, colour| {
        let result = &outcome.paired.predictions[p];
        Shape { bbox: result.bbox, mask: result.mask.as_ref(), colour }
    };
    let crowds = annotations.truths.iter().enumerate().filter(|(_, t)| t.crowd && t.image == at);
    let mut left: Vec<Shape> = crowds.map(|(t, _)| truth(t, CROWD)).collect();
    left.extend(pairs.found.iter().map(|p| truth(p.1, FOUND)));
    left.extend(pairs.missed.iter().map(|&t| truth(t, MISSED)));
    let mut right: Vec<Shape> = pairs.found.iter().map(|p| result(p.0, FOUND)).collect();
    right.extend(pairs.wrong.iter().map(|&p| result(p, WRONG)));
    let mut out = format!(
        "<h3>{}</h3>\n<p>{} found, {} missed, {} false positives</p>\n",
        escaped(&image.file_name),
        pairs.found.len(),
        pairs.missed.len(),
        pairs.wrong.len()
    );
    for (what, shapes) in [("what there is", left), ("what was found", right)] {
        let png = base64(&picture.outlined(&shapes)?);
        let _ = writeln!(out, "<img alt=\"{what}\" src=\"data:image/png;base64,{png}\">");
    }
    Ok(out)
}

fn coloured(what: &str, [r, g, b]: [u8; 3]) -> String {
    format!("<b style=\"color:rgb({r} {g} {b})\">■</b> {what}")
}

/// Text as HTML shows it.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
