//! Comparisons that collect what is wrong, so that one run shows every stage.

use maskrcnn::Mask;

/// What was measured, and what of it is too much.
#[derive(Default)]
pub(super) struct Report {
    lines: Vec<String>,
    /// Lines that must not be.
    pub failures: Vec<String>,
}

/// One instance, of either side.
#[derive(Clone)]
pub(super) struct Found {
    /// Box.
    pub bbox: [f32; 4],
    /// Score.
    pub score: f32,
    /// Class.
    pub label: u32,
}

impl Report {
    /// Notes a number that must not pass `limit`; NaN does.
    pub(super) fn at_most(&mut self, what: &str, value: f64, limit: f64) {
        let line = format!("{what}: {value:.2e} (at most {limit:.0e})");
        if value.is_nan() || value > limit {
            self.failures.push(line.clone());
        }
        self.lines.push(line);
    }

    /// Notes something that must hold.
    pub(super) fn holds(&mut self, what: String, holds: bool) {
        if !holds {
            self.failures.push(what);
        }
    }

    /// ‖got − want‖ / ‖want‖.
    pub(super) fn close(&mut self, stage: &str, got: &[f32], want: &[f32], limit: f64) {
        if got.len() != want.len() {
            return self.failures.push(format!("{stage}: {} values instead of {}", got.len(), want.len()));
        }
        let error = norm(got.iter().zip(want).map(|(&a, &b)| a as f64 - b as f64));
        let size = norm(want.iter().map(|&b| b as f64));
        self.at_most(stage, if error == 0.0 { 0.0 } else { error / size }, limit);
    }

    /// Pairs each wanted box with the nearest of ours that is still free; gives ours for each of the wanted.
    pub(super) fn pair(&mut self, what: &str, got: &[[f32; 4]], want: &[[f32; 4]], limit: f64) -> Vec<usize> {
        self.holds(format!("{what}: {} instead of {}", got.len(), want.len()), got.len() == want.len());
        let mut free: Vec<usize> = (0..got.len()).collect();
        let (mut pairs, mut worst) = (Vec::new(), 0.0f64);
        for w in want {
            let far = |&i: &usize| got[i].iter().zip(w).map(|(a, b)| (a - b).abs() as f64).fold(0.0, f64::max);
            // Of boxes equally near, the first: both sides list them by falling score.
            let Some(at) = (0..free.len()).min_by(|&a, &b| far(&free[a]).total_cmp(&far(&free[b]))) else { break };
            worst = worst.max(far(&free[at]));
            pairs.push(free.remove(at));
        }
        self.at_most(&format!("{what}, pixels"), worst, limit);
        pairs
    }

    /// Detections, paired one to one: boxes, scores and classes.
    pub(super) fn detections(
        &mut self,
        what: &str,
        got: &[Found],
        want: &[Found],
        pixels: f64,
        score: f64,
    ) -> Vec<usize> {
        let bare = |f: &[Found]| f.iter().map(|f| f.bbox).collect::<Vec<_>>();
        let pairs = self.pair(&format!("{what} boxes"), &bare(got), &bare(want), pixels);
        let paired = || pairs.iter().map(|&i| &got[i]).zip(want);
        let worst = paired().map(|(g, w)| (g.score - w.score).abs() as f64).fold(0.0, f64::max);
        self.at_most(&format!("{what} scores"), worst, score);
        let labels = paired().filter(|(g, w)| g.label != w.label).count();
        self.holds(format!("{what}: {labels} labels differ"), labels == 0);
        self.order(what, &pairs, |a, b| (got[a].score - got[b].score).abs() <= 1e-5);
        pairs
    }

    /// Two may stand in another order than the oracle's only where `tied`.
    pub(super) fn order(&mut self, what: &str, pairs: &[usize], tied: impl Fn(usize, usize) -> bool) {
        for (i, &a) in pairs.iter().enumerate() {
            for &b in &pairs[i + 1..] {
                self.holds(format!("{what}: {b} stands before {a}"), a < b || tied(a, b));
            }
        }
    }

    /// The least agreement of paired masks.
    pub(super) fn masks(&mut self, what: &str, got: &[Mask], want: &[Mask], pairs: &[usize]) {
        let (mut least, mut pixels) = (1.0f64, 0);
        for (&g, want) in pairs.iter().zip(want) {
            pixels += differing(&got[g], want).len();
            if got[g].area() + want.area() > 0 {
                least = least.min(got[g].iou(want));
            }
        }
        self.at_most(&format!("{what}, 1 - IoU ({pixels} pixels of all differ)"), 1.0 - least, 1e-2);
    }

    /// Prints what was measured.
    pub(super) fn print(&self, title: &str) {
        eprintln!("{title}:\n  {}", self.lines.join("\n  "));
    }

    /// Prints what was measured and fails with all that is wrong.
    pub(super) fn finish(self, title: &str) {
        self.print(title);
        assert!(self.failures.is_empty(), "{title}: {} failures:\n{}", self.failures.len(), self.failures.join("\n"));
    }
}

/// The Euclidean norm.
pub(super) fn norm(values: impl Iterator<Item = f64>) -> f64 {
    values.map(|v| v * v).sum::<f64>().sqrt()
}

/// The pixels that only one of two masks has.
pub(super) fn differing(a: &Mask, b: &Mask) -> Vec<(u32, u32)> {
    let (w, h) = ((a.x + a.w).max(b.x + b.w), (a.y + a.h).max(b.y + b.h));
    let all = (0..h).flat_map(|y| (0..w).map(move |x| (x, y)));
    all.filter(|&(x, y)| a.get(x, y) != b.get(x, y)).collect()
}
