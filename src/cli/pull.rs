//! `maskrcnn weights pull`, and the offer to do the same when weights are wanted that are not here.

use std::io::{self, BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use maskrcnn::engine::weights::not_here;
use maskrcnn::engine::weights::pull::{ORIGIN, PUBLISHED, Progress, Published, cache_dir, cached, pull, shown_size};
use maskrcnn::{Error, Result};

/// Brings the weights with this name into the user's cache folder, from `mirror` if there is one, and prints where
/// they are.
pub(super) fn run(name: &str, mirror: Option<&str>) -> Result<()> {
    let p = Published::find(name).ok_or_else(|| {
        let names = PUBLISHED.map(|p| p.name).join(", ");
        Error::Config { setting: "weights".into(), reason: format!("`{name}` is not published: choose from {names}") }
    })?;
    let path = fetch(p, mirror.unwrap_or(ORIGIN), &cache_dir()?)?;
    say!("{}", path.display());
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
            return fetch(p, ORIGIN, &dir);
        }
    }
    Err(not_here(p))
}

fn ask(p: &Published, answers: &mut dyn BufRead, out: &mut dyn Write) -> io::Result<bool> {
    loop {
        write!(out, "{} is not here yet: pull {} from {}? [Y/n] ", p.name, shown_size(p.bytes), host(ORIGIN))?;
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
    let bar = ProgressBar::with_draw_target(Some(p.bytes), ProgressDrawTarget::stderr());
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
        bar.set_position(at.done);
        if last.is_none_or(|last: Progress| at.done < last.done) {
            // What was here before says nothing about the line's speed.
            bar.reset_eta();
        }
        last = Some(at);
    });
    bar.finish_and_clear();
    if result.is_ok() && last.is_some() {
        note!("{}: {} are here, and their hash is right", p.name, shown_size(p.bytes));
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
        return Some(format!("{}: pulling {} from {}{from}", p.name, shown_size(at.total), host(origin)));
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
