//! A writer of TIFFs that does what it is told, sensible or not.

/// How chunks are compressed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Packing {
    None,
    Lzw,
    Deflate,
    PackBits,
}

/// A picture to be written; the default is 8-bit grey in one strip.
#[derive(Debug)]
pub(super) struct Picture {
    pub size: (usize, usize),
    pub samples: usize,
    pub bits: u64,
    pub format: u64,
    pub photometric: u64,
    pub planar: bool,
    pub predictor: u64,
    pub packing: Packing,
    pub chunk: (usize, usize),
    pub tiled: bool,
    pub big_endian: bool,
}

impl Default for Picture {
    fn default() -> Self {
        Self {
            size: (1, 1),
            samples: 1,
            bits: 8,
            format: 1,
            photometric: 1,
            planar: false,
            predictor: 1,
            packing: Packing::None,
            chunk: (usize::MAX, usize::MAX),
            tiled: false,
            big_endian: false,
        }
    }
}

/// A directory: tags with their types and values, and the chunks that its offsets point to. An empty chunk gets the
/// offset 0.
pub(super) struct Page {
    pub tags: Vec<(u16, u16, Vec<u64>)>,
    pub chunks: Vec<Vec<u8>>,
    tiled: bool,
}

impl Picture {
    pub(super) fn page(&self, value: impl Fn(usize, usize, usize) -> u64) -> Page {
        let (w, h) = self.size;
        let chunk = if self.tiled { self.chunk } else { (w, self.chunk.1.min(h)) };
        let each = if self.planar { 1 } else { self.samples };
        let mut chunks = Vec::new();
        for plane in 0..if self.planar { self.samples } else { 1 } {
            for y0 in (0..h).step_by(chunk.1) {
                for x0 in (0..w).step_by(chunk.0) {
                    let rows = if self.tiled { chunk.1 } else { chunk.1.min(h - y0) };
                    let mut words = Vec::new();
                    for (y, x) in (0..rows).flat_map(|y| (0..chunk.0).map(move |x| (y, x))) {
                        // What lies over the edge is of no meaning.
                        let inside = x0 + x < w && y0 + y < h;
                        words.extend((0..each).map(|c| if inside { value(x0 + x, y0 + y, plane + c) } else { 77 }));
                    }
                    chunks.push(self.pack(&words, chunk.0 * each, each));
                }
            }
        }
        let compression = match self.packing {
            Packing::None => 1,
            Packing::Lzw => 5,
            Packing::Deflate => 8,
            Packing::PackBits => 32_773,
        };
        let mut tags = vec![
            (256, 4, vec![w as u64]),
            (257, 4, vec![h as u64]),
            (258, 3, vec![self.bits; self.samples]),
            (259, 3, vec![compression]),
            (262, 3, vec![self.photometric]),
            (277, 3, vec![self.samples as u64]),
            (284, 3, vec![1 + u64::from(self.planar)]),
            (317, 3, vec![self.predictor]),
            (339, 3, vec![self.format; self.samples]),
        ];
        if self.tiled {
            tags.extend([(322, 3, vec![chunk.0 as u64]), (323, 3, vec![chunk.1 as u64])]);
        } else {
            tags.push((278, 4, vec![chunk.1 as u64]));
        }
        Page { tags, chunks, tiled: self.tiled }
    }

    fn pack(&self, words: &[u64], stride: usize, samples: usize) -> Vec<u8> {
        let mut out = Vec::new();
        for row in words.chunks(stride) {
            out.extend(self.row(row, samples));
        }
        match self.packing {
            Packing::None => out,
            Packing::Lzw => lzw(&out),
            Packing::Deflate => {
                use std::io::Write as _;
                let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(&out).unwrap();
                encoder.finish().unwrap()
            }
            // Runs of three of a kind, and the rest as it is.
            Packing::PackBits => out
                .chunks(3)
                .flat_map(|c| match c {
                    [a, b, c] if a == b && b == c => vec![0xFE, *a],
                    other => [&[other.len() as u8 - 1], other].concat(),
                })
                .collect(),
        }
    }

    fn row(&self, row: &[u64], samples: usize) -> Vec<u8> {
        let size = self.bits as usize / 8;
        if size as u64 * 8 != self.bits {
            let bits: Vec<u64> = row.iter().flat_map(|v| (0..self.bits).rev().map(move |b| v >> b & 1)).collect();
            let byte = |b: &[u64]| (0..8).fold(0, |sum, i| sum << 1 | b.get(i).copied().unwrap_or(0) as u8);
            return bits.chunks(8).map(byte).collect();
        }
        let before = |i: usize| if i < samples { 0 } else { row[i - samples] };
        let bytes = |v: u64| -> Vec<u8> {
            if self.big_endian { v.to_be_bytes()[8 - size..].to_vec() } else { v.to_le_bytes()[..size].to_vec() }
        };
        match self.predictor {
            2 => row.iter().enumerate().flat_map(|(i, &v)| bytes(v.wrapping_sub(before(i)))).collect(),
            3 => {
                // All highest bytes first, then the differences.
                let planes: Vec<u8> =
                    (0..size).rev().flat_map(|k| row.iter().map(move |v| v.to_le_bytes()[k])).collect();
                let last = |i: usize| if i < samples { 0 } else { planes[i - samples] };
                planes.iter().enumerate().map(|(i, &v)| v.wrapping_sub(last(i))).collect()
            }
            _ => row.iter().flat_map(|&v| bytes(v)).collect(),
        }
    }
}

impl Page {
    /// Replaces a tag by one number.
    pub(super) fn set(&mut self, tag: u16, value: u64) {
        self.tags.retain(|t| t.0 != tag);
        self.tags.push((tag, 4, vec![value]));
    }
}

pub(super) fn lzw(bytes: &[u8]) -> Vec<u8> {
    weezl::encode::Encoder::with_tiff_size_switch(weezl::BitOrder::Msb, 8).encode(bytes).unwrap()
}

/// The order of bytes, and whether offsets have eight of them.
#[derive(Default)]
pub(super) struct Tiff {
    pub big_endian: bool,
    pub big: bool,
}

impl Tiff {
    fn number(&self, value: u64, len: usize) -> Vec<u8> {
        if self.big_endian { value.to_be_bytes()[8 - len..].to_vec() } else { value.to_le_bytes()[..len].to_vec() }
    }

    /// The pages as a chain of directories.
    pub(super) fn file(&self, pages: &[Page]) -> Vec<u8> {
        let mut out = if self.big_endian { b"MM".to_vec() } else { b"II".to_vec() };
        out.extend(self.number(if self.big { 43 } else { 42 }, 2));
        if self.big {
            out.extend([self.number(8, 2), self.number(0, 2)].concat());
        }
        let offset = if self.big { 8 } else { 4 };
        for page in pages {
            let (link, next) = (out.len(), self.number(0, offset));
            out.extend(next);
            let mut offsets = Vec::new();
            for chunk in &page.chunks {
                offsets.push(if chunk.is_empty() { 0 } else { out.len() as u64 });
                out.extend(chunk);
            }
            let mut tags = page.tags.clone();
            tags.retain(|t| ![273, 279, 324, 325].contains(&t.0));
            let lengths = page.chunks.iter().map(|c| c.len() as u64).collect();
            let (at, len) = if page.tiled { (324, 325) } else { (273, 279) };
            tags.extend([(at, 4, offsets), (len, 4, lengths)]);
            tags.sort_by_key(|t| t.0);
            let mut entries = self.number(tags.len() as u64, if self.big { 8 } else { 2 });
            for (tag, kind, values) in tags {
                let size = match kind {
                    2 => 1,
                    3 => 2,
                    _ => 4,
                };
                let mut data: Vec<u8> = values.iter().flat_map(|&v| self.number(v, size)).collect();
                entries.extend([self.number(tag.into(), 2), self.number(kind.into(), 2)].concat());
                entries.extend(self.number(values.len() as u64, offset));
                if data.len() > offset {
                    entries.extend(self.number(out.len() as u64, offset));
                    out.extend(data);
                } else {
                    data.resize(offset, 0);
                    entries.extend(data);
                }
            }
            let here = self.number(out.len() as u64, offset);
            out[link..link + offset].copy_from_slice(&here);
            out.extend(entries);
        }
        out.extend(self.number(0, offset));
        out
    }
}
