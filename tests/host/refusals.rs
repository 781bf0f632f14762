//! What does not fit is an error that names the op.

use maskrcnn::engine::graph::{Graph, Plan, Tensor};
use maskrcnn::engine::ops::Info;
use maskrcnn::engine::ops::conv2d::Conv2d;
use maskrcnn::engine::ops::deconv2d::Deconv2d;
use maskrcnn::engine::ops::levels::Levels;
use maskrcnn::engine::ops::linear::Linear;
use maskrcnn::engine::ops::max_pool::MaxPool;
use maskrcnn::engine::ops::nms::Nms;
use maskrcnn::engine::ops::paste::Paste;
use maskrcnn::engine::ops::paste_layout::Pasting;
use maskrcnn::engine::ops::predict::{Output, Predict};
use maskrcnn::engine::ops::roi_align::{Pooling, RoiAlign};
use maskrcnn::engine::ops::roi_levels::RoiLevels;
use maskrcnn::engine::ops::topk::TopK;
use maskrcnn::engine::target::Target;
use maskrcnn::engine::tensor::Shape;
use maskrcnn::{Error, Result};

use crate::plan::{check, zeros};

/// What building with these tensors says; panics where it is accepted.
fn refusal<T>(what: &str, made: Result<T>) -> String {
    match made {
        Ok(_) => panic!("{what}: was accepted"),
        Err(Error::Shape { op, reason }) => {
            assert!(op.contains("the layer"), "{what}: `{op}` does not name the op");
            assert!(!reason.is_empty(), "{what}");
            format!("{op}: {reason}")
        }
        Err(other) => panic!("{what}: {other:?} is no shape error"),
    }
}

#[test]
fn shapes_that_do_not_fit_are_errors_that_name_the_op() {
    let mut g = Graph::new();
    let x = g.input("x", Info::f32([1, 8, 8, 4]));
    let bias = zeros(&[4]);
    let name = "the layer";

    let conv = |g: &mut Graph, w: &[usize]| g.conv2d(name, x, &zeros(w), &bias).done();
    let text = refusal("channels", conv(&mut g, &[4, 3, 3, 8]));
    assert!(text.contains("the layer (conv2d)") && text.contains("[4×3×3×8]") && text.contains("[1×8×8×4]"), "{text}");
    refusal("a window larger than the image", conv(&mut g, &[4, 9, 3, 4]));
    refusal("a weight of three axes", conv(&mut g, &[4, 3, 12]));
    refusal("no filter", conv(&mut g, &[0, 3, 3, 4]));
    refusal("bias", conv(&mut g, &[5, 1, 1, 4]));
    let w = zeros(&[4, 3, 3, 4]);
    let small = g.input("small", Info::f32([1, 4, 4, 4]));
    let large = g.input("large", Info::f32([1, 9, 8, 4]));
    let text = refusal("a larger residual", g.conv2d(name, x, &w, &bias).pad(1).residual(large).done());
    assert!(text.contains("residual [1×9×8×4]"), "{text}");
    let floats = g.input("floats", Info::f32([1]));
    refusal("live counts as floats", g.conv2d(name, x, &w, &bias).live(floats).done());
    let counts = g.input("counts", Info::u32([3]));
    refusal("live counts that do not divide", g.conv2d(name, x, &w, &bias).live(counts).done());
    let whole = g.shared_output("whole", [1, 200]);
    let text = refusal("a slice past the end", g.conv2d(name, x, &w, &bias).into_slice(whole, 57));
    assert!(text.contains("from element 57"), "{text}");
    g.conv2d(name, x, &w, &bias).into_slice(whole, 56).unwrap();
    let two = g.shared_output("two", [2, 200]);
    refusal("a slice of another batch", g.conv2d(name, x, &w, &bias).into_slice(two, 0));
    refusal("groups", g.op(name, Conv2d { groups: 3, ..Conv2d::default() }, &[x, x, x]));
    refusal("too few inputs", g.op(name, Conv2d::default(), &[x]));

    let deconv = Deconv2d { stride: 2, pad: 0, bias: true, relu: false, live: false };
    let (w, b) = (g.constant("w", zeros(&[4, 2, 2, 8])), g.constant("b", bias.clone()));
    refusal("channels of a transposed convolution", g.op(name, deconv, &[x, w, b]));
    let w = g.constant("w", zeros(&[4, 2, 2, 4]));
    let deconv = Deconv2d { stride: 1, pad: 9, bias: true, relu: false, live: false };
    refusal("padding that leaves nothing", g.op(name, deconv, &[x, w, b]));
    let w = g.constant("w", zeros(&[4, 100]));
    refusal("columns", g.op(name, Linear::default(), &[x, w, b]));
    let (w, b) = (g.constant("w", zeros(&[10, 4])), g.constant("b", zeros(&[10])));
    let predict = |ks: [usize; 2]| Predict { outputs: ks.map(|k| Output::dense(64, k)), live: false };
    refusal("rows of weights that nobody gets", g.op(name, predict([2, 7]), &[x, w, b]));
    let outputs = [2, 8].map(|k| Output { k, whole: Shape::from([1, 512]), offset: 1 });
    let text = refusal("deltas past the end", g.op(name, Predict { outputs, live: false }, &[x, w, b]));
    assert!(text.contains("64 rows of 8") && text.contains("from element 1"), "{text}");
    let outputs = [2, 8].map(|k| Output::dense(8 * k, k));
    refusal("parts of other images", g.op(name, Predict { outputs, live: false }, &[x, w, b]));
    let text = refusal("one output of two", g.op_into(name, predict([2, 8]), &[x, w, b], &[x]));
    assert!(text.contains("[64×2]") && text.contains("[64×8]"), "{text}");
    refusal("a window of nothing", g.op(name, MaxPool { kernel: 0, stride: 1, pad: 0, after: 0 }, &[x]));
    refusal("a step of nothing", g.op(name, MaxPool { kernel: 2, stride: 0, pad: 0, after: 0 }, &[x]));
    refusal("more padding than window", g.op(name, MaxPool { kernel: 3, stride: 1, pad: 2, after: 2 }, &[x]));
    refusal("a large window", g.op(name, MaxPool { kernel: 11, stride: 1, pad: 1, after: 1 }, &[x]));
    let other = g.input("other", Info::f32([1, 4, 4, 8]));
    refusal("a residual of other channels", g.conv2d(name, x, &zeros(&[4, 1, 1, 4]), &bias).residual(other).done());
    let levels = |maps: &[(usize, usize)]| Conv2d { levels: Levels::new(maps), ..Conv2d::default() };
    refusal("maps of other cells", g.op(name, levels(&[(8, 7), (3, 3)]), &[x, w, b]));
    let segments = g.input("segments", Info::u32([1, 2]));
    let row = g.input("row", Info::f32([1, 50]));
    refusal("none", g.op(name, TopK { k: 0 }, &[row, segments]));
    refusal("segments as floats", g.op(name, TopK { k: 3 }, &[row, row]));
    refusal("scores without boxes", g.op(name, Nms { threshold: 0.5, any_corners: false }, &[row, row, counts]));
    let (rois, live) = (g.input("rois", Info::f32([1, 3, 4])), g.input("live", Info::u32([1])));
    let align = |scales: &[f32]| RoiAlign {
        pooled: 7,
        sampling: 2,
        aligned: false,
        pooling: Pooling::Average,
        levels: RoiLevels::new(scales),
    };
    refusal("a level too many", g.op(name, align(&[0.25]), &[rois, live, x, x]));
    refusal("levels of other channels", g.op(name, align(&[0.25, 0.125]), &[rois, live, x, other]));
    let odd = g.input("odd", Info::f32([1, 8, 8, 6]));
    refusal("channels that are no quads", g.op(name, align(&[0.25]), &[rois, live, odd]));
    let (soft, places) = (g.input("soft", Info::f32([3, 28, 28])), g.input("places", Info::u32([1, 3, 8])));
    refusal(
        "no room at all",
        g.op(name, Paste { capacity: 0, first: 0, threshold: 0.5, pasting: Pasting::Enlarged }, &[soft, places, live]),
    );
    let text =
        refusal("another output", g.op_into(name, MaxPool { kernel: 1, stride: 1, pad: 0, after: 0 }, &[x], &[small]));
    assert!(text.contains("[1×8×8×4]") && text.contains("[1×4×4×4]"), "{text}");

    // Whatever was refused left nothing behind.
    assert_eq!(check(&Plan::new(g.clone(), &Target::MINIMUM, &[]).unwrap()), Ok(()));
    assert_eq!(g.nodes.len(), 1);
}

type Try = Box<dyn FnOnce(&mut Graph) -> Result<Tensor>>;

/// Settings that a library's user can write down and no network has: refused as shapes are, never a panic.
#[test]
fn settings_that_cannot_be_are_errors_too() {
    let mut g = Graph::new();
    let x = g.input("x", Info::f32([1, 8, 8, 4]));
    // Kinds are to be checked when a graph is built: reading a tensor back relies on it.
    let ints = g.input("ints", Info::u32([1, 8, 8, 4]));
    let scalar = g.input("scalar", Info::f32(Shape::new(&[])));
    let (w, b) = (g.constant("w", zeros(&[4, 3, 3, 4])), g.constant("b", zeros(&[4])));
    let row = g.constant("row", zeros(&[4, 1]));
    let name = "the layer";
    let conv = Conv2d::default;
    let pool = MaxPool { kernel: 1, stride: 1, pad: 0, after: 0 };
    let tries: [(&str, Try); 6] = [
        ("stride 0", Box::new(move |g| g.op1(name, Conv2d { stride: (0, 1), ..conv() }, &[x, w, b]))),
        ("dilation 0", Box::new(move |g| g.op1(name, Conv2d { dilation: (0, 1), ..conv() }, &[x, w, b]))),
        ("integers to convolve", Box::new(move |g| g.op1(name, conv(), &[ints, w, b]))),
        ("integers to pool", Box::new(move |g| g.op1(name, pool, &[ints]))),
        ("integers to add", Box::new(move |g| g.op1(name, Conv2d { residual: true, ..conv() }, &[x, w, b, ints]))),
        ("a tensor without axes", Box::new(move |g| g.op1(name, Linear::default(), &[scalar, row, b]))),
    ];
    let mut wrong = Vec::new();
    for (what, make) in tries {
        let graph = &mut g;
        match std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| make(graph))) {
            Err(_) => wrong.push(format!("{what}: panicked")),
            Ok(Ok(t)) => wrong.push(format!("{what}: accepted, makes {:?}", t.info)),
            Ok(Err(Error::Shape { op, .. })) if op.contains(name) => {}
            Ok(Err(e)) => wrong.push(format!("{what}: {e:?}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
