//! What is said of a run in the end.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use maskrcnn::engine::vision::results;
use maskrcnn::{Detector, Error};
use serde_json::json;

use super::names::SUMMARY;

/// Failures that are said again in the end.
const REPEATED: usize = 10;

/// Instances by the name of their class.
pub(super) type Counts = BTreeMap<String, usize>;

/// What became of the pictures of a run.
#[derive(Debug, Default)]
pub(super) struct Summary {
    images: usize,
    /// Those with results of this run.
    done: usize,
    /// Those that had the same results before.
    finished: usize,
    /// Those that were not begun.
    left: usize,
    instances: Counts,
    /// Names and reasons.
    failures: Vec<(String, String)>,
}

/// Where the time went.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// From the first picture to the last.
    pub whole: Duration,
    /// Planning and compiling, within that.
    pub setup: Duration,
    /// The device's work, within that.
    pub busy: Duration,
}

impl Summary {
    pub(super) fn new(images: usize) -> Self {
        Self { images, ..Self::default() }
    }

    pub(super) fn done(&mut self, counts: Counts) {
        self.done += 1;
        self.count(counts);
    }

    pub(super) fn finished(&mut self, counts: Counts) {
        self.finished += 1;
        self.count(counts);
    }

    pub(super) fn left(&mut self) {
        self.left += 1;
    }

    pub(super) fn failed(&mut self, name: String, reason: String) {
        self.failures.push((name, reason));
    }

    fn count(&mut self, counts: Counts) {
        counts.into_iter().for_each(|(name, n)| *self.instances.entry(name).or_default() += n);
    }

    pub(super) fn has_failures(&self) -> bool {
        !self.failures.is_empty()
    }

    /// Pictures a second, where any was looked at.
    fn rate(&self, times: Times) -> Option<f64> {
        let seconds = times.whole.saturating_sub(times.setup).as_secs_f64();
        (self.done > 0 && seconds > 0.0).then(|| self.done as f64 / seconds)
    }

    /// Prints what was skipped, and what there is to say of more than one picture.
    pub(super) fn tell(&self, times: Option<Times>) {
        match (self.finished, self.images) {
            (0, _) => {}
            (_, 1) => say!("the image was finished before, and is skipped"),
            (finished, images) => say!("{finished} of {images} images were finished before, and skipped"),
        }
        if self.images <= 1 {
            return;
        }
        if let Some((times, rate)) = times.and_then(|t| Some((t, self.rate(t)?))) {
            let seconds = times.whole.saturating_sub(times.setup).as_secs_f64();
            let setup = match times.setup.as_secs_f64() {
                s if s >= 0.05 => format!(", after {s:.1} s of planning and compiling"),
                _ => String::new(),
            };
            let busy = 100.0 * (times.busy.as_secs_f64() / seconds).min(1.0);
            say!(
                "{} images in {seconds:.1} s, {rate:.*} images/s, the GPU working for {busy:.0} % of the time{setup}",
                self.done,
                if rate < 10.0 { 2 } else { 1 }
            );
        }
        if self.done + self.finished > 0 {
            say!("{} of {} images done, {}", self.done + self.finished, self.images, told(&self.instances));
        }
        if self.left > 0 {
            note!("{} of {} images were not begun; --resume does them", self.left, self.images);
        }
        if self.has_failures() {
            note!("{} of {} images failed", self.failures.len(), self.images);
            for (name, reason) in self.failures.iter().take(REPEATED) {
                note!("  {name}: {reason}");
            }
            if let more @ 1.. = self.failures.len().saturating_sub(REPEATED) {
                note!("  and {more} more");
            }
        }
    }

    /// Writes `summary.json` into the folder of the results, where there is one and there are several pictures. It holds
    /// no times: a run that was stopped and resumed leaves the same files as one that was not.
    pub(super) fn write(&self, out: &Path, overwrite: bool, detector: &Detector, score: f32) {
        if self.images <= 1 || !out.is_dir() {
            return;
        }
        let failed: Vec<_> =
            self.failures.iter().map(|(image, reason)| json!({ "image": image, "reason": reason })).collect();
        let text = json!({
            "model": detector.config().name,
            "precision": detector.precision().to_string(),
            "score": score,
            "images": self.images,
            "done": self.done + self.finished,
            "not_begun": self.left,
            "instances": self.instances,
            "failed": failed,
        });
        let path = out.join(format!("{SUMMARY}.json"));
        match results::write_object(&path, &format!("{text:#}\n"), overwrite) {
            Ok(()) => {}
            Err(Error::Io { path, source }) if source.kind() == std::io::ErrorKind::AlreadyExists => {
                note!("note: {}: {source}, and is not replaced (--overwrite does)", path.display());
            }
            Err(e) => note!("note: no summary was written: {e}"),
        }
    }
}

/// Instances by class, most first.
pub(super) fn told(counts: &Counts) -> String {
    let mut all: Vec<(&String, &usize)> = counts.iter().filter(|(_, n)| **n > 0).collect();
    all.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    match all.is_empty() {
        true => "nothing found".into(),
        false => all.iter().map(|(name, n)| format!("{n} × {name}")).collect::<Vec<_>>().join(", "),
    }
}
