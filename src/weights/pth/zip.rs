//! The container since torch 1.6: a zip archive with everything stored as it is, read in place.
//!
//! Zip files say most things twice, and readers that believe different halves are what attacks live on. So whatever
//! the two disagree on is refused, as is anything that torch does not write: compression (and with it, zip bombs),
//! records that overlap or have one name, bytes before the first or after the end.

use std::collections::HashMap;
use std::ops::Range;

use rawzip::{CompressionMethod, ZipArchive, ZipFileHeaderRecord, ZipSliceArchive};

use super::pickle::{self, Storage, lossy};
use super::{DOWNLOAD, SAVE_STATE, state};
use crate::weights::names::shown;
use crate::weights::selection::Taken;

/// What a zip archive begins with: its first record.
pub(super) const MAGIC: &[u8] = b"PK\x03\x04";

/// Most records. Torch writes one for each storage and a handful more.
const MOST_RECORDS: usize = 65_536;

/// Latest version of the records' layout; 3 since torch 1.6.
const NEWEST: u32 = 10;

/// A record's bytes in the file.
struct Place {
    range: Range<usize>,
    /// Whether they are the record itself; they may be a compressed form.
    stored: bool,
}

/// The records of an archive by their names.
type Records<'a> = HashMap<&'a [u8], Place>;

/// All tensors of the network in an archive: see [`state::tensors`].
pub(super) fn read(bytes: &[u8], wanted: Option<&str>) -> Result<Taken, String> {
    let archive = ZipArchive::from_slice(bytes).map_err(unreadable)?;
    let records = records(&archive)?;
    let (folder, script) = folder(&records)?;
    let named = |name: &str| [folder, b"/", name.as_bytes()].concat();
    if let Some(order) = take(&records, &named("byteorder"))?
        && bytes.get(order) != Some(b"little")
    {
        return Err(format!("has numbers that are not little-endian: {SAVE_STATE} on a little-endian machine"));
    }
    if let Some(version) = take(&records, &named("version"))? {
        check_version(bytes.get(version).unwrap_or_default())?;
    }
    // `folder` has found it.
    let program = take(&records, &named("data.pkl"))?.and_then(|range| bytes.get(range)).unwrap_or_default();
    let pickle = pickle::run(program)?;
    if pickle.length < program.len() {
        return Err(format!("is corrupt: {} bytes follow its pickle: {DOWNLOAD}", program.len() - pickle.length));
    }
    let data = named("data/");
    let locate = |key: &[u8], _: &Storage| {
        let place = records.get([&data, key].concat().as_slice());
        let place = place.ok_or_else(|| {
            let key = shown(&lossy(key));
            format!("has no record `data/{key}` in the file: it is corrupt, {DOWNLOAD}")
        })?;
        match place.stored {
            true => Ok(place.range.clone()),
            false => Err(format!("is compressed, which PyTorch never does: {SAVE_STATE}")),
        }
    };
    match script {
        true => state::of_objects(&pickle, wanted, locate),
        false => state::tensors(&pickle, wanted, locate),
    }
}

fn check_version(text: &[u8]) -> Result<(), String> {
    let number = std::str::from_utf8(text).ok().and_then(|text| text.trim_ascii().parse().ok());
    match number {
        Some(1..=NEWEST) => Ok(()),
        Some(newer) => Err(format!("is of version {newer} of PyTorch's format, known are 1 to {NEWEST}: {SAVE_STATE}")),
        None => Err(format!("is corrupt: its record `version` is no number: {DOWNLOAD}")),
    }
}

/// The bytes of a record that may be missing, but not compressed.
fn take(records: &Records<'_>, name: &[u8]) -> Result<Option<Range<usize>>, String> {
    match records.get(name) {
        Some(Place { range, stored: true }) => Ok(Some(range.clone())),
        Some(_) => {
            let name = shown(&lossy(name));
            Err(format!("has the record `{name}` compressed, which PyTorch never does: {SAVE_STATE}"))
        }
        None => Ok(None),
    }
}

/// The folder that everything is in, which torch calls `archive` or as the file was called, and whether it is a TorchScript
/// program's.
fn folder<'a>(records: &Records<'a>) -> Result<(&'a [u8], bool), String> {
    let holder = |name: &&'a [u8]| name.strip_suffix(b"/data.pkl").filter(|folder| !folder.contains(&b'/'));
    let mut folders = records.keys().filter_map(holder);
    let Some(folder) = folders.next() else {
        return Err(format!(
            "is a zip archive that torch.save did not write, as it has no `data.pkl`: {SAVE_STATE} with torch.save"
        ));
    };
    if folders.next().is_some() {
        return Err(format!("is corrupt: it has more than one `data.pkl`: {DOWNLOAD}"));
    }
    let script = |name: &&[u8]| {
        name.strip_prefix(folder).is_some_and(|name| name.starts_with(b"/code/") || name == b"/constants.pkl")
    };
    Ok((folder, records.keys().any(script)))
}

/// Reads and checks the archive's directory and every record's own header.
fn records<'a>(archive: &'a ZipSliceArchive<&[u8]>) -> Result<Records<'a>, String> {
    let claimed = archive.entries_hint();
    if claimed > MOST_RECORDS as u64 {
        return Err(format!("has {claimed} records, and weights have at most {MOST_RECORDS}: {SAVE_STATE}"));
    }
    if archive.end_offset() != archive.get_ref().len() as u64 {
        return Err(format!("is corrupt: bytes follow its end: {DOWNLOAD}"));
    }
    let mut records = Records::new();
    let mut spans: Vec<(u64, u64)> = Vec::new();
    let mut entries = archive.entries();
    // Not up to the end: the directory could have more records than it claims.
    while spans.len() as u64 <= claimed
        && let Some(entry) = entries.next_entry().map_err(unreadable)?
    {
        let name = entry.file_path().as_bytes();
        let (place, span) = place(archive, &entry).map_err(|what| {
            let name = shown(&lossy(name));
            format!("is corrupt: its record `{name}` {what}: {DOWNLOAD}")
        })?;
        spans.push(span);
        if records.insert(name, place).is_some() {
            return Err(format!("is corrupt: it has two records `{}`: {DOWNLOAD}", shown(&lossy(name))));
        }
    }
    if spans.len() as u64 != claimed {
        return Err(format!("is corrupt: its directory does not have the {claimed} records it claims: {DOWNLOAD}"));
    }
    // One after another, from the first byte to the directory.
    spans.sort_unstable();
    let mut end = 0;
    for &(start, next) in &spans {
        if start < end || (end == 0 && start > 0) {
            return Err(format!("is corrupt: its records overlap, or do not begin with the file: {DOWNLOAD}"));
        }
        end = next;
    }
    match end > archive.directory_offset() {
        true => Err(format!("is corrupt: a record overlaps its directory: {DOWNLOAD}")),
        false => Ok(records),
    }
}

/// Where a record's bytes are, and its span with its header. Errors read on after its name.
fn place(archive: &ZipSliceArchive<&[u8]>, entry: &ZipFileHeaderRecord<'_>) -> Result<(Place, (u64, u64)), String> {
    let record = archive.get_entry(entry.wayfinder()).map_err(|_| "lies outside of the file".to_string())?;
    let local = record.local_header();
    let stored = entry.compression_method() == CompressionMethod::STORE;
    let (packed, size, crc) = (entry.compressed_size_hint(), entry.uncompressed_size_hint(), entry.crc32());
    if local.file_path().as_bytes() != entry.file_path().as_bytes() {
        return Err("has another name where it begins".into());
    }
    if local.compression_method() != entry.compression_method() || local.flags() != entry.flags() {
        return Err("has another form where it begins".into());
    }
    if entry.flags().is_encrypted() {
        return Err("is encrypted".into());
    }
    if stored && packed != size {
        return Err(format!("has {size} bytes in {packed}"));
    }
    // Torch writes checksum and sizes after the record, and zeros before it. Writers differ in the width of the
    // sizes there: of two little-endian numbers, the first one's lower half is in the same place.
    let same = match record.data_descriptor().map_err(|_| "is cut off".to_string())? {
        Some(after) => after.crc32() == crc && after.compressed_size() as u32 == packed as u32,
        None => {
            local.crc32() == crc && local.compressed_size_hint() == packed && local.uncompressed_size_hint() == size
        }
    };
    if !same {
        return Err("has another size or checksum beside it".into());
    }
    let (start, end) = record.compressed_data_range();
    let (Ok(from), Ok(to)) = (usize::try_from(start), usize::try_from(end)) else {
        return Err("lies outside of the file".into());
    };
    Ok((Place { range: from..to, stored }, (entry.local_header_offset(), end)))
}

fn unreadable(e: rawzip::Error) -> String {
    format!("is truncated or corrupt ({}): {DOWNLOAD}", e.to_string().to_lowercase())
}
