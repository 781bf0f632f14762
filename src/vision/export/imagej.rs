//! Regions of interest as ImageJ's ROI manager keeps them: a zip of one small file each.
//!
//! The form of those files is that of ImageJ's `RoiDecoder`: 64 bytes of head, all numbers big-endian; corners, or a path of
//! several rings; a second head of 64 bytes; the name in UTF-16.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::DeflateEncoder;
use rawzip::{CompressionMethod, ZipArchiveWriter};

use super::{Lost, Part, bounds, parts, shape};
use crate::vision::detections::Detections;

/// Numbers of kinds of regions.
const RECTANGLE: u8 = 1;
const TRACED: u8 = 8;
/// The format's version whose heads these are.
const VERSION: u16 = 227;
/// Bytes of each head.
const HEAD: usize = 64;
/// Coordinates are 16 bits with a sign.
const LONGEST: u32 = i16::MAX as u32;

/// The zip, but for the comment at its end, which takes `comment` bytes: a region an instance, called by its number, class
/// and score, at slice `slice` of a stack where it is not 0. A mask of one part without holes is a traced one, others are
/// composite ones, which have parts and holes.
///
/// # Errors
/// A sentence, where the image is larger than the format's coordinates, or the zip cannot be made.
pub fn imagej(dets: &Detections, slice: u32, comment: usize) -> Result<(Vec<u8>, Lost), String> {
    if dets.width > LONGEST || dets.height > LONGEST {
        return Err(format!(
            "an ImageJ region has coordinates up to {LONGEST}, and the image {}x{} pixels: take geojson or labels32, or cut \
             the image",
            dets.width, dets.height
        ));
    }
    let mut lost = Lost::default();
    let mut zip = ZipArchiveWriter::new(Vec::new());
    zip.set_comment(vec![b' '; comment]);
    let digits = dets.len().to_string().len();
    for (i, d) in dets.iter().enumerate() {
        let mask = shape(dets, d);
        let Some(bounds) = bounds(&mask) else {
            lost.empty += 1;
            continue;
        };
        let class: String = dets.name(d.label).chars().map(|c| if c.is_alphanumeric() { c } else { '_' }).collect();
        let name = format!("{:0digits$}-{class}-{:.2}", i + 1, d.score);
        let roi = roi(&parts(&mask), bounds, &name, slice);
        add(&mut zip, &format!("{name}.roi"), &roi).map_err(|e| e.to_string())?;
    }
    let mut bytes = zip.finish().map_err(|e| e.to_string())?;
    bytes.truncate(bytes.len() - comment);
    Ok((bytes, lost))
}

/// Packed, as Java's stream of a zip reads no file that is stored with its size behind it.
fn add(zip: &mut ZipArchiveWriter<Vec<u8>>, name: &str, bytes: &[u8]) -> Result<(), rawzip::Error> {
    let (mut entry, config) = zip.new_file(name).compression_method(CompressionMethod::DEFLATE).start()?;
    let mut writer = config.wrap(DeflateEncoder::new(&mut entry, Compression::default()));
    writer.write_all(bytes)?;
    let (packed, about) = writer.finish()?;
    packed.finish()?;
    entry.finish(about)?;
    Ok(())
}

/// One region's file.
fn roi(parts: &[Part], [left, top, right, low]: [u32; 4], name: &str, slice: u32) -> Vec<u8> {
    let traced = match parts {
        [one] if one.holes.is_empty() && one.shell.0.len() <= usize::from(u16::MAX) => Some(&one.shell.0),
        _ => None,
    };
    let (kind, corners) = (if traced.is_some() { TRACED } else { RECTANGLE }, traced.map_or(0, Vec::len));
    let body = traced.map_or_else(|| path(parts), |ring| relative(ring, left, top));
    let mut out = b"Iout".to_vec();
    out.extend(VERSION.to_be_bytes());
    out.extend([kind, 0]);
    [top, left, low, right].iter().for_each(|&v| out.extend((v as u16).to_be_bytes()));
    out.extend((corners as u16).to_be_bytes());
    out.resize(36, 0);
    // How many numbers a composite one's path has.
    let numbers = if traced.is_some() { 0 } else { body.len() as u32 / 4 };
    out.extend(numbers.to_be_bytes());
    out.resize(56, 0);
    out.extend(slice.to_be_bytes());
    let second = (HEAD + body.len()) as u32;
    out.extend(second.to_be_bytes());
    out.extend(body);
    let letters: Vec<u16> = name.encode_utf16().collect();
    out.resize(out.len() + 16, 0);
    out.extend((second + HEAD as u32).to_be_bytes());
    out.extend((letters.len() as u32).to_be_bytes());
    out.resize(second as usize + HEAD, 0);
    letters.iter().for_each(|l| out.extend(l.to_be_bytes()));
    out
}

/// Corners from the region's own on: all x, and then all y.
fn relative(ring: &[[u32; 2]], left: u32, top: u32) -> Vec<u8> {
    let (x, y) = (ring.iter().map(|c| c[0] - left), ring.iter().map(|c| c[1] - top));
    x.chain(y).flat_map(|v| (v as u16).to_be_bytes()).collect()
}

/// Rings as a path: move to a point, lines to others, close. What lies within an odd number of them is inside.
fn path(parts: &[Part]) -> Vec<u8> {
    const MOVE: f32 = 0.0;
    const LINE: f32 = 1.0;
    const CLOSE: f32 = 4.0;
    let mut out = Vec::new();
    for ring in parts.iter().flat_map(|p| [&p.shell].into_iter().chain(&p.holes)) {
        for (i, [x, y]) in ring.0.iter().enumerate() {
            out.extend([if i == 0 { MOVE } else { LINE }, *x as f32, *y as f32]);
        }
        out.push(CLOSE);
    }
    out.into_iter().flat_map(f32::to_be_bytes).collect()
}
