//! Runs that are cut into several submits find the same.

use std::time::Duration;

use maskrcnn::Detector;

use super::detector::{own_device, picture, since, small};
use super::golden::file;

/// The whole network, run after run, as what is measured replaces what was predicted; and as a batch.
#[test]
fn a_detector_finds_the_same_in_slices() {
    let of = |slice: Option<Duration>| {
        let builder = Detector::builder().device(&own_device()).weights_file(file()).config(small());
        slice.into_iter().fold(builder, |builder, within| builder.slice(within)).build().unwrap()
    };
    let images = [picture(250, 200, 3), picture(250, 200, 4)];
    let whole = of(None);
    let want = images.each_ref().map(|image| whole.detect(image).unwrap());
    assert!(want.iter().all(|found| found.len() >= 5), "{} and {} found", want[0].len(), want[1].len());
    let batch = whole.detect_batch(&images).unwrap();
    for (within, fewest) in [(Duration::from_nanos(1), 150), (Duration::from_millis(5), 3)] {
        let sliced = of(Some(within));
        for run in 0..3 {
            let before = sliced.counters();
            let found = sliced.detect(&images[run % 2]).unwrap();
            let [submits, waits, maps] = since(&sliced, before);
            assert!(found == want[run % 2], "run {run} within {within:?}");
            assert!(submits >= fewest && (waits, maps) == (1, 1), "{submits} submits, {waits} waits, {maps} maps");
        }
        assert!(sliced.detect_batch(&images).unwrap() == batch, "a batch within {within:?}");
    }
    // One who asks for more time than it takes gets one submit.
    let patient = of(Some(Duration::from_secs(3600)));
    let before = patient.counters();
    assert!(patient.detect(&images[0]).unwrap() == want[0]);
    assert_eq!(since(&patient, before), [1, 1, 1], "submits, waits, maps");
}
