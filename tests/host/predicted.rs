//! What plans should take on devices that are not here, by the profiles' model: what a change costs or brings there.

use maskrcnn::Precision;
use maskrcnn::engine::graph::{Bound, Plan};
use maskrcnn::engine::target::{Factors, PROFILES, Profile, profile};

use crate::networks::{plan, resnet50};

/// ResNet-50-FPN at 800×1216, as torchvision resizes most photos.
fn planned(profile: &Profile, factors: Factors) -> Plan {
    let (config, weights) = resnet50();
    plan(config, weights, 800, 1216, 1, &profile.target.with(factors))
}

/// Milliseconds of the whole.
fn milliseconds(plan: &Plan, profile: &Profile) -> f64 {
    1e3 * plan.predict(&profile.speeds).iter().map(|p| p.seconds).sum::<f64>()
}

/// Steps, gigabytes of traffic, and predicted milliseconds by profile, in f32 and in f16. A change that adds 3 % fails here;
/// one that saves some writes the new figures down.
#[test]
fn no_plan_for_a_gpu_gets_slower() {
    let mut failures = Vec::new();
    for (name, f32, f16) in [
        ("hopper", (119, 4.22, 13.4), (106, 2.05, 3.93)),
        ("ada", (119, 4.22, 11.7), (106, 2.08, 7.07)),
        ("rdna3", (119, 4.21, 18.1), (106, 2.06, 9.79)),
        ("rdna2", (119, 4.22, 26.4), (106, 2.13, 25.8)),
        ("apple-m", (101, 3.89, 44.9), (100, 2.06, 39.9)),
        ("xe", (119, 4.22, 343.0), (106, 2.13, 372.0)),
        ("adreno", (119, 4.22, 411.0), (106, 2.13, 424.0)),
    ] {
        let profile = profile(name).unwrap();
        for (factors, (steps, gigabytes, most)) in [(Factors::F32, f32), (Factors::F16, f16)] {
            let plan = planned(profile, factors);
            let traffic = plan.steps.iter().map(|s| s.cost.bytes).sum::<f64>() / 1e9;
            let predicted = milliseconds(&plan, profile);
            eprintln!("{name} {factors:?}: {} steps, {traffic:.2} GB, {predicted:.2} ms", plan.steps.len());
            let (less, more) = (0.97, 1.03);
            let worse = plan.steps.len() > steps || traffic > more * gigabytes || predicted > more * most;
            // Whoever made it faster should say so.
            if worse || predicted < less * most {
                failures.push(format!("{name} {factors:?}: {} steps, {traffic:.2} GB, {predicted:.2} ms, not {steps}, {gigabytes}, {most}", plan.steps.len()));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// The table of docs/INSTRUMENTS.md is this tree's.
#[test]
fn the_docs_say_what_is_predicted() {
    let docs = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/INSTRUMENTS.md")).unwrap();
    for (name, factors) in [("f32", Factors::F32), ("f16", Factors::F16)] {
        let row = docs.lines().find(|line| line.starts_with(&format!("| {name} ("))).unwrap();
        let said: Vec<f64> = row.split('|').filter_map(|cell| cell.trim().parse().ok()).collect();
        assert_eq!(said.len(), PROFILES.len(), "{row}");
        for (profile, said) in PROFILES.iter().zip(said) {
            let predicted = milliseconds(&planned(profile, factors), profile);
            assert!((said - predicted).abs() <= 0.01 * predicted, "{} {name}: {said}, is {predicted:.2}", profile.name);
        }
    }
}

/// Nobody who chose no precision gets f16 for less than a tenth of the time.
#[test]
fn f16_is_taken_by_itself_where_it_should_save_a_tenth() {
    for profile in &PROFILES {
        let taken = Precision::Auto.on(profile.name, profile.target).unwrap().wants;
        let [f32, f16] = [Factors::F32, Factors::F16].map(|f| milliseconds(&planned(profile, f), profile));
        let wanted = if f16 < 0.9 * f32 { Factors::F16 } else { Factors::F32 };
        assert!(taken == wanted, "{}: {f32:.1} ms in f32, {f16:.1} in f16", profile.name);
    }
}

/// Predictions follow what they are made from.
#[test]
fn predictions_follow_the_speeds() {
    let hopper = profile("hopper").unwrap();
    let plan = planned(hopper, Factors::F16);
    let sum = |profile: &Profile| milliseconds(&plan, profile);
    let base = sum(hopper);
    let with = |change: &dyn Fn(&mut Profile)| {
        let mut other = *hopper;
        change(&mut other);
        sum(&other)
    };
    let late = with(&|p| p.speeds.gap += 10e-6);
    assert!((late - base - 0.01 * plan.steps.len() as f64).abs() < 1e-6, "{late} {base}");
    assert!(with(&|p| p.speeds.clock *= 2.0) < 0.85 * base);
    assert!(with(&|p| p.speeds.memory /= 4.0) > 1.2 * base);
    assert!(with(&|p| p.speeds.cores /= 2.0) > 1.2 * base);
    let predictions = plan.predict(&hopper.speeds);
    let stages = plan.predicted_stages(&predictions);
    assert_eq!(stages.iter().map(|(.., steps)| steps).sum::<usize>(), plan.steps.len());
    assert!((1e3 * stages.iter().map(|(_, s, _)| s).sum::<f64>() - base).abs() < 1e-9);
    // No workgroup walks through more than 16 Ki elements of a selection.
    for step in &plan.steps {
        let node = &plan.graph.nodes[step.op];
        let elements = match node.op.name() {
            "topk_tiles" => node.inputs[0].shape().len().div_ceil(node.outputs[0].dim(2)),
            "topk_join" => node.inputs[0].dim(2) * node.inputs[0].dim(3),
            "topk" => node.inputs[0].shape().len() / node.inputs[1].dim(0),
            _ => 0,
        };
        assert!(elements <= 16384, "{}: {elements}", node.label);
    }
    assert!(
        predictions.iter().any(|p| p.bound == Bound::Turns) && predictions.iter().any(|p| p.bound == Bound::Memory)
    );
}
