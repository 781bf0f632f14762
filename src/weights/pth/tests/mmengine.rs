//! What MMDetection's trainer leaves beside the weights: a history that names classes' functions, NumPy's numbers, arguments, and
//! the configuration as text.

use super::*;

pub(super) const FILES: [(&str, &[u8]); 2] = [
    ("mmengine_zip.pth", include_bytes!("../fixtures/mmengine_zip.pth")),
    ("mmengine_legacy.pth", include_bytes!("../fixtures/mmengine_legacy.pth")),
];

#[test]
fn weights_are_read_and_what_tells_of_them() {
    for (name, bytes) in FILES {
        let taken = super::super::read(bytes, None).unwrap_or_else(|reason| panic!("{name}: {reason}"));
        let names: Vec<&str> = taken.tensors.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["rpn_head.rpn_cls.weight", "roi_head.bbox_head.fc_cls.weight"]);
        assert_within(bytes, &taken.tensors);
        assert_eq!((taken.family.name, taken.selection.prefix.as_str()), ("MMDetection", "state_dict"));
        assert_eq!(taken.told.config.text("model.backbone.style"), Some("caffe"));
        assert_eq!(taken.told.classes, ["bolt", "nut"]);
    }
}

/// A class's own function is asked for; nothing else may be.
#[test]
fn what_is_asked_for_by_getattr() {
    let with = |extra: fn(Asm) -> Asm| {
        let asm = extra(Asm::new().op(b"}(").text("hub")).text("state_dict").op(b"}").text("w");
        checkpoint(&asm.tensor(4, 0, &[4], &[1]).op(b"su").stop(), &[0; 16])
    };
    let of_class = |asm: Asm| {
        asm.global("__builtin__", "getattr").global("mmengine.logging", "HistoryBuffer").text("mean").op(b"\x86R")
    };
    assert_eq!(read(&with(of_class)).unwrap().len(), 1);
    let others: [fn(Asm) -> Asm; 5] = [
        |asm| asm.global("builtins", "getattr"),
        |asm| asm.global("builtins", "getattr").text("a").text("b").op(b"\x86R"),
        |asm| asm.global("builtins", "getattr").global("collections", "OrderedDict").text("b").op(b"\x86R"),
        |asm| asm.global("builtins", "getattr").global("a", "b").op(b"\x85R"),
        |asm| asm.global("a", "b").global("builtins", "getattr").op(b"\x85R"),
    ];
    for other in others {
        refused(&with(other), &["`builtins.getattr`", "nothing was executed"]);
    }
    // Nor does one that is right excuse another.
    let after = |asm: Asm| {
        let asm = asm.op(b"(").global("builtins", "getattr").global("a", "b").text("c").op(b"\x86R");
        asm.global("builtins", "getattr").op(b"t")
    };
    refused(&with(after), &["`builtins.getattr`"]);
}

/// `meta` in other forms tells nothing, and nothing goes wrong.
#[test]
fn odd_metas_tell_nothing() {
    let with = |meta: fn(Asm) -> Asm| {
        let asm = meta(Asm::new().op(b"}(").text("meta")).text("state_dict").op(b"}").text("w");
        let file = checkpoint(&asm.tensor(4, 0, &[4], &[1]).op(b"su").stop(), &[0; 16]);
        super::super::read(&file, None).unwrap().told
    };
    let names = |asm: Asm| asm.op(b"}").text("CLASSES").op(b"]").text("cat").op(b"as");
    assert_eq!(with(names).classes, ["cat"]);
    let odd: [fn(Asm) -> Asm; 5] = [
        |asm| asm.op(b"N"),
        |asm| asm.op(b"}").text("cfg").op(b"K\x01s"),
        |asm| asm.op(b"}").text("cfg").global("mmengine.config", "Config").op(b")\x81s"),
        |asm| asm.op(b"}").text("CLASSES").text("cat").op(b"s"),
        |asm| asm.op(b"}").text("CLASSES").op(b"](K\x01es"),
    ];
    for meta in odd {
        let told = with(meta);
        assert!(told.classes.is_empty() && told.config.get("model").is_none(), "{told:?}");
    }
}
