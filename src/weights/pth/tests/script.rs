//! TorchScript archives: those that torch wrote (`make_script.py`), and those that somebody else could.

use std::io::Read;

use serde_json::Value;

use super::asm::{Record, record};
use super::*;
use crate::weights::{NetworkWeights, WeightsFile};

pub(super) const TRACED: (&str, &[u8]) = ("traced.pt", include_bytes!("../fixtures/traced.pt"));

const DATA: &[u8] = &[0; 16];

fn scripted() -> Vec<u8> {
    let mut bytes = Vec::new();
    let packed = include_bytes!("../fixtures/script_mask.pt.gz").as_slice();
    flate2::read::GzDecoder::new(packed).read_to_end(&mut bytes).unwrap();
    bytes
}

/// An archive of a program with this `data.pkl`.
fn program(pickle: &[u8]) -> Vec<u8> {
    let mut records: Vec<Record> = vec![record("a/data.pkl", pickle), record("a/data/0", DATA)];
    records.push(record("a/code/__torch__.py", b"nothing that is read"));
    records.push(record("a/constants.pkl", b"nor this"));
    archive(&records)
}

/// The beginning of an object; `(` to be filled with names and values, and closed by `ub`.
fn object(asm: Asm) -> Asm {
    asm.global("__torch__.my", "Module").op(b")\x81}(")
}

fn w(asm: Asm) -> Asm {
    asm.text("w").tensor(4, 0, &[4], &[1])
}

#[test]
fn a_scripted_network_is_read_as_its_state_dict() {
    let bytes = scripted();
    let file = WeightsFile::from_bytes(bytes, "script.pt").unwrap();
    let expected: Value = serde_json::from_str(include_str!("../fixtures/script.json")).unwrap();
    let expected = expected.as_object().unwrap();
    let mut names: Vec<&str> = file.names().collect();
    names.sort_unstable();
    let mut due: Vec<&str> = expected.keys().map(String::as_str).collect();
    due.sort_unstable();
    assert_eq!(names, due);
    for (name, tensor) in expected {
        let shape: Vec<usize> = serde_json::from_value(tensor["shape"].clone()).unwrap();
        let sum: f64 = file.tensor(name, &shape).unwrap().data.iter().map(|&v| f64::from(v)).sum();
        assert!((sum - tensor["sum"].as_f64().unwrap()).abs() < 1e-6, "{name}: {sum}");
    }
    // And the network is told by its tensors, as of any checkpoint.
    let config = file.settings().unwrap().config;
    assert_eq!((config.name.as_str(), config.num_classes, config.backbone.base_width), ("maskrcnn_resnet18_fpn", 3, 4));
    NetworkWeights::load(&file, &config).unwrap();
}

#[test]
fn a_layer_of_two_names_has_both() {
    let read = read(TRACED.1).unwrap();
    let names: Vec<&str> = read.iter().map(|(name, _)| name.as_str()).collect();
    for due in ["scale", "first.weight", "first.bias", "second.weight", "second.bias"] {
        assert!(names.contains(&due), "{names:?}");
    }
    assert_eq!(names.len(), 5);
    let place = |name: &str| read.iter().find(|(of, _)| of == name).map(|(_, entry)| entry.start);
    assert_eq!(place("first.weight"), place("second.weight"));
    assert_within(TRACED.1, &read);
}

#[test]
fn names_are_the_ways_to_the_tensors() {
    let inner = |asm: Asm, name: &str| w(object(asm.text(name))).op(b"ub");
    let asm = w(object(Asm::new()).text("training").op(b"\x88").text("n").int(3));
    // A list of numbers, and a tensor of a type that is not known, are no part of a state dict.
    let asm = asm.text("sizes").global("torch.jit._pickle", "build_intlist").op(b"(](K\x01K\x02etR");
    let pickle = inner(inner(asm, "0"), "layer1").op(b"ub").stop();
    let names: Vec<String> = read(&program(&pickle)).unwrap().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["w", "0.w", "layer1.w"]);
    // One object by two names.
    let pickle = inner(object(Asm::new()), "a").op(b"q\x07").text("b").op(b"h\x07ub").stop();
    let names: Vec<String> = read(&program(&pickle)).unwrap().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["a.w", "b.w"]);
}

#[test]
fn attributes_are_of_torchscripts_classes_alone() {
    let other = w(Asm::new().global("my.code", "Net").op(b")\x81}(")).op(b"ub").stop();
    refused(&program(&other), &["TorchScript", "without weights"]);
    let alike = w(Asm::new().global("__torch__x", "Net").op(b")\x81}(")).op(b"ub").stop();
    refused(&program(&alike), &["TorchScript", "without weights"]);
    // And of such an object in a checkpoint nothing is read.
    let object = w(object(Asm::new())).op(b"ub").stop();
    refused(&checkpoint(&object, DATA), &["an object of Python's `__torch__.my.Module`"]);
}

#[test]
fn programs_without_weights_say_so() {
    refused(&program(&object(Asm::new()).text("training").op(b"\x89ub").stop()), &["torch.jit.freeze"]);
    refused(&program(&Asm::new().op(b"}").stop()), &["TorchScript", "without weights"]);
    refused(&program(&Asm::new().op(b"N").stop()), &["TorchScript", "without weights"]);
}

#[test]
fn what_does_harm_is_refused_in_programs_too() {
    let pickle = w(object(Asm::new()).text("x").global("os", "system").op(b"(").text("touch owned").op(b"tR"));
    refused(&program(&pickle.op(b"ub").stop()), &["`os.system`", "nothing was executed"]);
}

#[test]
fn bombs_of_objects_hit_a_bound() {
    // Within itself: `m` recalls the object that it is an attribute of.
    let own = Asm::new().global("__torch__", "M").op(b")\x81q\x05}(").text("m").op(b"h\x05ub").stop();
    refused(&program(&own), &["its object `m` contains itself"]);
    // By a way round.
    let round = Asm::new().global("__torch__", "M").op(b")\x81q\x05}(").text("m");
    let round = object(round).text("n").op(b"h\x05ubub").stop();
    refused(&program(&round), &["its object `m.n` contains itself"]);
    // Each with the one before as four attributes: 4^60 ways to a tensor, or to nothing.
    let ways = |mut asm: Asm| {
        for _ in 0..60 {
            asm = asm.op(b"0").global("__torch__", "M").op(b")\x81}(");
            for name in ["a", "b", "c", "d"] {
                asm = asm.text(name).op(b"h\x01");
            }
            asm = asm.op(b"ubq\x01");
        }
        program(&asm.stop())
    };
    refused(&ways(w(object(Asm::new())).op(b"ubq\x01")), &["more than 16777216 bytes of tensors' names"]);
    refused(&ways(Asm::new().global("__torch__", "M").op(b")\x81}bq\x01")), &["more than 1048576 attributes"]);
    // Deeper than any network.
    let mut asm = Asm::new();
    for _ in 0..200 {
        asm = object(asm).text("m");
    }
    let deep = w(object(asm)).op(b"ub".repeat(201)).stop();
    refused(&program(&deep), &["more than 64 deep"]);
    // Names, long and many.
    let long = object(Asm::new()).text(&"n".repeat(5000)).tensor(4, 0, &[4], &[1]).op(b"ub").stop();
    refused(&program(&long), &["more than 1024 bytes"]);
    let mut asm = object(Asm::new());
    for i in 0..300 {
        asm = asm.text(&format!("{i:01000}")).tensor(4, 0, &[4], &[1]);
    }
    // One object of 300 kB of names, by a hundred names: it is made first, put aside, and recalled.
    let mut all = object(asm.op(b"ubq\x010"));
    for i in 0..100 {
        all = all.text(&format!("{i}")).op(b"h\x01");
    }
    refused(&program(&all.op(b"ub").stop()), &["bytes of tensors' names"]);
    // Twice by one name.
    let twice = w(w(object(Asm::new()))).op(b"ub").stop();
    refused(&program(&twice), &["tensor `w` twice"]);
}

#[test]
fn a_scripted_network_cut_anywhere_is_refused() {
    let bytes = scripted();
    for percent in 0..100 {
        let reason = refusal(&bytes[..bytes.len() * percent / 100]);
        assert!(["truncated", "corrupt"].iter().any(|word| reason.contains(word)), "{percent} %: {reason}");
    }
}
