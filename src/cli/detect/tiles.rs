//! Pictures that are looked at in tiles: those that are too large to be looked at as one, and those of which it is asked.

use std::ops::{ControlFlow, Range};
use std::sync::atomic::{AtomicUsize, Ordering};

use image::RgbImage;
use maskrcnn::engine::vision::{MAX_PIXELS, Piecewise, Shrinker, Style, styled_overlay};
use maskrcnn::{Config, Detections, Detector, Error, Image, Result, RowSource, Tiled, Tiling};

use super::key::RunKey;
use super::names::Page;
use crate::cli::{progress, stopping};

/// Pixels of a tile's side where nothing else is said: what a picture of nuclei can have without being shrunk much.
const TILE: u32 = 1024;

/// Pixels that tiles share where nothing else is said, or a quarter of a small tile: more than any nucleus.
const OVERLAP: u32 = 128;

/// The long side of the overlay of a picture that is not in memory as a whole, in pixels.
const DRAWN: u32 = 2048;

/// How pictures are cut into tiles.
#[derive(clap::Args)]
pub(super) struct TileArgs {
    /// Look at pictures that are larger than this in tiles of so many pixels a side, and at the whole besides, and make one
    /// result of it. `auto`: in tiles of 1024 where a picture is too large to be looked at as one, or for --diameter. `off`:
    /// never.
    #[arg(long, value_name = "PIXELS|auto|off", default_value = "auto", value_parser = wanted,
        conflicts_with_all = ["proposals", "boxes"])]
    tile: Wanted,
    /// Pixels that neighbouring tiles share at least, more than what is looked for measures: what is longer may be whole in no
    /// tile, and is put together. Without: 128, or a quarter of a tile that has less than 512.
    #[arg(long, value_name = "PIXELS", conflicts_with_all = ["proposals", "boxes"])]
    overlap: Option<u32>,
    /// Beside the tiles, do not look at the whole picture at low resolution, which finds what is too large for them.
    #[arg(long, conflicts_with_all = ["proposals", "boxes"])]
    no_whole: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Auto,
    Off,
    Side(u32),
}

fn wanted(text: &str) -> Result<Wanted, String> {
    match (text, text.parse()) {
        ("auto", _) => Ok(Wanted::Auto),
        ("off", _) => Ok(Wanted::Off),
        (_, Ok(side)) => Ok(Wanted::Side(side)),
        _ => Err("is neither a number of pixels, nor `auto` or `off`".into()),
    }
}

impl TileArgs {
    /// The tiling that is asked for, or that would be chosen.
    ///
    /// # Errors
    /// As [`Tiling::new`], naming the option.
    pub(super) fn tiling(&self, score: f32, batch: u8) -> Result<Tiling> {
        let tile = if let Wanted::Side(side) = self.tile { side } else { TILE };
        let overlap = self.overlap.unwrap_or(OVERLAP.min(tile / 4));
        let mut tiling = Tiling::new(tile, overlap).map_err(|e| match e {
            Error::Config { setting, reason } => Error::Config { setting: format!("--{setting}"), reason },
            other => other,
        })?;
        (tiling.whole, tiling.score, tiling.batch) = (!self.no_whole, score, usize::from(batch));
        Ok(tiling)
    }

    /// Whether tiles are asked for by name.
    pub(super) fn are_wanted(&self) -> bool {
        matches!(self.tile, Wanted::Side(_)) || self.overlap.is_some() || self.no_whole
    }

    /// What tells results by these options from others; nothing where none is given.
    pub(super) fn settings(&self) -> String {
        match (self.tile, self.overlap, self.no_whole) {
            (Wanted::Auto, None, false) => String::new(),
            (tile, overlap, no_whole) => format!("tiles {tile:?} {overlap:?} {no_whole}\n"),
        }
    }
}

/// A picture, and how to look at it.
pub(super) enum Picture {
    /// As one.
    Whole(Image),
    /// In tiles.
    Tiles(Image, Tiling),
    /// In tiles, some rows in memory at a time.
    Pieces(Box<Piecewise>, Tiling),
}

/// What was found in tiles, with what to draw it on.
pub(super) struct Drawn {
    pub image: Image,
    pub found: Detections,
    /// For the picture's line.
    pub told: String,
}

/// Decides which pictures are looked at in tiles.
pub(super) struct Tiles<'a> {
    args: &'a TileArgs,
    tiling: Tiling,
    /// The options say how long the long side may be in the network.
    limited: bool,
    /// Pictures of which it was decided here.
    chosen: AtomicUsize,
}

impl<'a> Tiles<'a> {
    pub(super) fn new(args: &'a TileArgs, tiling: Tiling, limited: bool) -> Self {
        Self { args, tiling, limited, chosen: AtomicUsize::new(0) }
    }

    /// Whether pictures may be looked at in tiles at all.
    pub(super) fn allowed(&self) -> bool {
        self.args.tile != Wanted::Off
    }

    /// How to look at a picture that is in memory.
    pub(super) fn of(&self, image: Image, name: &str, config: &Config) -> Picture {
        let (w, h) = (image.width(), image.height());
        let (scale, most) = (f64::from(config.transform.scale), config.transform.max_size);
        let tiling = self.fitted(config);
        match self.args.tile {
            Wanted::Side(_) if tiling.cuts(w, h) => Picture::Tiles(image, tiling),
            // By the diameter, it would have to be larger in the network than it may be.
            Wanted::Auto if !self.limited && scale * f64::from(w.max(h)) > most as f64 && tiling.cuts(w, h) => {
                self.tell(name, &format!("by --diameter it would have more than {most} pixels in the network"));
                Picture::Tiles(image, tiling)
            }
            _ => Picture::Whole(image),
        }
    }

    /// How to look at one that is not.
    pub(super) fn of_pieces(&self, pieces: Piecewise, name: &str, config: &Config) -> Picture {
        if self.args.tile == Wanted::Auto {
            self.tell(name, &format!("it has more than {} Mi pixels", MAX_PIXELS >> 20));
        }
        Picture::Pieces(Box::new(pieces), self.fitted(config))
    }

    /// How to look at a picture that the device could not take as one, where there is another way.
    pub(super) fn instead(&self, image: &Image, name: &str, error: &Error, config: &Config) -> Option<Tiling> {
        let large = matches!(error, Error::Limit { .. } | Error::OutOfMemory { .. });
        let tiling = self.fitted(config);
        let tiles = self.args.tile == Wanted::Auto && large && tiling.cuts(image.width(), image.height());
        tiles.then(|| {
            self.tell(name, &format!("the device cannot take it as one ({error})"));
            tiling
        })
    }

    /// Tiles that the network need not shrink, where their side was not given and leaves room for the overlap.
    fn fitted(&self, config: &Config) -> Tiling {
        let (scale, most) = (config.transform.scale, config.transform.max_size as f32);
        let mut tiling = self.tiling;
        if self.args.tile == Wanted::Auto && scale * tiling.tile as f32 > most {
            tiling.tile = ((most / scale) as u32).max(2 * tiling.overlap + 1);
        }
        tiling
    }

    fn tell(&self, name: &str, reason: &str) {
        if self.chosen.fetch_add(1, Ordering::Relaxed) == 0 {
            note!("note: {name}: {reason}, and is looked at in tiles (--tile PIXELS says how large; --tile off: not)");
        }
    }

    /// Says of how many more pictures that holds.
    pub(super) fn finish(&self) {
        if let more @ 1.. = self.chosen.load(Ordering::Relaxed).saturating_sub(1) {
            note!("note: {more} more of the pictures are looked at in tiles for such a reason");
        }
    }
}

impl Picture {
    /// Where it is looked at as one.
    pub(super) fn whole(&self) -> Option<&Image> {
        if let Self::Whole(image) = self { Some(image) } else { None }
    }

    /// Rows and columns of what is looked at as one: it, or a tile of it.
    pub(super) fn looked_at(&self) -> (u32, u32) {
        let tile = |size: (u32, u32), tiling: &Tiling| (size.0.min(tiling.tile), size.1.min(tiling.tile));
        match self {
            Self::Whole(image) => (image.height(), image.width()),
            Self::Tiles(image, tiling) => tile((image.height(), image.width()), tiling),
            Self::Pieces(pieces, tiling) => tile((pieces.height(), pieces.width()), tiling),
        }
    }
}

/// What is in a picture; nothing where the user wants no more.
pub(super) fn detect(detector: &Detector, picture: Picture) -> Result<Option<Drawn>> {
    match picture {
        Picture::Whole(image) => {
            let found = detector.detect(&image)?;
            Ok(Some(Drawn { image, found, told: String::new() }))
        }
        Picture::Tiles(mut image, tiling) => Ok(run(detector, &mut image, &tiling)?.map(|tiled| {
            let told = told(&tiled, &tiling, detector.config());
            Drawn { image, found: tiled.found, told }
        })),
        Picture::Pieces(pieces, tiling) => in_pieces(detector, *pieces, &tiling),
    }
}

fn in_pieces(detector: &Detector, pieces: Piecewise, tiling: &Tiling) -> Result<Option<Drawn>> {
    let size = (pieces.width(), pieces.height());
    let mut shrunk = Shrunk { pieces, shrinker: Shrinker::new(size, drawn_size(size)) };
    let Some(tiled) = run(detector, &mut shrunk, tiling)? else { return Ok(None) };
    let image = shrunk.shrinker.finish()?;
    let told = told(&tiled, tiling, detector.config());
    let told = format!("{told}; the overlay is of {}×{} pixels", image.width(), image.height());
    Ok(Some(Drawn { image, found: tiled.found, told }))
}

fn drawn_size((w, h): (u32, u32)) -> (u32, u32) {
    let side = |v: u32| (u64::from(v) * u64::from(DRAWN) / u64::from(w.max(h))).max(1) as u32;
    if w.max(h) <= DRAWN { (w, h) } else { (side(w), side(h)) }
}

fn run(detector: &Detector, source: &mut dyn RowSource, tiling: &Tiling) -> Result<Option<Tiled>> {
    let bar = progress::Progress::of_tiles(tiling.count(source.width(), source.height()));
    let mut watch = |done: usize, _| {
        bar.at(done);
        if stopping::asked() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let tiled = detector.detect_tiled(source, tiling, &mut watch);
    bar.finish();
    tiled
}

/// A picture whose rows make a smaller one on their way.
struct Shrunk {
    pieces: Piecewise,
    shrinker: Shrinker,
}

impl RowSource for Shrunk {
    fn width(&self) -> u32 {
        self.pieces.width()
    }

    fn height(&self) -> u32 {
        self.pieces.height()
    }

    fn rows(&mut self, rows: Range<u32>) -> Result<&[u8]> {
        let (row, taken) = (3 * self.pieces.width() as usize, self.shrinker.taken());
        let band = self.pieces.rows(rows.clone())?;
        if (rows.start..rows.end).contains(&taken) {
            self.shrinker.add(&band[row * (taken - rows.start) as usize..]);
        }
        Ok(band)
    }
}

/// What was done, for the picture's line.
fn told(tiled: &Tiled, tiling: &Tiling, config: &Config) -> String {
    let (w, h) = tiled.tile;
    let whole = match tiled.whole {
        Some((w, h)) => format!(" and the whole at {w}×{h}"),
        None => String::new(),
    };
    let merged = tiled.merged;
    let most = config.box_head.detections_per_img;
    let smaller = (tiling.tile / 2).max(Tiling::LEAST);
    let room = match (tiled.full, tiled.found.left_out.len()) {
        (0, _) => String::new(),
        (full, 0) => {
            format!(" ({full} of them are so full that there may be more: --tile {smaller}, or more --detections)")
        }
        (full, more) => format!(
            " ({full} of them have more than the {most} that a tile may have, and {more} were left out: --tile {smaller}, or more \
             --detections)"
        ),
    };
    format!(" in {} tiles of {w}×{h}{room}{whole}, {merged} merged", tiled.tiles)
}

/// The picture with what was found in it drawn upon it, also where it is a smaller version of the one that was looked at.
pub(super) fn drawn(image: &Image, found: &Detections, style: &Style) -> RgbImage {
    let size = (image.width(), image.height());
    if size == (found.width, found.height) {
        return styled_overlay(image, found, style);
    }
    styled_overlay(image, &found.scaled_to(size.0, size.1), style)
}

impl RunKey {
    /// The word for the results of a picture that is read in pieces.
    pub(super) fn of_pieces(&self, pieces: &Piecewise, page: Option<Page>) -> String {
        let (len, sum) = pieces.checksum();
        self.of_sum(sum, len, page)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(tile: Wanted, overlap: Option<u32>) -> TileArgs {
        TileArgs { tile, overlap, no_whole: false }
    }

    #[test]
    fn options_become_tilings_or_errors() {
        let of = |tile, overlap| args(wanted(tile).unwrap(), overlap).tiling(0.5, 2);
        let side = |tile, overlap| of(tile, overlap).map(|t| (t.tile, t.overlap)).unwrap();
        assert_eq!(
            (side("auto", None), side("off", None), side("2000", None)),
            ((1024, 128), (1024, 128), (2000, 128))
        );
        assert_eq!((side("256", None), side("256", Some(100))), ((256, 64), (256, 100)));
        let told = |tile, overlap| of(tile, overlap).unwrap_err().to_string();
        assert!(told("256", Some(128)).contains("`--overlap`") && told("256", Some(128)).contains("127"));
        assert!(told("9", None).contains("`--tile`"));
        assert!(wanted("-5").is_err() && wanted("large").is_err());
    }

    #[test]
    fn pictures_are_cut_where_it_is_asked_for_or_needed() {
        let image = |side| maskrcnn::engine::vision::scene::blank(side, 64, 9).unwrap();
        let cut = |tile: Wanted, side: u32, scale: f32, limited: bool| {
            let args = args(tile, None);
            let tiles = Tiles::new(&args, args.tiling(0.5, 1).unwrap(), limited);
            let mut config = Config::default();
            (config.transform.scale, config.transform.max_size) = (scale, 2000);
            match tiles.of(image(side), "a", &config) {
                Picture::Tiles(_, tiling) => Some(tiling.tile),
                _ => None,
            }
        };
        assert_eq!(
            (cut(Wanted::Side(256), 257, 0.0, false), cut(Wanted::Side(256), 256, 0.0, false)),
            (Some(256), None)
        );
        assert_eq!((cut(Wanted::Auto, 9000, 0.0, false), cut(Wanted::Off, 9000, 1.0, false)), (None, None));
        assert_eq!((cut(Wanted::Auto, 2001, 1.0, false), cut(Wanted::Auto, 2000, 1.0, false)), (Some(1024), None));
        assert_eq!((cut(Wanted::Auto, 2001, 1.0, true), cut(Wanted::Auto, 2001, 4.0, false)), (None, Some(500)));
    }

    #[test]
    fn overlays_of_large_pictures_are_smaller() {
        assert_eq!((drawn_size((2048, 9)), drawn_size((20_000, 10_000))), ((2048, 9), (2048, 1024)));
        assert_eq!(drawn_size((60_000, 1)), (2048, 1));
    }
}
