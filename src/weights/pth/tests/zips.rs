//! Archives that lie.

use super::asm::{Record, record, zip_of};
use super::*;

/// The records of an honest checkpoint.
fn honest() -> Vec<Record> {
    let pickle = Asm::of(|asm| asm.tensor(4, 0, &[4], &[1]));
    let records =
        [("a/data.pkl", pickle.as_slice()), ("a/byteorder", b"little"), ("a/data/0", &[0; 16]), ("a/version", b"3\n")];
    records.map(|(name, data)| record(name, data)).to_vec()
}

/// The refusal of an honest archive with the record called `name` changed.
#[track_caller]
fn refused_with(name: &str, change: impl FnOnce(&mut Record), parts: &[&str]) {
    let mut records = honest();
    change(records.iter_mut().find(|record| record.name == name).unwrap());
    refused(&archive(&records), parts);
}

#[test]
fn what_is_refused_below_is_read_when_it_is_honest() {
    let file = archive(&honest());
    let entries = read(&file).unwrap();
    assert_within(&file, &entries);
    assert_eq!(entries.len(), 1);
}

#[test]
fn compressed_records() {
    let bomb = |record: &mut Record| {
        (record.method, record.local_method, record.size) = (8, 8, 10_000_000_000);
    };
    refused_with("a/data.pkl", bomb, &["`a/data.pkl` compressed", "which PyTorch never does"]);
    refused_with("a/data/0", bomb, &["tensor `w`", "is compressed"]);
    refused_with("a/version", bomb, &["`a/version` compressed"]);
    // Claims to be stored, and to be another size when read.
    refused_with("a/data.pkl", |record| record.size = 10_000_000_000, &["10000000000 bytes in"]);
}

#[test]
fn too_many_records() {
    let mut records = honest();
    records.extend((0..70_000).map(|i| record(&format!("a/{i}"), b"")));
    refused(&archive(&records), &["70004 records", "at most 65536"]);
    // The same, claiming to be few.
    refused(&zip_of(&records, 4), &["corrupt"]);
    refused(&zip_of(&honest(), 5), &["does not have the 5 records"]);
    refused(&zip_of(&honest(), 3), &["does not have the 3 records"]);
    refused(&zip_of(&honest(), u64::MAX), &["18446744073709551615 records"]);
}

#[test]
fn lying_places() {
    let length = archive(&honest()).len() as u64;
    for offset in [1, length, length - 1, u64::from(u32::MAX) - 1] {
        refused_with("a/data/0", |record| record.offset = Some(offset), &["corrupt", "`a/data/0`"]);
    }
    refused_with("a/data/0", |record| record.offset = Some(0), &["another name where it begins"]);
    for packed in [17, 100_000, u64::MAX, u64::MAX - 30] {
        refused_with("a/data/0", |record| (record.packed, record.size) = (packed, packed), &["corrupt"]);
    }
    // The last of its bytes would be the directory's.
    refused_with("a/version", |record| (record.packed, record.size) = (3, 3), &["overlaps its directory"]);
    refused_with("a/data/0", |record| record.local_name = "a/data/1".into(), &["another name"]);
    refused_with("a/data/0", |record| record.local_method = 8, &["another form"]);
    refused_with("a/data/0", |record| record.local_crc = 8, &["another size or checksum"]);
}

#[test]
fn records_in_the_way() {
    let mut twice = honest();
    twice.push(record("a/data/0", &[1; 16]));
    refused(&archive(&twice), &["two records `a/data/0`"]);
    // Two names for the same bytes.
    let mut shared = honest();
    let offset = Some(0);
    shared.push(Record { offset, ..shared[0].clone() });
    refused(&archive(&shared), &["corrupt"]);
    let mut two = honest();
    two.push(record("b/data.pkl", b""));
    refused(&archive(&two), &["more than one `data.pkl`"]);
    for name in ["a/constants.pkl", "a/code/__torch__.py"] {
        let mut script = honest();
        script.push(record(name, b""));
        refused(&archive(&script), &["TorchScript"]);
    }
    refused(&[archive(&honest()).as_slice(), &[0]].concat(), &["corrupt"]);
    let inner = archive(&honest());
    refused(&[b"PK\x03\x04", inner.as_slice()].concat(), &["corrupt"]);
    refused(&[inner.as_slice(), &inner].concat(), &["corrupt"]);
}

#[test]
fn missing_records() {
    let without = |name: &str| honest().into_iter().filter(|record| record.name != name).collect::<Vec<_>>();
    refused(&archive(&without("a/data/0")), &["tensor `w`", "no record `data/0`", "download"]);
    refused(&archive(&without("a/data.pkl")), &["no `data.pkl`"]);
    assert!(read(&archive(&without("a/byteorder"))).is_ok());
    assert!(read(&archive(&without("a/version"))).is_ok());
    refused(&archive(&[record("x.txt", b"hello")]), &["torch.save did not write"]);
    let bare = honest().into_iter().map(|old| record(old.name.trim_start_matches("a/"), &old.data)).collect::<Vec<_>>();
    refused(&archive(&bare), &["no `data.pkl`"]);
}

#[test]
fn other_byte_orders_and_versions() {
    let set = |data: &'static [u8]| move |old: &mut Record| *old = record(&old.name, data);
    refused_with("a/byteorder", set(b"big"), &["not little-endian"]);
    refused_with("a/version", set(b"11\n"), &["version 11"]);
    refused_with("a/version", set(b"0"), &["version 0"]);
    refused_with("a/version", set(b"x\n"), &["no number"]);
    refused_with("a/version", set(b"99999999999999999999"), &["no number"]);
}
