use std::collections::HashMap;
use std::sync::Arc;

use super::*;
use crate::graph::Source;
use crate::ops::conv2d::Conv2d;
use crate::ops::deconv2d::Deconv2d;
use crate::ops::elementwise::Elementwise;
use crate::ops::linear::Linear;
use crate::ops::mask_predict::MaskPredict;
use crate::ops::max_pool::MaxPool;
use crate::rng::Rng;
use crate::target::policy;
use crate::tensor::Shape;

const CPU: Target = Target { pays: &policy::CPU, ..Target::MINIMUM };

fn noughts(g: &mut Graph, shape: &[usize]) -> Tensor {
    let shape = crate::tensor::Shape::new(shape);
    g.constant("zeros", Arc::new(Value::f32(shape, vec![0.0; shape.len()])))
}

/// The mask head's last two layers, and what lies between them.
fn mask_head() -> (Graph, Tensor) {
    let mut g = Graph::new();
    let [x, w, b] = [&[2, 3, 3, 4][..], &[8, 2, 2, 4], &[8]].map(|shape| noughts(&mut g, shape));
    let live = g.constant("live", Arc::new(Value::u32([1], vec![1])));
    let deconv = Deconv2d { stride: 2, pad: 0, bias: true, relu: true, live: true };
    let between = g.op1("mask.deconv", deconv, &[x, w, b, live]).unwrap();
    let [w, b] = [&[3, 8][..], &[3]].map(|shape| noughts(&mut g, shape));
    let labels = g.constant("labels", Arc::new(Value::u32([2], vec![1, 2])));
    let out = g.op1("mask.predict", MaskPredict, &[between, w, b, labels, live]).unwrap();
    g.keep(out);
    (g, between)
}

fn ops(graph: Graph, target: &Target, names: &[&str]) -> Vec<String> {
    fuse(graph, target, &Tuning::forced(names)).nodes.into_iter().map(|op| op.label).collect()
}

#[test]
fn deconvolution_and_mask_become_one_where_nobody_else_needs_what_lies_between() {
    let (alone, both) = (["mask.deconv", "mask.predict"], ["mask.deconv+predict"]);
    assert_eq!(ops(mask_head().0, &CPU, &[]), both);
    assert_eq!(ops(mask_head().0, &Target::MINIMUM, &[]), alone);
    // Ways that are asked for are of the ops as they are.
    assert_eq!(ops(mask_head().0, &CPU, &["plain"]), alone);
    let (mut kept, between) = mask_head();
    kept.keep(between);
    assert_eq!(ops(kept, &CPU, &[]), alone);
    let (mut read_twice, between) = mask_head();
    let more = read_twice.op1("pool", MaxPool { kernel: 1, stride: 2, pad: 0, after: 0 }, &[between]);
    read_twice.keep(more.unwrap());
    assert_eq!(ops(read_twice, &CPU, &[]), ["mask.deconv", "mask.predict", "pool"]);
    // Of two writers of a tensor, neither knows what the other leaves in it.
    let (mut written_twice, _) = mask_head();
    let again = written_twice.nodes[0].clone();
    written_twice.nodes.insert(0, again);
    assert_eq!(ops(written_twice, &CPU, &[]), ["mask.deconv", "mask.deconv", "mask.predict"]);
}

/// Inputs and outputs stay those of the two.
#[test]
fn the_fused_op_reads_what_both_read() {
    let (g, between) = mask_head();
    let (first, second) = (g.nodes[0].clone(), g.nodes[1].clone());
    let fused = fuse(g, &CPU, &Tuning::default()).nodes.remove(0);
    let ids = |tensors: &[Tensor]| tensors.iter().map(|t| t.id).collect::<Vec<_>>();
    let (a, b) = (ids(&first.inputs), ids(&second.inputs));
    assert_eq!(ids(&fused.inputs), [a[0], a[1], a[2], b[1], b[2], b[3], a[3]]);
    assert_eq!(ids(&fused.outputs), ids(&second.outputs));
    assert!(!ids(&fused.inputs).contains(&between.id));
}

/// A graph under construction, as an importer makes one: every step an op of its own.
struct Plain {
    g: Graph,
    rng: Rng,
}

impl Plain {
    fn new() -> Self {
        Self { g: Graph::new(), rng: Rng::new(3) }
    }

    fn noise(&mut self, shape: &[usize]) -> Tensor {
        let value = self.rng.tensor(Shape::new(shape));
        self.g.constant("noise", Arc::new(value))
    }

    fn op(&mut self, label: &str, op: impl Op, inputs: &[Tensor]) -> Tensor {
        self.g.op1(label, op, inputs).unwrap()
    }

    fn conv(&mut self, label: &str, x: Tensor, k: usize) -> Tensor {
        let w = self.noise(&[k, 3, 3, x.dim(3)]);
        self.op(label, Conv2d { pad: (1, 1), bias: false, ..Conv2d::default() }, &[x, w])
    }

    /// What is left of it, by label, name and settings; both graphs compute the same.
    fn fused(mut self, out: Tensor) -> Vec<String> {
        self.g.keep(out);
        let before = value(&self.g, out);
        let fused = fuse(self.g, &Target::MINIMUM, &Tuning::default());
        let after = value(&fused, out);
        assert_eq!(before.shape, after.shape);
        let far = before.floats().iter().zip(after.floats()).filter(|(a, b)| (*a - *b).abs() > 1e-5 * (1.0 + a.abs()));
        assert_eq!(far.count(), 0);
        fused.nodes.iter().map(|n| format!("{}: {}", n.label, crate::ops::key(n.op.as_ref()))).collect()
    }
}

/// What a graph of constants computes, op by op as the twins do.
fn value(graph: &Graph, out: Tensor) -> Value {
    let mut known: HashMap<usize, Value> = HashMap::new();
    for (id, tensor) in graph.tensors.iter().enumerate() {
        if let Source::Constant(value) = &tensor.source {
            known.insert(id, value.as_ref().clone());
        }
    }
    for node in &graph.nodes {
        let inputs: Vec<Value> = node.inputs.iter().map(|t| known[&t.id].clone()).collect();
        known.extend(node.outputs.iter().map(|t| t.id).zip(node.op.twin(&inputs)));
    }
    known.remove(&out.id).unwrap()
}

#[test]
fn a_block_of_single_ops_becomes_its_convolutions() {
    let mut p = Plain::new();
    let x = p.noise(&[2, 6, 5, 4]);
    let bias = p.noise(&[8]);
    let shortcut = p.conv("shortcut", x, 8);
    let y = p.conv("conv", x, 8);
    let y = p.op("bias", Elementwise::Bias, &[y, bias]);
    let y = p.op("add", Elementwise::Add, &[y, shortcut]);
    let y = p.op("relu", Elementwise::Relu, &[y]);
    assert_eq!(p.fused(y), ["shortcut: conv2d pad=1x1", "conv: conv2d pad=1x1 relu residual"]);
}

#[test]
fn an_enlargement_becomes_a_part_of_the_sum() {
    for swapped in [false, true] {
        let mut p = Plain::new();
        let (x, top) = (p.noise(&[1, 6, 5, 4]), p.noise(&[1, 3, 2, 8]));
        let top = p.op("enlarge", Elementwise::Enlarge { h: 6, w: 5 }, &[top]);
        let y = p.conv("lateral", x, 8);
        let operands = if swapped { [top, y] } else { [y, top] };
        let y = p.op("add", Elementwise::Add, &operands);
        assert_eq!(p.fused(y), ["lateral: conv2d pad=1x1 residual"]);
    }
}

#[test]
fn other_products_take_their_epilogue_too() {
    let mut p = Plain::new();
    let (x, w, bias) = (p.noise(&[1, 3, 4, 4]), p.noise(&[8, 2, 2, 4]), p.noise(&[8]));
    let y = p.op("deconv", Deconv2d { stride: 2, pad: 0, bias: false, relu: false, live: false }, &[x, w]);
    let y = p.op("bias", Elementwise::Bias, &[y, bias]);
    let y = p.op("relu", Elementwise::Relu, &[y]);
    let w = p.noise(&[5, 6 * 8 * 8]);
    let y = p.op("fc", Linear::default(), &[y, w]);
    let y = p.op("fc.relu", Elementwise::Relu, &[y]);
    assert_eq!(p.fused(y), ["deconv: deconv2d stride=2 relu", "fc: linear relu"]);
}

#[test]
fn what_somebody_else_needs_is_not_fused() {
    let mut p = Plain::new();
    let x = p.noise(&[1, 6, 5, 4]);
    let y = p.conv("conv", x, 4);
    let relu = p.op("relu", Elementwise::Relu, &[y]);
    // The sum before the ReLU is read again.
    let sum = p.op("add", Elementwise::Add, &[relu, y]);
    // A product that has its ReLU takes no bias after it.
    let bias = p.noise(&[4]);
    let out = p.op("bias", Elementwise::Bias, &[sum, bias]);
    assert_eq!(
        p.fused(out),
        ["conv: conv2d pad=1x1", "relu: elementwise relu", "add: elementwise add", "bias: elementwise bias"]
    );
    let mut p = Plain::new();
    let x = p.noise(&[1, 6, 5, 4]);
    let y = p.conv("conv", x, 4);
    p.g.keep(y);
    let relu = p.op("relu", Elementwise::Relu, &[y]);
    assert_eq!(p.fused(relu), ["conv: conv2d pad=1x1", "relu: elementwise relu"]);
    // A sum with itself is no residual of another.
    let mut p = Plain::new();
    let x = p.noise(&[1, 6, 5, 4]);
    let y = p.conv("conv", x, 4);
    let sum = p.op("add", Elementwise::Add, &[y, y]);
    assert_eq!(p.fused(sum), ["conv: conv2d pad=1x1", "add: elementwise add"]);
}

#[test]
fn a_relu_comes_last() {
    let mut p = Plain::new();
    let x = p.noise(&[1, 6, 5, 4]);
    let bias = p.noise(&[4]);
    let y = p.conv("conv", x, 4);
    let y = p.op("relu", Elementwise::Relu, &[y]);
    let y = p.op("bias", Elementwise::Bias, &[y, bias]);
    let y = p.op("again", Elementwise::Relu, &[y]);
    assert_eq!(p.fused(y), ["conv: conv2d pad=1x1 relu", "bias: elementwise bias", "again: elementwise relu"]);
}

#[test]
fn a_transposed_convolution_takes_no_activation_but_relu() {
    for activation in [Elementwise::HardSwish, Elementwise::HardSigmoid] {
        let mut p = Plain::new();
        let (x, w) = (p.noise(&[1, 3, 4, 4]), p.noise(&[8, 2, 2, 4]));
        let y = p.op("deconv", Deconv2d { stride: 2, pad: 0, bias: false, relu: false, live: false }, &[x, w]);
        let y = p.op("end", activation, &[y]);
        let name = crate::ops::key(&activation);
        assert_eq!(p.fused(y), ["deconv: deconv2d stride=2".to_string(), format!("end: {name}")]);
    }
}

#[test]
fn a_product_takes_one_bias_and_is_nobodys_bias() {
    // A second bias stays.
    let mut p = Plain::new();
    let (x, first, second) = (p.noise(&[1, 6, 5, 4]), p.noise(&[8]), p.noise(&[8]));
    let y = p.conv("conv", x, 8);
    let y = p.op("bias", Elementwise::Bias, &[y, first]);
    let y = p.op("more", Elementwise::Bias, &[y, second]);
    assert_eq!(p.fused(y), ["conv: conv2d pad=1x1", "more: elementwise bias"]);
    // What a product computes has more axes than a bias.
    let mut p = Plain::new();
    let (x, w, other) = (p.noise(&[1, 4]), p.noise(&[8, 4]), p.noise(&[3, 8]));
    let y = p.op("fc", Linear::default(), &[x, w]);
    assert!(p.g.op1("bias", Elementwise::Bias, &[other, y]).is_err());
}

#[test]
fn of_two_that_could_add_the_first_does() {
    // Both could: the first takes the second's result.
    let both = |end_first: Option<Elementwise>, keep_first: bool| {
        let mut p = Plain::new();
        let (x, bias) = (p.noise(&[2, 6, 5, 4]), p.noise(&[8]));
        let a = p.conv("first", x, 8);
        let a = p.op("bias", Elementwise::Bias, &[a, bias]);
        let a = end_first.map_or(a, |end| p.op("end", end, &[a]));
        let b = p.conv("second", x, 8);
        if keep_first {
            p.g.keep(a);
        }
        let y = p.op("add", Elementwise::Add, &[a, b]);
        p.fused(y)
    };
    assert_eq!(both(None, false), ["second: conv2d pad=1x1", "first: conv2d pad=1x1 residual"]);
    // One that is ended, or that somebody else reads, could not.
    assert_eq!(both(Some(Elementwise::Relu), false), ["first: conv2d pad=1x1 relu", "second: conv2d pad=1x1 residual"]);
    assert_eq!(both(None, true), ["first: conv2d pad=1x1", "second: conv2d pad=1x1 residual"]);
    // Nor one that adds something else.
    let mut p = Plain::new();
    let (x, other) = (p.noise(&[2, 6, 5, 4]), p.noise(&[2, 6, 5, 8]));
    let a = p.conv("first", x, 8);
    let a = p.op("sum", Elementwise::Add, &[a, other]);
    let b = p.conv("second", x, 8);
    let y = p.op("add", Elementwise::Add, &[a, b]);
    assert_eq!(p.fused(y), ["first: conv2d pad=1x1 residual", "second: conv2d pad=1x1 residual"]);
}

/// The fused text is for a mask head as the papers have it: each of its conditions left out once.
#[test]
fn mask_heads_of_other_kinds_stay_two_ops() {
    let head = |k: usize, side: usize, deconv: Deconv2d| {
        let mut g = Graph::new();
        let [x, w, b] = [&[2, 3, 3, 4][..], &[k, side, side, 4], &[k]].map(|shape| noughts(&mut g, shape));
        let live = g.constant("live", Arc::new(Value::u32([1], vec![1])));
        let mut inputs = vec![x, w];
        inputs.extend(deconv.bias.then_some(b));
        inputs.extend(deconv.live.then_some(live));
        let between = g.op1("mask.deconv", deconv, &inputs).unwrap();
        let [w, b] = [&[3, k][..], &[3]].map(|shape| noughts(&mut g, shape));
        let labels = g.constant("labels", Arc::new(Value::u32([2], vec![1, 2])));
        let out = g.op1("mask.predict", MaskPredict, &[between, w, b, labels, live]).unwrap();
        g.keep(out);
        ops(g, &CPU, &[])
    };
    let usual = Deconv2d { stride: 2, pad: 0, bias: true, relu: true, live: true };
    let (alone, both) = (vec!["mask.deconv", "mask.predict"], vec!["mask.deconv+predict"]);
    assert_eq!(head(8, 2, usual.clone()), both);
    assert_eq!(head(6, 2, usual.clone()), alone, "rows by four");
    assert_eq!(head(8, 4, Deconv2d { pad: 1, ..usual.clone() }), alone, "taps that overlap");
    assert_eq!(head(8, 3, usual.clone()), alone, "taps that overlap");
    assert_eq!(head(8, 2, Deconv2d { relu: false, ..usual.clone() }), alone, "no ReLU");
    assert_eq!(head(8, 2, Deconv2d { bias: false, ..usual.clone() }), alone, "no bias");
    assert_eq!(head(8, 2, Deconv2d { live: false, ..usual }), alone, "all live");
}
