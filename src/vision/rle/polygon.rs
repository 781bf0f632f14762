//! Polygons as COCO's tools turn them into pixels.
//!
//! The outline is walked on a grid five times finer than the pixels. Where it passes the middle of a column of pixels,
//! it changes whether what lies below, in that column, is inside: the pixels of a polygon are those below an odd number
//! of passings.

use super::Rle;

/// Steps of the fine grid to a pixel.
const FINE: i64 = 5;
/// The step that is a pixel's middle.
const MIDDLE: i64 = 2;

impl Rle {
    /// The pixels of a polygon in an image, whatever lies outside of that cut off. Corners are x and y in pixels; they are
    /// finite.
    pub(crate) fn from_polygon(height: u32, width: u32, corners: &[[f64; 2]]) -> Self {
        // To the nearest step, by cutting off what follows the point, as a cast in C does: below zero that is the next
        // but one at times, which has to be the same here.
        let fine: Vec<[i64; 2]> = corners.iter().map(|c| c.map(|v| (FINE as f64 * v + 0.5) as i64)).collect();
        let mut passings = Vec::new();
        let mut before: Option<[i64; 2]> = None;
        for (i, &from) in fine.iter().enumerate() {
            walk(from, fine[(i + 1) % fine.len()], |at| {
                passings.extend(before.and_then(|b| passing(b, at, height, width)));
                before = Some(at);
            });
        }
        passings.sort_unstable();
        let mut rle = Self::builder(height, width);
        for pair in passings.chunks(2) {
            let end = pair.get(1).copied().unwrap_or(u64::from(height) * u64::from(width));
            if pair[0] < end {
                rle.ones(pair[0], end);
            }
        }
        rle.finish()
    }
}

/// Visits the points of the fine grid from one to another: every step of the longer direction, and the nearest of the
/// other, counted from that end which is lower in the longer direction.
fn walk(from: [i64; 2], to: [i64; 2], mut see: impl FnMut([i64; 2])) {
    let long = usize::from((to[1] - from[1]).abs() > (to[0] - from[0]).abs());
    let steps = (to[long] - from[long]).abs();
    if steps == 0 {
        return see(from);
    }
    let turned = from[long] > to[long];
    let (low, high) = if turned { (to, from) } else { (from, to) };
    let slope = (high[1 - long] - low[1 - long]) as f64 / steps as f64;
    for i in 0..=steps {
        let t = if turned { steps - i } else { i };
        let mut at = [low[long] + t; 2];
        at[1 - long] = (low[1 - long] as f64 + slope * t as f64 + 0.5) as i64;
        see(at);
    }
}

/// The first pixel, counted down the columns, that a step across a column's middle changes.
fn passing(before: [i64; 2], at: [i64; 2], height: u32, width: u32) -> Option<u64> {
    let [x, y] = at;
    if x == before[0] {
        return None;
    }
    let left = if x < before[0] { x } else { x - 1 };
    let column = (left - MIDDLE).div_euclid(FINE);
    if (left - MIDDLE).rem_euclid(FINE) != 0 || !(0..i64::from(width)).contains(&column) {
        return None;
    }
    // The first pixel whose middle is not above.
    let row = (y.min(before[1]) - MIDDLE + FINE - 1).div_euclid(FINE).clamp(0, i64::from(height));
    Some(column as u64 * u64::from(height) + row as u64)
}
