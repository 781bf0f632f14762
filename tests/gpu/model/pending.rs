//! Images that are given to the device and not waited for, and soft masks.

use maskrcnn::{Detections, Detector, Options};

use super::detector::{crowded, own_device, picture, since, small};
use super::golden::file;

/// Answers belong to their images, in whatever order they are asked for, and whether or not others came between; also
/// where bits found no room, so that the paste is run again on what the run left on the device.
#[test]
fn answers_come_as_they_are_asked_for() {
    for config in [small(), crowded()] {
        let device = own_device();
        let detector = Detector::builder().device(&device).weights_file(file()).config(config.clone()).build().unwrap();
        let images = [picture(250, 200, 5), picture(250, 200, 6), picture(112, 140, 4)];
        let alone = Detector::builder().device(&device).weights_file(file()).config(config).build().unwrap();
        let want = images.each_ref().map(|image| alone.detect(image).unwrap());
        assert!(want[0] != want[1] && want.iter().all(|w| !w.is_empty()));

        let before = detector.counters();
        let mut pending: Vec<_> = images.iter().map(|image| detector.submit(image).unwrap()).collect();
        let submits = since(&detector, before)[0];
        assert!(submits >= 3, "{submits} submits: something waits for `wait`");
        // Another call between.
        assert!(detector.detect(&images[0]).unwrap() == want[0]);
        for i in [2, 0, 1] {
            let found = pending.remove(if i == 1 { 0 } else { i }).wait().unwrap();
            assert!(found == want[i], "image {i}");
        }
    }
}

#[test]
fn submitting_waits_for_nothing() {
    let detector = Detector::builder().device(&own_device()).weights_file(file()).config(small()).build().unwrap();
    let image = picture(250, 200, 3);
    let want = detector.detect(&image).unwrap();
    let before = detector.counters();
    let pending = detector.submit(&image).unwrap();
    assert_eq!(since(&detector, before), [1, 0, 1], "submits, waits, maps before the answer is asked for");
    assert!(pending.wait().unwrap() == want);
    assert_eq!(since(&detector, before), [1, 1, 1]);
    // Nobody waits for what was given up.
    drop(detector.submit(&picture(250, 200, 4)).unwrap());
    assert!(detector.detect(&image).unwrap() == want);
    assert_eq!(since(&detector, before), [3, 2, 3]);
}

#[test]
fn soft_masks_are_the_masks_before_they_are_cut() {
    let detector = Detector::builder().device(&own_device()).weights_file(file()).config(small()).build().unwrap();
    let head = detector.config().mask.clone().unwrap();
    let image = picture(250, 200, 3);
    let hard = detector.detect(&image).unwrap();
    let soft = detector.detect_with(&image, &Options { soft_masks: true }).unwrap();
    assert!(hard.iter().all(|d| d.soft.is_none()) && soft.len() >= 5);
    let mut cut = soft.clone();
    cut.items.iter_mut().for_each(|d| d.soft = None);
    assert!(cut == hard);
    let different = |a: usize, b: usize| soft[a].soft != soft[b].soft;
    assert!(different(0, 1) && different(1, 2));
    for d in &soft {
        let s = d.soft.as_ref().expect("a soft mask");
        assert_eq!((s.side, s.values.len()), (head.output_size, s.side * s.side));
        assert!(s.values.iter().all(|v| (0.0..=1.0).contains(v)));
        // Wherever a cell's middle lies in the image, the enlarged mask is what the cell is, but near its edge.
        let [x1, y1, x2, y2] = d.bbox;
        let cell = |i: usize, from: f32, to: f32| from + (to - from) * (i as f32 + 0.5) / s.side as f32;
        let (mut agree, mut all) = (0, 0);
        for (i, &v) in s.values.iter().enumerate().filter(|(_, v)| (**v - head.threshold).abs() > 0.2) {
            let (x, y) = (cell(i % s.side, x1, x2), cell(i / s.side, y1, y2));
            all += 1;
            agree += usize::from(d.mask.get(x as u32, y as u32) == (v > head.threshold));
        }
        assert!(all > 100 && agree * 20 >= all * 19, "{agree} of {all} cells agree");
    }
    let pending = detector.submit_with(&image, &Options { soft_masks: true }).unwrap();
    let again: Detections = pending.wait().unwrap();
    assert!(again == soft);
}
