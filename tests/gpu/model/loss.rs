//! The terms of the loss against torchvision's in training (`tests/oracle/make_loss_goldens.py`), and what is sampled.

use std::collections::BTreeSet;

use maskrcnn::engine::gpu::Runner;
use maskrcnn::engine::graph::{Plan, Tensor};
use maskrcnn::engine::model::{
    Capacity, Input, LossCapacity, LossNetwork, NetworkSize, SampleSource, TrueObject, Truths, build_loss,
};
use maskrcnn::engine::ops::Op;
use maskrcnn::engine::ops::matching::{BACKGROUND, FIRST_TRUTH};
use maskrcnn::engine::ops::sampling_keys::SamplingKeys;
use maskrcnn::engine::ops::topk::TopK;
use maskrcnn::engine::tensor::Value;
use maskrcnn::{Detector, Error, LossOptions, Losses, Mask, Sampled, Truth};

use super::bodies;
use super::golden::{Golden, file, path};
use crate::common::device;

/// Relative error of a term; 1e-7 to 1e-6 was measured on lavapipe.
const LIMIT: f32 = 2e-5;

/// What is made wrong, and what is said of it.
type Wrong<'a, T> = (&'a dyn Fn(&mut T), &'a str);

struct Set {
    golden: Golden,
    truths: Vec<Truth>,
    sampled: Sampled,
    detector: Detector,
}

impl Set {
    fn open(name: &str) -> Self {
        let golden = Golden::open(name);
        let (w, h) = (golden.image.width(), golden.image.height());
        let (shape, bits) = golden.raw("truths.masks");
        let boxes = golden.boxes("truths.boxes");
        let truths = boxes.iter().zip(golden.ints("truths.labels")).enumerate().map(|(i, (&bbox, label))| {
            let row = |y: u32| &bits[(i * shape[1] + y as usize) * shape[2]..];
            let mask = Mask::from_fn(0, 0, w, h, |x, y| row(y)[x as usize / 8] >> (x % 8) & 1 == 1);
            Truth { bbox, label, mask }
        });
        let truths = truths.collect();
        let sampled = Sampled {
            positive_anchors: golden.ints("positive_anchors"),
            negative_anchors: golden.ints("negative_anchors"),
            positive_rois: golden.boxes("positive_rois"),
            negative_rois: golden.boxes("negative_rois"),
        };
        let config = golden.config.clone();
        let builder = Detector::builder().device(device()).config(config);
        let made;
        let detector = match name {
            "loss_classes" => {
                let bytes = std::fs::read(path("tests/golden/loss_classes.safetensors")).unwrap();
                let header = safetensors::SafeTensors::read_metadata(&bytes).unwrap().1;
                made = bodies::file(&golden.config, header.metadata().as_ref().unwrap(), true);
                builder.weights_file(&made).build().unwrap()
            }
            _ => builder.weights_file(file()).build().unwrap(),
        };
        Self { golden, truths, sampled, detector }
    }

    fn loss(&self, seed: u64, image: u32) -> Losses {
        self.detector.loss(&self.golden.image, &self.truths, &LossOptions { seed, image }).unwrap()
    }

    /// The network with these tensors of its stages, as values.
    fn stages(&self, samples: Option<&Sampled>, names: &[&str]) -> Vec<Value> {
        let (golden, image) = (&self.golden, &self.golden.image);
        let objects: Vec<TrueObject> = self
            .truths
            .iter()
            .map(|t| TrueObject {
                bbox: t.bbox,
                label: t.label,
                place: [t.mask.x, t.mask.y, t.mask.w, t.mask.h],
                bits: &t.mask.bits,
            })
            .collect();
        let truths = Truths::new(&objects, &golden.size, golden.config.num_classes).unwrap();
        let (room, mask_words) = truths.room();
        let (_, capacity) = Capacity::for_image(&golden.config, image.height(), image.width()).unwrap();
        let source = samples.map_or(SampleSource::Drawn, |s| SampleSource::of(s).unwrap());
        let capacity = LossCapacity { image: capacity, truths: room, mask_words, samples: source };
        let mut network: LossNetwork = build_loss(&golden.config, &golden.weights, &capacity).unwrap();
        let tap =
            |name: &&str| network.taps.iter().find(|t| t.name == **name).unwrap_or_else(|| panic!("{name}")).tensor;
        let tensors: Vec<Tensor> = names.iter().map(tap).collect();
        tensors.iter().for_each(|&t| network.graph.keep(t));
        let plan = Plan::new(network.graph.clone(), &device().target(), &[]).unwrap();
        let mut runner = Runner::new(device(), plan).unwrap();
        let given: [(&[u8], NetworkSize); 1] = [(image.rgb(), golden.size)];
        let input = Input::new(&given, capacity.image.height, capacity.image.width, capacity.image.taps);
        let image_input = input.of_image(network.image);
        let seeds: Vec<u8> = SEEDS.iter().flat_map(|w| w.to_le_bytes()).collect();
        let of_samples = match (samples, &network.given) {
            (Some(samples), Some(to)) => to.filled(samples),
            _ => vec![(network.seeds.unwrap(), seeds)],
        };
        let mut inputs: Vec<(Tensor, &[u8])> = image_input.to_vec();
        inputs.extend(truths.of(&network.truths));
        inputs.extend(of_samples.iter().map(|(t, bytes)| (*t, bytes.as_slice())));
        runner.run(&inputs, &tensors).unwrap()
    }
}

/// Of a seed of 5 and image 3.
const SEEDS: [u32; 4] = [5, 0, 3, 0];

fn terms(losses: &Losses) -> [f32; 5] {
    [losses.objectness, losses.rpn_box, losses.classifier, losses.bbox, losses.mask.unwrap()]
}

fn check(name: &str) {
    let set = Set::open(name);
    let losses = set.detector.loss_of(&set.golden.image, &set.truths, &set.sampled).unwrap();
    let want = set.golden.floats("losses");
    for (i, (got, want)) in terms(&losses).iter().zip(&want).enumerate() {
        let error = if got == want { 0.0 } else { (got - want).abs() / want.abs() };
        eprintln!("{name}, term {i}: {got} for {want}, {error:.1e}");
        assert!(error < LIMIT, "{name}, term {i}: {got} for {want}");
    }
    assert_eq!(losses.total(), terms(&losses).iter().sum::<f32>());
    assert_eq!(losses.sampled, set.sampled);
    // What each anchor and each RoI is matched with is torchvision's to the last one.
    let on = set.sampled.positive_rois.len();
    let stages = set.stages(Some(&set.sampled), &["anchors.matches", "rois.matches", "mask.targets"]);
    assert_eq!(stages[0].ints(), set.golden.ints("anchors.matches"), "{name}: anchors");
    let rois = set.golden.ints("rois.matches");
    assert_eq!(&stages[1].ints()[..rois.len()], rois, "{name}: RoIs");
    let targets = set.golden.floats("mask.targets");
    assert_eq!(targets.len(), on.min(6) * 784);
    let far = stages[2].floats().iter().zip(&targets).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(far < 1e-4, "{name}: mask targets differ by {far}");
    // Targets between 0 and 1 are there, which a threshold would turn.
    assert!(on == 0 || targets.iter().any(|&t| 0.2 < t && t < 0.8));
}

#[test]
fn the_terms_are_torchvision_s() {
    check("loss_scene");
}

#[test]
fn of_several_classes_too() {
    check("loss_classes");
}

#[test]
fn without_truths_all_is_background() {
    check("loss_none");
    let set = Set::open("loss_none");
    let drawn = set.loss(1, 0);
    assert!(drawn.rpn_box == 0.0 && drawn.bbox == 0.0 && drawn.mask == Some(0.0) && drawn.objectness > 0.0);
    assert!(drawn.sampled.positive_anchors.is_empty() && drawn.sampled.positive_rois.is_empty());
    assert_eq!((drawn.sampled.negative_anchors.len(), drawn.sampled.negative_rois.len()), (256, 512));
}

/// As many as torchvision takes, none twice, and another seed or image takes others; the loss of what was sampled is the same
/// when it is given.
#[test]
fn samples_are_of_the_right_kinds_and_numbers() {
    let set = Set::open("loss_scene");
    let first = set.loss(1, 0);
    let s = &first.sampled;
    // All anchors on truths, as there are fewer than half.
    let own = |anchors: &[u32]| anchors.iter().copied().collect::<BTreeSet<_>>();
    assert_eq!(own(&s.positive_anchors), own(&set.sampled.positive_anchors));
    assert_eq!(own(&s.negative_anchors).len(), 256 - s.positive_anchors.len());
    let boxes = |rois: &[[f32; 4]]| rois.iter().map(|r| r.map(f32::to_bits)).collect::<BTreeSet<_>>();
    assert_eq!(boxes(&s.positive_rois).len() + boxes(&s.negative_rois).len(), 512);
    assert!(s.positive_rois.len() <= 128 && !s.positive_rois.is_empty());
    assert_eq!(set.loss(1, 0), first, "the same seed");
    for other in [set.loss(2, 0), set.loss(1, 1), set.loss(1 << 32 | 1, 0)] {
        let common = own(&other.sampled.negative_anchors).intersection(&own(&s.negative_anchors)).count();
        assert!(common < 60, "{common} of another seed's anchors are the same");
        assert_eq!(other.sampled.negative_anchors.len(), s.negative_anchors.len());
        // Of the same anchors, in another order.
        assert!(other.objectness != first.objectness && (other.rpn_box / first.rpn_box - 1.0).abs() < 1e-5);
    }
    let again = set.detector.loss_of(&set.golden.image, &set.truths, s).unwrap();
    assert_eq!(again, first);
}

/// What the device draws is what the twins draw, from the matches and the seed alone.
#[test]
fn the_device_draws_as_the_twin_does() {
    let set = Set::open("loss_classes");
    let losses = set.loss(u64::from(SEEDS[0]), SEEDS[2]);
    let values = set.stages(None, &["anchors.matches", "rois", "rois.count", "rois.matches"]);
    let draw = |matches: &Value, stream: u32, k: usize, most: usize| {
        let n = matches.shape.dim(1);
        let keys = SamplingKeys { stream }.twin(&[matches.clone(), Value::u32([1, 4], SEEDS.to_vec())]).remove(0);
        let halves = Value::u32([2, 2], [0, n, n, n].map(|v| v as u32).to_vec());
        let best = TopK { k }.twin(&[keys, halves]);
        let on = (best[2].ints()[0] as usize).min(most);
        let off = (best[2].ints()[1] as usize).min(k - on);
        (best[1].ints()[..on].to_vec(), best[1].ints()[k..k + off].to_vec())
    };
    let s = &losses.sampled;
    assert_eq!((s.positive_anchors.clone(), s.negative_anchors.clone()), draw(&values[0], 0, 256, 128));
    let (on, off) = draw(&values[3], 1, 512, 128);
    let roi = |&i: &u32| -> [f32; 4] { values[1].floats()[4 * i as usize..][..4].try_into().unwrap() };
    assert_eq!(s.positive_rois, on.iter().map(roi).collect::<Vec<_>>());
    assert_eq!(s.negative_rois, off.iter().map(roi).collect::<Vec<_>>());
    // The truths are among the RoIs, after the proposals, each matched with itself or with its like.
    let count = values[2].ints()[0] as usize;
    // As many proposals as torchvision has in training, where it keeps more than in detection.
    let proposals = set.golden.ints("proposals.count")[0] as usize;
    assert!(
        proposals > 300 && proposals.abs_diff(count - set.truths.len()) <= 2,
        "{count} RoIs for {proposals} proposals"
    );
    let last = &values[3].ints()[count - set.truths.len()..count];
    assert!(last.iter().all(|&m| m >= FIRST_TRUTH) && last[..4] == [2, 3, 4, 5], "{last:?}");
    let kinds: BTreeSet<u32> = values[3].ints()[..count].iter().copied().collect();
    assert!(kinds.contains(&BACKGROUND) && !kinds.contains(&0), "{kinds:?}");
}

/// What cannot be is an error that says which, and the detector goes on.
#[test]
fn what_does_not_fit_is_an_error() {
    let set = Set::open("loss_scene");
    let (image, good) = (&set.golden.image, &set.truths);
    let with = |change: &dyn Fn(&mut Truth)| {
        let mut truths = good.clone();
        change(&mut truths[2]);
        set.detector.loss(image, &truths, &LossOptions::default()).unwrap_err()
    };
    let bad: [Wrong<Truth>; 6] = [
        (&|t| t.bbox = [5.0, 5.0, 5.0, 9.0], "empty"),
        (&|t| t.bbox[1] = f32::NAN, "no number"),
        (&|t| t.bbox = [900.0, 5.0, 950.0, 9.0], "inside"),
        (&|t| t.label = 9, "label 9"),
        (&|t| t.mask.x = 9, "reaches out"),
        (&|t| t.mask.bits.truncate(5), "words"),
    ];
    for (change, told) in bad {
        let e = with(change);
        assert!(matches!(e, Error::GivenBox { index: 2, .. }) && e.to_string().contains(told), "{e}");
    }
    let given = |change: &dyn Fn(&mut Sampled)| {
        let mut sampled = set.sampled.clone();
        change(&mut sampled);
        set.detector.loss_of(image, good, &sampled).unwrap_err().to_string()
    };
    let bad: [Wrong<Sampled>; 6] = [
        (&|s| s.negative_anchors[3] = 1 << 20, "no anchor 1048576"),
        (&|s| s.positive_anchors[0] = s.negative_anchors[0], "twice"),
        (&|s| std::mem::swap(&mut s.positive_anchors, &mut s.negative_anchors), "on a truth"),
        (&|s| s.negative_rois[7] = s.positive_rois[0], "on the background"),
        (&|s| s.positive_rois[1][2] = 0.0, "no box"),
        (&|s| s.negative_rois[1][2] = f32::INFINITY, "no box"),
    ];
    for (change, told) in bad {
        let e = given(change);
        assert!(e.contains("the given samples") && e.contains(told), "{e}");
    }
    set.detector.loss_of(image, good, &set.sampled).unwrap();
    // Fewer than torchvision would take are taken, too, and none.
    let none = set.detector.loss_of(image, good, &Sampled::default()).unwrap();
    assert_eq!(terms(&none), [0.0; 5]);
}

/// Detection and loss share a detector, and neither changes the other.
#[test]
fn detection_and_loss_take_turns() {
    let set = Set::open("loss_scene");
    let (found, losses) = (set.detector.detect(&set.golden.image).unwrap(), set.loss(3, 0));
    for _ in 0..2 {
        assert!(set.detector.detect(&set.golden.image).unwrap() == found);
        assert_eq!(set.loss(3, 0), losses);
    }
    // Without masks it has four terms, of which those before the mask head are the same.
    let config = set.golden.config.clone();
    let boxes = Detector::builder().device(device()).weights_file(file()).config(config).boxes_only().build().unwrap();
    let four = boxes.loss(&set.golden.image, &set.truths, &LossOptions { seed: 3, image: 0 }).unwrap();
    assert_eq!(four, Losses { mask: None, ..losses });
}
