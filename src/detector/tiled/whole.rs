//! The whole picture at low resolution, for what is larger than tiles can show.

use super::merge::{Found, Merged, Squares, mostly};
use crate::Result;
use crate::config::Config;
use crate::model::NetworkSize;
use crate::vision::{Detection, Mask, SoftMask};

/// Stands for the tile of what was found in the whole picture.
const NO_TILE: usize = usize::MAX;

/// Width and height to which the picture is brought before the network resizes it: those that its sides' rule gives, also
/// where images have a scale of their own (`transform.scale`), at which the whole would be as large as all tiles.
///
/// # Errors
/// As [`NetworkSize::new`].
pub(super) fn size(config: &Config, (width, height): (u32, u32)) -> Result<(u32, u32)> {
    let transform = crate::config::Transform { scale: 0.0, ..config.transform.clone() };
    let (rows, columns) = NetworkSize::new("", height, width, &transform)?.resized;
    let before = |side: u32, most: u32| match config.transform.scale {
        0.0 => side.min(most),
        scale => ((f64::from(side) / f64::from(scale)).round() as u32).clamp(1, most),
    };
    Ok((before(columns, width), before(rows, height)))
}

/// What was found in a version of `from` (width, height), as it is in the picture of `to`. Masks are made of the mask head's
/// squares where these are at hand, so that they are as smooth as any.
pub(super) fn enlarged(item: Detection, from: (u32, u32), to: (u32, u32), threshold: f32) -> Detection {
    let (sx, sy) = (f64::from(to.0) / f64::from(from.0), f64::from(to.1) / f64::from(from.1));
    let side = |v: f32, scale: f64, most: u32| ((f64::from(v) * scale) as f32).clamp(0.0, most as f32);
    let [x1, y1, x2, y2] = item.bbox;
    let bbox = [side(x1, sx, to.0), side(y1, sy, to.1), side(x2, sx, to.0), side(y2, sy, to.1)];
    let mask = match &item.soft {
        Some(soft) if !item.mask.is_empty() => pasted(soft, bbox, to, threshold),
        _ => item.mask.scaled((sx, sy), to),
    };
    Detection { bbox, mask, soft: None, ..item }
}

/// The pixels of a box on which the square laid over it passes a threshold, between its cells' centres by bilinear
/// interpolation, with zeros beyond its border, as the network itself pastes it.
fn pasted(soft: &SoftMask, [x1, y1, x2, y2]: [f32; 4], (width, height): (u32, u32), threshold: f32) -> Mask {
    let (x0, y0) = (x1.floor() as u32, y1.floor() as u32);
    let (w, h) = ((x2.ceil() as u32).min(width) - x0, (y2.ceil() as u32).min(height) - y0);
    let n = soft.side;
    // The cell before a pixel's centre, from -1 on, and how far it is from that one to the next.
    let tap = |at: u32, low: f32, high: f32| {
        let s = (at as f32 + 0.5 - low) / (high - low).max(1.0) * n as f32 - 0.5;
        let s = s.clamp(-1.0, n as f32);
        (s.floor() as isize, s - s.floor())
    };
    let cell = |row: isize, column: isize| {
        let inside = (0..n as isize).contains(&row) && (0..n as isize).contains(&column);
        if inside { soft.values.get(row as usize * n + column as usize).copied().unwrap_or(0.0) } else { 0.0 }
    };
    let columns: Vec<(isize, f32)> = (x0..x0 + w).map(|x| tap(x, x1, x2)).collect();
    Mask::from_fn(x0, y0, w, h, |px, py| {
        let ((column, fx), (row, fy)) = (columns[(px - x0) as usize], tap(py, y1, y2));
        let line = |row: isize| (1.0 - fx) * cell(row, column) + fx * cell(row, column + 1);
        (1.0 - fy) * line(row) + fy * line(row + 1) > threshold
    })
}

/// Adds what was found in the whole picture and is too large to be whole in a tile for sure: longer than `most` pixels.
///
/// - What tiles saw whole goes first: where such objects cover most of it, it is nothing new.
/// - The pieces that tiles saw of it are joined already where they agree with it, and stay then, being finer; else they
///   go into it.
pub(super) fn add(merged: Merged, large: Vec<Detection>, most: f32) -> Merged {
    let Merged { all, mut merged } = merged;
    let mut at = Squares::default();
    all.iter().enumerate().for_each(|(i, found)| at.put(i, found.region()));
    let mut slots: Vec<Option<Found>> = all.into_iter().map(Some).collect();
    let mut added = Vec::new();
    let long = |item: &Detection| (item.bbox[2] - item.bbox[0]).max(item.bbox[3] - item.bbox[1]) > most;
    for item in large.into_iter().filter(long) {
        let found = Found::new(item, NO_TILE, false);
        let mut near = Vec::new();
        for i in at.near(found.region()) {
            if let Some(other) = &slots[i] {
                near.push((i, other.cut, other.shared(&found), other.area()));
            }
        }
        let covered: u64 = near.iter().filter(|n| !n.1).map(|n| n.2).sum();
        let alike = |shared: u64, area: u64| mostly(shared, found.area() + area - shared);
        let same = near.iter().find(|&&(_, cut, shared, area)| cut && alike(shared, area)).map(|n| n.0);
        if mostly(covered, found.area()) {
            merged += 1;
        } else if let Some(other) = same.and_then(|i| slots[i].as_mut()) {
            other.item.score = other.item.score.max(found.item.score);
            merged += 1;
        } else {
            let mut score = found.item.score;
            for &(i, _, shared, area) in near.iter().filter(|n| n.1) {
                if mostly(shared, area) {
                    score = score.max(slots[i].take().map_or(0.0, |piece| piece.item.score));
                    merged += 1;
                }
            }
            let item = Detection { score, ..found.item };
            added.push(Found::new(item, NO_TILE, false));
        }
    }
    let all = slots.into_iter().flatten().chain(added).collect();
    Merged { all, merged }
}
