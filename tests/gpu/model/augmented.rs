//! An image looked at in several ways, against the same steps done by hand with what the library has besides.

use std::time::Duration;

use maskrcnn::{Config, Detections, Detector, Image, KnownBox, Mask, Options, View};

use super::detector::{own_device, picture, small};
use super::golden::{self, Golden};
use crate::common::device;

fn detector(config: Config) -> Detector {
    Detector::builder().device(device()).weights_file(golden::file()).config(config).build().unwrap()
}

fn iou(a: &[f32; 4], b: &[f32; 4]) -> f32 {
    let side = |low: usize, high: usize| (a[high].min(b[high]) - a[low].max(b[low])).max(0.0);
    let area = |c: &[f32; 4]| (c[2] - c[0]) * (c[3] - c[1]);
    let both = side(0, 2) * side(1, 3);
    both / (area(a) + area(b) - both)
}

fn mirror(image: &Image) -> Image {
    let (w, h) = (image.width(), image.height());
    let pixels = (0..h).flat_map(|y| (0..w).flat_map(move |x| image.pixel(w - 1 - x, y).unwrap()));
    Image::from_rgb8(w, h, pixels.collect()).unwrap()
}

#[test]
fn as_done_by_hand() {
    let golden = Golden::open("scene_small");
    let (image, config) = (&golden.image, &golden.config);
    let w = image.width() as f32;
    let views = [View::PLAIN, View { flip: true, scale: 1.0 }, View { flip: false, scale: 1.25 }];
    let found = detector(config.clone()).augmented(&views).unwrap().detect(image).unwrap();

    // Boxes of all views, before any NMS.
    let turn = |b: [f32; 4], flip: bool| if flip { [w - b[2], b[1], w - b[0], b[3]] } else { b };
    let sized = |scale: f32| {
        let mut config = config.clone();
        let side = |n: usize| (n as f32 * scale).round() as usize;
        config.transform.max_size = side(config.transform.max_size);
        config.transform.min_size = side(config.transform.min_size);
        config
    };
    let mirrored = mirror(image);
    let of = |view: &View| if view.flip { &mirrored } else { image };
    let mut all: Vec<KnownBox> = Vec::new();
    for view in &views {
        let mut config = sized(view.scale);
        (config.box_head.nms_thresh, config.box_head.detections_per_img) = (1.0, 400);
        for d in detector(config).detect(of(view)).unwrap().iter() {
            all.push(KnownBox { bbox: turn(d.bbox, view.flip), label: d.label, score: d.score });
        }
    }
    all.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut kept: Vec<KnownBox> = Vec::new();
    for known in all {
        let falls = |k: &KnownBox| k.label == known.label && iou(&k.bbox, &known.bbox) > config.box_head.nms_thresh;
        if !kept.iter().any(falls) {
            kept.push(known);
        }
    }
    kept.truncate(config.box_head.detections_per_img);
    assert!(kept.len() >= 10, "{}", kept.len());
    assert_eq!(found.len(), kept.len());
    for (d, k) in found.iter().zip(&kept) {
        assert_eq!((d.bbox, d.score, d.label), (k.bbox, k.score, k.label));
    }

    // Masks: the mean over the views.
    let side = config.mask.as_ref().unwrap().output_size;
    let mut means = vec![0.0; kept.len() * side * side];
    for view in &views {
        let boxes: Vec<KnownBox> = kept.iter().map(|k| KnownBox { bbox: turn(k.bbox, view.flip), ..*k }).collect();
        let soft = Options { soft_masks: true };
        let masked = detector(sized(view.scale)).masks_of_boxes_with(of(view), &boxes, &soft).unwrap();
        for (i, d) in masked.iter().enumerate() {
            let values = &d.soft.as_ref().unwrap().values;
            for cell in 0..side * side {
                let (row, column) = (cell / side, cell % side);
                let from = if view.flip { row * side + side - 1 - column } else { cell };
                means[i * side * side + cell] += values[from] / views.len() as f32;
            }
        }
    }
    for (d, mean) in found.iter().zip(means.chunks(side * side)) {
        let soft = &d.soft.as_ref().unwrap().values;
        assert!(soft.iter().zip(mean).all(|(a, b)| (a - b).abs() < 1e-6));
        // Cut where the mean is; in the middle of its cells, enlarging changes little.
        assert!(!d.mask.is_empty() && d.mask.iou(&roughly(d.bbox, soft, side, image)) > 0.8);
    }
}

/// A soft mask's nearest cells, cut at one half.
fn roughly(b: [f32; 4], soft: &[f32], side: usize, image: &Image) -> Mask {
    Mask::from_fn(0, 0, image.width(), image.height(), |x, y| {
        let cell = |at: f32, low: f32, high: f32| ((at + 0.5 - low) / (high - low) * side as f32).floor();
        let (column, row) = (cell(x as f32, b[0], b[2]), cell(y as f32, b[1], b[3]));
        let inside = |c: f32| (0.0..side as f32).contains(&c);
        inside(column) && inside(row) && soft[row as usize * side + column as usize] > 0.5
    })
}

/// Detectors of the same weights do not write over one another's activations, whoever runs while another's work is cut into
/// many submits.
#[test]
fn those_beside_each_other_do_not_mix() {
    let (device, config) = (own_device(), small());
    let builder = Detector::builder().device(&device).weights_file(golden::file()).config(config.clone());
    let one = builder.slice(Duration::from_micros(200)).build().unwrap();
    let other = one.beside(config.without_masks()).unwrap();
    let views = [View::PLAIN, View { flip: true, scale: 1.0 }];
    let augmented = one.augmented(&views).unwrap();
    let images: Vec<Image> = (0..2).map(|seed| picture(250, 200, 40 + seed)).collect();
    let all = |of: &(dyn Fn(&Image) -> Detections + Sync)| images.iter().map(of).collect::<Vec<_>>();
    let ways: [&(dyn Fn(&Image) -> Detections + Sync); 3] =
        [&|image| one.detect(image).unwrap(), &|image| other.detect(image).unwrap(), &|image| {
            augmented.detect(image).unwrap()
        }];
    let alone: Vec<Vec<Detections>> = ways.iter().map(|way| all(way)).collect();
    assert!(alone.iter().flatten().all(|found| found.len() >= 5));
    std::thread::scope(|threads| {
        // Each twice at once.
        let running: Vec<_> = (0..6).map(|i| (i % 3, threads.spawn(move || all(ways[i % 3])))).collect();
        for (way, thread) in running {
            assert!(thread.join().unwrap() == alone[way], "way {way}");
        }
    });
}

/// One plain view is what the detector finds, to the bit.
#[test]
fn one_view_is_the_detector() {
    let golden = Golden::open("scene_small");
    let detector = detector(golden.config.clone());
    let plain = detector.detect(&golden.image).unwrap();
    let found = detector.augmented(&[View::PLAIN]).unwrap().detect(&golden.image).unwrap();
    assert_eq!(found.len(), plain.len());
    for (a, b) in found.iter().zip(plain.iter()) {
        assert_eq!((a.bbox, a.label, a.score), (b.bbox, b.label, b.score));
        assert!(a.mask.iou(&b.mask) > 0.99, "{}", a.mask.iou(&b.mask));
    }
    for (views, word) in [(&[][..], "one at least"), (&[View { flip: false, scale: f32::NAN }], "above 0")] {
        let told = detector.augmented(views).err().map(|e| e.to_string());
        assert!(told.as_ref().is_some_and(|t| t.contains(word)), "{told:?}");
    }
}
