//! The legacy container, true and lying.

use super::asm::legacy_head;
use super::*;

const DATA: &[u8] = &[0; 16];

fn vector() -> Vec<u8> {
    Asm::of(|asm| asm.tensor(4, 0, &[4], &[1]))
}

/// The pickle of a tensor in a part of storage `0`, which has 4 elements.
fn part(offset: i64, length: i64, shape: i64) -> Vec<u8> {
    Asm::of(|asm| {
        let asm =
            asm.global("torch._utils", "_rebuild_tensor").op(b"((").text("storage").global("torch", "FloatStorage");
        let asm = asm.text("0").text("cpu").int(4).op(b"(").text("1").int(offset).int(length).op(b"ttQ");
        asm.int(0).ints(&[shape]).ints(&[1]).op(b"tR")
    })
}

#[test]
fn reads_whole_storages_and_parts() {
    let file = legacy(&vector(), &[("0", 4, DATA)]);
    let entries = read(&file).unwrap();
    assert_within(&file, &entries);
    assert_eq!(entries[0].1.start, file.len() - 16);
    let file = legacy(&part(1, 2, 2), &[("0", 4, DATA)]);
    let entries = read(&file).unwrap();
    assert_within(&file, &entries);
    assert_eq!(entries[0].1.start, file.len() - 12);
}

#[test]
fn lying_parts() {
    for (offset, length, shape, words) in [
        (1, 2, 3, "reaches past its storage of 2"),
        (3, 2, 1, "part 3+2"),
        (i64::MAX, i64::MAX, 1, "part"),
        (-1, 2, 1, "offset as -1"),
        (0, -2, 1, "size as -2"),
    ] {
        refused(&legacy(&part(offset, length, shape), &[("0", 4, DATA)]), &[words]);
    }
}

#[test]
fn lying_storages() {
    refused(&legacy(&vector(), &[("0", 5, DATA)]), &["storage `0` has 5 elements, and its tensors say 4"]);
    refused(&legacy(&vector(), &[("0", -1, DATA)]), &["-1 elements"]);
    refused(&legacy(&vector(), &[("0", 4, &DATA[1..])]), &["truncated", "15 bytes are left"]);
    refused(&legacy(&vector(), &[("0", 4, &[0; 17])]), &["1 bytes follow its last storage"]);
    refused(&legacy(&vector(), &[]), &["tensor `w`", "no data in the file"]);
    refused(&legacy(&vector(), &[("0", 4, DATA), ("0", 4, DATA)]), &["storage `0` twice"]);
    refused(&legacy(&vector(), &[("0", 4, DATA), ("1", 4, DATA)]), &["storage `1`, which no tensor has"]);
    let huge = Asm::of(|asm| asm.tensor(i64::MAX, 0, &[4], &[1]));
    refused(&legacy(&huge, &[("0", i64::MAX, DATA)]), &["truncated"]);
    let two =
        Asm::new().op(b"}(").text("v").tensor(4, 0, &[4], &[1]).text("w").tensor(2, 0, &[2], &[1]).op(b"u").stop();
    refused(&legacy(&two, &[("0", 4, DATA)]), &["disagree on storage `0`"]);
}

#[test]
fn lying_heads() {
    let head = legacy_head();
    let magic = &head[..15];
    let protocol = |version| Asm::new().int(version).stop();
    refused(&Asm::new().op(b"cos\nsystem\n)R").stop(), &["`os.system`", "nothing was executed"]);
    refused(&[magic, &protocol(1002)].concat(), &["another version than 1001"]);
    let system = |asm: Asm| [magic, &protocol(1001), &asm.stop()].concat();
    refused(&system(Asm::new().op(b"}").text("little_endian").op(b"\x89s")), &["big-endian"]);
    refused(&system(Asm::new().op(b"}").text("little_endian").op(b"Ns")), &["whether"]);
    refused(&system(Asm::new().op(b"}")), &["whether"]);
    refused(&system(Asm::new().op(b"N")), &["what machine"]);
    refused(&legacy(&Asm::new().op(b"cos\nsystem\n)R").stop(), &[]), &["`os.system`", "nothing was executed"]);
    refused(&[head.as_slice(), &vector(), &Asm::new().op(b"N").stop()].concat(), &["does not list its storages"]);
    refused(&[head.as_slice(), &vector(), &Asm::new().op(b"]Na").stop()].concat(), &["no name"]);
}

#[test]
fn a_whole_model() {
    for (module, name) in [("torch", "Size"), ("__main__", "Net")] {
        let class = Asm::new().op(b"(").text("module").global(module, name).text("x.py").text("class X").op(b"tQ");
        refused(&legacy(&class.op(b")\x81").stop(), &[]), &["whole Python model", "save `model.state_dict()`"]);
    }
}

#[test]
fn the_oldest_format_and_others() {
    let mut tar = vec![0; 1024];
    tar[..8].copy_from_slice(b"sys_info");
    tar[257..262].copy_from_slice(b"ustar");
    assert!(is_pth(&tar));
    refused(&tar, &["tar archive", "save `model.state_dict()`"]);
    assert!(is_pth(b"\x80\x04\x95") && !is_pth(b"\x80\x06") && !is_pth(b"") && !is_pth(b"\x80\0\0\0\0\0\0\0{"));
    refused(b"\x80\x02}q\0.", &["an empty dict, and no tensors"]);
    for short in [&b""[..], b"\x80", b"\x80\x02", b"\x80\x02\x8a"] {
        refused(short, &["truncated"]);
    }
}
