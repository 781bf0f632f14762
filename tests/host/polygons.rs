//! Polygons become the pixels that pycocotools gives them.

use std::path::Path;

use maskrcnn::engine::eval::Segmentation;

#[test]
fn polygons_are_drawn_as_pycocotools_draws_them() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/eval.json");
    let golden: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let cases = golden["polygons"].as_array().unwrap();
    assert_eq!(cases.len(), 20);
    for case in cases {
        let polygon: Vec<f64> = serde_json::from_value(case["polygon"].clone()).unwrap();
        let got = Segmentation::Polygons(vec![polygon]).region(Some([20, 30])).unwrap();
        assert_eq!(got.rle().to_compressed_string(), case["counts"], "{}", case["polygon"]);
    }
}

/// Where two polygons of one object overlap, it is there once.
#[test]
fn polygons_of_one_object_are_joined() {
    let square = |x: f64| vec![x, 2.0, x, 8.0, x + 6.0, 8.0, x + 6.0, 2.0];
    let area = |all: Vec<Vec<f64>>| Segmentation::Polygons(all).region(Some([20, 30])).unwrap().area();
    assert_eq!(area(vec![square(1.0)]), 36);
    assert_eq!(area(vec![square(1.0), square(4.0)]), 36 + 18);
    assert_eq!(area(vec![square(1.0), square(10.0), square(1.0)]), 72);
    assert_eq!(area(vec![]), 0);
    for bad in [vec![1.0, 2.0, 3.0, 4.0], vec![1.0; 7], vec![0.0, 0.0, 1e30, 0.0, 5.0, 5.0]] {
        assert!(Segmentation::Polygons(vec![bad.clone()]).region(Some([20, 30])).is_err(), "{bad:?}");
    }
    assert!(Segmentation::Polygons(vec![square(1.0)]).region(None).is_err());
}
