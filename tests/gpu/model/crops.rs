//! R-CNN: each proposal's crop by itself through the network, against torch (`tests/oracle/make_crop_golden.py`).

use std::ops::ControlFlow;
use std::path::PathBuf;

use maskrcnn::engine::compiled::{CompiledCrops, CropPredictions, CropSource};
use maskrcnn::engine::gpu::Pool;
use maskrcnn::engine::graph::Tuning;
use maskrcnn::engine::model::{CropCapacity, Window};
use maskrcnn::{Crops, Detections, Detector, Error};

use super::bodies;
use super::compare::Report;
use super::detector::{own_device, picture, small};
use super::generated;
use super::golden::{Golden, file, path};
use crate::common::device;
use crate::skipped::skipped;

/// Relative error at the logits.
const LIMIT: f64 = 1e-4;

/// In batches that do not divide the boxes, as few as they are.
fn crops() -> Crops {
    Crops { batch: 5, ..Crops::default() }
}

/// Windows, the first warped crop, and the logits and deltas of all.
fn compare(report: &mut Report, golden: &Golden) {
    let (crops, image) = (crops(), &golden.image);
    let size = (image.width(), image.height());
    let windows: Vec<Window> = golden.boxes("crops.boxes").iter().map(|&b| Window::new(&crops, b, size)).collect();
    let seen: Vec<[f32; 4]> = windows.iter().map(Window::bbox).collect();
    report.holds(format!("windows are {seen:?}"), seen == golden.boxes("crops.windows"));

    let (target, guess, pool) = (device().target(), Tuning::default(), Pool::new());
    let capacity = CropCapacity::for_image(crops, size);
    let how = (&target, &guess);
    let mut compiled = CompiledCrops::new(&golden.config, &golden.weights, capacity, how, (device(), &pool)).unwrap();
    let mut predictions = CropPredictions::default();
    for (i, some) in windows.chunks(crops.batch).enumerate() {
        let source = CropSource { rgb: image.rgb(), size, is_new: i == 0 };
        compiled.run(&source, some, &mut predictions).unwrap();
    }
    report.close("logits", &predictions.logits, &golden.floats("crops.logits"), LIMIT);
    report.close("deltas", &predictions.deltas, &golden.floats("crops.deltas"), LIMIT);
}

fn detector(golden: &Golden, name: &str) -> Detector {
    let own;
    let file = match name.contains("c4") {
        true => {
            let bytes = std::fs::read(path(&format!("tests/golden/{name}.safetensors"))).unwrap();
            let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
            own = bodies::file(&golden.config, header.metadata().as_ref().unwrap(), true);
            &own
        }
        false => &generated::network(&golden.config.name).file,
    };
    Detector::builder().device(device()).weights_file(file).config(golden.config.clone()).build().unwrap()
}

fn all(detector: &Detector, golden: &Golden) -> Detections {
    let watch = &mut |_, _| ControlFlow::Continue(());
    detector.detect_crops(&golden.image, &golden.boxes("crops.boxes"), &crops(), watch).unwrap().unwrap()
}

/// What is found is what the oracle's class NMS leaves, decoded from the windows.
fn found(report: &mut Report, detections: &Detections, golden: &Golden) {
    let (boxes, scores) = (golden.boxes("crops.det.boxes"), golden.floats("crops.det.scores"));
    let labels = golden.ints("crops.det.labels");
    report.holds(format!("{} found, not {}", detections.len(), boxes.len()), detections.len() == boxes.len());
    let mut matched = 0;
    for ((want, score), label) in boxes.iter().zip(&scores).zip(&labels) {
        let near = |got: &[f32; 4]| got.iter().zip(want).all(|(a, b)| (a - b).abs() <= 0.02);
        let same = |d: &&maskrcnn::Detection| d.label == *label && (d.score - score).abs() <= 1e-4 && near(&d.bbox);
        matched += usize::from(detections.iter().any(|d| same(&d)));
    }
    report.holds(format!("{matched} of {} detections matched", boxes.len()), matched == boxes.len() && matched > 3);
    report.holds("there are masks".into(), detections.iter().all(|d| d.mask.area() == 0));
}

#[test]
fn every_crop_is_what_torch_makes_of_it() {
    for name in ["crops_fpn_small", "crops_c4_small"] {
        let golden = Golden::open(name);
        let mut report = Report::default();
        compare(&mut report, &golden);
        found(&mut report, &all(&detector(&golden, name), &golden), &golden);
        report.finish(name);
    }
}

/// A photo, by `make_crop_golden.py --real`.
#[test]
fn crops_at_real_size() {
    let Some(folder) = std::env::var_os("MASKRCNN_GOLDENS").map(PathBuf::from) else {
        return skipped("no crops of photos are compared", "set MASKRCNN_GOLDENS (tests/oracle/README.md)");
    };
    for file in std::fs::read_dir(&folder).unwrap().map(|f| f.unwrap().path()) {
        if file.file_name().is_some_and(|name| name.to_string_lossy().starts_with("crops__")) {
            let golden = Golden::read(&file);
            let mut report = Report::default();
            compare(&mut report, &golden);
            found(&mut report, &all(&detector(&golden, "fpn"), &golden), &golden);
            report.print(&golden.name);
            assert!(report.failures.is_empty(), "{:?}", report.failures);
        }
    }
}

/// It stops where it is told to, says how far it is, and goes on with the next image, of whatever size.
#[test]
fn it_is_watched_and_stops() {
    let builder = Detector::builder().device(&own_device()).weights_file(file()).config(small());
    let detector = builder.boxes_only().build().unwrap();
    let image = picture(250, 200, 3);
    let proposals: Vec<[f32; 4]> = detector.detect(&image).unwrap().iter().map(|d| d.bbox).take(7).collect();
    let mut crops = Crops { batch: 3, side: 64, context: 6 };
    let run = |stop: usize| {
        let mut heard = Vec::new();
        let found = detector.detect_crops(&image, &proposals, &crops, &mut |done, of| {
            heard.push((done, of));
            if done >= stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        (found.unwrap(), heard)
    };
    let (whole, heard) = run(99);
    assert_eq!(heard, [(3, 7), (6, 7), (7, 7)]);
    let whole = whole.unwrap();
    assert!(!whole.is_empty());
    assert_eq!(run(4), (None, vec![(3, 7), (6, 7)]));
    // Others in between, which take the same memory, change nothing.
    detector.detect(&image).unwrap();
    detector.detect(&picture(300, 90, 4)).unwrap();
    assert_eq!(run(99).0.as_ref(), Some(&whole));
    let on = |boxes: &[[f32; 4]]| detector.detect_crops(&image, boxes, &crops, &mut |_, _| ControlFlow::Continue(()));
    assert!(on(&[]).unwrap().unwrap().is_empty());
    assert!(matches!(on(&[proposals[0], [1.0, 1.0, 1.0, 5.0]]), Err(Error::GivenBox { index: 1, .. })));
    crops.side = 65;
    let told = detector.detect_crops(&image, &proposals, &crops, &mut |_, _| ControlFlow::Continue(())).unwrap_err();
    assert!(told.to_string().contains("crops.side"), "{told}");
}
