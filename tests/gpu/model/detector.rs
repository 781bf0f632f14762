//! What the detector promises besides its answer: how often it speaks to the device, repeatability, sharing.

use maskrcnn::engine::compiled::PlannedNetwork;
use maskrcnn::engine::config::Config;
use maskrcnn::engine::gpu::{Counters, Pool};
use maskrcnn::engine::graph::Tuning;
use maskrcnn::engine::model::{Capacity, NetworkSize, RoiSource};
use maskrcnn::engine::vision::scene;
use maskrcnn::{Detections, Detector, Device, Image, Mask};

use super::golden::{Golden, file, weights};
use crate::common::device;

const _: () = {
    const fn shared<T: Send + Sync>() {}
    shared::<Detector>();
};

/// A device that no other test counts on.
pub(super) fn own_device() -> Device {
    Device::open(std::env::var("MASKRCNN_DEVICE").ok().as_deref()).unwrap()
}

/// The default model at a size that makes tests quick.
pub(super) fn small() -> Config {
    Golden::open("blank_small").config
}

pub(super) fn picture(width: u32, height: u32, seed: u64) -> Image {
    scene::nuclei(width, height, seed, 12).unwrap().image
}

pub(super) fn since(detector: &Detector, before: Counters) -> [u64; 3] {
    let now = detector.counters();
    [now.submits - before.submits, now.waits - before.waits, now.maps - before.maps]
}

#[test]
fn one_submit_one_wait_one_map() {
    let detector = Detector::builder().device(&own_device()).weights_file(file()).config(small()).build().unwrap();
    let image = picture(250, 200, 3);
    let mut answers = Vec::new();
    for call in ["first", "second", "third"] {
        let before = detector.counters();
        answers.push(detector.detect(&image).unwrap());
        assert_eq!(since(&detector, before), [1, 1, 1], "submits, waits, maps of the {call} call");
    }
    assert!(answers[0].len() >= 5, "{} found", answers[0].len());
    assert!(answers.iter().all(|a| *a == answers[0]), "runs of the same image differ");
    assert_eq!(detector.paste_replays(), 0);
}

#[test]
fn sizes_in_turn_give_what_each_gives_alone() {
    let detector = Detector::builder().device(device()).weights_file(file()).config(small()).build().unwrap();
    // The first two share a plan and differ in its frame; a ninth plan pushes one out.
    let mut sizes = vec![(117, 100), (118, 100), (112, 140), (250, 200)];
    sizes.extend((1..=6).map(|i| (100 + 40 * i, 100)));
    let images: Vec<Image> = sizes.iter().zip(1..).map(|(&(w, h), seed)| picture(w, h, seed)).collect();
    let alone: Vec<Detections> = (images.iter())
        .map(|image| {
            Detector::builder()
                .device(device())
                .weights_file(file())
                .config(small())
                .build()
                .unwrap()
                .detect(image)
                .unwrap()
        })
        .collect();
    for round in 0..2 {
        for (image, want) in images.iter().zip(&alone) {
            let size = (image.width(), image.height());
            assert!(detector.detect(image).unwrap() == *want, "round {round}: {size:?} differs after other sizes");
        }
    }
    assert!(alone.iter().all(|a| !a.is_empty()), "an image shows nothing");
}

#[test]
fn two_threads_share_a_detector() {
    let detector = Detector::builder().device(device()).weights_file(file()).config(small()).build().unwrap();
    let images = [picture(250, 200, 3), picture(112, 140, 4)];
    let want = images.each_ref().map(|image| detector.detect(image).unwrap());
    assert!(want[0] != want[1]);
    std::thread::scope(|s| {
        for (image, want) in images.iter().zip(&want) {
            let detector = &detector;
            s.spawn(move || (0..3).for_each(|_| assert!(detector.detect(image).unwrap() == *want)));
        }
    });
}

/// Nothing but large overlapping boxes, whose masks take more room than the image has pixels for.
pub(super) fn crowded() -> Config {
    let mut config = small();
    (config.rpn.nms_thresh, config.box_head.nms_thresh, config.box_head.score_thresh) = (1.0, 1.0, 0.0);
    (config.rpn.min_size, config.box_head.min_size) = (50.0, 50.0);
    config.box_head.detections_per_img = 100;
    config
}

#[test]
fn masks_without_room_are_pasted_again() {
    let detector = Detector::builder().device(&own_device()).weights_file(file()).config(crowded()).build().unwrap();
    let image = picture(250, 200, 5);
    let before = detector.counters();
    let first = detector.detect(&image).unwrap();
    assert_eq!(detector.paste_replays(), 1);
    assert_eq!(since(&detector, before), [2, 2, 2], "submits, waits, maps of a run and a paste");

    let before = detector.counters();
    let second = detector.detect(&image).unwrap();
    assert_eq!(detector.paste_replays(), 1, "the capacity that was made is not kept");
    assert_eq!(since(&detector, before), [1, 1, 1]);
    assert!(first == second, "the replayed paste differs from one with capacity");

    let roomy = in_room(&crowded(), &image, |capacity| capacity.mask_words = 1 << 17);
    assert!(roomy.words > 1 << 14 && roomy.words <= 1 << 17, "{} words test nothing", roomy.words);
    assert_eq!(first.len(), roomy.masks.len());
    for (i, (found, mask)) in first.iter().zip(&roomy.masks).enumerate() {
        assert!(found.mask == *mask, "mask {i} differs from the one with capacity");
    }
    assert!(first.iter().all(|d| !d.mask.is_empty()));
    assert!(first.iter().filter(|d| d.mask.area() > 0).count() > 10, "the masks show nothing");

    // An image of another size makes its own plan, with the room that it begins with.
    detector.detect(&picture(112, 140, 6)).unwrap();
    assert!(detector.detect(&image).unwrap() == first);
}

/// What a network finds whose room is as `change` makes it.
struct Found {
    /// Words that the masks need.
    words: usize,
    masks: Vec<Mask>,
    /// Four coordinates each.
    boxes: Vec<f32>,
    scores: Vec<f32>,
}

fn in_room(config: &Config, image: &Image, change: impl Fn(&mut Capacity)) -> Found {
    let size = NetworkSize::new("", image.height(), image.width(), &config.transform).unwrap();
    let mut capacity = Capacity {
        height: size.padded.0 as usize,
        width: size.padded.1 as usize,
        batch: 1,
        roi_shift: size.roi_shift(config.roi_levels),
        taps: size.sampling().words(),
        image_words: size.sampling().bytes().div_ceil(4) as usize,
        mask_words: 1 << 16,
        pyramid_bytes: Capacity::PYRAMID_BYTES,
        rois: RoiSource::Rpn,
    };
    change(&mut capacity);
    let (target, guess) = (device().target(), Tuning::default());
    let planned = PlannedNetwork::new(config, &weights(), capacity, &target, &guess).unwrap();
    let mut network = planned.compile(device(), &Pool::new()).unwrap();
    let mut values = network.run(&[(image.rgb(), size)]).unwrap();
    let (mut masks, replays) = network.masks(&mut values).unwrap();
    assert_eq!(replays, 0, "the masks had no capacity");
    let n = values.found()[0];
    Found {
        words: values.header.ints()[1] as usize,
        masks: masks.remove(0),
        boxes: values.boxes.floats()[..4 * n].to_vec(),
        scores: values.scores.floats()[..n].to_vec(),
    }
}

/// In how many tensors the levels of the pyramid lie depends on their size alone, and changes nothing.
#[test]
fn a_pyramid_in_parts_shows_the_same() {
    let (config, image) = (small(), picture(250, 200, 3));
    let whole = in_room(&config, &image, |_| {});
    assert!(whole.scores.len() >= 5);
    // Every level alone, or just P2: it is as large as three times the others together.
    let ways: [fn(&Capacity) -> u64; 2] = [|_| 1, |capacity| (capacity.height * capacity.width / 16 * 128 * 4) as u64];
    for most in ways {
        let parts = in_room(&config, &image, |capacity| capacity.pyramid_bytes = most(capacity));
        assert_eq!(parts.scores.len(), whole.scores.len());
        let far = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(far(&parts.boxes, &whole.boxes) <= 1e-3 && far(&parts.scores, &whole.scores) <= 1e-5);
        assert!(parts.masks.iter().zip(&whole.masks).all(|(a, b)| a.area() + b.area() == 0 || a.iou(b) > 0.99));
    }
}

/// A device of its own: the other tests share theirs.
#[test]
fn a_lost_device_is_an_error_and_stays_one() {
    let choice = std::env::var("MASKRCNN_DEVICE").ok();
    let device = maskrcnn::Device::open(choice.as_deref()).expect("a GPU");
    let detector = Detector::builder().device(&device).build().expect("the embedded model");
    let image = maskrcnn::engine::vision::scene::blank(64, 48, 0).expect("an image");
    detector.detect(&image).expect("a device that works");
    device.destroy();
    for _ in 0..2 {
        // A batch is not cut in halves for it.
        let batch = detector.detect_batch([&image, &image]).map(|_| ());
        for told in [detector.detect(&image).map(|_| ()), batch] {
            match told {
                Err(maskrcnn::Error::DeviceLost { reason, .. }) => {
                    assert!(reason.contains("open it again"), "{reason}")
                }
                other => panic!("a destroyed device gave {other:?}"),
            }
        }
    }
}

/// Boxes within 1e-3 px, scores within 1e-5, masks by IoU.
pub(super) fn same_but_for_digits(what: &str, got: &Detections, want: &Detections) {
    assert_eq!((got.width, got.height, got.len()), (want.width, want.height, want.len()), "{what}");
    for (i, (a, b)) in got.iter().zip(want.iter()).enumerate() {
        let far = a.bbox.iter().zip(&b.bbox).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(far <= 1e-3 && (a.score - b.score).abs() <= 1e-5, "{what}, {i}: {a:?} is not {b:?}");
        assert_eq!(a.label, b.label, "{what}, {i}");
        assert!(a.mask.area() + b.mask.area() == 0 || a.mask.iou(&b.mask) > 0.99, "{what}, {i}: masks differ");
    }
}

#[test]
fn a_batch_finds_what_its_images_show_alone() {
    let detector = Detector::builder().device(&own_device()).weights_file(file()).config(small()).build().unwrap();
    // Three share a padded size though not their own; one among them is of another, and one shows nothing.
    let sizes = [(117, 100), (250, 200), (118, 100), (117, 100)];
    let mut images: Vec<Image> = sizes.iter().zip(1..).map(|(&(w, h), seed)| picture(w, h, seed)).collect();
    images.push(scene::blank(118, 100, 7).unwrap());
    let alone: Vec<Detections> = images.iter().map(|image| detector.detect(image).unwrap()).collect();
    assert!(alone[..4].iter().all(|a| a.len() >= 3) && alone[4].is_empty());
    for round in 0..2 {
        let before = detector.counters();
        let together = detector.detect_batch(&images).unwrap();
        assert_eq!(since(&detector, before), [2; 3], "four images in one submit, and one alone");
        assert_eq!(together.len(), images.len());
        for (i, (got, want)) in together.iter().zip(&alone).enumerate() {
            same_but_for_digits(&format!("round {round}, image {i}"), got, want);
        }
    }
    assert!(detector.detect_batch(&[] as &[Image]).unwrap().is_empty());
    let strip = scene::blank(3000, 1, 7).unwrap();
    let message = detector.detect_batch(&[images[0].clone(), strip]).unwrap_err().to_string();
    assert!(message.contains("2 of 2") && message.contains("narrow"), "{message}");
}

#[test]
fn masks_of_a_batch_without_room_are_pasted_again() {
    let detector = Detector::builder().device(&own_device()).weights_file(file()).config(crowded()).build().unwrap();
    let images = [picture(250, 200, 5), picture(250, 200, 6)];
    let alone = images.each_ref().map(|image| {
        Detector::builder()
            .device(device())
            .weights_file(file())
            .config(crowded())
            .build()
            .unwrap()
            .detect(image)
            .unwrap()
    });
    for replays in [1, 1] {
        let together = detector.detect_batch(&images).unwrap();
        assert_eq!(detector.paste_replays(), replays);
        for (i, (got, want)) in together.iter().zip(&alone).enumerate() {
            same_but_for_digits(&format!("image {i}"), got, want);
        }
    }
}

/// Four images of the default model, at its full size, fit the smallest bindings; with many more detections two do not,
/// and run alone.
#[test]
fn a_batch_that_is_too_large_is_cut() {
    let images: Vec<Image> = (0..4).map(|seed| picture(128, 128, seed)).collect();
    let large = |detector: &Detector, images: &[Image], submits: u64| {
        let before = detector.counters();
        let together = detector.detect_batch(images).unwrap();
        assert_eq!(since(detector, before), [submits; 3], "{} images", images.len());
        for (i, (got, image)) in together.iter().zip(images).enumerate() {
            same_but_for_digits(&format!("image {i}"), got, &detector.detect(image).unwrap());
        }
    };
    let detector = Detector::builder().device(&own_device()).weights_file(file()).build().unwrap();
    large(&detector, &images, 1);

    let mut config = detector.config().clone();
    config.box_head.detections_per_img = 700;
    let device = own_device();
    // Inputs of the mask head: 100,352 bytes a detection.
    let fits = device.max_binding() >= 1400 * 100_352;
    large(
        &Detector::builder().device(&device).weights_file(file()).config(config).build().unwrap(),
        &images[..2],
        if fits { 1 } else { 2 },
    );
}

/// Whatever a tuner may choose, by any method and any variant.
#[test]
fn no_choice_moves_a_result() {
    let image = picture(250, 200, 3);
    let device = own_device();
    let find = |names: &[&str]| {
        let detector = Detector::builder()
            .device(&device)
            .weights_file(file())
            .config(small())
            .tuning(Tuning::forced(names))
            .build()
            .unwrap();
        let plan = detector.plan(200, 250).unwrap();
        (detector.detect(&image).unwrap(), plan)
    };
    let (want, _) = find(&[]);
    assert!(want.len() >= 5);
    // As few as name each of them: every one compiles a network of its own.
    let ways: [&[&str]; 6] = [
        &["plain"],
        &["subgroup"],
        &["texels"],
        &["blocked-32"],
        &["winograd", "tiles", "registers"],
        &["split-k", "radix", "blocked-32", "registers"],
    ];
    let mut taken = 0;
    for names in ways {
        let (got, plan) = find(names);
        // What a device does not offer cannot be forced.
        let lowerings = maskrcnn::engine::lowering::ALL.iter().map(|l| l.name()).filter(|l| names.contains(l));
        for lowering in lowerings {
            assert!(plan.graph.nodes.iter().any(|node| node.origin.lowering == lowering), "{lowering}");
        }
        taken += usize::from(plan.steps.iter().any(|s| names.contains(&s.variant.name)));
        same_but_for_digits(&names.join(" "), &got, &want);
    }
    assert!(taken >= 4, "only {taken} ways could be taken");
}
