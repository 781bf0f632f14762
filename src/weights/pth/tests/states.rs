//! Where the state dict is found, and under which names.

use super::*;

fn pair(asm: Asm, key: &str) -> Asm {
    asm.text(key).tensor(4, 0, &[4], &[1])
}

fn dict(asm: Asm, keys: &[&str]) -> Asm {
    keys.iter().fold(asm.op(b"}("), |asm, key| pair(asm, key)).op(b"u")
}

fn names(pickle: Vec<u8>) -> Vec<String> {
    let entries = read(&checkpoint(&pickle, &[0; 16])).unwrap();
    entries.into_iter().map(|(name, _)| name).collect()
}

#[test]
fn finds_wrapped_ones() {
    let wrapped = |keys: &[&str]| {
        let asm = keys.iter().fold(Asm::new(), |asm, key| asm.op(b"}").text(key));
        names((0..keys.len()).fold(dict(asm, &["a", "b"]), |asm, _| asm.op(b"s")).stop())
    };
    for keys in [&[][..], &["model"], &["state_dict"], &["net"], &["model", "state_dict"], &["model", "net", "weights"]]
    {
        assert_eq!(wrapped(keys), ["a", "b"], "{keys:?}");
    }
}

#[test]
fn chooses_among_several() {
    // A tensor beside the wrapper, and an averaged model before the one that is meant.
    let asm = pair(Asm::new().op(b"}("), "steps").text("model_ema");
    let asm = dict(asm, &["averaged"]).text("model");
    assert_eq!(names(dict(asm, &["w"]).op(b"u").stop()), ["w"]);
    // A wrapper's key without tensors under it.
    let asm = Asm::new().op(b"}(").text("model").op(b"}").text("depth").op(b"K\x32s").text("state_dict");
    assert_eq!(names(dict(asm, &["w"]).op(b"u").stop()), ["w"]);
}

#[test]
fn strips_what_all_names_share() {
    let stripped = |keys: &[&str]| names(dict(Asm::new(), keys).stop());
    assert_eq!(stripped(&["module.a", "module.b"]), ["a", "b"]);
    assert_eq!(stripped(&["module._orig_mod.model.a", "module._orig_mod.model.b"]), ["a", "b"]);
    assert_eq!(stripped(&["module.a", "b"]), ["module.a", "b"]);
    assert_eq!(stripped(&["module.", "module.a"]), ["module.", "module.a"]);
    assert_eq!(stripped(&["modules.a"]), ["modules.a"]);
}

#[test]
fn skips_what_is_no_tensor() {
    let asm = pair(Asm::new().op(b"}("), "w").text("version").op(b"K\x02").op(b"K\x03");
    let asm = asm.tensor(4, 0, &[4], &[1]).text("none").op(b"N").text("list").op(b"]");
    assert_eq!(names(asm.op(b"u").stop()), ["w"]);
}

#[test]
fn reads_what_python_2_wrote() {
    // SHORT_BINSTRING, BINSTRING, and an OrderedDict made of a list of lists.
    let asm = Asm::new().global("collections", "OrderedDict").op(b"](](U\x01v").tensor(4, 0, &[4], &[1]);
    let asm = asm.op(b"e](T\x01\0\0\0w").tensor(4, 0, &[2], &[2]).op(b"ee\x85R");
    assert_eq!(names(asm.stop()), ["v", "w"]);
}

#[test]
fn says_what_it_found_instead() {
    let refused = |pickle: Vec<u8>, parts: &[&str]| super::refused(&checkpoint(&pickle, &[0; 16]), parts);
    let keys = (0..9).fold(Asm::new().op(b"}("), |asm, i| asm.text(&format!("k\n{i}")).op(b"N"));
    refused(keys.op(b"u").stop(), &["no tensors", "`k\\n0`, `k\\n1`", "`k\\n5`, …", "save `model.state_dict()`"]);
    refused(Asm::new().op(b"}").stop(), &["empty dict"]);
    refused(Asm::new().op(b"]").stop(), &["holds a list"]);
    refused(Asm::new().tensor(4, 0, &[4], &[1]).stop(), &["a single tensor"]);
    refused(dict(Asm::new(), &["w", "w"]).stop(), &["tensor `w` twice"]);
    let name = Asm::new().op(b"}U\x02\xff\xfe").tensor(4, 0, &[4], &[1]).op(b"s");
    refused(name.stop(), &["not UTF-8"]);
}
