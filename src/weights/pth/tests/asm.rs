//! Writes pickles instruction by instruction, and the containers around them, true or lying.

/// A pickle being written.
pub(super) struct Asm(pub Vec<u8>);

impl Asm {
    pub(super) fn new() -> Self {
        Self(vec![0x80, 2])
    }

    /// Instructions as they are.
    pub(super) fn op(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.0.extend_from_slice(bytes.as_ref());
        self
    }

    /// The same instructions many times.
    pub(super) fn repeat(mut self, count: usize, bytes: &[u8]) -> Self {
        self.0.extend(bytes.repeat(count));
        self
    }

    pub(super) fn text(self, text: &str) -> Self {
        self.op(b"X").op((text.len() as u32).to_le_bytes()).op(text)
    }

    pub(super) fn int(self, value: i64) -> Self {
        self.op([0x8a, 8]).op(value.to_le_bytes())
    }

    pub(super) fn ints(self, values: &[i64]) -> Self {
        values.iter().fold(self.op(b"("), |asm, &value| asm.int(value)).op(b"t")
    }

    pub(super) fn global(self, module: &str, name: &str) -> Self {
        self.op(format!("c{module}\n{name}\n"))
    }

    /// A storage; `class` is such as `FloatStorage`.
    pub(super) fn storage(self, class: &str, key: &str, count: i64) -> Self {
        self.op(b"(").text("storage").global("torch", class).text(key).text("cpu").int(count).op(b"tQ")
    }

    /// A tensor of f32 in storage `0` of `count` elements.
    pub(super) fn tensor(self, count: i64, offset: i64, shape: &[i64], strides: &[i64]) -> Self {
        let asm = self.global("torch._utils", "_rebuild_tensor_v2").op(b"(").storage("FloatStorage", "0", count);
        asm.int(offset).ints(shape).ints(strides).op(b"\x89}tR")
    }

    /// The whole pickle.
    pub(super) fn stop(self) -> Vec<u8> {
        self.op(b".").0
    }

    /// The pickle of a dict with `w` as the only key, and with the value that `self` leaves.
    pub(super) fn of(value: impl FnOnce(Self) -> Self) -> Vec<u8> {
        value(Self::new().op(b"}").text("w")).op(b"s").stop()
    }
}

/// A record of a zip archive, with all that its two headers say.
#[derive(Clone)]
pub(super) struct Record {
    pub name: String,
    pub data: Vec<u8>,
    /// The directory's.
    pub method: u16,
    pub packed: u64,
    pub size: u64,
    pub crc: u32,
    /// Where the directory says that it begins, if not where it does.
    pub offset: Option<u64>,
    /// The record's own.
    pub local_name: String,
    pub local_method: u16,
    pub local_crc: u32,
}

pub(super) fn record(name: &str, data: &[u8]) -> Record {
    Record {
        name: name.into(),
        data: data.into(),
        method: 0,
        packed: data.len() as u64,
        size: data.len() as u64,
        crc: 7,
        offset: None,
        local_name: name.into(),
        local_method: 0,
        local_crc: 7,
    }
}

/// An archive that claims to have `claimed` records.
pub(super) fn zip_of(records: &[Record], claimed: u64) -> Vec<u8> {
    let mut file = Vec::new();
    let mut directory = Vec::new();
    let half = |value: usize| (value as u16).to_le_bytes();
    // Sizes are in the zip64 extra field, so that they may be any.
    let extra =
        |record: &Record| [&[1, 0, 16, 0][..], &record.size.to_le_bytes(), &record.packed.to_le_bytes()].concat();
    for record in records {
        let offset = record.offset.unwrap_or(file.len() as u64) as u32;
        let form = |method: u16, crc: u32| {
            [&[0; 2][..], &method.to_le_bytes(), &[0; 4], &crc.to_le_bytes(), &[0xff; 8]].concat()
        };
        file.extend(b"PK\x03\x04\x2d\0");
        file.extend(form(record.local_method, record.local_crc));
        file.extend([half(record.local_name.len()), half(20)].concat());
        file.extend([record.local_name.as_bytes(), &extra(record), &record.data].concat());
        directory.extend(b"PK\x01\x02\x2d\0\x2d\0");
        directory.extend(form(record.method, record.crc));
        directory.extend([half(record.name.len()), half(20)].concat());
        directory.extend([[0; 10].as_slice(), &offset.to_le_bytes(), record.name.as_bytes(), &extra(record)].concat());
    }
    let (at, length) = (file.len() as u64, directory.len() as u64);
    file.extend(directory);
    let end = file.len() as u64;
    file.extend([b"PK\x06\x06\x2c\0\0\0\0\0\0\0\x2d\0\x2d\0".as_slice(), &[0; 8]].concat());
    file.extend([claimed, claimed, length, at].map(u64::to_le_bytes).concat());
    file.extend([b"PK\x06\x07\0\0\0\0".as_slice(), &end.to_le_bytes(), &[1, 0, 0, 0]].concat());
    file.extend([b"PK\x05\x06\0\0\0\0".as_slice(), &[0xff; 12], &[0; 2]].concat());
    file
}

/// An honest archive.
pub(super) fn archive(records: &[Record]) -> Vec<u8> {
    zip_of(records, records.len() as u64)
}

/// A checkpoint with this pickle and storage `0`, in the zip container.
pub(super) fn checkpoint(pickle: &[u8], data: &[u8]) -> Vec<u8> {
    archive(&[record("a/data.pkl", pickle), record("a/data/0", data)])
}

/// The pickle of the magic number, of the protocol, and of the system.
pub(super) fn legacy_head() -> Vec<u8> {
    let magic = Asm::new().op(b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19").stop();
    let system = Asm::new().op(b"}").text("little_endian").op(b"\x88s").stop();
    [magic, Asm::new().int(1001).stop(), system].concat()
}

/// A checkpoint in the legacy container: an object's pickle, then storages with the counts they claim.
pub(super) fn legacy(pickle: &[u8], storages: &[(&str, i64, &[u8])]) -> Vec<u8> {
    let list = storages.iter().fold(Asm::new().op(b"]("), |asm, (key, ..)| asm.text(key)).op(b"e").stop();
    let mut file = [legacy_head(), pickle.to_vec(), list].concat();
    for (_, count, data) in storages {
        file.extend(count.to_le_bytes());
        file.extend_from_slice(data);
    }
    file
}
