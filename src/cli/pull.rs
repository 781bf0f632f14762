//! `maskrcnn weights pull`, and the offer to do the same when weights are wanted that are not here.

use std::io::{self, BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use maskrcnn::engine::config::presets::PRESETS;
use maskrcnn::engine::weights::not_here;
use maskrcnn::engine::weights::pull::{
    Check, PUBLISHED, Progress, Project, Published, cache_dir, cached, pull, shown_size,
};
use maskrcnn::{Error, Result};

/// Brings the weights with this name into the user's cache folder, from `mirror` if there is one, and prints where
/// they are.
pub(super) fn run(name: &str, mirror: Option<&str>) -> Result<()> {
    let p = Published::find(name).ok_or_else(|| {
        let ending: Vec<&str> =
            PUBLISHED.iter().map(|p| p.name).filter(|full| full.ends_with(&format!("/{name}"))).collect();
        let near: Vec<&str> = PUBLISHED.iter().map(|p| p.name).filter(|full| full.contains(name)).take(6).collect();
        let near = if near.is_empty() { String::new() } else { format!(", such as {}", near.join(", ")) };
        let reason = match ending[..] {
            [] => format!(
                "`{name}` is not published, as far as is known here: `maskrcnn weights list` has the names{near}"
            ),
            _ => format!("`{name}` is several: {}", ending.join(", ")),
        };
        Error::Config { setting: "weights".into(), reason }
    })?;
    let path = fetch(p, mirror.unwrap_or(p.project.origin), &cache_dir()?)?;
    say!("{}", path.display());
    Ok(())
}

/// Prints the published files, with those that are here marked, and the presets.
pub(super) fn list() -> Result<()> {
    // What can be had is told even where there is no folder for it.
    let dir = cache_dir().ok();
    let widest = PUBLISHED.iter().map(|p| p.name.len()).max().unwrap_or(0);
    say!("{:widest$}  box AP  mask AP  trained on  size", "name");
    for p in &PUBLISHED {
        let [boxes, masks] = p.ap.map(|ap| ap.map_or("–".into(), |ap| format!("{ap:.1}")));
        let here = if dir.as_deref().and_then(|dir| cached(p, dir)).is_some() { ", here" } else { "" };
        let size = p.bytes.map_or("–".into(), shown_size);
        say!("{:widest$}  {boxes:>6}  {masks:>7}  {:10}  {size}{here}", p.name, p.trained_on);
    }
    say!(
        "\nThe last part of a name is enough where only one ends with it. AP by the projects' own accounts, of COCO val2017."
    );
    let mut projects: Vec<&Project> = Vec::new();
    for p in &PUBLISHED {
        if !projects.contains(&p.project) {
            projects.push(p.project);
        }
    }
    for project in projects {
        say!("{}: {}; licence {}", project.name, host(project.origin), project.licence);
    }
    say!("\nSettings by name, for --config NAME:");
    let widest = PRESETS.iter().map(|preset| preset.name.len()).max().unwrap_or(0);
    for preset in PRESETS {
        say!("{:widest$}  {}", preset.name, preset.about);
    }
    Ok(())
}

/// The path of these weights in the user's cache folder. If they are not there, asks on a terminal whether to pull
/// them, and elsewhere fails with the command that does.
pub(super) fn offer(p: &Published) -> Result<PathBuf> {
    let dir = cache_dir()?;
    if let Some(path) = cached(p, &dir) {
        return Ok(path);
    }
    let (stdin, mut stderr) = (io::stdin(), io::stderr());
    if stdin.is_terminal() && stderr.is_terminal() {
        // A terminal that cannot be read says no.
        if ask(p, &mut stdin.lock(), &mut stderr).unwrap_or(false) {
            return fetch(p, p.project.origin, &dir);
        }
    }
    Err(not_here(p))
}

/// A file of so many bytes: "177 MiB", or "it".
fn it(bytes: Option<u64>) -> String {
    bytes.map_or_else(|| "it".into(), shown_size)
}

fn ask(p: &Published, answers: &mut dyn BufRead, out: &mut dyn Write) -> io::Result<bool> {
    loop {
        write!(out, "{} is not here yet: pull {} from {}? [Y/n] ", p.name, it(p.bytes), host(p.project.origin))?;
        out.flush()?;
        let mut line = String::new();
        if answers.read_line(&mut line)? == 0 {
            writeln!(out)?;
            return Ok(false);
        }
        match line.trim().to_lowercase().as_str() {
            "" | "y" | "yes" => return Ok(true),
            "n" | "no" => return Ok(false),
            _ => {}
        }
    }
}

/// Pulls, and shows on the terminal how far it is; without one, says when it begins and ends.
fn fetch(p: &Published, origin: &str, dir: &Path) -> Result<PathBuf> {
    let bar = ProgressBar::with_draw_target(p.bytes, ProgressDrawTarget::stderr());
    let style = "{msg} {wide_bar} {binary_bytes} of {binary_total_bytes}, {binary_bytes_per_sec}, {eta} left";
    // The template is ours: without it, the bar is only less pretty.
    bar.set_style(ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.set_message(p.name);
    let mut last = None;
    let result = pull(p, origin, dir, &mut |at| {
        if let Some(line) = news(p, origin, last, at) {
            match bar.is_hidden() {
                true => note!("{line}"),
                false => bar.println(line),
            }
        }
        if let Some(total) = at.total {
            bar.set_length(total);
        }
        bar.set_position(at.done);
        if last.is_none_or(|last: Progress| at.done < last.done) {
            // What was here before says nothing about the line's speed.
            bar.reset_eta();
        }
        last = Some(at);
    });
    bar.finish_and_clear();
    if result.is_ok() && last.is_some() {
        let bytes = last.map_or_else(String::new, |at| shown_size(at.done));
        let checked = match p.check {
            Check::Untold => "and the project tells no hash that they could be held against".into(),
            check => format!("and their {} is right", check.name()),
        };
        note!("{}: {bytes} are here, {checked}", p.name);
        note!("{}: licence {}", p.name, p.project.licence);
    }
    result
}

/// What to tell beside the bar.
fn news(p: &Published, origin: &str, last: Option<Progress>, at: Progress) -> Option<String> {
    let Some(last) = last else {
        let from = match at.resumed_from {
            0 => String::new(),
            done => format!(", {} are here already", shown_size(done)),
        };
        return Some(format!("{}: pulling {} from {}{from}", p.name, it(at.total), host(origin)));
    };
    if at.cuts > last.cuts {
        return Some(format!("{}: the connection broke after {}: trying again", p.name, shown_size(at.done)));
    }
    (at.done < last.done).then(|| format!("{}: what was here is of no use: beginning anew", p.name))
}

/// The host in an address, without a login.
fn host(origin: &str) -> &str {
    let host = origin.split_once("://").map_or(origin, |(_, rest)| rest).split('/').next().unwrap_or_default();
    host.rsplit_once('@').map_or(host, |(_, host)| host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yes_is_the_answer_unless_no_is_said() {
        let p = Published::find("maskrcnn_resnet50_fpn_v2").unwrap();
        for (typed, yes, times) in [
            ("\n", true, 1),
            ("y\n", true, 1),
            (" YES \n", true, 1),
            ("n\n", false, 1),
            ("No", false, 1),
            ("", false, 1),
            ("what?\nn\n", false, 2),
        ] {
            let mut out = Vec::new();
            assert_eq!(ask(p, &mut typed.as_bytes(), &mut out).unwrap(), yes, "{typed:?}");
            let question = "maskrcnn_resnet50_fpn_v2 is not here yet: pull 177 MiB from download.pytorch.org? [Y/n] ";
            assert_eq!(String::from_utf8(out).unwrap().trim_end_matches('\n'), question.repeat(times));
        }
    }

    #[test]
    fn news_are_told_once() {
        let p = &PUBLISHED[0];
        let told = |last, at| news(p, "https://ada:secret@example.org/x", last, at);
        let first = Progress { done: 3 << 20, total: p.bytes, resumed_from: 3 << 20, cuts: 0 };
        let start = "maskrcnn_resnet50_fpn: pulling 170 MiB from example.org";
        assert_eq!(told(None, first).unwrap(), format!("{start}, 3 MiB are here already"));
        assert_eq!(told(None, Progress { done: 0, resumed_from: 0, ..first }).unwrap(), start);
        assert_eq!(told(Some(first), Progress { done: 4 << 20, ..first }), None);
        let cut = told(Some(first), Progress { cuts: 1, ..first }).unwrap();
        assert_eq!(cut, "maskrcnn_resnet50_fpn: the connection broke after 3 MiB: trying again");
        let anew = told(Some(first), Progress { done: 9, resumed_from: 0, ..first }).unwrap();
        assert_eq!(anew, "maskrcnn_resnet50_fpn: what was here is of no use: beginning anew");
    }
}
