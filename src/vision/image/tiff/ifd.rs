//! The directories of a TIFF or BigTIFF file, and the values in them. Nothing is copied that the file does not hold.

/// A TIFF's bytes, with how its numbers are written.
#[derive(Clone, Copy)]
pub(super) struct File<'a> {
    pub bytes: &'a [u8],
    pub big_endian: bool,
    /// BigTIFF: offsets and counts of 8 bytes.
    pub big: bool,
}

/// One directory: what there is to know of one picture.
#[derive(Clone)]
pub(super) struct Ifd {
    entries: Vec<Entry>,
    pub next: u64,
}

#[derive(Clone, Copy)]
struct Entry {
    tag: u16,
    kind: u16,
    count: u64,
    /// Where the values are.
    at: u64,
}

/// Bytes of a value of each field type, by its number.
fn size_of(kind: u16) -> Option<u64> {
    match kind {
        1 | 2 | 6 | 7 => Some(1),
        3 | 8 => Some(2),
        4 | 9 | 11 | 13 => Some(4),
        5 | 10 | 12 | 16..=18 => Some(8),
        _ => None,
    }
}

impl<'a> File<'a> {
    /// Reads the header; gives the place of the first directory too.
    pub(super) fn open(bytes: &'a [u8]) -> Option<(Self, u64)> {
        let big_endian = match bytes.get(..2)? {
            b"II" => false,
            b"MM" => true,
            _ => return None,
        };
        let file = Self { bytes, big_endian, big: false };
        match file.number(2, 2)? {
            42 => Some((file, file.number(4, 4)?)),
            43 if file.number(4, 2)? == 8 => Some((Self { big: true, ..file }, file.number(8, 8)?)),
            _ => None,
        }
    }

    /// `len` bytes from `at` on.
    pub(super) fn slice(&self, at: u64, len: u64) -> Option<&'a [u8]> {
        let from = usize::try_from(at).ok()?;
        self.bytes.get(from..from.checked_add(usize::try_from(len).ok()?)?)
    }

    /// An unsigned number of up to 8 bytes.
    fn number(&self, at: u64, len: u64) -> Option<u64> {
        let bytes = self.slice(at, len)?.iter();
        let join = |sum: u64, &b: &u8| sum << 8 | u64::from(b);
        Some(if self.big_endian { bytes.fold(0, join) } else { bytes.rev().fold(0, join) })
    }

    /// The directory at a place; `None` where it is not whole.
    pub(super) fn directory(&self, at: u64) -> Option<Ifd> {
        let (head, entry, offset) = if self.big { (8, 20, 8) } else { (2, 12, 4) };
        let count = self.number(at, head)?;
        let first = at.checked_add(head)?;
        let end = first.checked_add(count.checked_mul(entry)?)?;
        self.slice(first, end - first)?;
        let read = |i: u64| {
            let at = first + i * entry;
            let kind = self.number(at + 2, 2)? as u16;
            let count = self.number(at + 4, offset)?;
            let value = at + 4 + offset;
            let inside = size_of(kind).is_none_or(|size| size.checked_mul(count).is_some_and(|len| len <= offset));
            let at_value = if inside { value } else { self.number(value, offset)? };
            Some(Entry { tag: self.number(at, 2)? as u16, kind, count, at: at_value })
        };
        let entries = (0..count).map(read).collect::<Option<Vec<Entry>>>()?;
        // Files that were cut behind the last directory lack only the offset of the next.
        Some(Ifd { entries, next: self.number(end, offset).unwrap_or(0) })
    }

    fn entry(&self, ifd: &Ifd, tag: u16) -> Option<Entry> {
        ifd.entries.iter().find(|e| e.tag == tag).copied()
    }

    /// Whether a directory has a tag.
    pub(super) fn has(&self, ifd: &Ifd, tag: u16) -> bool {
        self.entry(ifd, tag).is_some()
    }

    /// The unsigned numbers of a tag, one by one, and how many they are.
    ///
    /// # Errors
    /// Where the list reaches beyond the end of the file.
    pub(super) fn list(&self, ifd: &Ifd, tag: u16) -> Result<Option<List<'a>>, String> {
        let Some(entry) = self.entry(ifd, tag) else { return Ok(None) };
        let Some(size) = size_of(entry.kind).filter(|_| matches!(entry.kind, 1 | 3 | 4 | 13 | 16 | 18)) else {
            return Ok(None);
        };
        let bytes = entry.count.checked_mul(size).and_then(|len| self.slice(entry.at, len));
        let bytes = bytes.ok_or_else(|| {
            format!("a list of {} values (tag {tag}) reaches beyond the end of the file", entry.count)
        })?;
        Ok(Some(List { bytes, size: size as usize, big_endian: self.big_endian }))
    }

    /// The first unsigned number of a tag.
    pub(super) fn unsigned(&self, ifd: &Ifd, tag: u16) -> Option<u64> {
        let entry = self.entry(ifd, tag).filter(|e| e.count > 0 && matches!(e.kind, 1 | 3 | 4 | 13 | 16 | 18))?;
        self.number(entry.at, size_of(entry.kind)?)
    }

    /// The first value of a tag of any numeric type.
    pub(super) fn real(&self, ifd: &Ifd, tag: u16) -> Option<f64> {
        let entry = self.entry(ifd, tag).filter(|e| e.count > 0)?;
        let size = size_of(entry.kind)?;
        let raw = self.number(entry.at, size)?;
        Some(match entry.kind {
            1 | 3 | 4 | 13 | 16 => raw as f64,
            6 => f64::from(raw as i8),
            8 => f64::from(raw as i16),
            9 => f64::from(raw as i32),
            17 => raw as i64 as f64,
            11 => f64::from(f32::from_bits(raw as u32)),
            12 => f64::from_bits(raw),
            5 => self.number(entry.at, 4)? as f64 / self.number(entry.at + 4, 4)? as f64,
            _ => return None,
        })
    }

    /// The bytes of a tag: an ASCII text, or data of no type.
    pub(super) fn data(&self, ifd: &Ifd, tag: u16) -> Option<&'a [u8]> {
        let entry = self.entry(ifd, tag).filter(|e| matches!(e.kind, 1 | 2 | 7))?;
        self.slice(entry.at, entry.count)
    }
}

/// The numbers of a tag, still in the file.
#[derive(Clone, Copy)]
pub(super) struct List<'a> {
    bytes: &'a [u8],
    size: usize,
    big_endian: bool,
}

impl List<'_> {
    pub(super) fn len(&self) -> usize {
        self.bytes.len() / self.size
    }

    pub(super) fn get(&self, i: usize) -> Option<u64> {
        let bytes = self.bytes.get(i.checked_mul(self.size)?..)?.get(..self.size)?.iter();
        let join = |sum: u64, &b: &u8| sum << 8 | u64::from(b);
        Some(if self.big_endian { bytes.fold(0, join) } else { bytes.rev().fold(0, join) })
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = u64> + '_ {
        (0..self.len()).filter_map(|i| self.get(i))
    }
}
