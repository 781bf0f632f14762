//! The numbers as text and as JSON.

use maskrcnn::engine::eval::{Evaluation, Kind, Matching, Summary};
use serde_json::{Value, json};

use super::Outcome;
use crate::cli::words::{count, width};

/// The numbers as lines of text: COCO's, then the table of the matching.
pub(super) fn text(outcome: &Outcome, per_class: bool) -> Vec<String> {
    let annotations = &outcome.paired.annotations;
    let mut out = vec![
        format!(
            "{}: {}, {}, {}",
            annotations.file,
            count(annotations.images.len(), "image"),
            count(annotations.truths.len(), "annotation"),
            match annotations.categories.len() {
                1 => "1 category".into(),
                n => format!("{n} categories"),
            }
        ),
        format!("{}: {}", outcome.results, count(outcome.paired.predictions.len(), "result")),
    ];
    for evaluation in &outcome.evaluations {
        out.extend([String::new(), name(evaluation.kind).into()]);
        out.extend(evaluation.summary().lines());
    }
    if per_class {
        out.extend(classes(outcome));
    }
    out.push(String::new());
    out.push(format!("{} matched one to one, scores from {} on", name(outcome.kind), outcome.score));
    out.push("  IoU      tp      fp      fn  precision  recall  accuracy     F1     PQ".into());
    for m in &outcome.matching {
        out.push(format!(
            " {:.2}  {:>6}  {:>6}  {:>6}      {:.3}   {:.3}     {:.3}  {:.3}  {:.3}",
            m.threshold,
            m.found,
            m.wrong,
            m.missed,
            m.precision(),
            m.recall(),
            m.accuracy(),
            m.f1(),
            m.panoptic_quality()
        ));
    }
    out
}

/// A line for each class that has objects or results.
fn classes(outcome: &Outcome) -> Vec<String> {
    let rows = rows(outcome);
    let wide = width(rows.iter().map(|r| r.name.as_str())).max("class".len());
    let head = |e: &Evaluation| format!("  | {}  AP   AP50   AP75     AR", name(e.kind));
    let heads: String = outcome.evaluations.iter().map(head).collect();
    let mut out = vec![String::new(), format!("{:<wide$}  objects  results{heads}", "class")];
    for row in rows {
        let numbers = |s: &Summary| {
            let [ap, ap50, ap75, ar] = [0, 1, 2, 8].map(|at| number(s, at));
            format!("  | {ap:>9} {ap50:>6} {ap75:>6} {ar:>6}")
        };
        let numbers: String = row.summaries.iter().map(numbers).collect();
        out.push(format!("{:<wide$}  {:>7}  {:>7}{numbers}", row.name, row.objects, row.results));
    }
    out
}

/// A blank stands for what there is nothing of.
fn number(summary: &Summary, at: usize) -> String {
    let value = summary.stats[at];
    if value < 0.0 { "-".into() } else { format!("{value:.3}") }
}

/// A class that has objects or results.
struct Row {
    id: u32,
    name: String,
    objects: usize,
    results: usize,
    summaries: Vec<Summary>,
}

fn rows(outcome: &Outcome) -> Vec<Row> {
    let (paired, annotations) = (&outcome.paired, &outcome.paired.annotations);
    let row = |(at, class): (usize, &maskrcnn::engine::eval::Category)| Row {
        id: class.id,
        name: class.name.clone(),
        objects: annotations.truths.iter().filter(|t| t.category == at && !t.crowd).count(),
        results: paired.predictions.iter().filter(|p| p.category == at).count(),
        summaries: outcome.evaluations.iter().map(|e| e.of_class(at)).collect(),
    };
    let rows = annotations.categories.iter().enumerate().map(row);
    rows.filter(|row| row.objects + row.results > 0).collect()
}

pub(super) fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Boxes => "boxes",
        Kind::Masks => "masks",
    }
}

/// All numbers, those of each class too.
pub(super) fn json(outcome: &Outcome) -> Value {
    let annotations = &outcome.paired.annotations;
    let mut out = json!({
        "annotations": annotations.file,
        "results": outcome.results,
        "images": annotations.images.len(),
        "objects": annotations.truths.iter().filter(|t| !t.crowd).count(),
        "crowds": annotations.truths.iter().filter(|t| t.crowd).count(),
        "predictions": outcome.paired.predictions.len(),
        "matching": {
            "of": name(outcome.kind),
            "score": outcome.score,
            "by_iou": outcome.matching.iter().map(matched).collect::<Vec<_>>(),
        },
    });
    for evaluation in &outcome.evaluations {
        out[name(evaluation.kind)] = numbers(&evaluation.summary());
    }
    let class = |row: &Row| {
        let mut out = json!({ "id": row.id, "name": row.name, "objects": row.objects, "predictions": row.results });
        for (evaluation, summary) in outcome.evaluations.iter().zip(&row.summaries) {
            out[name(evaluation.kind)] = numbers(summary);
        }
        out
    };
    out["classes"] = rows(outcome).iter().map(class).collect();
    out
}

/// -1 where there is nothing of it, as in pycocotools' `stats`.
fn numbers(summary: &Summary) -> Value {
    let mut out = json!({ "max_dets": summary.max_dets, "stats": summary.stats });
    for (name, value) in summary.names().into_iter().zip(summary.stats) {
        out[name] = value.into();
    }
    out
}

fn matched(m: &Matching) -> Value {
    json!({
        "iou": m.threshold,
        "tp": m.found,
        "fp": m.wrong,
        "fn": m.missed,
        "precision": m.precision(),
        "recall": m.recall(),
        "accuracy": m.accuracy(),
        "f1": m.f1(),
        "mean_matched_iou": m.mean_iou(),
        "panoptic_quality": m.panoptic_quality(),
    })
}
