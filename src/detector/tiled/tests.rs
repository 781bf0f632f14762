//! Findings of made-up tiles, merged.

use super::grid::Tile;
use super::merge::{Found, Merged, merge};
use super::*;
use crate::vision::Mask;

/// Three tiles side by side that overlap by 20 columns, of a picture of 260 × 100.
const TILES: [Tile; 3] = [tile(0), tile(80), tile(160)];
const SIZE: (u32, u32) = (260, 100);

const fn tile(x: u32) -> Tile {
    Tile { x, y: 0, w: 100, h: 100 }
}

/// What a tile sees of an object that fills these columns and rows.
fn seen(tile: usize, score: f32, label: u32, [x0, y0, x1, y1]: [u32; 4]) -> Found {
    let [left, top, right, bottom] = TILES[tile].rectangle();
    let (x0, y0, x1, y1) = (x0.max(left), y0.max(top), x1.min(right), y1.min(bottom));
    let bbox = [x0, y0, x1, y1].map(|v| v as f32);
    let mask = Mask::filled(x0, y0, x1 - x0, y1 - y0);
    let item = Detection { bbox, score, label, mask, soft: None };
    Found::new(item, tile, TILES[tile].cuts(bbox, SIZE, 2))
}

fn boxes(merged: &Merged) -> Vec<[u32; 4]> {
    merged.all.iter().map(|f| f.item.bbox.map(|v| v as u32)).collect()
}

#[test]
fn what_two_tiles_see_is_there_once() {
    // In both; then whole in the second, cut in the first, which scores better.
    let merged = merge(&TILES, vec![seen(0, 0.7, 1, [82, 10, 95, 30]), seen(1, 0.8, 1, [83, 10, 96, 30])]);
    assert_eq!((boxes(&merged), merged.merged), (vec![[83, 10, 96, 30]], 1));
    let merged = merge(&TILES, vec![seen(0, 0.9, 1, [90, 10, 130, 30]), seen(1, 0.6, 1, [90, 10, 130, 30])]);
    assert_eq!((boxes(&merged), merged.merged), (vec![[90, 10, 130, 30]], 1));
    assert!((merged.all[0].item.score - 0.9).abs() < 1e-6, "the better score stays");
    // A sliver, of which the other tile has the whole.
    let merged = merge(&TILES, vec![seen(0, 0.9, 1, [97, 10, 130, 30]), seen(1, 0.6, 1, [97, 10, 130, 30])]);
    assert_eq!((boxes(&merged), merged.merged), (vec![[97, 10, 130, 30]], 1));
}

#[test]
fn pieces_are_joined_over_three_tiles() {
    let long = [30, 40, 220, 60];
    let all = vec![seen(0, 0.6, 1, long), seen(1, 0.9, 1, long), seen(2, 0.7, 1, long)];
    let merged = merge(&TILES, all);
    assert_eq!((boxes(&merged), merged.merged), (vec![long], 2));
    let one = &merged.all[0].item;
    assert!((one.score - 0.9).abs() < 1e-6);
    assert_eq!(one.mask, Mask::filled(30, 40, 190, 20));
    // Without masks, boxes do.
    let bare = |tile| {
        let mut found = seen(tile, 0.5, 1, long);
        found.item.mask = Mask::default();
        Found::new(found.item, tile, true)
    };
    let merged = merge(&TILES, (0..3).map(bare).collect());
    assert_eq!((boxes(&merged), merged.merged), (vec![long], 2));
    assert!(merged.all[0].item.mask.is_empty());
}

#[test]
fn neighbours_classes_and_what_a_tile_sees_apart_stay_apart() {
    // Touching across the seam: they share one column.
    let merged = merge(&TILES, vec![seen(0, 0.9, 1, [60, 10, 91, 30]), seen(1, 0.9, 1, [90, 10, 120, 30])]);
    assert_eq!(merged.merged, 0);
    // Of two classes.
    let merged = merge(&TILES, vec![seen(0, 0.9, 1, [82, 10, 95, 30]), seen(1, 0.8, 2, [82, 10, 95, 30])]);
    assert_eq!(merged.merged, 0);
    // One above the other in the first tile; the second tile took them for one, and joins only the one that fits best.
    let two = [seen(0, 0.9, 1, [50, 10, 150, 24]), seen(0, 0.9, 1, [50, 24, 150, 30])];
    let merged = merge(&TILES, two.into_iter().chain([seen(1, 0.9, 1, [50, 10, 190, 30])]).collect());
    assert_eq!((merged.all.len(), merged.merged), (2, 1));
    // Both of them whole, and one piece over both in the same tile, which is none of either.
    let two = [seen(1, 0.9, 1, [110, 10, 130, 24]), seen(1, 0.9, 1, [110, 24, 130, 38])];
    let over = Found::new(seen(1, 0.7, 1, [110, 10, 130, 38]).item, 1, true);
    let merged = merge(&TILES, two.into_iter().chain([over]).collect());
    assert_eq!(boxes(&merged), [[110, 10, 130, 24], [110, 24, 130, 38]]);
    // Nested in one tile.
    let merged = merge(&TILES, vec![seen(0, 0.9, 1, [10, 10, 60, 60]), seen(0, 0.8, 1, [20, 20, 30, 30])]);
    assert_eq!(merged.merged, 0);
}

#[test]
fn the_order_of_tiles_is_of_no_matter() {
    let long = [30, 40, 220, 60];
    let all = vec![
        seen(0, 0.5, 1, long),
        seen(1, 0.5, 1, long),
        seen(2, 0.5, 1, long),
        seen(0, 0.5, 1, [82, 10, 95, 30]),
        seen(1, 0.5, 1, [83, 10, 96, 30]),
        seen(1, 0.5, 1, [170, 0, 200, 20]),
        seen(2, 0.5, 1, [170, 0, 200, 20]),
    ];
    let want = merge(&TILES, all.clone());
    assert_eq!(want.all.len(), 3);
    for turn in 1..all.len() {
        let mut other = all.clone();
        other.rotate_left(turn);
        other.swap(0, 3);
        assert_eq!(boxes(&merge(&TILES, other)), boxes(&want), "{turn}");
    }
}

#[test]
fn the_whole_adds_what_is_too_large_for_tiles() {
    let large = |score, [x0, y0, x1, y1]: [u32; 4]| Detection {
        bbox: [x0, y0, x1, y1].map(|v| v as f32),
        score,
        label: 1,
        mask: Mask::filled(x0, y0, x1 - x0, y1 - y0),
        soft: None,
    };
    let add = |tiles: Vec<Found>, items: Vec<Detection>| whole::add(merge(&TILES, tiles), items, 16.0);
    let long = [30, 30, 220, 70];
    // Tiles see nothing of it, then a part that does not tell much, then all its pieces.
    assert_eq!(boxes(&add(vec![], vec![large(0.9, long)])), [long]);
    let got = add(vec![seen(0, 0.95, 1, [80, 30, 120, 70])], vec![large(0.9, long)]);
    assert_eq!((boxes(&got), got.merged), (vec![long], 1));
    assert!((got.all[0].item.score - 0.95).abs() < 1e-6);
    let pieces = (0..3).map(|tile| seen(tile, 0.6, 1, [30, 32, 220, 70])).collect();
    let got = add(pieces, vec![large(0.9, long)]);
    assert_eq!((boxes(&got), got.merged), (vec![[30, 32, 220, 70]], 3));
    assert!((got.all[0].item.score - 0.9).abs() < 1e-6);
    // Small ones are the tiles' business, and so is what they saw whole.
    assert!(add(vec![], vec![large(0.9, [30, 30, 46, 46])]).all.is_empty());
    let got = add(vec![seen(0, 0.6, 1, [20, 30, 70, 70])], vec![large(0.9, [22, 30, 72, 70])]);
    assert_eq!((boxes(&got), got.merged), (vec![[20, 30, 70, 70]], 1));
    // What lies on a large one stays beside it.
    assert_eq!(add(vec![seen(0, 0.6, 1, [40, 40, 50, 50])], vec![large(0.9, long)]).all.len(), 2);
}

#[test]
fn what_the_whole_shows_is_brought_to_the_pictures_size() {
    let mask = Mask::filled(2, 3, 4, 5);
    let item = Detection { bbox: [2.0, 3.0, 6.0, 8.0], score: 0.5, label: 1, mask, soft: None };
    let got = whole::enlarged(item.clone(), (10, 10), (100, 50), 0.5);
    assert_eq!((got.bbox, got.mask), ([20.0, 15.0, 60.0, 40.0], Mask::filled(20, 15, 40, 25)));
    // A square of which the left half is inside: the cut is between its cells.
    let soft = crate::vision::SoftMask { side: 4, values: [1.0, 1.0, 0.0, 0.0].repeat(4) };
    let got = whole::enlarged(Detection { soft: Some(soft), ..item }, (10, 10), (100, 50), 0.5);
    let columns: Vec<u32> = (20..60).filter(|&x| got.mask.get(x, 27)).collect();
    assert_eq!((columns[0], *columns.last().unwrap(), got.soft), (20, 39, None));
}

#[test]
fn tilings_that_cannot_be_are_refused() {
    let told = |tile, overlap| Tiling::new(tile, overlap).unwrap_err().to_string();
    assert!(told(63, 8).contains("64 or more"));
    assert!(told(256, 128).contains("half of a tile of 256") && told(256, 128).contains("127 is the most"));
    let tiling = Tiling::new(256, 127).unwrap();
    assert!(tiling.cuts(257, 9) && tiling.cuts(9, 257) && !tiling.cuts(256, 256));
    assert_eq!(Tiling::new(1024, 128).unwrap().count(6000, 1500), 14);
}
