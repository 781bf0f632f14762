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

/// Numbers go to the middle, and a step from it each way, by their own size, where the mask is.
#[test]
fn numbers_have_places_on_the_mask() {
    let place = |mask: &Mask| anchors(mask, &Rect::new(0, 0, 101, 61), (9, 7));
    let bar = Mask::from_fn(10, 0, 20, 60, |_, _| true);
    assert_eq!(place(&bar), [(20, 29), (20, 19), (20, 39), (11, 29), (29, 29)]);
    let flat = Mask::from_fn(10, 5, 40, 8, |_, _| true);
    assert_eq!(place(&flat), [(30, 8), (21, 8), (39, 8)]);
    // Of a ring, whose middle is not its own, the longest row.
    let ring = Mask::from_fn(10, 10, 30, 30, |x, y| y >= 35 || !(14..36).contains(&x) || y < 12);
    assert_eq!(place(&ring)[0], (25, 10));
    assert_eq!(place(&Mask::default()), [(50, 30)]);
}

/// A disc of that radius round (x, y), with a hole of so many pixels' radius, and its box.
fn disc((x, y): (f32, f32), radius: f32, hole: f32) -> ([f32; 4], Mask) {
    let sides = [x - radius, y - radius, x + radius, y + radius];
    let [x0, y0, x1, y1] = sides.map(|v| v.max(0.0) as u32);
    let far = |px: u32, py: u32| (px as f32 + 0.5 - x).hypot(py as f32 + 0.5 - y);
    (sides, Mask::from_fn(x0, y0, x1 + 1 - x0, y1 + 1 - y0, |px, py| (hole..=radius).contains(&far(px, py))))
}

/// A picture that was looked at when it was kept, drawn again. `MASKRCNN_BLESS=1` keeps it anew.
fn is_as_kept(name: &str, picture: &RgbImage) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/overlay_{name}.png"));
    if std::env::var_os("MASKRCNN_BLESS").is_some() {
        picture.save(&path).unwrap();
    }
    let kept = image::open(&path).unwrap().into_rgb8();
    assert_eq!(picture.dimensions(), kept.dimensions(), "{name}");
    for (x, y, pixel) in picture.enumerate_pixels() {
        // Sines and roots are not the same to the last bit everywhere.
        let far = pixel.0.iter().zip(kept[(x, y)].0).map(|(&a, b)| a.abs_diff(b)).max();
        assert!(far <= Some(2), "{name}: ({x}, {y}) is {:?} and was {:?}", pixel.0, kept[(x, y)].0);
    }
}

fn graded(width: u32, height: u32) -> Image {
    let pixel = |i: u32| [i % width * 200 / width, i / width * 150 / height, 90].map(|v| v as u8);
    Image::from_rgb8(width, height, (0..width * height).flat_map(pixel).collect()).unwrap()
}

#[test]
fn instances_are_drawn_as_they_were() {
    // Enlarged twice: discs alone, touching, cut by the border, a ring whose middle is not its own, a bow, a box without a mask.
    let bow = Mask::from_fn(420, 8, 90, 44, |x, y| y < 16 || x >= 500);
    let items = vec![
        disc((30.0, 30.0), 20.0, 0.0),
        disc((110.0, 31.0), 22.0, 0.0),
        disc((146.5, 24.0), 15.0, 0.0),
        disc((240.0, 30.0), 28.0, 16.0),
        disc((330.0, 2.0), 24.0, 0.0),
        disc((336.0, 40.0), 3.0, 0.0),
        ([420.0, 8.0, 510.0, 52.0], bow),
        ([560.0, 12.0, 676.4, 55.5], Mask::default()),
        disc((689.0, 30.0), 9.0, 0.0),
    ];
    is_as_kept("few", &overlay(&graded(690, 60), &found(690, 60, items)));
}

#[test]
fn a_crowd_is_drawn_as_it_was() {
    // More than have words of their own, of many sizes, none enlarged.
    let place =
        |i: usize| ((i % 30 * 33 + i / 30 * 7) as f32 + 14.0, (i / 30 * 46) as f32 + 20.0 + (i * 7 % 11) as f32);
    let mut items: Vec<_> = (0..116).map(|i| disc(place(i), [5.0, 9.0, 13.0, 17.5][i % 4], 0.0)).collect();
    items.push(disc((930.0, 170.0), 66.0, 20.0));
    is_as_kept("crowd", &overlay(&scene::blank(1010, 210, 70).unwrap(), &found(1010, 210, items)));
}

#[test]
fn a_style_is_drawn_as_it_was() {
    let items = vec![disc((40.0, 40.0), 21.0, 0.0), disc((110.0, 45.0), 30.0, 12.0), disc((66.0, 44.0), 9.0, 0.0)];
    let mut dets = found(150, 90, items);
    let style = Style {
        palette: Palette::Classes,
        font_size: Some(11.0),
        line_width: Some(3.0),
        enlarged: false,
        ..Style::default()
    };
    is_as_kept("styled", &styled_overlay(&graded(150, 90), &dets, &style));
    // Each part alone, one below the other.
    dets = found(150, 90, vec![disc((40.0, 40.0), 21.0, 0.0), disc((110.0, 45.0), 30.0, 12.0)]);
    let mut board = Board::new(150, 360, [0; 3]);
    for (i, part) in ["fill", "outline", "box", "label"].into_iter().enumerate() {
        let style = Style { parts: part.parse().unwrap(), enlarged: false, ..Style::default() };
        board.picture(&styled_overlay(&graded(150, 90), &dets, &style), 0, 90 * i as i64);
    }
    is_as_kept("parts", &board.finish());
}
