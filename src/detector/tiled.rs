//! Large pictures: in overlapping tiles, and the whole at low resolution beside them.

mod grid;
mod merge;
mod whole;

#[cfg(test)]
mod tests;

use std::ops::ControlFlow;

use self::grid::Tile;
use self::merge::{Found, Merged, merge};
use super::{Detector, Options, Pending};
use crate::vision::{Detection, Detections, PixelFormat, Pixels, RowSource, Shrinker};
use crate::{Error, Result};

/// What comes nearer to a tile's edge than the overlap over this may be cut by it: a box ends a few pixels short of the edge
/// that cuts its object.
const MARGIN_SHARE: u32 = 16;

/// How a picture is cut into tiles.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Tiling {
    /// Pixels of a tile's side, in the picture.
    pub tile: u32,
    /// Pixels that neighbours share at least: what is smaller is whole in one of them.
    pub overlap: u32,
    /// Whether the whole picture is looked at besides, at the resolution that it would have without tiles: what is larger than
    /// the overlap may be whole in no tile.
    pub whole: bool,
    /// Tiles a submit.
    pub batch: usize,
    /// What scores less is left out of each tile before they are merged, so that nothing doubtful is joined to anything.
    pub score: f32,
}

/// What was found in a picture tile by tile.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Tiled {
    /// In the whole picture. `left_out` and `crowded` are those of all tiles.
    pub found: Detections,
    /// How many tiles there were.
    pub tiles: usize,
    /// Pixels of a tile, width and height.
    pub tile: (u32, u32),
    /// Findings that went into another of the same object: doubles, pieces, and what both tiles and the whole showed.
    pub merged: usize,
    /// Tiles in which more was found than there is room for (`box.detections_per_img`), or could be.
    pub full: usize,
    /// Width and height at which the whole was looked at, where it was.
    pub whole: Option<(u32, u32)>,
}

impl Tiling {
    /// The least side of a tile, in pixels.
    pub const LEAST: u32 = 64;

    /// Tiles of so many pixels a side that overlap by so many, one a submit, and the whole picture beside them.
    ///
    /// # Errors
    /// [`Error::Config`] for a tile of less than [`Tiling::LEAST`] pixels, and for an overlap of half of it or more.
    pub fn new(tile: u32, overlap: u32) -> Result<Self> {
        let refuse = |setting: &str, reason| Err(Error::Config { setting: setting.into(), reason });
        if tile < Self::LEAST {
            return refuse("tile", format!("{tile} pixels are too few; a tile has {} or more", Self::LEAST));
        }
        if u64::from(overlap) * 2 >= u64::from(tile) {
            let most = (tile - 1) / 2;
            return refuse(
                "overlap",
                format!("{overlap} pixels are half of a tile of {tile} or more; {most} is the most"),
            );
        }
        Ok(Self { tile, overlap, whole: true, batch: 1, score: 0.0 })
    }

    /// Whether a picture of that size is more than one tile.
    pub fn cuts(&self, width: u32, height: u32) -> bool {
        width.max(height) > self.tile
    }

    /// How many tiles a picture of that size is cut into.
    pub fn count(&self, width: u32, height: u32) -> usize {
        let along = |side| grid::starts(side, self.tile, self.overlap).len();
        along(width) * along(height)
    }

    fn margin(&self) -> u32 {
        (self.overlap / MARGIN_SHARE).max(2)
    }
}

/// What tiles have found so far.
#[derive(Default)]
struct Gathered {
    tiles: Vec<Tile>,
    found: Vec<Found>,
    left_out: Vec<f32>,
    crowded: bool,
    full: usize,
}

impl Detector {
    /// Instances in a picture of any size: tile by tile, a row of tiles in memory at a time, and each object once, also where it
    /// lies across tiles. Beside them the whole is looked at, at low resolution, unless [`Tiling::whole`] says otherwise: what
    /// is too large for tiles is found there.
    ///
    /// `watch` hears after each submit how many tiles are done, and of how many; where it breaks, there is no result. The
    /// settings' limits (`box.detections_per_img`) are a tile's each. A picture that is one tile is done as
    /// [`Detector::detect`] does it.
    ///
    /// # Errors
    /// As [`Detector::detect`], [`Tiling::new`] and [`RowSource::rows`].
    pub fn detect_tiled(
        &self,
        source: &mut dyn RowSource,
        tiling: &Tiling,
        watch: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
    ) -> Result<Option<Tiled>> {
        // Its fields may be set to anything.
        Tiling::new(tiling.tile, tiling.overlap)?;
        let size = (source.width(), source.height());
        if !tiling.cuts(size.0, size.1) {
            return self.in_one(source, tiling, watch);
        }
        let side = (tiling.tile.min(size.0), tiling.tile.min(size.1));
        let [columns, rows] = [size.0, size.1].map(|side| grid::starts(side, tiling.tile, tiling.overlap));
        let total = columns.len() * rows.len();
        let mut shrinker = match tiling.whole {
            true => Some(Shrinker::new(size, whole::size(&self.config, size)?)),
            false => None,
        };
        let mut gathered = Gathered::default();
        let mut before: Option<(Tile, Pending)> = None;
        for &y in &rows {
            let band = source.rows(y..y + side.1)?;
            let row = 3 * size.0 as usize;
            if let Some(shrinker) = &mut shrinker {
                shrinker.add(&band[row * (shrinker.taken() - y) as usize..]);
            }
            for group in columns.chunks(tiling.batch.max(1)) {
                let tiles = group.iter().map(|&x| Tile { x, y, w: side.0, h: side.1 });
                let tiles: Vec<Tile> = tiles.collect();
                let pixels = |tile: &Tile| {
                    Pixels::with_stride(PixelFormat::Rgb, tile.w, tile.h, row, &band[3 * tile.x as usize..])
                };
                if let [tile] = tiles[..] {
                    // The device has the next one before the last one's masks are looked at.
                    let now = self.submit(pixels(&tile)?)?;
                    if let Some((tile, pending)) = before.replace((tile, now)) {
                        gathered.add(tile, pending.wait()?, self.limit(), size, tiling);
                    }
                } else {
                    let images = tiles.iter().map(pixels).collect::<Result<Vec<_>>>()?;
                    for (tile, found) in tiles.iter().zip(self.detect_batch(images)?) {
                        gathered.add(*tile, found, self.limit(), size, tiling);
                    }
                }
                if watch(gathered.tiles.len(), total).is_break() {
                    return Ok(None);
                }
            }
        }
        if let Some((tile, pending)) = before {
            gathered.add(tile, pending.wait()?, self.limit(), size, tiling);
            if watch(total, total).is_break() {
                return Ok(None);
            }
        }
        let Gathered { tiles, found, mut left_out, crowded, full } = gathered;
        let mut merged = merge(&tiles, found);
        let whole = shrinker.as_ref().map(|_| whole::size(&self.config, size)).transpose()?;
        if let Some(shrinker) = shrinker {
            merged = self.with_whole(shrinker, merged, size, tiling)?;
        }
        left_out.sort_by(|a, b| b.total_cmp(a));
        let items = merged.all.into_iter().map(|found| found.item).collect();
        let found = Detections::new(size.0, size.1, self.classes.clone(), items);
        let found = Detections { left_out, crowded, ..found };
        Ok(Some(Tiled { found, tiles: total, tile: side, merged: merged.merged, full, whole }))
    }

    fn in_one(
        &self,
        source: &mut dyn RowSource,
        tiling: &Tiling,
        watch: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
    ) -> Result<Option<Tiled>> {
        let (w, h) = (source.width(), source.height());
        let found = self.detect(Pixels::new(PixelFormat::Rgb, w, h, source.rows(0..h)?)?)?;
        if watch(1, 1).is_break() {
            return Ok(None);
        }
        let found = found.above(tiling.score);
        let full = usize::from(is_full(&found, self.limit()));
        Ok(Some(Tiled { found, tiles: 1, tile: (w, h), merged: 0, full, whole: None }))
    }

    /// Most instances of a tile.
    fn limit(&self) -> usize {
        self.config.box_head.detections_per_img
    }

    /// Looks at the whole, and adds what is too large for tiles.
    fn with_whole(&self, shrinker: Shrinker, merged: Merged, size: (u32, u32), tiling: &Tiling) -> Result<Merged> {
        let image = shrinker.finish()?;
        let found = self.detect_with(&image, &Options { soft_masks: true })?;
        let threshold = self.config.mask.as_ref().map_or(0.5, |mask| mask.threshold);
        let items = found.items.into_iter().filter(|item| item.score >= tiling.score);
        let from = (image.width(), image.height());
        let items: Vec<Detection> = items.map(|item| whole::enlarged(item, from, size, threshold)).collect();
        // What is shorter has room between the margins of two edges.
        let most = tiling.overlap.saturating_sub(2 * tiling.margin());
        Ok(whole::add(merged, items, most as f32))
    }
}

/// Whether a tile has as much as it may, or could have: see `left_out` and `crowded`.
fn is_full(found: &Detections, most: usize) -> bool {
    let more = found.left_out.len();
    // A likely object has several proposals: where half of the room is free, none is missing.
    more > 0 || found.crowded && 2 * found.len() >= most
}

impl Gathered {
    /// Adds what was found in a tile of a picture of that size.
    fn add(&mut self, tile: Tile, found: Detections, most: usize, size: (u32, u32), tiling: &Tiling) {
        let found = found.above(tiling.score);
        let full = is_full(&found, most);
        let number = self.tiles.len();
        self.tiles.push(tile);
        self.full += usize::from(full);
        self.crowded |= full && found.crowded;
        self.left_out.extend(found.left_out);
        for mut item in found.items {
            let [x, y] = [tile.x, tile.y].map(|v| v as f32);
            item.bbox = [item.bbox[0] + x, item.bbox[1] + y, item.bbox[2] + x, item.bbox[3] + y];
            if !item.mask.is_empty() {
                (item.mask.x, item.mask.y) = (item.mask.x + tile.x, item.mask.y + tile.y);
            }
            let cut = tile.cuts(item.bbox, size, tiling.margin());
            self.found.push(Found::new(item, number, cut));
        }
    }
}
