//! Objects of names that are not known: harmless ones beside the tensors, and harmful ones anywhere.

use super::asm::legacy;
use super::*;

const DATA: &[u8] = &[0; 16];

/// A checkpoint with what `extra` leaves beside a state dict.
fn beside(extra: impl FnOnce(Asm) -> Asm) -> Vec<u8> {
    let asm = extra(Asm::new().op(b"}(").text("extra")).text("state_dict").op(b"}").text("w");
    asm.tensor(4, 0, &[4], &[1]).op(b"su").stop()
}

#[test]
fn what_is_not_known_is_passed_over() {
    type Extra = fn(Asm) -> Asm;
    let call = |asm: Asm, module: &str, name: &str| asm.global(module, name).op(b"(").text("a").op(b"tR");
    let extras: [(&str, Extra); 18] = [
        ("a class", |asm| asm.global("my.code", "Net")),
        ("a path", |asm| asm.global("pathlib", "PosixPath").op(b"(").text("a").text("b").op(b"tR")),
        ("a path of Python 3.13", |asm| asm.global("pathlib._local", "PosixPath").op(b"(").text("a").op(b"tR")),
        ("an object with attributes", |asm| asm.global("my.code", "Net").op(b")\x81}b")),
        ("state that is no dict", |asm| asm.global("my.code", "Net").op(b")\x81K\x01b")),
        ("named arguments", |asm| asm.global("my.code", "Net").op(b")}\x92")),
        ("a dict of its own", |asm| {
            asm.global("my.code", "Dict").op(b")\x81(").text("k").op(b"K\x01u").text("l").op(b"Ns")
        }),
        ("a list of its own", |asm| asm.global("my.code", "List").op(b")\x81(K\x01K\x02eNa")),
        ("a set of its own", |asm| asm.global("my.code", "Set").op(b")\x81(K\x01\x90")),
        ("a call of what a call gave", |asm| asm.global("a", "b").op(b")R)R")),
        ("arguments that a call gave", |asm| asm.global("a", "b").global("c", "d").op(b")RR")),
        ("a dict of what a call gave", |asm| asm.global("collections", "OrderedDict").global("c", "d").op(b")R\x85R")),
        ("a size of what a call gave", |asm| asm.global("torch", "Size").global("c", "d").op(b")R\x85R")),
        ("a set", |asm| asm.op(b"\x8f(K\x01K\x02\x90")),
        ("a frozen set", |asm| asm.op(b"(K\x01K\x02\x91")),
        ("bytes", |asm| asm.op(b"C\x02\xff\x00")),
        ("what was taken off again", |asm| asm.op(b"NK\x010(K\x01K\x021")),
        ("a complex tensor", |asm| {
            let asm = asm.global("torch._utils", "_rebuild_tensor_v2").op(b"(").storage("ComplexFloatStorage", "1", 4);
            asm.int(0).ints(&[4]).ints(&[1]).op(b"\x89}tR")
        }),
    ];
    for (what, extra) in extras {
        let read = read(&checkpoint(&beside(extra), DATA)).unwrap_or_else(|reason| panic!("{what}: {reason}"));
        assert_eq!(read.len(), 1, "{what}");
    }
    // Types among Python's own names.
    for name in ["set", "complex", "bytearray", "list"] {
        for module in ["builtins", "__builtin__"] {
            read(&checkpoint(&beside(|asm| call(asm, module, name)), DATA)).unwrap();
        }
    }
    // Within the state dict as well, where a module keeps state of its own.
    let asm = Asm::new().op(b"}(").text("w").tensor(4, 0, &[4], &[1]).text("norm._extra_state");
    assert_eq!(read(&checkpoint(&asm.global("my.code", "State").op(b")Ru").stop(), DATA)).unwrap().len(), 1);
}

#[test]
fn a_default_dict_is_a_dict() {
    let asm = Asm::new().global("collections", "defaultdict").global("builtins", "list").op(b"\x85R").text("w");
    assert_eq!(read(&checkpoint(&asm.tensor(4, 0, &[4], &[1]).op(b"s").stop(), DATA)).unwrap().len(), 1);
    super::refused(
        &checkpoint(&Asm::new().global("collections", "defaultdict").op(b"NN\x86R").stop(), DATA),
        &["wrong"],
    );
}

/// A file that names one of these is refused, wherever it does and however well its tensors are.
#[test]
fn what_does_harm_is_refused_anywhere() {
    for (module, name) in [
        ("os", "system"),
        ("posix", "system"),
        ("nt", "system"),
        ("os.path", "join"),
        ("subprocess", "Popen"),
        ("sys", "modules"),
        ("builtins", "eval"),
        ("builtins", "exec"),
        ("builtins", "__import__"),
        ("builtins", "open"),
        ("builtins", "compile"),
        ("builtins", "getattr"),
        ("__builtin__", "apply"),
        ("__builtin__", "map"),
        ("builtins", "list.append"),
        ("importlib", "import_module"),
        ("operator", "attrgetter"),
        ("torch", "load"),
        ("torch.hub", "load"),
        ("torch", "hub.load"),
        ("types", "FunctionType"),
        ("functools", "reduce"),
        ("pickle", "loads"),
        ("numpy", "load"),
        ("shutil", "rmtree"),
        ("socket", "socket"),
        ("ctypes", "CDLL"),
        ("runpy", "run_path"),
    ] {
        let told = format!("`{module}.{name}`");
        let named = beside(|asm| asm.global(module, name));
        let stacked = beside(|asm| asm.text(module).text(name).op(b"\x93"));
        let called = beside(|asm| asm.global(module, name).op(b"(").text("touch owned").op(b"tR"));
        let inner = beside(|asm| asm.global("functools", "partial").global(module, name).op(b"\x85R"));
        for pickle in [named, stacked, called, inner] {
            super::refused(&checkpoint(&pickle, DATA), &[&told, "nothing was executed"]);
            super::refused(&legacy(&pickle, &[("0", 4, DATA)]), &[&told, "nothing was executed"]);
        }
    }
    // Not those that merely begin like one.
    for (module, name) in [("osmnx", "Graph"), ("codecs", "x"), ("types", "SimpleNamespace"), ("torchload", "x")] {
        read(&checkpoint(&beside(|asm| asm.global(module, name).op(b")R")), DATA)).unwrap();
    }
}

#[test]
fn whole_models_are_named() {
    for class in ["torch.nn.modules.container", "torchvision.models.detection.mask_rcnn", "__main__"] {
        let model = Asm::new().global(class, "Net").op(b")\x81}b").stop();
        super::refused(&checkpoint(&model, DATA), &["whole Python model", &format!("`{class}.Net`")]);
        let wrapped = Asm::new().op(b"}").text("model").global(class, "Net").op(b")\x81}bs").stop();
        super::refused(&checkpoint(&wrapped, DATA), &["`model` (a whole Python model: `", "save `model.state_dict()`"]);
    }
    let other = Asm::new().global("my.code", "Net").op(b")R").stop();
    super::refused(&checkpoint(&other, DATA), &["an object of Python's `my.code.Net`", "nothing was executed"]);
}

/// In the legacy container, a storage's length follows from a type that is known.
#[test]
fn foreign_storages_in_the_legacy_container() {
    let complex = beside(|asm| {
        let asm = asm.global("torch._utils", "_rebuild_tensor_v2").op(b"(").storage("ComplexFloatStorage", "1", 2);
        asm.int(0).ints(&[2]).ints(&[1]).op(b"\x89}tR")
    });
    super::refused(&legacy(&complex, &[("0", 4, DATA), ("1", 2, DATA)]), &["a type that weights do not have", "`1`"]);
}

#[test]
fn bombs_of_what_is_not_known_hit_a_bound() {
    let many = "more than 1000000 values or 65536 tensors";
    super::refused(&checkpoint(&Asm::new().repeat(100_000, b"ca\nb\n").stop(), DATA), &[many]);
    super::refused(&checkpoint(&Asm::new().op(b"ca\nb\n").repeat(2_000_000, b")R").stop(), DATA), &[many]);
    super::refused(&checkpoint(&Asm::new().op(b"ca\nb\n").repeat(2_000_000, b"\x8f").stop(), DATA), &[many]);
    // Arguments of arguments, of which only the first are looked at: 10^40000 in all.
    let laughs = Asm::new().op(b")q\0").repeat(40_000, b"(h\0h\0h\0h\0h\0h\0h\0h\0h\0h\0tq\0");
    let calls = laughs.op(b"ca\nb\nq\x01").repeat(100_000, b"h\x01h\0R0");
    super::refused(&checkpoint(&calls.stop(), DATA), &["stops with"]);
}
