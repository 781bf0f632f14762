//! The strategies side by side, and the order of what they find.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use super::group::{group, neighbours};
use super::planes::{Planes, Space};
use super::regions::{Measure, Regions, Slopes};
use super::segment::Edges;
use crate::rng::Rng;

/// The colour spaces and measures of the paper's fast setting.
const SPACES: [Space; 2] = [Space::Hsv, Space::Lab];
const MEASURES: [Measure; 2] = [Measure::ColourTexture, Measure::Texture];

/// What a search is told: see [`SelectiveSearch`](super::SelectiveSearch).
pub(super) struct Settings<'a> {
    pub scales: &'a [f32],
    pub min_pixels: u32,
    pub max_boxes: usize,
    pub overlap: f32,
    pub seed: u64,
}

/// Boxes of an RGB picture of `width` pixels a row, best first: first column and row, and those after the last.
/// `progress` hears how many strategies are done, and of how many, from any thread.
pub(super) fn search(
    rgb: &[u8],
    width: usize,
    settings: &Settings,
    progress: &(dyn Fn(usize, usize) + Sync),
    wanted: impl Fn(&[u32; 4]) -> bool,
) -> Vec<[u32; 4]> {
    let of = SPACES.len() * settings.scales.len() * MEASURES.len();
    let done = AtomicUsize::new(0);
    // What each of them finds stays in its place, whichever thread was first.
    let strategies: Vec<Vec<[u32; 4]>> = SPACES
        .par_iter()
        .flat_map(|&space| {
            let planes = Planes::new(rgb, width, space);
            let (slopes, edges) = rayon::join(|| Slopes::new(&planes), || Edges::new(&planes));
            let of_scale = |&k: &f32| {
                let segmentation = edges.segment(k, settings.min_pixels);
                let pairs = neighbours(&segmentation, width);
                let regions = Regions::new(&planes, &slopes, &segmentation);
                let of_measure = |&measure: &Measure| {
                    let boxes = group(regions.clone(), &pairs, measure);
                    progress(done.fetch_add(1, Ordering::Relaxed) + 1, of);
                    boxes
                };
                MEASURES.par_iter().map(of_measure).collect::<Vec<_>>()
            };
            settings.scales.par_iter().flat_map(of_scale).collect::<Vec<_>>()
        })
        .collect();
    let ranked = ranked(&strategies, settings.seed);
    apart(ranked.into_iter().filter(wanted), settings)
}

/// All boxes, each once: those far up in a hierarchy first, but not all of them, as each one's place from the top is
/// multiplied by a random number (section 4.1 of the paper).
fn ranked(strategies: &[Vec<[u32; 4]>], seed: u64) -> Vec<[u32; 4]> {
    let mut all = Vec::new();
    for (s, boxes) in strategies.iter().enumerate() {
        let mut rng = Rng::new(seed.wrapping_add(s as u64));
        for (i, &bbox) in boxes.iter().enumerate() {
            all.push(((boxes.len() - i) as f32 * rng.uniform(0.0, 1.0), bbox));
        }
    }
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut seen = HashSet::new();
    all.into_iter().map(|(_, bbox)| bbox).filter(|bbox| seen.insert(*bbox)).collect()
}

/// The first boxes of which no two overlap by more than is asked for.
fn apart(ranked: impl Iterator<Item = [u32; 4]>, settings: &Settings) -> Vec<[u32; 4]> {
    let most = settings.overlap;
    let mut kept: Vec<([u32; 4], f32)> = Vec::new();
    for bbox in ranked {
        if kept.len() == settings.max_boxes {
            break;
        }
        let area = |b: [u32; 4]| (b[2] - b[0]) as f32 * (b[3] - b[1]) as f32;
        let own = area(bbox);
        let close = |&(other, its): &([u32; 4], f32)| {
            // Boxes whose sizes differ that much cannot overlap more.
            if own.min(its) <= most * own.max(its) {
                return false;
            }
            let wide = bbox[2].min(other[2]) as f32 - bbox[0].max(other[0]) as f32;
            let high = bbox[3].min(other[3]) as f32 - bbox[1].max(other[1]) as f32;
            let both = wide.max(0.0) * high.max(0.0);
            both > most * (own + its - both)
        };
        if !kept.iter().any(close) {
            kept.push((bbox, own));
        }
    }
    kept.into_iter().map(|(bbox, _)| bbox).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: Settings =
        Settings { scales: &[50.0, 100.0], min_pixels: 20, max_boxes: 500, overlap: 0.8, seed: 1 };

    fn all(_: &[u32; 4]) -> bool {
        true
    }

    /// Discs of many colours on a slope of grey, with some noise.
    fn discs(width: usize, height: usize) -> Vec<u8> {
        let mut rng = Rng::new(7);
        let discs: Vec<[usize; 6]> = (0..12)
            .map(|_| {
                let colour = [0; 3].map(|_: i32| rng.below(256));
                [rng.below(width), rng.below(height), 4 + rng.below(14), colour[0], colour[1], colour[2]]
            })
            .collect();
        let mut out = Vec::new();
        for i in 0..width * height {
            let (x, y) = (i % width, i / width);
            let on = discs.iter().rfind(|d| d[0].abs_diff(x).pow(2) + d[1].abs_diff(y).pow(2) <= d[2].pow(2));
            let colour = on.map_or([x * 255 / width; 3], |d| [d[3], d[4], d[5]]);
            out.extend(colour.map(|c| (c + rng.below(9)).min(255) as u8));
        }
        out
    }

    #[test]
    fn any_number_of_threads_finds_the_same() {
        let picture = discs(120, 90);
        let on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| search(&picture, 120, &SETTINGS, &|_, _| {}, all))
        };
        let one = on(1);
        assert!(one.len() > 20, "{}", one.len());
        assert!((0..3).all(|_| on(4) == one));
        let other = search(&picture, 120, &Settings { seed: 2, ..SETTINGS }, &|_, _| {}, all);
        assert!(other != one && other.len() > 20);
    }

    #[test]
    fn no_more_boxes_than_are_asked_for_and_none_twice() {
        let picture = discs(120, 90);
        let most =
            |max_boxes, overlap| search(&picture, 120, &Settings { max_boxes, overlap, ..SETTINGS }, &|_, _| {}, all);
        let (few, many) = (most(10, 0.8), most(500, 0.8));
        assert!(few.len() == 10 && many.len() > 10 && many.starts_with(&few));
        assert!(most(0, 0.8).is_empty());
        let every = most(5000, 1.0);
        assert_eq!(every.iter().collect::<HashSet<_>>().len(), every.len());
        assert!(every.len() > many.len(), "{} and {}", every.len(), many.len());
        let iou = |a: &[u32; 4], b: &[u32; 4]| {
            let side = |i: usize| f64::from(a[i + 2].min(b[i + 2])) - f64::from(a[i].max(b[i]));
            let area = |b: &[u32; 4]| f64::from((b[2] - b[0]) * (b[3] - b[1]));
            let both = side(0).max(0.0) * side(1).max(0.0);
            both / (area(a) + area(b) - both)
        };
        let close = |b: &[[u32; 4]]| (1..b.len()).any(|i| b[..i].iter().any(|a| iou(a, &b[i]) > 0.8001));
        assert!(close(&every) && !close(&many));
        // None was dropped but for being close to a better one.
        assert!(every.iter().all(|b| many.iter().any(|kept| iou(kept, b) > 0.7999)));
        let wide = search(&picture, 120, &SETTINGS, &|_, _| {}, |b| b[2] - b[0] >= 30);
        assert!(!wide.is_empty() && wide.iter().all(|b| b[2] - b[0] >= 30));
    }

    #[test]
    fn progress_goes_up_to_the_last_strategy() {
        let heard = std::sync::Mutex::new(Vec::new());
        search(&discs(40, 30), 40, &SETTINGS, &|done, of| heard.lock().unwrap().push((done, of)), all);
        let mut heard = heard.into_inner().unwrap();
        heard.sort_unstable();
        assert_eq!(heard, (1..=8).map(|n| (n, 8)).collect::<Vec<_>>());
    }

    #[test]
    fn odd_and_even_pictures_have_the_box_of_all() {
        for (width, height) in [(1, 1), (1, 9), (9, 1), (2, 2), (3, 200), (64, 48)] {
            let grey = vec![90; width * height * 3];
            let found = search(&grey, width, &SETTINGS, &|_, _| {}, all);
            assert_eq!(found, [[0, 0, width as u32, height as u32]], "{width}×{height}");
        }
        for (width, height) in [(1, 50), (50, 1), (2, 3), (33, 7)] {
            let found = search(&discs(width, height), width, &SETTINGS, &|_, _| {}, all);
            assert!(found.iter().all(|b| b[0] < b[2] && b[1] < b[3] && b[2] <= width as u32 && b[3] <= height as u32));
            assert!(found.contains(&[0, 0, width as u32, height as u32]), "{width}×{height}");
        }
    }

    #[test]
    fn two_discs_are_found() {
        let (width, height) = (100usize, 80usize);
        let mut picture = Vec::new();
        for i in 0..width * height {
            let inside = |x: usize, y: usize| (i % width).abs_diff(x).pow(2) + (i / width).abs_diff(y).pow(2) <= 144;
            picture.extend(match (inside(30, 40), inside(70, 30)) {
                (true, _) => [200, 40, 40],
                (_, true) => [40, 60, 200],
                _ => [120, 120, 120],
            });
        }
        let found = search(&picture, width, &SETTINGS, &|_, _| {}, all);
        for disc in [[18u32, 28, 43, 53], [58, 18, 83, 43]] {
            let near = |b: &&[u32; 4]| b.iter().zip(disc).all(|(a, b)| a.abs_diff(b) <= 2);
            assert!(found.iter().find(near).is_some(), "{disc:?} in {found:?}");
        }
    }
}
