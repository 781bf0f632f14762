//! Pickles made to harm, in the zip container.

use super::*;

const DATA: &[u8] = &[0; 16];

#[track_caller]
fn refused_pickle(pickle: Vec<u8>, parts: &[&str]) {
    refused(&checkpoint(&pickle, DATA), parts);
}

/// The refusal of a dict whose only value is what `value` writes.
#[track_caller]
fn refused_value(value: impl FnOnce(Asm) -> Asm, parts: &[&str]) {
    refused_pickle(Asm::of(value), parts);
}

#[test]
fn what_is_refused_below_is_read_when_it_is_honest() {
    let file = checkpoint(&Asm::of(|asm| asm.tensor(4, 1, &[3, 1], &[1, 1])), DATA);
    let entries = read(&file).unwrap();
    assert_within(&file, &entries);
    assert_eq!((entries.len(), entries[0].0.as_str(), entries[0].1.shape.as_slice()), (1, "w", [3, 1].as_slice()));
}

#[test]
fn runs_nothing() {
    let shell = |module, name| Asm::new().global(module, name).op(b"(").text("echo harm").op(b"tR").stop();
    let nothing = "nothing was executed";
    refused_pickle(shell("os", "system"), &["`os.system`", nothing, "save `model.state_dict()`"]);
    refused_pickle(shell("posix", "system"), &["`posix.system`", nothing]);
    refused_pickle(shell("builtins", "eval"), &["`builtins.eval`", nothing]);
    refused_pickle(shell("__builtin__", "getattr"), &["`__builtin__.getattr`", nothing]);
    refused_pickle(shell("torch", "load"), &["`torch.load`", nothing]);
    refused_pickle(shell("torchvision.models.detection", "MaskRCNN"), &["whole Python model", "MaskRCNN"]);
    refused_pickle(shell("__main__", "Net"), &["whole Python model", "`__main__.Net`"]);
    refused_pickle(shell("torch.nnx", "Net"), &["`torch.nnx.Net`", nothing]);
    // Named on the stack, and named without being called.
    refused_pickle(Asm::new().text("os").text("system").op(b"\x93)R").stop(), &["`os.system`", nothing]);
    refused_value(|asm| asm.global("os", "system"), &["`os.system`", nothing]);
    // Old instructions that call.
    refused_pickle(Asm::new().op(b"(X\x02\0\0\0idios\nsystem\n").stop(), &["INST (0x69, at its byte 10)", nothing]);
    refused_pickle(Asm::new().op(b"(o").stop(), &["OBJ (0x6f, at its byte 3)", nothing]);
}

/// Other names than those known make no tensors.
#[test]
fn names_are_compared_to_the_byte() {
    for (module, name) in [
        ("torch._utils ", "_rebuild_tensor_v2"),
        ("torch._utils", "_rebuild_tensor_v2\r"),
        ("torch", "_utils._rebuild_tensor_v2"),
        ("", "_rebuild_tensor_v2"),
        ("torch._utils._rebuild_tensor_v2", ""),
        ("torch._utils", "_rebuild_tensor_v3"),
        ("torch\0", "x"),
    ] {
        let tensor = |asm: Asm| {
            let asm = asm.global(module, name).op(b"(").storage("FloatStorage", "0", 4);
            asm.int(0).ints(&[4]).ints(&[1]).op(b"\x89}tR")
        };
        refused_value(tensor, &["no tensors", "only `w` (`"]);
        let beside = |asm: Asm| tensor(asm.tensor(4, 0, &[4], &[1]).op(b"s").text("made"));
        refused_value(beside, &["tensor `made` that only Python's `", "nothing was executed"]);
    }
    // The same for the class of a storage, and for the parts of a tensor.
    for class in ["ComplexFloatStorage", "UntypedStorage", "FloatStorage\r", "QInt8Storage"] {
        let tensor = |asm: Asm| {
            let asm = asm.global("torch._utils", "_rebuild_tensor_v2").op(b"(").storage(class, "0", 4);
            asm.int(0).ints(&[4]).ints(&[1]).op(b"\x89}tR")
        };
        let beside = |asm: Asm| tensor(asm.tensor(4, 0, &[4], &[1]).op(b"s").text("made"));
        refused_value(beside, &["tensor `made` that only Python's `torch.", "Storage", "nothing was executed"]);
    }
    let shaped = |asm: Asm| {
        let asm = asm.tensor(4, 0, &[4], &[1]).op(b"s").text("made").global("torch._utils", "_rebuild_tensor_v2");
        let asm = asm.op(b"(").storage("FloatStorage", "0", 4).int(0);
        asm.global("my.shapes", "four").op(b")R").ints(&[1]).op(b"\x89}tR")
    };
    refused_value(shaped, &["tensor `made` that only Python's `my.shapes.four` can make"]);
    // A name of three lines: the third is instructions.
    refused_pickle(Asm::new().op(b"ctorch\nFloatStorage\nsystem\n").stop(), &["corrupt"]);
    refused_pickle(Asm::new().global("a\u{1b}[31m\t\u{202e}", &"x".repeat(5000)).stop(), &["\\u{1b}[31m", "…"]);
    refused_pickle(Asm::new().op(b"c\xff\xfe\nx\n").stop(), &["holds an object of Python's"]);
    refused_pickle(Asm::new().op(b"ctorch").0, &["truncated or corrupt"]);
}

#[test]
fn names_the_instruction_it_does_not_know() {
    refused_pickle(Asm::new().op([0xff]).stop(), &["unknown to pickle (0xff, at its byte 2)", "nothing was executed"]);
    refused_pickle(Asm::new().op(b"N2").stop(), &["DUP (0x32, at its byte 3)"]);
    refused_pickle(Asm::new().op(b"\x82\x01").stop(), &["EXT1"]);
    refused_pickle(Asm::new().op(b"\x80\x02").stop(), &["PROTO"]);
    refused_pickle(Asm::new().op(b"P1\n").stop(), &["PERSID"]);
    refused_pickle(Asm::new().op(b"\x97").stop(), &["NEXT_BUFFER"]);
    refused_pickle(b"\x80\x06N.".to_vec(), &["protocol 6"]);
    refused_pickle(b"N.".to_vec(), &["no protocol"]);
}

#[test]
fn calls_have_their_arguments_checked() {
    refused_pickle(Asm::new().op(b"))R").stop(), &["calls something that is no function"]);
    refused_pickle(Asm::new().text("x").op(b")R").stop(), &["calls something that is no function"]);
    let rebuild = |asm: Asm| asm.global("torch._utils", "_rebuild_tensor_v2");
    refused_value(|asm| rebuild(asm).op(b")R"), &["calls RebuildTensorV2 with wrong arguments"]);
    refused_value(|asm| rebuild(asm).op(b"(NNNNNNNNNtR"), &["wrong arguments"]);
    refused_value(|asm| rebuild(asm).op(b"NR"), &["no function"]);
    // Metadata that would negate the values.
    let negated = |asm: Asm| {
        let asm = rebuild(asm).op(b"(").storage("FloatStorage", "0", 4).int(0).ints(&[4]).ints(&[1]);
        asm.op(b"\x89}}").text("neg").op(b"\x88stR")
    };
    refused_value(negated, &["wrong arguments"]);
    refused_value(|asm| asm.global("torch._utils", "_rebuild_parameter").op(b"(N\x88}tR"), &["wrong arguments"]);
    refused_value(|asm| asm.global("collections", "OrderedDict").op(b"NNN\x87R"), &["wrong arguments"]);
    refused_value(|asm| asm.global("collections", "OrderedDict").op(b"(](NNNtatR"), &["something else than pairs"]);
    refused_value(|asm| asm.global("torch", "FloatStorage").op(b")R"), &["wrong arguments"]);
    refused_value(|asm| asm.global("torch", "FloatStorage").op(b")\x81"), &["wrong arguments"]);
    refused_value(|asm| asm.text("x").op(b"}b"), &["gives attributes"]);
    refused_value(|asm| asm.op(b"]Na").op(b"NNs"), &["no dict"]);
    refused_value(|asm| asm.op(b"}Na"), &["no list"]);
    refused_value(|asm| asm.op(b"}(Nu"), &["a key without a value"]);
}

#[test]
fn storages_have_their_fields_checked() {
    refused_value(|asm| asm.op(b"NQ"), &["no tuple"]);
    refused_value(|asm| asm.op(b")Q"), &["other fields"]);
    refused_value(|asm| asm.text("storage").op(b"\x85Q"), &["other fields"]);
    refused_value(|asm| asm.op(b"(").text("module").op(b"NNNtQ"), &["whole Python model"]);
    refused_value(|asm| asm.storage("FloatStorage", "0", -1), &["a storage's size as -1"]);
    refused_value(|asm| asm.storage("FloatStorage", &"0".repeat(256), 4), &["by 256 bytes"]);
    refused_value(|asm| asm.storage("Size", "0", 4), &["other fields"]);
}

#[test]
fn lying_tensors() {
    let huge = i64::MAX;
    type Case<'a> = (i64, i64, &'a [i64], &'a [i64], &'a str);
    let cases: [Case<'_>; 17] = [
        (5, 0, &[4], &[1], "5 elements of 4 bytes, and 16 bytes"),
        (3, 0, &[3], &[1], "3 elements of 4 bytes, and 16 bytes"),
        (huge, 0, &[4], &[1], "and 16 bytes"),
        (1 << 62, 0, &[4], &[1], "and 16 bytes"),
        (4, 0, &[5], &[1], "reaches past"),
        (4, 1, &[4], &[1], "reaches past"),
        (4, huge, &[1], &[1], "reaches past"),
        (4, 5, &[0], &[1], "reaches past"),
        (4, -1, &[1], &[1], "offset as -1"),
        (4, 0, &[-4], &[1], "size or stride -4"),
        (4, 0, &[4], &[-1], "size or stride -1"),
        (4, 0, &[2, 2], &[huge, huge], "reaches past"),
        (4, 0, &[2, 2, 2], &[1 << 62, 1 << 62, 1 << 62], "reaches past"),
        (4, 0, &[1 << 40, 1 << 40], &[0, 0], "more than 268435456 elements"),
        (4, 0, &[0, 1 << 40, 1 << 40], &[0, 0, 0], "more than 268435456 elements"),
        (4, 0, &[(1 << 28) + 1], &[0], "more than 268435456 elements"),
        (4, 0, &[1, 1], &[1], "2 axes and 1 strides"),
    ];
    for (count, offset, shape, strides, part) in cases {
        refused_value(|asm| asm.tensor(count, offset, shape, strides), &[part, ": "]);
    }
    refused_value(|asm| asm.tensor(4, 0, &[1; 9], &[1; 9]), &["tensor `w`", "more than 8 axes"]);
    // As many elements as there may be, all of them one.
    let file = checkpoint(&Asm::of(|asm| asm.tensor(4, 3, &[1 << 28], &[0])), DATA);
    assert_within(&file, &read(&file).unwrap());
}

#[test]
fn lying_lengths() {
    let cut = "truncated or corrupt: its pickle ends in the instruction";
    refused_pickle(Asm::new().op(b"X\xff\xff\xff\xff").stop(), &[cut]);
    refused_pickle(Asm::new().op(b"T\xff\xff\xff\x7f").stop(), &[cut]);
    refused_pickle(Asm::new().op(b"\x8d\xff\xff\xff\xff\xff\xff\xff\xff").stop(), &[cut]);
    refused_pickle(Asm::new().op(b"\x95\xff\xff\xff\xff\xff\xff\xff\xff").stop(), &[cut]);
    refused_pickle(Asm::new().op(b"\x8a\xff").stop(), &[cut]);
    refused_pickle(Asm::new().op(b"\x8a\xff").repeat(255, b"\x7f").stop(), &["holds a plain value"]);
    refused_pickle(Asm::new().op(b"\x8b\xff\xff\xff\x7f").stop(), &[cut]);
    refused_pickle(Asm::new().op(b"\x8b\xff\xff\xff\xff").stop(), &["a negative length"]);
    refused_pickle(Asm::new().op(b"B\xff\xff\xff\xff").stop(), &[cut]);
    refused_pickle(Asm::new().op(b"C\xff").stop(), &[cut]);
    refused_pickle(Asm::new().op(b"\x8e\xff\xff\xff\xff\xff\xff\xff\xff").stop(), &[cut]);
    refused_pickle(Asm::new().op(b"\x96\xff\xff\xff\xff\xff\xff\xff\xff").stop(), &[cut]);
    refused_pickle(vec![], &[cut]);
    refused_pickle(Asm::new().op(b"N").0, &[cut]);
    refused_pickle([Asm::new().op(b"}").stop(), vec![0]].concat(), &["1 bytes follow its pickle"]);
}

#[test]
fn lying_stacks() {
    for (pickle, part) in [
        (&b"."[..], "stops with 0 values"),
        (b"NN.", "stops with 2 values"),
        (b"(N.", "stops with 1 values"),
        (b"t.", "lacks a mark"),
        (b"u.", "lacks a mark"),
        (b"\x86.", "takes more values"),
        (b"N(\x85.", "takes more values"),
        (b"N(q\0.", "takes more values"),
        (b"e.", "lacks a mark"),
        (b"(e.", "takes more values"),
        (b"R.", "takes more values"),
        (b"h\0.", "recalls value 0"),
        (b"Nj\xff\xff\xff\xff.", "recalls value 4294967295"),
        (b"Nq\x05h\x04.", "recalls value 4"),
        (b"NN\x93.", "no string"),
        (b"0.", "takes more values"),
        (b"1.", "lacks a mark"),
        (b"\x90.", "lacks a mark"),
        (b"\x91.", "lacks a mark"),
        (b"(N\x90.", "takes more values"),
        (b"](N\x90.", "no set"),
        (b"ca\nb\n\x81.", "takes more values"),
        (b"ca\nb\n)\x92.", "takes more values"),
        (b"ca\nb\n]R.", "no function"),
    ] {
        refused_pickle(Asm::new().op(pickle).0, &["corrupt", part]);
    }
}

#[test]
fn bombs_hit_a_bound() {
    let many = "more than 1000000 values";
    // Nesting, open and closed, as lists, tuples and marks.
    refused_pickle(Asm::new().repeat(2_000_000, b"]").stop(), &[many]);
    refused_pickle(Asm::new().repeat(2_000_000, b"]").repeat(1_999_999, b"a").stop(), &[many]);
    refused_pickle(Asm::new().op(b")").repeat(2_000_000, b"\x85").stop(), &[many]);
    refused_pickle(Asm::new().repeat(2_000_000, b"(").stop(), &[many]);
    // Half as deep is within the bounds, and so is merely no state dict.
    refused_pickle(Asm::new().repeat(490_000, b"]").repeat(489_999, b"a").stop(), &["holds a list"]);
    refused_pickle(Asm::new().op(b")").repeat(490_000, b"\x85").stop(), &["holds a tuple"]);
    // The memo, by a number and step by step.
    refused_pickle(Asm::new().op(b"Nr\xff\xff\xff\xff").stop(), &[many]);
    refused_pickle(Asm::new().op(b"N").repeat(2_000_000, b"\x94").stop(), &[many]);
    // The stack and containers, filled from the memo.
    refused_pickle(Asm::new().op(b"Nq\0").repeat(2_000_000, b"h\0").stop(), &[many]);
    refused_pickle(Asm::new().op(b"]q\0").repeat(2_000_000, b"h\0a").stop(), &[many]);
    // Storages and tensors out of memoized arguments.
    let storage = Asm::new().op(b"(").text("storage").global("torch", "FloatStorage").text("0").text("cpu").int(4);
    refused_pickle(storage.op(b"tq\0Q").repeat(100_000, b"h\0Q").stop(), &["65536 tensors"]);
    let tensor = Asm::new().global("torch._utils", "_rebuild_tensor_v2").op(b"q\0(").storage("FloatStorage", "0", 4);
    let tensor = tensor.int(0).ints(&[4]).ints(&[1]).op(b"\x89}tq\x01R").repeat(100_000, b"h\0h\x01R");
    refused_pickle(tensor.stop(), &["65536 tensors"]);
    // A program without end.
    refused_pickle(Asm::new().repeat((64 << 20) / 10, b"\x95\0\0\0\0\0\0\0\0Nq\0").stop(), &["more than"]);
    refused_pickle(Asm::new().repeat((64 << 20) / 9 + 1, b"\x95\0\0\0\0\0\0\0\0").0, &["more than 67108864 bytes"]);
}

#[test]
fn shared_and_self_containing_values_end() {
    // Each list holds the one before ten times: 10^40000 in all.
    let laughs = Asm::new().op(b"(]q\0").repeat(40_000, b"](h\0h\0h\0h\0h\0h\0h\0h\0h\0h\0eq\0");
    refused_pickle(laughs.op(b"t").stop(), &["holds a tuple"]);
    // Each dict holds the one before under three keys that are looked into.
    let mut laughs = Asm::new().op(b"}(").text("pile").op(b"(}q\0");
    for _ in 0..10_000 {
        laughs = laughs.op(b"}(").text("model").op(b"h\0").text("net").op(b"h\0").text("weights").op(b"h\0uq\0");
    }
    refused_pickle(laughs.op(b"t").text("model").op(b"h\0u").stop(), &["no tensors", "only `pile`, `model`"]);
    // A wide dict that holds itself under every key.
    let wide = Asm::new().op(b"}q\0(").text("model").op(b"q\x01h\0").repeat(400_000, b"h\x01h\0");
    refused_pickle(wide.op(b"u").stop(), &["no tensors"]);
    // One tensor under a hundred thousand names.
    let mut many = Asm::new().op(b"}(").text("w").tensor(4, 0, &[4], &[1]).op(b"q\0");
    for i in 0..100_000 {
        many = many.text(&i.to_string()).op(b"h\0");
    }
    refused_pickle(many.op(b"u").stop(), &["more than 65536 tensors"]);
    // A dict and a list that hold themselves.
    refused_pickle(Asm::new().op(b"}q\0").text("model").op(b"h\0s").stop(), &["only `model`"]);
    refused_pickle(Asm::new().op(b"}").text("w").op(b"]q\0h\0as").stop(), &["only `w`"]);
}
