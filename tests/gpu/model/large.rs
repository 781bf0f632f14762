//! Images larger than a binding, masks larger than a binding, and more instances than the settings have room for.

use maskrcnn::engine::graph::Place;
use maskrcnn::engine::vision::scene;
use maskrcnn::{Config, Detections, Detector, Error, Image};

use super::detector::{crowded, own_device, picture, same_but_for_digits, since, small};
use super::golden::file;
use crate::common::device;

fn found(config: &Config, image: &Image) -> Detections {
    Detector::builder()
        .device(device())
        .weights_file(file())
        .config(config.clone())
        .build()
        .unwrap()
        .detect(image)
        .unwrap()
}

/// An image whose every pixel is a square of so many.
fn enlarged(image: &Image, times: u32) -> Image {
    let (w, h) = (image.width() * times, image.height() * times);
    let mut rgb = Vec::with_capacity(3 * (w * h) as usize);
    for row in image.rgb().chunks(3 * image.width() as usize) {
        let wide: Vec<u8> = row.chunks(3).flat_map(|pixel| pixel.repeat(times as usize)).collect();
        (0..times).for_each(|_| rgb.extend_from_slice(&wide));
    }
    Image::from_rgb8(w, h, rgb).unwrap()
}

/// 50 megapixels, 143 MiB: shrunk to what the network takes, it shows what the picture shows that it was made of.
#[test]
fn an_image_larger_than_a_binding() {
    let picture = picture(255, 190, 3);
    let image = enlarged(&picture, 32);
    assert!(image.rgb().len() > 128 << 20);
    let small = found(&small(), &picture);
    let large = found(&super::detector::small(), &image);
    assert_eq!((large.width, large.height), (8160, 6080));
    assert!(small.len() >= 5 && large.len().abs_diff(small.len()) <= 1, "{} and {}", small.len(), large.len());
    // Nearest neighbours enlarge with squares, so that a resize of theirs is a little sharper than the picture's own.
    let near = |a: &[f32; 4], b: &[f32; 4]| a.iter().zip(b).all(|(a, b)| (a / 32.0 - b).abs() < 4.0);
    let same = large.iter().filter(|a| small.iter().any(|b| near(&a.bbox, &b.bbox) && (a.score - b.score).abs() < 0.2));
    assert!(same.clone().count() + 1 >= small.len(), "{large:?}\n{small:?}");
    for d in same {
        let (w, h) = (d.bbox[2] - d.bbox[0], d.bbox[3] - d.bbox[1]);
        let filled = d.mask.area() as f32 / (w * h);
        assert!((0.3..=1.1).contains(&filled), "a mask of {filled} of its box");
    }
}

/// Masks that take more than a binding are pasted in rounds, and are the same.
#[test]
fn masks_larger_than_a_binding() {
    let image = enlarged(&picture(250, 200, 5), 8);
    let mut config = crowded();
    (config.rpn.post_nms_top_n, config.box_head.detections_per_img) = (100, 40);
    let device = own_device();
    let whole = Detector::builder().device(&device).weights_file(file()).config(config.clone()).build().unwrap();
    let plan = whole.plan(image.height(), image.width()).unwrap();
    // What lies nowhere needs no binding.
    let lies = |&t: &usize| plan.places[t] != Place::None;
    let largest = (0..plan.graph.tensors.len()).filter(lies).map(|t| plan.bytes(t)).max().unwrap();
    let want = whole.detect(&image).unwrap();
    let bits: usize = want.iter().map(|d| (d.bbox[2] - d.bbox[0]) as usize * (d.bbox[3] - d.bbox[1]) as usize).sum();
    assert!(bits as u64 / 8 > largest, "{bits} bits test nothing: {largest} bytes fit");

    let narrow = Detector::builder()
        .device(&device.with_max_binding(largest))
        .weights_file(file())
        .config(config.clone())
        .build()
        .unwrap();
    // Once for the room that can be had and once for the rest, then for the rest alone.
    for (round, least) in [2, 1].into_iter().enumerate() {
        let replays = narrow.paste_replays();
        assert!(narrow.detect(&image).unwrap() == want, "round {round}");
        assert!(narrow.paste_replays() >= replays + least, "everything was pasted at once");
        // A picture of few masks between them begins with its first.
        let other = picture(250, 200, 3);
        assert!(narrow.detect(&other).unwrap() == whole.detect(&other).unwrap());
    }
    let tiny = device.with_max_binding(largest - 16);
    match Detector::builder().device(&tiny).weights_file(file()).config(config).build().unwrap().detect(&image) {
        Err(Error::Limit { limit, .. }) => assert_eq!(limit, largest - 16),
        other => panic!("{:?}", other.map(|d| d.len())),
    }
}

/// What the number of detections cuts off is there with its scores.
#[test]
fn what_found_no_room_is_told() {
    let image = picture(250, 200, 3);
    let all = found(&small(), &image);
    assert!(all.len() >= 5 && all.left_out.is_empty() && !all.crowded, "{:?} {}", all.left_out, all.crowded);
    let mut config = small();
    config.box_head.detections_per_img = 3;
    let few = found(&config, &image);
    assert_eq!(few.items, all.items[..3]);
    assert_eq!(few.left_out, all.items[3..].iter().map(|d| d.score).collect::<Vec<_>>());
    let own = Detector::builder().device(&own_device()).weights_file(file()).config(config).build().unwrap();
    let before = own.counters();
    let both = own.detect_batch(&[image.clone(), scene::blank(250, 200, 3).unwrap()]).unwrap();
    assert_eq!(since(&own, before), [1; 3]);
    assert_eq!((both[0].left_out.len(), both[1].left_out.len()), (few.left_out.len(), 0));
}

/// Too few anchors or proposals for what there is are noticed; enough are not.
#[test]
fn too_few_proposals_are_noticed() {
    let image = picture(250, 200, 3);
    let cut: [fn(&mut Config); 2] = [|c| c.rpn.pre_nms_top_n = 9, |c| c.rpn.post_nms_top_n = 9];
    for cut in cut {
        let mut config = small();
        cut(&mut config);
        assert!(found(&config, &image).crowded);
    }
}

/// Heads that go through all their RoIs in parts, and selections of thousands, find what those of one part find.
#[test]
fn thousands_of_detections() {
    let image = picture(250, 200, 3);
    let mut config = small();
    config.rpn.post_nms_top_n = 5000;
    let want = found(&config, &image);
    (config.rpn.post_nms_top_n, config.box_head.detections_per_img) = (6000, 3000);
    let detector = Detector::builder().device(device()).weights_file(file()).config(config).build().unwrap();
    let plan = detector.plan(200, 250).unwrap();
    let parts = |name: &str| plan.graph.nodes.iter().filter(|op| op.label.starts_with(name)).count();
    assert!(parts("box.align") > 1 && parts("mask.align") > 1 && parts("box.best") == 3);
    let got = detector.detect(&image).unwrap();
    same_but_for_digits("in parts", &got, &want);
}

/// Nothing falls in NMS, so that every proposal is a detection: all of them, by falling score, each with its mask.
#[test]
fn every_proposal_a_detection() {
    let image = picture(250, 200, 5);
    let mut config = crowded();
    (config.rpn.min_size, config.box_head.min_size) = (0.0, 0.0);
    (config.rpn.pre_nms_top_n, config.rpn.post_nms_top_n) = (2500, 2500);
    config.box_head.detections_per_img = 2500;
    let all = found(&config, &image);
    assert!(all.len() > 1400, "{} found", all.len());
    assert!(all.is_sorted_by(|a, b| a.score >= b.score));
    config.box_head.detections_per_img = 300;
    let few = found(&config, &image);
    assert_eq!(few.len() + few.left_out.len(), all.len());
    let first = Detections { items: all.items[..300].to_vec(), ..all.clone() };
    same_but_for_digits("the first", &first, &few);
    assert!(all.items[300..].iter().zip(&few.left_out).all(|(a, b)| (a.score - b).abs() <= 1e-5));
}
