//! Curves and histograms as SVG.

use std::fmt::Write as _;

use super::coco::{Evaluation, Kind, RECALLS, iou_thresholds};

/// The drawing's width and height, and where its axes begin and end.
const SIZE: [f64; 2] = [560.0, 380.0];
const LEFT: f64 = 60.0;
const RIGHT: f64 = 430.0;
const TOP: f64 = 34.0;
const FOOT: f64 = 330.0;

/// Columns of a histogram.
const COLUMNS: usize = 20;

/// What finds something and what does not.
const RIGHT_COLOUR: &str = "#2a9d6f";
const WRONG_COLOUR: &str = "#d6453d";

/// Precision over recall at each of COCO's ten IoUs, the mean of all classes. Objects of all sizes.
pub fn precision_recall(evaluation: &Evaluation) -> String {
    let mut plot = Plot::new(&format!("Precision by recall, {}", noun(evaluation.kind)), ("recall", "precision"));
    plot.ticks([0.0, 1.0], &[0.0, 0.2, 0.4, 0.6, 0.8, 1.0], [0.0, 1.0], &[0.0, 0.2, 0.4, 0.6, 0.8, 1.0]);
    plot.key(0, None, "IoU: AP");
    for (i, threshold) in iou_thresholds().into_iter().enumerate() {
        let Some(precision) = evaluation.precision(i) else { continue };
        let colour = between([20, 90, 170], [230, 110, 20], i as f64 / 9.0);
        let at = |(r, p): (usize, &f64)| [r as f64 / (RECALLS - 1) as f64, *p];
        plot.line(precision.iter().enumerate().map(at), &colour);
        let mean = precision.iter().sum::<f64>() / RECALLS as f64;
        plot.key(i + 1, Some(&colour), &format!("{threshold:.2}: {mean:.3}"));
    }
    plot.finish()
}

/// How many results have which score, those apart that find something at IoU 0.5.
pub fn score_histogram(evaluation: &Evaluation) -> String {
    let mut plot = Plot::new(&format!("Scores of {}", noun(evaluation.kind)), ("score", "results"));
    let scores = evaluation.scores.iter().map(|s| s.0);
    // Probabilities, unless somebody's are not.
    let (low, high) = scores.fold((0.0_f64, 1.0_f64), |(low, high), s| (low.min(s), high.max(s)));
    let mut columns = [[0_usize; 2]; COLUMNS];
    for &(score, found) in &evaluation.scores {
        let at = ((score - low) / (high - low) * COLUMNS as f64) as usize;
        columns[at.min(COLUMNS - 1)][usize::from(!found)] += 1;
    }
    let most = columns.iter().map(|c| c[0] + c[1]).max().unwrap_or(0).max(1) as f64;
    let step = round_step(most / 5.0);
    let up: Vec<f64> = (0..).map(|i| f64::from(i) * step).take_while(|&v| v <= most).collect();
    let along: Vec<f64> = (0..=5).map(|i| low + (high - low) * f64::from(i) / 5.0).collect();
    plot.ticks([low, high], &along, [0.0, most], &up);
    for (i, [found, wrong]) in columns.into_iter().enumerate() {
        let (from, to) = (i as f64 / COLUMNS as f64, (i + 1) as f64 / COLUMNS as f64);
        plot.bar([from, to], [0.0, found as f64 / most], RIGHT_COLOUR);
        plot.bar([from, to], [found as f64 / most, (found + wrong) as f64 / most], WRONG_COLOUR);
    }
    let total = columns.iter().fold([0, 0], |[a, b], c| [a + c[0], b + c[1]]);
    plot.key(0, None, "at IoU 0.5");
    plot.key(1, Some(RIGHT_COLOUR), &format!("right: {}", total[0]));
    plot.key(2, Some(WRONG_COLOUR), &format!("wrong: {}", total[1]));
    plot.finish()
}

/// A colour on the way from one to another, as every reader of SVG knows it.
fn between(from: [u8; 3], to: [u8; 3], share: f64) -> String {
    let mix = |i: usize| (f64::from(from[i]) * (1.0 - share) + f64::from(to[i]) * share).round() as u8;
    format!("#{:02x}{:02x}{:02x}", mix(0), mix(1), mix(2))
}

fn noun(kind: Kind) -> &'static str {
    match kind {
        Kind::Boxes => "boxes",
        Kind::Masks => "masks",
    }
}

/// 1, 2 or 5 times a power of ten, a whole number, and at least so much.
fn round_step(least: f64) -> f64 {
    let ten = 10_f64.powf(least.max(1.0).log10().floor());
    [1.0, 2.0, 5.0, 10.0].map(|n| n * ten).into_iter().find(|&s| s >= least).unwrap_or(10.0 * ten)
}

/// A drawing with two axes. Places are shares of them, from the left and from the foot.
struct Plot {
    text: String,
}

impl Plot {
    fn new(title: &str, (along, up): (&str, &str)) -> Self {
        let [w, h] = SIZE;
        let mut plot = Self { text: String::new() };
        plot.put(format_args!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {w} {h}\" width=\"{w}\" height=\"{h}\" \
             font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"{w}\" height=\"{h}\" fill=\"white\"/>"
        ));
        let middle = (LEFT + RIGHT) / 2.0;
        plot.put(format_args!("<text x=\"{middle}\" y=\"20\" text-anchor=\"middle\" font-size=\"14\">{title}</text>"));
        plot.put(format_args!("<text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">{along}</text>", FOOT + 36.0));
        let height = (TOP + FOOT) / 2.0;
        plot.put(format_args!(
            "<text transform=\"translate(16 {height}) rotate(-90)\" text-anchor=\"middle\">{up}</text>"
        ));
        plot
    }

    fn put(&mut self, line: std::fmt::Arguments) {
        // A String takes whatever is written.
        let _ = writeln!(self.text, "{line}");
    }

    fn place([x, y]: [f64; 2]) -> [f64; 2] {
        [LEFT + (RIGHT - LEFT) * x, FOOT - (FOOT - TOP) * y]
    }

    /// Both axes with lines and numbers at these values of their ranges.
    fn ticks(&mut self, [x0, x1]: [f64; 2], along: &[f64], [y0, y1]: [f64; 2], up: &[f64]) {
        for value in along {
            let [x, _] = Self::place([(value - x0) / (x1 - x0), 0.0]);
            self.put(format_args!("<path d=\"M{x:.1} {FOOT}V{TOP}\" stroke=\"#ddd\"/>"));
            self.put(format_args!(
                "<text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                FOOT + 16.0,
                Tick(*value)
            ));
        }
        for value in up {
            let [_, y] = Self::place([0.0, (value - y0) / (y1 - y0)]);
            self.put(format_args!("<path d=\"M{LEFT} {y:.1}H{RIGHT}\" stroke=\"#ddd\"/>"));
            self.put(format_args!(
                "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                LEFT - 6.0,
                y + 4.0,
                Tick(*value)
            ));
        }
        self.put(format_args!("<path d=\"M{LEFT} {TOP}V{FOOT}H{RIGHT}\" fill=\"none\" stroke=\"#333\"/>"));
    }

    fn line(&mut self, points: impl Iterator<Item = [f64; 2]>, colour: &str) {
        let points: Vec<String> = points.map(Self::place).map(|[x, y]| format!("{x:.1},{y:.1}")).collect();
        self.put(format_args!(
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.6\"/>",
            points.join(" ")
        ));
    }

    fn bar(&mut self, [from, to]: [f64; 2], [low, high]: [f64; 2], colour: &str) {
        if high <= low {
            return;
        }
        let ([x0, y0], [x1, y1]) = (Self::place([from, high]), Self::place([to, low]));
        self.put(format_args!(
            "<rect x=\"{:.1}\" y=\"{y0:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"{colour}\"/>",
            x0 + 0.5,
            x1 - x0 - 1.0,
            y1 - y0
        ));
    }

    /// A line of the key, beside the axes.
    fn key(&mut self, row: usize, colour: Option<&str>, what: &str) {
        let y = TOP + 8.0 + 18.0 * row as f64;
        if let Some(colour) = colour {
            self.put(format_args!(
                "<rect x=\"{}\" y=\"{}\" width=\"14\" height=\"4\" fill=\"{colour}\"/>",
                RIGHT + 14.0,
                y - 6.0
            ));
        }
        self.put(format_args!("<text x=\"{}\" y=\"{y}\">{what}</text>", RIGHT + 34.0));
    }

    fn finish(mut self) -> String {
        self.text += "</svg>\n";
        self.text
    }
}

/// A number at an axis: two places, none of which is an idle zero.
struct Tick(f64);

impl std::fmt::Display for Tick {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let text = format!("{:.2}", self.0);
        f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_go_from_one_to_the_other() {
        let at = |share: f64| between([0, 10, 255], [255, 20, 1], share);
        assert_eq!([0.0, 0.5, 1.0].map(at), ["#000aff", "#800f80", "#ff1401"]);
    }

    #[test]
    fn steps_are_round_and_numbers_short() {
        assert_eq!([0.1, 1.0, 1.2, 3.0, 7.0, 30.0, 210.0].map(round_step), [1.0, 1.0, 2.0, 5.0, 10.0, 50.0, 500.0]);
        assert_eq!([0.0, 0.2, 100.0, -1.5, 0.25].map(|v| Tick(v).to_string()), ["0", "0.2", "100", "-1.5", "0.25"]);
    }
}
