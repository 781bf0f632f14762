//! `maskrcnn graph`

use std::fmt::Write as _;

use maskrcnn::engine::compiled::PlannedNetwork;
use maskrcnn::engine::graph::Plan;
use maskrcnn::engine::model::NetworkSize;
use maskrcnn::engine::weights::NetworkWeights;
use maskrcnn::{Error, Result};
use serde_json::json;

use super::class::Class;
use super::model::Model;
use super::size::Size;

/// The options of `graph`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Weights, as for --weights.
    #[arg(value_name = "FILE|NAME", conflicts_with = "weights")]
    file: Option<std::path::PathBuf>,
    #[command(flatten)]
    model: Model,
    /// The image's rows x columns, before it is resized.
    #[arg(long, visible_alias = "size", value_name = "RxC", default_value = "640x640")]
    image_size: Size,
    /// Print the plan as JSON instead of tables.
    #[arg(long, conflicts_with = "dot")]
    json: bool,
    /// Draw it for Graphviz: `maskrcnn graph --dot | dot -Tsvg > plan.svg`.
    #[arg(long)]
    dot: bool,
}

/// Prints the plan. `--device none` plans for the least device, as does a machine without one; `--device profile:NAME` for a
/// class of devices, with what each step should take there.
pub(super) fn run(args: &Args) -> Result<()> {
    let (file, config) = args.model.read(args.file.as_deref())?;
    let mut class = Class::of(args.model.choice())?;
    class.target = args.model.precision().on(&class.name, class.target)?;
    let Size { height, width } = args.image_size;
    let too_large = |what: String, need: u64| Error::Limit {
        what,
        need,
        limit: class.max_binding,
        cure: "use a smaller image or input size, or a device with larger buffers".into(),
    };
    let image = u64::from(height).saturating_mul(u64::from(width)).saturating_mul(3);
    if image > class.max_binding {
        return Err(too_large(format!("--image-size {height}x{width}: a binding of the image's bytes"), image));
    }
    let weights = NetworkWeights::load(&file, &config)?;
    let named = |e: Error| match e {
        Error::Image { reason, .. } => Error::Image { name: format!("of --image-size {height}x{width}"), reason },
        other => other,
    };
    let tuning = args.model.tuning(class.key.as_deref());
    let planned = PlannedNetwork::for_image(&config, &weights, &class.target, &tuning, (height, width));
    let (size, PlannedNetwork { plan, .. }) = planned.map_err(named)?;
    let text = match () {
        () if args.dot => plan.dot(),
        () if args.json => json(&config.name, &class, &size, &plan),
        () => table(&config.name, &class, &size, &plan),
    };
    super::print(text.as_bytes())?;

    // Told after the plan: it is there to find out why.
    let used = (0..plan.graph.tensors.len()).rev().filter(|&t| plan.lifetimes[t].is_some());
    match used.max_by_key(|&t| plan.bytes(t)) {
        Some(t) if plan.bytes(t) > class.max_binding => {
            Err(too_large(format!("a binding of `{}`", plan.graph.tensors[t].label), plan.bytes(t)))
        }
        _ => Ok(()),
    }
}

fn table(name: &str, class: &Class, size: &NetworkSize, plan: &Plan) -> String {
    let sides = |(h, w): (u32, u32)| format!("{h}×{w}");
    let mut out = String::new();
    let predictions = class.speeds.map(|speeds| plan.predict(&speeds));
    let told = class.predicted.as_ref().map_or_else(String::new, |told| format!("times are predicted {told}\n"));
    // Writing to a string cannot fail.
    let _ = write!(
        out,
        "{name}\nimage {} (rows × columns), resized to {}, planned for {}\ndevice {}, {} MiB a binding, products of {}\n{told}\n{}",
        sides(size.input),
        sides(size.resized),
        sides(size.padded),
        class.name,
        class.max_binding >> 20,
        if class.target.wants_f16() { "f16" } else { "f32" },
        plan.table(predictions.as_deref())
    );
    out
}

fn json(name: &str, class: &Class, size: &NetworkSize, plan: &Plan) -> String {
    let sides = |(h, w): (u32, u32)| json!([h, w]);
    let mut all = plan.json();
    all["model"] = name.into();
    all["image"] = sides(size.input);
    all["resized"] = sides(size.resized);
    all["padded"] = sides(size.padded);
    all["device"] = class.name.as_str().into();
    all["max_binding"] = class.max_binding.into();
    all["products"] = if class.target.wants_f16() { "f16" } else { "f32" }.into();
    if let Some(told) = &class.predicted {
        all["predicted"] = told.as_str().into();
    }
    if let Some(speeds) = &class.speeds {
        let predictions = plan.predict(speeds);
        if let Some(steps) = all["steps"].as_array_mut() {
            for (step, p) in steps.iter_mut().zip(&predictions) {
                step["predicted_seconds"] = p.seconds.into();
                step["bound_by"] = p.bound.name().into();
            }
        }
        let stages = plan.predicted_stages(&predictions);
        all["predicted_stages"] = stages
            .iter()
            .map(|(stage, seconds, steps)| json!({ "stage": stage, "seconds": seconds, "steps": steps }))
            .collect();
        all["predicted_seconds"] = predictions.iter().map(|p| p.seconds).sum::<f64>().into();
    }
    format!("{all:#}\n")
}
