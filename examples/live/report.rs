//! How far the window's frames lay apart.

use std::time::{Duration, Instant};

/// What frames are counted as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The detector is made, and its first detections have shaders compiled and slices measured.
    Warming,
    /// Frames that carry nothing: what a frame takes by itself.
    Bare,
    /// All that come after.
    Counted,
}

/// Gaps between frames, by phase.
pub(crate) struct Report {
    last: Option<Instant>,
    warming: Vec<Duration>,
    bare: Vec<Duration>,
    counted: Vec<Duration>,
    /// The longest of each detection that ended.
    longest: Vec<Duration>,
    in_this: Duration,
    /// From the first part of each to its last.
    took: Vec<Duration>,
}

impl Report {
    pub(crate) fn new() -> Self {
        let none = Vec::new;
        let (warming, bare, counted, longest, took) = (none(), none(), none(), none(), none());
        Self { last: None, warming, bare, counted, longest, took, in_this: Duration::ZERO }
    }

    /// A frame was given to the display.
    pub(crate) fn presented(&mut self, phase: Phase) {
        let now = Instant::now();
        let Some(last) = self.last.replace(now) else { return };
        let gap = now - last;
        match phase {
            Phase::Warming => self.warming.push(gap),
            Phase::Bare => self.bare.push(gap),
            Phase::Counted => {
                self.counted.push(gap);
                self.in_this = self.in_this.max(gap);
            }
        }
    }

    /// A detection is there.
    pub(crate) fn detected(&mut self, took: Duration, phase: Phase) {
        if phase == Phase::Counted {
            self.took.push(took);
            self.longest.push(std::mem::take(&mut self.in_this));
        }
    }

    /// What a frame takes that carries nothing, as far as that is known.
    pub(crate) fn own(&self) -> Duration {
        median(&self.bare)
    }

    /// Bare frames that were drawn.
    pub(crate) fn bare(&self) -> usize {
        self.bare.len()
    }

    /// What the last frames took: a mean over so many.
    pub(crate) fn lately(&self, frames: usize) -> Duration {
        let all = [&self.warming, &self.bare, &self.counted];
        let newest = all.into_iter().rev().find(|all| !all.is_empty());
        let last = newest.map_or(&[][..], |all| &all[all.len().saturating_sub(frames)..]);
        last.iter().sum::<Duration>() / (last.len().max(1) as u32)
    }

    /// All of it, in milliseconds.
    pub(crate) fn json(&self) -> serde_json::Value {
        let longest = |all: &[Duration]| ms(all.iter().max().copied().unwrap_or_default());
        serde_json::json!({
            "frames": self.counted.len(),
            "detections": self.took.len(),
            "frame_ms": ms(self.own()),
            "bare_gap_ms": { "median": ms(self.own()), "longest": longest(&self.bare) },
            "gap_ms": { "median": ms(median(&self.counted)), "longest": longest(&self.counted) },
            "longest_gap_of_each_detection_ms": self.longest.iter().map(|&gap| ms(gap)).collect::<Vec<_>>(),
            "detection_ms": ms(median(&self.took)),
            "warming": { "frames": self.warming.len(), "longest_gap_ms": longest(&self.warming) },
        })
    }
}

fn ms(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

fn median(all: &[Duration]) -> Duration {
    let mut sorted = all.to_vec();
    sorted.sort();
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}
