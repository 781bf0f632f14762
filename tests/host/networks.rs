//! Plans of whole networks: their memory, their arithmetic, what runs their products.

use std::sync::OnceLock;

use maskrcnn::engine::compiled::PlannedNetwork;
use maskrcnn::engine::config::Config;
use maskrcnn::engine::graph::{Plan, Source, Step, Tuning};
use maskrcnn::engine::kernels::{Schedule, rounded_to_f16};
use maskrcnn::engine::model::{Capacity, RoiSource};
use maskrcnn::engine::target::{Caps, Factors, Matrices, Matrix, Target};
use maskrcnn::engine::weights::{NetworkWeights, WeightsFile, synth};

use crate::plan::{CPU, MIB, bytes, check, targets};

fn nuclei() -> (Config, NetworkWeights) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/nuclei.safetensors");
    let file = WeightsFile::open(path).unwrap();
    let config = file.config().unwrap();
    let weights = NetworkWeights::load(&file, &config).unwrap();
    (config, weights)
}

pub(crate) fn resnet50() -> &'static (Config, NetworkWeights) {
    static NETWORK: OnceLock<(Config, NetworkWeights)> = OnceLock::new();
    NETWORK.get_or_init(|| {
        let config = Config::maskrcnn_resnet50_fpn();
        let weights = NetworkWeights::load(&synth::synthetic_file(&config, 1).unwrap(), &config).unwrap();
        (config, weights)
    })
}

pub(crate) fn plan(
    config: &Config,
    weights: &NetworkWeights,
    height: usize,
    width: usize,
    batch: usize,
    target: &Target,
) -> Plan {
    let pixels = height * width;
    let (image_words, mask_words) = (pixels * 3 / 4, pixels / 4);
    let pyramid_bytes = Capacity::PYRAMID_BYTES;
    let capacity = Capacity {
        height,
        width,
        batch,
        roi_shift: 0,
        taps: 2,
        image_words,
        mask_words,
        pyramid_bytes,
        rois: RoiSource::Rpn,
    };
    PlannedNetwork::new(config, weights, capacity, target, &Tuning::default()).unwrap().plan
}

#[test]
fn the_default_model_is_small() {
    let (config, weights) = nuclei();
    let whole = CPU;
    let p = plan(&config, &weights, 640, 640, 1, &whole);
    assert_eq!(check(&p), Ok(()));
    let (activations, live) = (p.activation_bytes() as f64 / MIB, p.live_bytes() as f64 / MIB);
    let constants = p.constant_bytes() as f64 / MIB;
    eprintln!(
        "{} steps, {} slots, {activations:.1} MiB of slots, {live:.1} MiB alive, {constants:.1} MiB of constants",
        p.steps.len(),
        p.slots.len(),
    );
    assert!(p.steps.len() <= 80, "{} steps", p.steps.len());
    assert!(p.slots.len() <= 16, "{} slots", p.slots.len());
    assert!(activations <= 80.0, "{activations:.1} MiB");
    // How close to the least that is possible. Slots are no ranges of one buffer: the largest must hold the largest
    // tensor of any step, the second the second largest of any step, and so on.
    let mut least: Vec<u64> = Vec::new();
    for step in 0..p.steps.len() {
        let mut alive: Vec<u64> = p.alive(step).map(|t| p.bytes(t)).collect();
        alive.sort_unstable_by(|a, b| b.cmp(a));
        least.resize(least.len().max(alive.len()), 0);
        alive.iter().zip(&mut least).for_each(|(bytes, slot)| *slot = (*slot).max(*bytes));
    }
    let least = least.iter().sum::<u64>() as f64 / MIB;
    assert!(activations <= 1.15 * least, "{activations:.1} MiB of slots, and {least:.1} MiB could be enough");
    let again = plan(&config, &weights, 640, 640, 1, &whole);
    assert_eq!(p.to_string(), again.to_string());
}

/// Every size that photos lead to, and batches: plans are sound, and grow with the batch.
#[test]
fn the_default_model_is_planned_soundly_at_any_size() {
    let (config, weights) = nuclei();
    for target in targets() {
        for (h, w) in [(32, 32), (32, 1280), (640, 960), (1280, 640)] {
            assert_eq!(check(&plan(&config, &weights, h, w, 1, &target)), Ok(()), "{h}x{w} {target:?}");
        }
        let (one, two) = (plan(&config, &weights, 320, 320, 1, &target), plan(&config, &weights, 320, 320, 2, &target));
        assert_eq!(check(&two), Ok(()));
        // Where ops are taken apart, larger ones are more pieces, and those of one piece may need no splitting.
        if target.pays.live_grids {
            assert!(one.steps.len() <= two.steps.len());
        }
        assert!(two.activation_bytes() > one.activation_bytes());
    }
}

/// 128 MiB is what WebGPU promises a binding.
#[test]
fn resnet50_fits_the_least_bindings_at_its_largest_size() {
    const PROMISED: u64 = 128 << 20;
    let (config, weights) = resnet50();
    for target in targets() {
        let p = plan(config, weights, 1344, 1344, 1, &target);
        assert_eq!(check(&p), Ok(()));
        for t in &p.graph.tensors {
            assert!(bytes(&t.info) <= PROMISED, "`{}` {:?}: {:.1} MiB", t.label, t.info, bytes(&t.info) as f64 / MIB);
        }
        for step in &p.steps {
            let op = &p.graph.nodes[step.op];
            for (i, t) in op.inputs.iter().enumerate() {
                if let Source::Constant(value) = &p.graph.tensors[t.id].source
                    && op.op.weight_layout(i, &step.variant).is_some()
                    && !step.variant.textures.contains(&i)
                {
                    let packed = op.op.pack(i, value, &step.variant);
                    assert!(packed.bytes().len() as u64 <= PROMISED, "`{}` input {i}, packed", op.label);
                }
            }
            assert!(step.launch.grid.iter().all(|&n| n <= 65_535), "`{}`: grid {:?}", op.label, step.launch.grid);
        }
        eprintln!(
            "{} slots, {:.1} MiB of slots, {:.1} MiB alive",
            p.slots.len(),
            p.activation_bytes() as f64 / MIB,
            p.live_bytes() as f64 / MIB
        );
    }
}

/// Where f16 is wanted, all products are of f16, matrix units multiply the large ones, and none is Winograd's but theirs: 3×3
/// convolutions with workgroups enough, on devices with memory for it. That a device could changes nothing by itself.
#[test]
fn matrices_multiply_what_is_large_where_f16_is_wanted() {
    let (config, weights) = resnet50();
    let matrices: Matrices = Matrix::ALL.into_iter().filter(|m| !m.f32_factors).collect();
    let gpu = Caps { subgroup: Some(32), max_invocations: 1024, workgroup_bytes: 49152, ..Caps::MINIMUM };
    let able = Caps { f16: true, matrices, ..gpu };
    let on = |can| Target { can, ..Target::MINIMUM };
    let planned = |target: &Target| plan(config, weights, 800, 1088, 1, target);
    let exact = planned(&on(able));
    assert_eq!(exact.to_string(), planned(&on(gpu)).to_string());
    assert!(exact.steps.iter().all(|s| !s.variant.f16 && !s.variant.matrices));
    // Those of f32 are another matter: what is multiplied in blocks goes to them, but for Winograd's products.
    let wide = planned(&on(Caps { matrices: [Matrix::F32].into_iter().collect(), ..able }));
    assert!(wide.steps.iter().all(|s| !s.variant.f16));
    let blocked = |s: &&Step| {
        let any = matches!(s.variant.schedule, Schedule::Blocked(_) | Schedule::Matrix(_));
        any && wide.graph.nodes[s.op].op.name() != "winograd_gemm"
    };
    assert!(wide.steps.iter().filter(blocked).all(|s| s.variant.matrices && s.variant.schedule.wide()));
    assert!(wide.steps.iter().filter(blocked).count() > 40);

    for (can, name) in [
        (able, "matrix-16"),
        (Caps { matrices: [Matrix::of_f16(8)].into_iter().collect(), ..able }, "matrix-8"),
        (Caps { matrices: Matrices::NONE, ..able }, "blocked-"),
    ] {
        let p = planned(&on(can).with(Factors::F16));
        assert_eq!(check(&p), Ok(()));
        // Without matrices Winograd's products are of f32, and what they are made of and give is f16.
        let whole = if can.matrices == Matrices::NONE { "winograd_conv2d" } else { "winograd_matrix" };
        let (mut large, mut all, mut points) = (0.0, 0.0, 0);
        for step in &p.steps {
            let op = &p.graph.nodes[step.op];
            let kernel = op.op.name();
            points += usize::from(kernel == whole);
            assert!(kernel == whole || !kernel.starts_with("winograd"), "`{}` is taken apart", op.label);
            if kernel == "winograd_conv2d" {
                let in_memory = ["X_F16", "Y_F16"].map(|name| step.variant.find(name));
                assert_eq!(in_memory, [Some(1); 2], "`{}`: {}", op.label, step.variant);
            }
            if ["conv2d", "winograd_matrix", "linear", "predict", "deconv2d", "split_product"].contains(&kernel) {
                assert!(step.variant.f16, "`{}`: {kernel} {}", op.label, step.variant);
                all += step.cost.flops;
                large += if step.variant.name.starts_with(name) { step.cost.flops } else { 0.0 };
            }
        }
        assert!(large > 0.98 * all, "{name}: {:.3} of the arithmetic", large / all);
        assert!(points > 10, "{name}: {points} by Winograd's products");
    }
}

/// Multiply-adds of a ResNet-50-FPN network's parts, in 10^9, as torchvision's own modules would do them: backbone, FPN
/// laterals, FPN outputs, RPN head, box head, mask head.
fn gmac(config: &Config, weights: &NetworkWeights, height: usize, width: usize) -> [f64; 6] {
    // A CPU driver without texels takes nothing apart.
    let p = plan(config, weights, height, width, 1, &CPU);
    assert!(p.steps.iter().all(|s| s.cost.flops >= 0.0 && s.cost.bytes > 0.0));
    let mut parts = [0.0; 6];
    let mask = (100 * 28 * 28 * 256) as f64;
    for step in &p.steps {
        let op = &p.graph.nodes[step.op];
        let macs = match op.op.name() {
            // Ours computes it once more; torchvision takes every second pixel of P5.
            _ if op.label == "P6" => continue,
            // Our images have a fourth channel of zeros.
            "conv2d" if op.label == "stem" => step.cost.flops / 2.0 * 3.0 / 4.0,
            "conv2d" | "linear" | "predict" | "deconv2d" => step.cost.flops / 2.0,
            // Ours predicts the mask of the class that was found; torchvision's 1×1 convolution those of all classes.
            "mask_predict" => mask * config.num_classes as f64,
            "deconv_predict" => step.cost.flops / 2.0 + mask * (config.num_classes - 1) as f64,
            _ => continue,
        };
        let part = match op.stage {
            "FPN" if op.label.starts_with("lateral") => 1,
            "FPN" => 2,
            "RPN" => 3,
            "box head" => 4,
            "mask head" => 5,
            _ => 0,
        };
        parts[part] += macs / 1e9;
    }
    parts
}

/// Reference arithmetic, with 1000 box and 100 mask RoIs, as counted from torchvision's modules (fvcore's convention: a
/// multiply-add is one), to 0.1 GMAC.
#[test]
fn resnet50_costs_what_torchvision_s_does() {
    let (config, weights) = resnet50();
    let second = Config::maskrcnn_resnet50_fpn_v2();
    let second_weights = NetworkWeights::load(&synth::synthetic_file(&second, 1).unwrap(), &second).unwrap();
    for (width, parts, total, total_v2) in [
        (800, [52.13, 4.92, 31.33, 31.64, 14.36, 53.21], 187.6, 333.6),
        (1088, [70.90, 6.68, 42.61, 43.02, 14.36, 53.21], 230.8, 388.1),
        (1344, [87.58, 8.26, 52.64, 53.15, 14.36, 53.21], 269.2, 436.6),
    ] {
        let ours = gmac(config, weights, 800, width);
        let near = |a: f64, b: f64| (a - b).abs() <= 0.1;
        assert!(ours.iter().zip(parts).all(|(a, b)| near(*a, b)), "{width}: {ours:.2?} instead of {parts:?}");
        let sum: f64 = ours.iter().sum();
        assert!(near(sum, total), "{width}: {sum:.2} instead of {total}");
        let sum: f64 = gmac(&second, &second_weights, 800, width).iter().sum();
        assert!(near(sum, total_v2), "{width}, v2: {sum:.2} instead of {total_v2}");
    }
}

/// Rounding is all that f16 does to the default model's weights: a row of small ones would lose more, and would have to
/// be scaled.
#[test]
fn f16_holds_every_row_of_the_default_model() {
    let (config, weights) = nuclei();
    let p = plan(&config, &weights, 320, 320, 1, &Target::MINIMUM);
    let mut rows = 0;
    for op in &p.graph.nodes {
        let Some(Source::Constant(weight)) = op.inputs.get(1).map(|t| &p.graph.tensors[t.id].source) else { continue };
        if !["conv2d", "linear", "predict", "deconv2d"].contains(&op.op.name()) {
            continue;
        }
        let (rounded, len) = (rounded_to_f16(weight), weight.shape.len() / weight.shape.dim(0));
        for (row, near) in weight.floats().chunks(len).zip(rounded.floats().chunks(len)) {
            let norm = |v: &mut dyn Iterator<Item = f64>| v.map(|x| x * x).sum::<f64>().sqrt();
            let lost = norm(&mut row.iter().zip(near).map(|(&a, &b)| f64::from(a) - f64::from(b)));
            let whole = norm(&mut row.iter().map(|&a| f64::from(a)));
            assert!(lost <= whole / 2048.0, "`{}`: {lost:.1e} of {whole:.1e}", op.label);
            rows += 1;
        }
    }
    assert!(rows > 1000, "only {rows} rows were looked at");
}

/// As many levels as the body has features, and one more: nothing counts on four and five.
#[test]
fn a_body_of_other_stages_has_a_pyramid_of_its_own() {
    for stages in 1..=4 {
        let mut config = Config::default();
        config.backbone.layers = vec![1; stages];
        (config.backbone.base_width, config.fpn_channels) = (16, 32);
        config.anchor_sizes.truncate(stages + 1);
        let file = synth::synthetic_file(&config, 5).unwrap();
        // What tensors tell is what they were made for.
        let told = WeightsFile::from_bytes(
            synth::to_safetensors(synth::synthetic(&config, 5), &config.to_json().unwrap()).unwrap(),
            "told",
        );
        assert_eq!(told.unwrap().config().unwrap().backbone.layers, config.backbone.layers);
        let weights = NetworkWeights::load(&file, &config).unwrap();
        let p = plan(&config, &weights, 256, 320, 2, &CPU);
        assert_eq!(check(&p), Ok(()), "{stages} stages");
        let align = p.graph.nodes.iter().find(|n| n.label == "box.align").unwrap();
        let told = maskrcnn::engine::ops::key(align.op.as_ref());
        let scales = ["0.25", "0.25,0.125", "0.25,0.125,0.0625", "0.25,0.125,0.0625,0.03125"][stages - 1];
        assert!(told.contains(&format!("scales={scales} ")), "{told}");
        let level = |name: &str| {
            p.steps.iter().any(|s| {
                p.graph.nodes[s.op].label.starts_with(&format!("{name} ")) || p.graph.nodes[s.op].label == name
            })
        };
        assert!(level(&format!("P{}", stages + 2)) && !level(&format!("P{}", stages + 3)), "{stages} stages");
    }
    // Anchors for other levels than there are.
    let mut config = Config::default();
    config.backbone.layers = vec![3, 4, 6];
    let text = config.validate().unwrap_err().to_string();
    assert!(text.contains("anchor_sizes") && text.contains("allowed 4"), "{text}");
}
