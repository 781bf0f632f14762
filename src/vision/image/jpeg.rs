//! Whether a JPEG is whole. No decoder of the field says so: zune-jpeg paints grey what a damaged file lacks (its strict
//! mode misses a cut in the last rows, and any surplus), and libjpeg at most warns.
//!
//! So all entropy-coded data are walked once, code by code, without computing a pixel: every block of the header's size
//! must be there, and nothing else.

mod coefficients;
mod huffman;
mod scan;

use self::huffman::Table;
use self::scan::Scan;
use super::fault::Fault;
use super::size_fault;

/// What may be said of a file that can be read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Whole {
    /// Bytes before a marker that belong to no block, and are too few to be a part of the picture. Cameras leave some.
    pub stray: usize,
    /// Whether the scans of a progressive file end before the last bits of the coefficients.
    pub coarse: bool,
}

/// A colour component, with what the scans so far have brought.
struct Component {
    id: u8,
    h: usize,
    v: usize,
    quantizer: usize,
    /// Blocks in a row and rows of them, padded to whole MCUs.
    blocks: (usize, usize),
    /// Of a progressive file: for each block, which coefficients are not zero yet known.
    nonzero: Vec<u64>,
    /// The bits of each coefficient that are still to come, 255 before the first.
    pending: [u8; 64],
}

struct Frame {
    progressive: bool,
    width: usize,
    height: usize,
    h_max: usize,
    v_max: usize,
    components: Vec<Component>,
}

/// Walks the file from its first marker to the end-of-image marker.
///
/// # Errors
/// What kind of JPEG this is, where it is one that cannot be read; where it ends, or is damaged.
pub(super) fn check(bytes: &[u8]) -> Result<Whole, Fault> {
    walk(bytes, false)?.end()
}

/// Whether the file is progressive, by its headers alone: then its decoder needs memory for all coefficients.
///
/// # Errors
/// What kind of JPEG this is, where it is one that cannot be read, and where it ends before its data begin.
pub(super) fn progressive(bytes: &[u8]) -> Result<bool, Fault> {
    Ok(walk(bytes, true)?.frame.is_some_and(|f| f.progressive))
}

/// Up to the end-of-image marker, or to the first scan.
fn walk(bytes: &[u8], headers: bool) -> Result<Walk<'_>, Fault> {
    let mut walk = Walk { bytes, at: 2, ..Walk::default() };
    loop {
        let marker = walk.marker()?;
        match marker {
            0xD9 => return Ok(walk),
            0xDA if headers => return Ok(walk),
            // A marker without a segment.
            0x01 | 0xD0..=0xD8 => {}
            _ => {
                let segment = walk.segment()?;
                match marker {
                    0xC4 => walk.huffman_tables(segment)?,
                    0xDB => walk.quantizers(segment)?,
                    0xDD => walk.restart = segment.get(..2).map_or(0, be16),
                    0xC0..=0xC2 => walk.frame(marker, segment)?,
                    0xDA => walk.scan(segment)?,
                    _ => unsupported(marker)?,
                }
            }
        }
    }
}

/// Refuses frames that no reader here can decode. Other markers are of no concern.
fn unsupported(marker: u8) -> Result<(), Fault> {
    let kind = match marker {
        0xC3 => "a lossless JPEG",
        0xC5..=0xC7 | 0xCD..=0xCF | 0xDE | 0xDF => "a hierarchical JPEG",
        0xC9..=0xCC => "a JPEG with arithmetic coding",
        0xF7 => "a JPEG-LS file",
        _ => return Ok(()),
    };
    Err(Fault::Kind(kind.into()))
}

fn be16(bytes: &[u8]) -> usize {
    usize::from(u16::from_be_bytes([bytes[0], bytes[1]]))
}

#[derive(Default)]
struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Tables by class (0 for DC, 1 for AC) and place.
    tables: [[Option<Table>; 4]; 2],
    /// The DC coefficient's step, by place.
    steps: [u16; 4],
    restart: usize,
    frame: Option<Frame>,
    whole: Whole,
    /// A segment's data without the stuffed zeros, kept for its memory.
    data: Vec<u8>,
}

impl<'a> Walk<'a> {
    /// The next marker, over whatever lies before it. The position is then that of its segment.
    fn marker(&mut self) -> Result<u8, Fault> {
        loop {
            let skip = self.bytes.get(self.at..).and_then(|rest| rest.iter().position(|&b| b == 0xFF));
            self.at += skip.ok_or_else(Fault::early)? + 1;
            match self.bytes.get(self.at) {
                None => return Err(Fault::early()),
                // Fill: this FF may itself start the marker.
                Some(0xFF) => {}
                Some(0x00) => self.at += 1,
                Some(&marker) => {
                    self.at += 1;
                    return Ok(marker);
                }
            }
        }
    }

    fn segment(&mut self) -> Result<&'a [u8], Fault> {
        let len = self.bytes.get(self.at..self.at + 2).map(be16).ok_or_else(Fault::early)?;
        let segment = self.bytes.get(self.at + 2..self.at + len.max(2)).ok_or_else(Fault::early)?;
        self.at += len.max(2);
        Ok(segment)
    }

    fn huffman_tables(&mut self, mut segment: &[u8]) -> Result<(), Fault> {
        while !segment.is_empty() {
            let table = Table::read(segment).ok_or_else(|| Fault::corrupt("a Huffman table is none"))?;
            let (class, place) = (usize::from(segment[0] >> 4), usize::from(segment[0] & 15));
            let slot = self.tables.get_mut(class).and_then(|t| t.get_mut(place));
            segment = &segment[table.bytes()..];
            *slot.ok_or_else(|| Fault::corrupt("a Huffman table has no place"))? = Some(table);
        }
        Ok(())
    }

    fn quantizers(&mut self, mut segment: &[u8]) -> Result<(), Fault> {
        while let Some(&head) = segment.first() {
            let len = if head >> 4 == 0 { 65 } else { 129 };
            let table = segment.get(..len).ok_or_else(|| Fault::corrupt("a quantization table is cut"))?;
            let step = if len == 65 { u16::from(table[1]) } else { u16::from_be_bytes([table[1], table[2]]) };
            *self
                .steps
                .get_mut(usize::from(head & 15))
                .ok_or_else(|| Fault::corrupt("a quantization table has no place"))? = step;
            segment = &segment[len..];
        }
        Ok(())
    }

    fn frame(&mut self, marker: u8, segment: &[u8]) -> Result<(), Fault> {
        let header = || Fault::corrupt("its frame header makes no sense");
        let count = usize::from(*segment.get(5).ok_or_else(header)?);
        let list = segment.get(6..6 + 3 * count).ok_or_else(header)?;
        if segment[0] != 8 {
            return Err(Fault::Kind(format!("a {}-bit JPEG", segment[0])));
        }
        if self.frame.is_some() {
            return Err(Fault::corrupt("it has two frame headers"));
        }
        let (height, width) = (be16(&segment[1..]), be16(&segment[3..]));
        if let Some(fault) = size_fault(width as u32, height as u32) {
            return Err(fault);
        }
        let sampling = |c: &[u8]| (usize::from(c[1] >> 4), usize::from(c[1] & 15));
        let factors = list.chunks(3).map(sampling);
        if !(1..=4).contains(&count) || factors.clone().any(|(h, v)| !(1..=4).contains(&h) || !(1..=4).contains(&v)) {
            return Err(header());
        }
        let h_max = factors.clone().map(|f| f.0).max().unwrap_or(1);
        let v_max = factors.map(|f| f.1).max().unwrap_or(1);
        let mcus = (width.div_ceil(8 * h_max), height.div_ceil(8 * v_max));
        let components = list.chunks(3).map(|c| {
            let (h, v) = sampling(c);
            let blocks = (mcus.0 * h, mcus.1 * v);
            let quantizer = usize::from(c[2]).min(3);
            Component { id: c[0], h, v, quantizer, blocks, nonzero: Vec::new(), pending: [255; 64] }
        });
        let components = components.collect();
        self.frame = Some(Frame { progressive: marker == 0xC2, width, height, h_max, v_max, components });
        Ok(())
    }

    fn scan(&mut self, segment: &[u8]) -> Result<(), Fault> {
        let header = || Fault::corrupt("a scan header makes no sense");
        let frame = self.frame.as_mut().ok_or_else(header)?;
        let scan = Scan::new(frame, segment).ok_or_else(header)?;
        let left = scan.walk(frame, &self.tables, &self.steps, self.restart, &self.bytes[self.at..], &mut self.data)?;
        self.at += left.bytes;
        self.whole.stray = self.whole.stray.max(left.stray);
        Ok(())
    }

    /// At the end: whether every component was there.
    fn end(self) -> Result<Whole, Fault> {
        let frame = self.frame.ok_or_else(|| Fault::corrupt("it has no frame"))?;
        if frame.components.iter().any(|c| c.pending[0] == 255) {
            return Err(Fault::State("is damaged: whole scans are missing".into()));
        }
        let coarse = frame.progressive && frame.components.iter().any(|c| c.pending.iter().any(|&p| p != 0));
        Ok(Whole { coarse, ..self.whole })
    }
}

#[cfg(test)]
#[path = "jpeg_tests.rs"]
mod tests;
