use super::*;
use crate::vision::detections::Detection;
use crate::vision::scene;

fn found(width: u32, height: u32, items: Vec<([f32; 4], Mask)>) -> Detections {
    let items =
        items.into_iter().map(|(bbox, mask)| Detection { bbox, score: 0.9, label: 1, mask, soft: None }).collect();
    Detections::new(width, height, ["", "nucleus"].map(String::from).into(), items)
}

#[test]
fn small_pictures_are_enlarged_by_a_whole_factor() {
    for ((w, h), factor) in [
        ((256, 256), 5),
        ((320, 200), 4),
        ((200, 384), 3),
        ((696, 520), 2),
        ((800, 10), 1),
        ((1000, 1), 1),
        ((1200, 900), 1),
        ((1, 1), 1400),
    ] {
        let picture = overlay(&scene::blank(w, h, 40).unwrap(), &found(w, h, vec![]));
        assert_eq!(picture.dimensions(), (w * factor, h * factor));
        assert!(picture.pixels().all(|p| p.0 == [40; 3]), "{w}x{h}: nothing found, nothing drawn");
    }
}

#[test]
fn a_mask_is_tinted_and_outlined_in_a_colour() {
    for ground in [0, 255] {
        let mask = Mask::from_fn(300, 300, 400, 400, |_, _| true);
        let image = scene::blank(1000, 1000, ground).unwrap();
        let picture = overlay(&image, &found(1000, 1000, vec![([250.0, 250.0, 750.0, 750.0], mask)]));
        let [r, g, b] = picture[(500, 600)].0;
        assert!(r.abs_diff(g).max(g.abs_diff(b)) > 10, "the tint shows on {ground}");
        assert_ne!(picture[(300, 600)].0, picture[(310, 600)].0, "the outline shows on {ground}");
        assert_ne!(picture[(250, 600)].0, [ground; 3], "the box shows on {ground}");
        assert_eq!(picture[(100, 900)].0, [ground; 3], "the ground is left");
    }
}

#[test]
fn what_lies_outside_or_is_no_number_does_no_harm() {
    let image = scene::blank(50, 40, 90).unwrap();
    let all = Mask::from_fn(30, 20, 100, 100, |_, _| true);
    let boxes = [
        [-1e30, -5.0, 1e30, 1e30],
        [f32::NAN; 4],
        [f32::INFINITY, 0.0, f32::NEG_INFINITY, 3.0],
        [30.0, 30.0, 10.0, 10.0],
        [500.0, 500.0, 600.0, 600.0],
    ];
    let masks = [all, Mask::default(), Mask { x: 4000, y: 4000, w: 5, h: 5, bits: vec![31; 5] }];
    let items = boxes.iter().flat_map(|b| masks.iter().map(|m| (*b, m.clone()))).collect();
    overlay(&image, &found(50, 40, items));
    let large = scene::blank(1100, 30, 90).unwrap();
    overlay(&large, &found(50, 40, vec![([0.0; 4], Mask { x: 4000, y: 4000, w: 5, h: 5, bits: vec![31; 5] })]));
}

#[test]
fn an_enlarged_mask_keeps_its_place_and_single_pixels() {
    let disc = Mask::from_fn(3, 4, 21, 21, |x, y| (x as i32 - 13).pow(2) + (y as i32 - 14).pow(2) <= 100);
    let large = enlarge_mask(&disc, 5, 40, 40);
    let ratio = large.area() as f64 / (25.0 * disc.area() as f64);
    assert!((0.97..1.03).contains(&ratio), "{ratio}");
    assert!(large.get(13 * 5 + 2, 14 * 5 + 2) && !large.get(5, 5));
    assert!(enlarge_mask(&Mask::from_fn(7, 7, 1, 1, |_, _| true), 4, 40, 40).area() > 0);
    let cut = enlarge_mask(&Mask::from_fn(0, 0, 9, 9, |_, _| true), 4, 40, 40);
    assert!(cut.get(0, 0) && cut.get(0, 30));
}
