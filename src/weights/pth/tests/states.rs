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

/// A network under names of its own and an average beside it, in dicts that no list knows.
#[test]
fn finds_a_network_wherever_it_is() {
    let network = |asm: Asm, prefix: &str| {
        let names = ["backbone.body.conv1.weight", "rpn.head.cls_logits.weight", "roi_heads.x"];
        names.iter().fold(asm, |asm, name| pair(asm, &format!("{prefix}{name}")))
    };
    let expected = ["backbone.body.conv1.weight", "rpn.head.cls_logits.weight", "roi_heads.x"];
    let nested = |prefix: &str| {
        let asm = Asm::new().op(b"}(").text("fabric").op(b"}(").text("what").op(b"}(");
        let asm = pair(network(asm, prefix), "loss.w").op(b"u");
        let asm = network(asm.text("ema_of_it").op(b"}("), "module.").op(b"u").op(b"u");
        pair(asm, "best_score").op(b"u").stop()
    };
    for prefix in ["", "detector.", "model.detector."] {
        let file = checkpoint(&nested(prefix), &[0; 16]);
        assert_eq!(read(&file).unwrap().into_iter().map(|e| e.0).collect::<Vec<_>>(), expected, "{prefix}");
        let taken = super::super::read(&file, None).unwrap();
        assert_eq!(
            (taken.tensors.len(), taken.selection.others.as_slice()),
            (3, &["fabric.ema_of_it.module".to_string()][..])
        );
        assert_eq!(taken.selection.beside, ["loss.w"]);
        assert_eq!(taken.selection.prefix, format!("fabric.what.{prefix}").trim_end_matches('.'));
        let taken = super::super::read(&file, Some("ema_of_it")).unwrap();
        assert_eq!((taken.tensors.len(), taken.selection.prefix.as_str()), (3, "fabric.ema_of_it.module"));
        let told = super::super::read(&file, Some("other")).unwrap_err();
        assert!(told.contains("`other`") && told.contains("fabric.what"), "{told}");
    }
    // Only what is taken has to be sound.
    let broken = |asm: Asm| asm.tensor(4, 9, &[4], &[1]);
    let asm = broken(network(Asm::new().op(b"}("), "net.").text("metric.sum")).op(b"u");
    assert_eq!(read(&checkpoint(&asm.stop(), &[0; 16])).unwrap().len(), 3);
    let asm = broken(network(Asm::new().op(b"}("), "net.").text("net.rpn.sum")).op(b"u");
    super::refused(&checkpoint(&asm.stop(), &[0; 16]), &["tensor `rpn.sum`", "reaches past"]);
}

#[test]
fn networks_without_end_are_refused() {
    // One tensor's pair in a hundred thousand dicts.
    let asm = Asm::new().op(b"}(").text("backbone.body.conv1.weight").op(b"q\x01").tensor(4, 0, &[4], &[1]).op(b"q\0");
    let many = (0..100_000).fold(asm, |asm, i| asm.text(&i.to_string()).op(b"}h\x01h\0s")).op(b"u").stop();
    super::refused(&checkpoint(&many, &[0; 16]), &["more than 64 networks"]);
    let asm = (0..100).fold(Asm::new().op(b"}("), |asm, i| pair(asm, &format!("{i}.rpn.head.cls_logits.weight")));
    super::refused(&checkpoint(&asm.op(b"u").stop(), &[0; 16]), &["more than 64 networks"]);
}
