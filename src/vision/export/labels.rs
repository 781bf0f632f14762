//! A label map: a TIFF whose pixels say which instance they belong to.

use std::borrow::Cow;
use std::io::{self, Write as _};

use flate2::Compression;
use flate2::write::ZlibEncoder;

use super::{PixelSize, shape};
use crate::vision::detections::Detections;
use crate::vision::mask::Mask;

/// Bytes of a strip before it is packed, about.
const STRIP: usize = 1 << 20;

/// A label map, but for the last value of the file, its `Software`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelMap {
    /// The file up to there.
    pub bytes: Vec<u8>,
    /// Pixels of instances that are another's, too, and went to the one that scores higher.
    pub lost: u64,
}

/// The label map of an image: 0 where nothing is, and else the number of the instance, from 1 by falling score; where masks
/// overlap, the higher score wins. `bits` is 16 or 32, packed with Deflate. What follows as `Software` takes
/// `software` bytes, its last 0 included.
///
/// The resolution is written as ImageJ does it: pixels a unit, and the unit in the description.
///
/// # Errors
/// A sentence, where there are more instances than 16 bits can number.
pub fn label_map(dets: &Detections, bits: u16, pixel: PixelSize, software: usize) -> Result<LabelMap, String> {
    let most = if bits == 16 { usize::from(u16::MAX) } else { u32::MAX as usize };
    if dets.len() > most {
        return Err(format!(
            "{} instances were found, and labels of {bits} bits can number {most}: take labels32, or raise --score",
            dets.len()
        ));
    }
    let shapes: Vec<Cow<Mask>> = dets.iter().map(|d| shape(dets, d)).collect();
    let (w, h) = (dets.width as usize, dets.height as usize);
    let bytes = usize::from(bits / 8);
    let rows = (STRIP / (w * bytes).max(1)).clamp(1, h.max(1));
    let mut tiff = Tiff::new();
    let (mut strips, mut covered, mut kept) = (Vec::new(), 0, 0);
    let mut labels = vec![0_u32; rows * w];
    for top in (0..h).step_by(rows) {
        let low = h.min(top + rows);
        let labels = &mut labels[..(low - top) * w];
        labels.fill(0);
        // The best last.
        for (i, mask) in shapes.iter().enumerate().rev() {
            covered += paint(labels, mask, i as u32 + 1, (top, low), w);
        }
        kept += labels.iter().filter(|&&l| l != 0).count() as u64;
        let raw: Vec<u8> = match bits {
            16 => labels.iter().flat_map(|&l| (l as u16).to_le_bytes()).collect(),
            _ => labels.iter().flat_map(|&l| l.to_le_bytes()).collect(),
        };
        strips.push(packed(&raw).map_err(|e| e.to_string())?);
    }
    let lists = tiff.strips(&strips);
    tiff.finish([dets.width, dets.height, rows as u32], bits, (lists, strips.len() as u32), pixel, software);
    Ok(LabelMap { bytes: tiff.0, lost: covered - kept })
}

/// Paints the rows of a mask that lie in a strip; gives their pixels.
fn paint(labels: &mut [u32], mask: &Mask, label: u32, (top, low): (usize, usize), w: usize) -> u64 {
    let mut painted = 0;
    let (from, to) = ((mask.y as usize).max(top), (mask.y as usize + mask.h as usize).min(low));
    for y in from..to {
        for x in mask.x..(mask.x + mask.w).min(w as u32) {
            if mask.get(x, y as u32) {
                labels[(y - top) * w + x as usize] = label;
                painted += 1;
            }
        }
    }
    painted
}

fn packed(raw: &[u8]) -> io::Result<Vec<u8>> {
    let mut out = ZlibEncoder::new(Vec::new(), Compression::default());
    out.write_all(raw)?;
    out.finish()
}

/// A little-endian TIFF with one directory, which follows the pixels.
struct Tiff(Vec<u8>);

/// Kinds of values.
const TEXT: u16 = 2;
const SHORT: u16 = 3;
const LONG: u16 = 4;
const RATIO: u16 = 5;

impl Tiff {
    fn new() -> Self {
        Self(b"II*\0\0\0\0\0".to_vec())
    }

    /// The strips, and behind them where they are and how long; gives where those two lists are.
    fn strips(&mut self, strips: &[Vec<u8>]) -> usize {
        let mut places = Vec::with_capacity(strips.len());
        for strip in strips {
            places.push(self.0.len() as u32);
            self.0.extend(strip);
        }
        self.even();
        let lists = self.0.len();
        places.iter().for_each(|at| self.0.extend(at.to_le_bytes()));
        strips.iter().for_each(|strip| self.0.extend((strip.len() as u32).to_le_bytes()));
        lists
    }

    fn even(&mut self) {
        if self.0.len() % 2 == 1 {
            self.0.push(0);
        }
    }

    /// The directory, and the values that have no room in it, `Software` last.
    fn finish(
        &mut self,
        [w, h, rows]: [u32; 3],
        bits: u16,
        (lists, count): (usize, u32),
        pixel: PixelSize,
        software: usize,
    ) {
        let about = match pixel.is_pixels() {
            true => "ImageJ=1.53t\nimages=1\n\0".to_string(),
            false => format!("ImageJ=1.53t\nimages=1\nunit={}\n\0", pixel.unit),
        };
        let resolution = ratio(1.0 / pixel.side);
        // One value of four bytes lies in the entry itself, as does a list of one strip.
        let list = |at: usize| if count == 1 { self.long(at) } else { at as u32 };
        let (places, lengths) = (list(lists), list(lists + 4 * count as usize));
        let mut entries: Vec<(u16, u16, u32, u32)> = vec![
            (256, LONG, 1, w),
            (257, LONG, 1, h),
            (258, SHORT, 1, u32::from(bits)),
            (259, SHORT, 1, 8),
            (262, SHORT, 1, 1),
            (270, TEXT, about.len() as u32, 0),
            (273, LONG, count, places),
            (277, SHORT, 1, 1),
            (278, LONG, 1, rows),
            (279, LONG, count, lengths),
            (282, RATIO, 1, 0),
            (283, RATIO, 1, 0),
            (296, SHORT, 1, 1),
            (305, TEXT, software as u32, 0),
            (339, SHORT, 1, 1),
        ];
        if pixel.is_pixels() {
            entries.retain(|e| !matches!(e.0, 282 | 283 | 296));
        }
        self.even();
        let directory = self.0.len() as u32;
        self.0[4..8].copy_from_slice(&directory.to_le_bytes());
        let mut free = directory + 2 + 12 * entries.len() as u32 + 4;
        let ratios = free;
        free += 16;
        let text = free;
        free += about.len() as u32 + about.len() as u32 % 2;
        self.0.extend((entries.len() as u16).to_le_bytes());
        for (tag, kind, n, value) in entries {
            let value = match tag {
                270 => text,
                282 => ratios,
                283 => ratios + 8,
                305 => free,
                _ => value,
            };
            self.0.extend([tag.to_le_bytes(), kind.to_le_bytes()].concat());
            self.0.extend([n.to_le_bytes(), value.to_le_bytes()].concat());
        }
        self.0.extend([0; 4]);
        (0..2).for_each(|_| self.0.extend([resolution.0.to_le_bytes(), resolution.1.to_le_bytes()].concat()));
        self.0.extend(about.bytes());
        self.0.resize(free as usize, 0);
    }

    fn long(&self, at: usize) -> u32 {
        self.0.get(at..at + 4).map_or(0, |b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
    }
}

/// A number above 0 as a fraction, as near as 32 bits allow.
fn ratio(value: f64) -> (u32, u32) {
    let largest = f64::from(u32::MAX);
    let below = (1e6_f64).min(largest / value.max(f64::MIN_POSITIVE)).max(1.0).floor();
    // Sizes that people write, 0.25 or 0.1, are exact with a round denominator.
    ((value * below).round().clamp(1.0, largest) as u32, below as u32)
}
