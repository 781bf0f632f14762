//! The strips or tiles of a picture, put together.

use std::cell::Cell;
use std::ops::Range;

use super::codec::Codec;
use super::ifd::{File, List};
use super::layout::{Format, Layout};
use super::pages::Page;
use crate::vision::image::fault::{Fault, room};
use crate::vision::image::samples::Data;
use crate::vision::image::{MAX_PIXELS, MAX_SIDE};

/// Most bytes of one strip or tile.
const MOST_BYTES: u64 = MAX_PIXELS * 8;

/// Where the data of a picture lie.
pub(super) struct Chunks<'a> {
    codec: Codec<'a>,
    /// "strip" or "tile".
    name: &'static str,
    /// Pixels of a chunk.
    size: (usize, usize),
    /// Chunks in a row and rows of them.
    count: (usize, usize),
    offsets: List<'a>,
    lengths: Option<List<'a>>,
    shift: u64,
    /// Chunks that the file leaves out: writers of large pictures do so with what is empty.
    empty: Cell<usize>,
}

impl<'a> Chunks<'a> {
    pub(super) fn read(file: &File<'a>, page: &Page, layout: &Layout) -> Result<Self, Fault> {
        let ifd = &page.ifd;
        let (width, height) = (layout.size.0 as usize, layout.size.1 as usize);
        let tiled = file.has(ifd, 322) && file.has(ifd, 323);
        let list = |tags: [u16; 2]| match tags.into_iter().find(|&t| file.has(ifd, t)) {
            Some(tag) => file.list(ifd, tag).map_err(Fault::corrupt),
            None => Ok(None),
        };
        let (name, size) = if tiled {
            let side = |tag| file.unsigned(ifd, tag).unwrap_or(0);
            let (w, h) = (side(322), side(323));
            let most = u64::from(MAX_SIDE);
            if !(1..=most).contains(&w) || !(1..=most).contains(&h) || w * h > MAX_PIXELS {
                return Err(Fault::corrupt(format!("its tiles have {w}x{h} pixels")));
            }
            ("tile", (w as usize, h as usize))
        } else {
            let rows = file.unsigned(ifd, 278).filter(|&r| r > 0).unwrap_or(u64::MAX);
            ("strip", (width, usize::try_from(rows).unwrap_or(height).min(height)))
        };
        let (offsets, lengths) =
            if tiled { (list([324, 273])?, list([325, 279])?) } else { (list([273, 324])?, list([279, 325])?) };
        let offsets = offsets.ok_or_else(|| Fault::corrupt(format!("the list of its {name}s is missing")))?;
        let count = (width.div_ceil(size.0), height.div_ceil(size.1));
        let need = count.0 * count.1 * if layout.planar { layout.samples } else { 1 };
        if offsets.len() < need || lengths.is_some_and(|l| l.len() < need) {
            let found = lengths.map_or(offsets.len(), |l| l.len().min(offsets.len()));
            return Err(Fault::corrupt(format!("it needs {need} {name}s and lists {found}")));
        }
        let codec = Codec {
            compression: layout.compression,
            jpeg_tables: file.data(ifd, 347),
            ycbcr: layout.jpeg_ycbcr(),
            samples: if layout.planar { 1 } else { layout.samples },
            reversed: file.unsigned(ifd, 266) == Some(2),
        };
        Ok(Self { codec, name, size, count, offsets, lengths, shift: page.shift, empty: Cell::new(0) })
    }

    /// How many chunks are left out, of all planes.
    pub(super) fn count_left_out(&self) {
        let need = (0..self.offsets.len()).filter(|&i| self.offsets.get(i) == Some(0));
        self.empty.set(need.count());
    }

    /// What to say of chunks that were left out, once [`Chunks::samples`] or [`Chunks::count_left_out`] is done.
    pub(super) fn left_out(&self) -> Option<String> {
        let (empty, name) = (self.empty.get(), self.name);
        (empty > 0).then(|| format!("has no data in {empty} of its {name}s: they are black"))
    }

    /// Rows of pixels in each row of chunks, and how many rows of chunks there are.
    pub(super) fn grid(&self) -> (usize, usize) {
        (self.size.1, self.count.1)
    }

    /// "strip" or "tile".
    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    /// Decodes the samples that are `taken` of each pixel in these rows of chunks.
    pub(super) fn samples(
        &self,
        file: &File<'_>,
        layout: &Layout,
        taken: &[usize],
        rows: Range<usize>,
    ) -> Result<Data, Fault> {
        let height = layout.size.1 as usize;
        let pixels = layout.size.0 as usize * ((rows.end * self.size.1).min(height) - rows.start * self.size.1);
        let len = pixels * taken.len();
        let mut out = match (layout.format, layout.bits) {
            (Format::Unsigned, ..=8) => Data::U8(zeros(len)?),
            (Format::Unsigned, ..=16) => Data::U16(zeros(len)?),
            _ => Data::F32(zeros(len)?),
        };
        if !layout.planar {
            let mut sink = Sink { out: &mut out, taken, first: 0, each: taken.len() };
            self.plane(file, layout, 0, rows, &mut sink)?;
            return Ok(out);
        }
        for (first, &sample) in taken.iter().enumerate() {
            let begin = sample * self.count.0 * self.count.1;
            let mut sink = Sink { out: &mut out, taken: &[0], first, each: taken.len() };
            self.plane(file, layout, begin, rows.clone(), &mut sink)?;
        }
        Ok(out)
    }

    /// Decodes the chunks in these rows of them, of the plane whose chunks begin with `begin`.
    fn plane(
        &self,
        file: &File<'_>,
        layout: &Layout,
        begin: usize,
        rows: Range<usize>,
        sink: &mut Sink<'_>,
    ) -> Result<(), Fault> {
        let (width, height) = (layout.size.0 as usize, layout.size.1 as usize);
        let top = rows.start * self.size.1;
        let row_bits = self.size.0 as u64 * self.codec.samples as u64 * u64::from(layout.bits);
        let row_bytes = row_bits.div_ceil(8);
        if row_bytes * self.size.1 as u64 > MOST_BYTES {
            return Err(Fault::corrupt(format!("its {}s are too large", self.name)));
        }
        let row_bytes = row_bytes as usize;
        let mut raw: Vec<u8> = zeros(row_bytes * self.size.1)?;
        let mut row = Row::new(layout, self.codec.samples, self.size.0, file.big_endian);
        for i in rows.start * self.count.0..rows.end * self.count.0 {
            let (x, y) = (i % self.count.0 * self.size.0, i / self.count.0 * self.size.1);
            let (w, h) = (self.size.0.min(width - x), self.size.1.min(height - y));
            // The last strip has the rows that are left; tiles are always whole.
            let stored = if self.name == "strip" { h } else { self.size.1 };
            let part = &mut raw[..row_bytes * stored];
            let inside = |fault: Fault| fault.inside(&format!("{} {}", self.name, begin + i + 1));
            if self.offsets.get(begin + i) == Some(0) {
                self.empty.set(self.empty.get() + 1);
                continue;
            }
            let data = self.data(file, begin + i, part.len()).map_err(inside)?;
            let len = self.codec.expand(data, (self.size.0, stored), part).map_err(inside)?;
            if len < row_bytes * h {
                return Err(inside(Fault::State("ends too early".into())));
            }
            for (dy, bytes) in part.chunks_exact_mut(row_bytes).take(h).enumerate() {
                let values = row.values(bytes, w);
                sink.put(values, self.codec.samples, (y - top + dy) * width + x, w);
            }
        }
        Ok(())
    }

    /// The compressed bytes of a chunk.
    fn data<'f>(&self, file: &File<'f>, i: usize, raw: usize) -> Result<&'f [u8], Fault> {
        let at = self.offsets.get(i).and_then(|o| o.checked_add(self.shift)).ok_or_else(Fault::early)?;
        let rest = (file.bytes.len() as u64).checked_sub(at).ok_or_else(Fault::early)?;
        let len = match self.lengths.and_then(|l| l.get(i)) {
            // Old writers leave the length out, or write a wrong one where it says nothing new.
            _ if self.codec.compression == 1 => raw as u64,
            None => rest,
            Some(len) => len,
        };
        file.slice(at, len).ok_or_else(Fault::early)
    }
}

fn zeros<T: Clone + Default>(len: usize) -> Result<Vec<T>, Fault> {
    let mut out = room(len)?;
    out.resize(len, T::default());
    Ok(out)
}

/// Where rows of samples go.
struct Sink<'a> {
    out: &'a mut Data,
    /// Which samples of a pixel.
    taken: &'a [usize],
    /// Where in the pixel they begin, and how many it has in the end.
    first: usize,
    each: usize,
}

impl Sink<'_> {
    fn put(&mut self, row: &Data, stored: usize, pixel: usize, width: usize) {
        fn copy<T: Copy>(to: &mut [T], from: &[T], stored: usize, sink: (&[usize], usize, usize)) {
            let (taken, first, each) = sink;
            if stored == each && taken.iter().copied().eq(0..each) {
                return to.copy_from_slice(&from[..to.len()]);
            }
            for (to, from) in to.chunks_exact_mut(each).zip(from.chunks_exact(stored)) {
                taken.iter().enumerate().for_each(|(i, &sample)| to[first + i] = from[sample]);
            }
        }
        let range = pixel * self.each..(pixel + width) * self.each;
        let sink = (self.taken, self.first, self.each);
        match (&mut *self.out, row) {
            (Data::U8(to), Data::U8(from)) => copy(&mut to[range], from, stored, sink),
            (Data::U16(to), Data::U16(from)) => copy(&mut to[range], from, stored, sink),
            (Data::F32(to), Data::F32(from)) => copy(&mut to[range], from, stored, sink),
            _ => {}
        }
    }
}

/// The samples of one row of a chunk.
struct Row {
    bits: u32,
    format: Format,
    predictor: u64,
    samples: usize,
    big_endian: bool,
    /// The greatest value where it is to become 255.
    stretch: Option<u32>,
    words: Vec<u64>,
    values: Data,
}

impl Row {
    fn new(layout: &Layout, samples: usize, width: usize, big_endian: bool) -> Self {
        let stretch = (layout.bits < 8 && !layout.indices()).then(|| (1 << layout.bits) - 1);
        let values = match (layout.format, layout.bits) {
            (Format::Unsigned, ..=8) => Data::U8(Vec::new()),
            (Format::Unsigned, ..=16) => Data::U16(Vec::new()),
            _ => Data::F32(Vec::new()),
        };
        let words = Vec::with_capacity(width * samples);
        let Layout { bits, format, predictor, .. } = *layout;
        Self { bits, format, predictor, samples, big_endian, stretch, words, values }
    }

    /// Undoes the predictor and reads the first `width` pixels.
    fn values(&mut self, bytes: &mut [u8], width: usize) -> &Data {
        if self.predictor == 3 {
            self.join_floats(bytes);
        }
        let n = width * self.samples;
        if self.bits == 8 {
            if self.predictor == 2 {
                (self.samples..n).for_each(|i| bytes[i] = bytes[i].wrapping_add(bytes[i - self.samples]));
            }
            match &mut self.values {
                Data::U8(out) => {
                    out.clear();
                    out.extend_from_slice(&bytes[..n]);
                }
                Data::F32(out) => {
                    out.clear();
                    out.extend(bytes[..n].iter().map(|&b| f32::from(b as i8)));
                }
                Data::U16(_) => {}
            }
            return &self.values;
        }
        self.words.clear();
        match self.bits {
            16 => self.load::<2>(bytes, n),
            24 => self.load::<3>(bytes, n),
            32 => self.load::<4>(bytes, n),
            64 => self.load::<8>(bytes, n),
            _ => self.unpack(bytes, n),
        }
        if self.predictor == 2 {
            let mask = u64::MAX >> (64 - self.bits);
            for i in self.samples..self.words.len() {
                self.words[i] = self.words[i].wrapping_add(self.words[i - self.samples]) & mask;
            }
        }
        let (bits, format, stretch) = (self.bits, self.format, self.stretch);
        match &mut self.values {
            Data::U8(out) => {
                out.clear();
                out.extend(self.words.iter().map(|&v| match stretch {
                    Some(most) => ((v as u32 * 255 + most / 2) / most) as u8,
                    None => v as u8,
                }));
            }
            Data::U16(out) => {
                out.clear();
                out.extend(self.words.iter().map(|&v| v as u16));
            }
            Data::F32(out) => {
                out.clear();
                out.extend(self.words.iter().map(|&v| number(v, bits, format)));
            }
        }
        &self.values
    }

    fn load<const N: usize>(&mut self, bytes: &[u8], n: usize) {
        let big = self.big_endian && self.predictor != 3;
        let join = |sum: u64, &b: &u8| sum << 8 | u64::from(b);
        let words = bytes.as_chunks::<N>().0.iter().take(n);
        if big {
            self.words.extend(words.map(|w| w.iter().fold(0, join)));
        } else {
            self.words.extend(words.map(|w| w.iter().rev().fold(0, join)));
        }
    }

    /// Samples that do not fill bytes follow each other from the highest bit on, whatever the byte order.
    fn unpack(&mut self, bytes: &[u8], n: usize) {
        let (mut held, mut have) = (0_u64, 0_u32);
        let mut next = bytes.iter();
        for _ in 0..n {
            while have < self.bits {
                held = held << 8 | u64::from(next.next().copied().unwrap_or(0));
                have += 8;
            }
            have -= self.bits;
            self.words.push(held >> have & (u64::MAX >> (64 - self.bits)));
            held &= (1 << have) - 1;
        }
    }

    /// The floating-point predictor: differences of bytes, all highest bytes of a row first. The row is then of
    /// little-endian numbers.
    fn join_floats(&self, bytes: &mut [u8]) {
        for i in self.samples..bytes.len() {
            bytes[i] = bytes[i].wrapping_add(bytes[i - self.samples]);
        }
        let size = self.bits as usize / 8;
        let count = bytes.len() / size;
        let planes = bytes.to_vec();
        for (i, word) in bytes.chunks_exact_mut(size).enumerate() {
            for (k, byte) in word.iter_mut().enumerate() {
                *byte = planes[(size - 1 - k) * count + i];
            }
        }
    }
}

fn number(word: u64, bits: u32, format: Format) -> f32 {
    match (format, bits) {
        (Format::Float, 16) => half::f16::from_bits(word as u16).to_f32(),
        (Format::Float, 32) => f32::from_bits(word as u32),
        (Format::Float, _) => f64::from_bits(word) as f32,
        (Format::Signed, 16) => f32::from(word as i16),
        (Format::Signed, _) => word as i32 as f32,
        (Format::Unsigned, _) => word as f32,
    }
}
