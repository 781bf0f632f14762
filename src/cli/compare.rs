//! `maskrcnn compare`

use std::collections::HashMap;
use std::path::PathBuf;

use maskrcnn::engine::eval::{Agreement, Difference, Limits, Results};
use maskrcnn::engine::vision::coco::ImageId;
use maskrcnn::{Error, Result};
use serde_json::{Value, json};

use super::words::count;

/// Quantiles of the differences that are told.
const QUANTILES: [(&str, f64); 4] = [("median", 0.5), ("90 %", 0.9), ("99 %", 0.99), ("worst", 1.0)];

/// The options of `compare`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// COCO results, or a folder of such files as `detect` writes it.
    #[arg(value_name = "A.json")]
    a: PathBuf,
    /// Those of the other side, with the same image ids.
    #[arg(value_name = "B.json")]
    b: PathBuf,
    /// Results that score this or more must have a partner on the other side.
    #[arg(long, default_value_t = 0.1, value_parser = super::share)]
    score: f32,
    /// Partners' corners differ by no more than this in x or y.
    #[arg(long, value_name = "PIXELS", default_value_t = 0.5, value_parser = amount)]
    max_corner: f64,
    /// Partners' scores differ by no more than this.
    #[arg(long, value_name = "SHARE", default_value_t = 0.005, value_parser = amount)]
    max_score: f64,
    /// The IoU that partners' masks have at least.
    #[arg(long, value_name = "IOU", default_value_t = 0.98, value_parser = amount)]
    min_iou: f64,
    /// Compare boxes alone, where there are masks too.
    #[arg(long)]
    boxes: bool,
    /// Exit with 1 where the matched share is less, 0 to 1.
    #[arg(long, value_name = "SHARE", value_parser = amount)]
    fail_under: Option<f64>,
    /// How many images, and how many results without a partner, are listed.
    #[arg(long, value_name = "N", default_value_t = 10)]
    shown: usize,
    /// Print the comparison as JSON, with everything that has no partner.
    #[arg(long)]
    json: bool,
}

/// A number that is not negative.
fn amount(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|v: &f64| v.is_finite() && *v >= 0.0).ok_or("is not a number from 0 on".into())
}

/// Pairs the results and prints the outcome; false where fewer than wanted have a partner.
pub(super) fn run(args: &Args) -> Result<bool> {
    let (a, b) = (Results::read(&args.a)?, Results::read(&args.b)?);
    check_images(args, &a, &b)?;
    let limits = Limits {
        // As it was written, not as the nearest f32.
        score: args.score.to_string().parse().unwrap_or_else(|_| args.score.into()),
        corner: args.max_corner,
        score_difference: args.max_score,
        iou: args.min_iou,
        boxes_only: args.boxes,
    };
    let agreement = Agreement::new(a, b, &limits)?;
    let passed = args.fail_under.is_none_or(|least| agreement.share() >= least);
    match args.json {
        true => say!("{:#}", as_json(args, &agreement, passed)),
        false => show(args, &agreement),
    }
    if let Some(least) = args.fail_under.filter(|_| !passed) {
        note!("error: the matched share, {:.4}, is under {least}", agreement.share());
    }
    Ok(passed)
}

/// Refuses files of which no image is in both.
fn check_images(args: &Args, a: &Results, b: &Results) -> Result<()> {
    let ids: HashMap<&ImageId, ()> = a.entries.iter().map(|e| (&e.image_id, ())).collect();
    let apart = !a.entries.is_empty() && !b.entries.is_empty();
    if apart && !b.entries.iter().any(|e| ids.contains_key(&e.image_id)) {
        let reason = format!(
            "has no image of {}: image ids are {}, and there {}",
            args.a.display(),
            show_id(&b.entries[0].image_id),
            show_id(&a.entries[0].image_id)
        );
        return Err(Error::Dataset { file: args.b.display().to_string(), reason });
    }
    Ok(())
}

fn show_id(id: &ImageId) -> String {
    match id {
        ImageId::Number(n) => n.to_string(),
        ImageId::Name(name) => name.clone(),
    }
}

fn show(args: &Args, agreement: &Agreement) {
    let (a, b) = (args.a.display(), args.b.display());
    let [in_a, in_b] = agreement.counts;
    say!("{}, scores from {} on: {in_a} in {a} (A), {in_b} in {b} (B)", count(agreement.images, "image"), args.score);
    let limits = if agreement.masks { format!(", mask IoU {}", args.min_iou) } else { String::new() };
    say!(
        "{} within {} px, score {}{limits}; {} without a partner, {} of them only as the scores straddle {}",
        count(agreement.pairs.len(), "pair"),
        args.max_corner,
        args.max_score,
        agreement.unmatched.len(),
        agreement.straddling,
        args.score
    );
    say!("matched share {:.4}", agreement.share());
    if !agreement.pairs.is_empty() {
        let heads: String = QUANTILES.iter().map(|q| format!("{:>11}", q.0)).collect();
        say!("\npairs differ by  {heads}  worst in");
        for (title, of) in measures(agreement.masks) {
            let values = sorted(agreement, of);
            let row: String = QUANTILES.iter().map(|q| format!("{:>11.3}", Short(quantile(&values, q.1)))).collect();
            let worst = agreement.pairs.iter().max_by(|a, b| of(a).total_cmp(&of(b)));
            let worst = worst.filter(|w| of(w) > 0.0).map(|w| show_id(&w.image)).unwrap_or_default();
            say!("{}", format!("{title:<16} {row}  {worst}").trim_end());
        }
    }
    if agreement.unmatched.is_empty() {
        return;
    }
    say!("\nimages to look at");
    let worst = worst_images(agreement);
    for (image, [of_a, of_b]) in worst.iter().take(args.shown) {
        say!("{:<24} without a partner: {of_a} of A, {of_b} of B", show_id(image));
    }
    more(worst.len(), args.shown, "image");
    say!("\nwithout a partner");
    for u in agreement.unmatched.iter().take(args.shown) {
        let [x0, y0, x1, y1] = u.corners;
        let file = ["A", "B"][u.side];
        say!("{} {file} {:.4} [{x0:.1} {y0:.1} {x1:.1} {y1:.1}]: {}", show_id(&u.image), u.score, u.because);
    }
    more(agreement.unmatched.len(), args.shown, "result");
}

fn more(all: usize, shown: usize, what: &str) {
    if all > shown {
        say!("… and {} more (--shown changes this)", count(all - shown, what));
    }
}

/// A number of three digits, however small.
struct Short(f64);

impl std::fmt::Display for Short {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let text = match self.0 {
            0.0 => "0".to_string(),
            v if v < 1e-3 => format!("{v:.1e}"),
            v => format!("{v:.4}"),
        };
        // The width is the caller's; its precision would cut the text.
        write!(f, "{text:>width$}", width = f.width().unwrap_or(0))
    }
}

type Measure = fn(&Difference) -> f64;

fn measures(masks: bool) -> Vec<(&'static str, Measure)> {
    let mut out: Vec<(&'static str, Measure)> = vec![("corner, px", |d| d.corner), ("score", |d| d.score)];
    if masks {
        out.push(("1 - mask IoU", |d| 1.0 - d.iou));
    }
    out
}

fn sorted(agreement: &Agreement, of: Measure) -> Vec<f64> {
    let mut values: Vec<f64> = agreement.pairs.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values
}

/// Between the two nearest, in proportion. There is at least one.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let at = share * (sorted.len() - 1) as f64;
    let (low, high) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
    low + (high - low) * at.fract()
}

/// Images with results that have no partner, those with the most first.
fn worst_images(agreement: &Agreement) -> Vec<(&ImageId, [usize; 2])> {
    let mut out: Vec<(&ImageId, [usize; 2])> = Vec::new();
    let mut places: HashMap<&ImageId, usize> = HashMap::new();
    for u in &agreement.unmatched {
        let at = *places.entry(&u.image).or_insert_with(|| {
            out.push((&u.image, [0; 2]));
            out.len() - 1
        });
        out[at].1[u.side] += 1;
    }
    out.sort_by_key(|(_, [a, b])| std::cmp::Reverse(a + b));
    out
}

fn as_json(args: &Args, agreement: &Agreement, passed: bool) -> Value {
    let of = |(title, of): (&str, Measure)| {
        let values = sorted(agreement, of);
        let told = QUANTILES.map(|(name, share)| (name.to_string(), json!(quantile(&values, share))));
        (title.to_string(), Value::Object(told.into_iter().collect()))
    };
    let measures = if agreement.pairs.is_empty() { Vec::new() } else { measures(agreement.masks) };
    let image = |(id, [a, b]): (&ImageId, [usize; 2])| json!({ "image_id": id, "unmatched": [a, b] });
    let unmatched = agreement.unmatched.iter().map(|u| {
        json!({
            "image_id": u.image,
            "file": u.side + 1,
            "score": u.score,
            "corners": u.corners,
            "because": u.because,
        })
    });
    json!({
        "files": [args.a.display().to_string(), args.b.display().to_string()],
        "limits": { "score": args.score, "corner": args.max_corner, "score_difference": args.max_score, "iou": args.min_iou },
        "images": agreement.images,
        "counts": agreement.counts,
        "pairs": agreement.pairs.len(),
        "share": agreement.share(),
        "passed": passed,
        "straddling": agreement.straddling,
        "masks": agreement.masks,
        "differences": measures.into_iter().map(of).collect::<serde_json::Map<_, _>>(),
        "images_to_look_at": worst_images(agreement).into_iter().map(image).collect::<Vec<_>>(),
        "unmatched": unmatched.collect::<Vec<_>>(),
    })
}
