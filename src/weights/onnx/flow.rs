//! A graph as a flow through its layers: which operations have weights, and where each one's input comes from.

use std::collections::HashMap;

use super::constants::{Constants, dequantised, transposed};
use super::model::{Node, Tensor};
use crate::tensor::HostTensor;

/// Most operations without weights between two layers.
const FURTHEST: usize = 64;

/// Most channels, columns or rows of a layer: a box head on C5 has 100,352 columns.
const WIDEST: usize = 1 << 20;

/// Operations that change no layer's role: what they make comes from their first input.
const PASSED: [&str; 14] = [
    "Relu",
    "Clip",
    "Identity",
    "Cast",
    "BatchNormalization",
    "QuantizeLinear",
    "DequantizeLinear",
    "Flatten",
    "Reshape",
    "Squeeze",
    "Unsqueeze",
    "Dropout",
    "LeakyRelu",
    "Pad",
];

/// What an operation with weights does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Does {
    Conv,
    Deconv,
    Dense,
}

/// Where a value comes from, seen past what has no weights and one input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// A layer: its number in [`Flow::layers`].
    Layer(usize),
    /// A node of several inputs, or one that changes what is there, such as a pooling: its number in the graph.
    Junction(usize),
    /// None: the image.
    Image,
}

/// An operation with weights.
#[derive(Debug)]
pub(super) struct Weighted<'g, 'a> {
    pub does: Does,
    /// Where its input comes from, at its first use.
    pub from: Origin,
    /// Of its weight in torch's order: `[K, C, R, S]`, transposed `[C, K, R, S]`, `[M, K]`.
    pub shape: Vec<usize>,
    /// How often it is used: on so many levels.
    pub uses: usize,
    node: &'g Node<'a>,
    /// Its further uses.
    others: Vec<&'g Node<'a>>,
    place: Place,
}

/// Which inputs are what.
#[derive(Clone, Copy, Debug)]
struct Place {
    weight: usize,
    bias: usize,
    /// Inputs with the weight's scale and zero point, and the image's scale, where both are of 8 bits.
    quantised: Option<[usize; 3]>,
    /// Whether the matrix is stored as input by output.
    turned: bool,
}

/// The operation, if it has weights in the file.
fn weighted(node: &Node) -> Option<(Does, Place)> {
    let plain = Place { weight: 1, bias: 2, quantised: None, turned: false };
    Some(match node.op {
        "Conv" => (Does::Conv, plain),
        "ConvTranspose" => (Does::Deconv, plain),
        "Gemm" => (Does::Dense, Place { turned: node.integer("transB") != Some(1), ..plain }),
        "MatMul" => (Does::Dense, Place { bias: usize::MAX, turned: true, ..plain }),
        "QLinearConv" => (Does::Conv, Place { weight: 3, bias: 8, quantised: Some([4, 5, 1]), turned: false }),
        "QLinearMatMul" => {
            (Does::Dense, Place { weight: 3, bias: usize::MAX, quantised: Some([4, 5, 1]), turned: true })
        }
        "QGemm" => {
            let turned = node.integer("transB") != Some(1);
            (Does::Dense, Place { weight: 3, bias: 6, quantised: Some([4, 5, 1]), turned })
        }
        _ => return None,
    })
}

/// A graph's layers, in the order of their first use.
pub(super) struct Flow<'g, 'a> {
    pub constants: Constants<'g, 'a>,
    pub layers: Vec<Weighted<'g, 'a>>,
    /// By the number of a node with weights.
    of_node: HashMap<usize, usize>,
    /// By name: the nodes that read a value's elements.
    readers: HashMap<&'a str, Vec<usize>>,
}

impl<'g, 'a> Flow<'g, 'a> {
    pub(super) fn of(constants: Constants<'g, 'a>) -> Result<Self, String> {
        let mut readers: HashMap<&str, Vec<usize>> = HashMap::new();
        // What asks for a shape alone reads nothing.
        for (i, node) in constants.graph.nodes.iter().enumerate().filter(|(_, node)| node.op != "Shape") {
            for name in &node.inputs {
                readers.entry(name).or_default().push(i);
            }
        }
        let mut flow = Self { constants, layers: Vec::new(), of_node: HashMap::new(), readers };
        let mut known: HashMap<&str, usize> = HashMap::new();
        // The same weight may be stored once for each of its uses: the first tensor of a kind, and whose it is.
        let mut alike: HashMap<(Does, &[usize], u32), (&Tensor, usize)> = HashMap::new();
        for (i, node) in flow.constants.graph.nodes.iter().enumerate() {
            if ["ConvInteger", "MatMulInteger", "DynamicQuantizeLinear"].contains(&node.op) {
                return Err(format!(
                    "is quantised as it runs (`{}`), which is not read: take the model from before the quantisation, or \
                     one with QLinearConv or DequantizeLinear",
                    node.op
                ));
            }
            let Some((does, place)) = weighted(node) else { continue };
            let Some((root, tensor)) = node.inputs.get(place.weight).and_then(|name| flow.constants.stored(name))
            else {
                continue;
            };
            let first = match known.get(root) {
                Some(&layer) => Some(layer),
                None => alike
                    .get(&(does, &tensor.shape[..], tensor.checksum()))
                    .filter(|(same, _)| *same == tensor)
                    .map(|(_, layer)| *layer),
            };
            let layer = match first {
                Some(layer) => layer,
                None => {
                    let Some(&input) = node.inputs.first() else { continue };
                    let mut shape = tensor.shape.clone();
                    if !shape.iter().all(|extent| (1..=WIDEST).contains(extent)) {
                        continue;
                    }
                    if place.turned != flow.is_turned(node.inputs[place.weight]) {
                        shape.reverse();
                    }
                    let from = flow.origin(input);
                    flow.layers.push(Weighted { does, from, shape, uses: 0, node, others: Vec::new(), place });
                    alike.insert((does, &tensor.shape[..], tensor.checksum()), (tensor, flow.layers.len() - 1));
                    flow.layers.len() - 1
                }
            };
            known.insert(root, layer);
            let layer_of = &mut flow.layers[layer];
            if layer_of.uses > 0 {
                layer_of.others.push(node);
            }
            layer_of.uses += 1;
            flow.of_node.insert(i, layer);
        }
        Ok(flow)
    }

    /// Whether a transposition lies between a matrix in the file and its use.
    fn is_turned(&self, name: &str) -> bool {
        let mut name = name;
        let mut turned = false;
        for _ in 0..FURTHEST {
            let Some((_, node)) = self.constants.producer(name) else { break };
            turned ^= node.op == "Transpose";
            let Some(&input) = node.inputs.first() else { break };
            name = input;
        }
        turned
    }

    /// Where a value comes from.
    pub(super) fn origin(&self, name: &str) -> Origin {
        let mut name = name;
        for _ in 0..FURTHEST {
            let Some((i, node)) = self.constants.producer(name) else { return Origin::Image };
            if let Some(&layer) = self.of_node.get(&i) {
                return Origin::Layer(layer);
            }
            let passed = match (node.op, &node.inputs[..]) {
                (op, [first, ..]) if PASSED.contains(&op) => Some(*first),
                ("Add" | "Sub" | "Mul" | "Div", [a, b]) | ("QLinearAdd" | "QLinearMul", [a, _, _, b, ..]) => {
                    match [a, b].map(|x| self.constants.is_constant(x)) {
                        [false, true] => Some(*a),
                        [true, false] => Some(*b),
                        _ => None,
                    }
                }
                _ => None,
            };
            let Some(next) = passed else { return Origin::Junction(i) };
            name = next;
        }
        Origin::Image
    }

    /// The two things that a node adds, if it adds two that depend on the image.
    pub(super) fn summands(&self, node: usize) -> Option<[Origin; 2]> {
        let node = &self.constants.graph.nodes[node];
        let names = match (node.op, &node.inputs[..]) {
            ("Add" | "Sum", [a, b]) => [a, b],
            ("QLinearAdd", [a, _, _, b, ..]) => [a, b],
            _ => return None,
        };
        (!names.iter().any(|name| self.constants.is_constant(name))).then(|| names.map(|name| self.origin(name)))
    }

    /// Whether the image is shifted or scaled by a value for each colour before it comes to a layer.
    pub(super) fn is_normalised_before(&self, layer: usize) -> Result<bool, String> {
        let mut left: Vec<&str> = self.layers[layer].node.inputs.first().copied().into_iter().collect();
        // Values that may still be gone to: one that is made of itself a million times is not kept as often.
        let mut room = 4 * FURTHEST;
        while let Some(name) = left.pop() {
            let Some((_, node)) = self.constants.producer(name) else { continue };
            if let ("Sub" | "Div" | "Mul" | "Add", [a, b]) = (node.op, &node.inputs[..]) {
                for name in [a, b] {
                    if self.constants.value(name)?.is_some_and(|value| value.data.len() == 3) {
                        return Ok(true);
                    }
                }
            }
            let before = left.len();
            left.extend(node.inputs.iter().copied().filter(|name| !name.is_empty()).take(room));
            room -= left.len() - before;
        }
        Ok(false)
    }

    /// The layer of a single use that an operation's input comes from, seen past those that are used on several levels.
    fn feeding(&self, node: &Node<'a>) -> Option<usize> {
        let mut name = *node.inputs.first()?;
        for _ in 0..FURTHEST {
            let (i, node) = self.constants.producer(name)?;
            match self.of_node.get(&i) {
                Some(&layer) if self.layers[layer].uses == 1 => return Some(layer),
                Some(_) => {}
                None if PASSED.contains(&node.op) => {}
                None => return None,
            }
            name = node.inputs.first()?;
        }
        None
    }

    /// The steps of a convolution along rows and columns.
    pub(super) fn steps(&self, layer: usize) -> Option<Vec<i64>> {
        self.layers[layer].node.integers("strides")
    }

    /// A layer's weight in torch's order, its bias, of `outputs` values, and how many times as large some other use of a bias in
    /// whole numbers would make it, if any would. `finest`: the layer that makes the finest level.
    pub(super) fn values(
        &self,
        layer: &Weighted<'g, 'a>,
        outputs: usize,
        finest: Option<usize>,
    ) -> Result<(HostTensor, Vec<f32>, f32), String> {
        let Place { weight, bias: bias_at, quantised, turned } = layer.place;
        let input = |i: usize| match layer.node.inputs.get(i) {
            Some(name) if !name.is_empty() => self.constants.value(name),
            _ => Ok(None),
        };
        let lost =
            |what: &str| format!("is an ONNX model with a layer (`{}`) whose {what} cannot be told", layer.node.op);
        if layer.node.op == "Gemm"
            && ["alpha", "beta"].iter().any(|by| layer.node.float(by).is_some_and(|by| by != 1.0))
        {
            return Err(lost("factors are not 1, and"));
        }
        let mut values = input(weight)?.ok_or_else(|| lost("weight"))?;
        let mut biases = input(bias_at)?.map(|bias| bias.data);
        let mut doubt = 1.0f32;
        if let Some([scale, zero, image]) = quantised {
            let scale = input(scale)?.ok_or_else(|| lost("scale"))?.data;
            let zero = input(zero)?.map(|zero| zero.data);
            // A matrix's outputs are its columns.
            let axis = if turned { 1 } else { 0 };
            values = dequantised(values, &scale, zero.as_deref(), axis).ok_or_else(|| lost("scale"))?;
            if let Some(bias) = &mut biases {
                if scale.is_empty() {
                    return Err(lost("scale"));
                }
                let of_image = |node: &Node<'a>| match node.inputs.get(image) {
                    Some(name) => Ok(self.constants.value(name)?.and_then(|scale| scale.data.first().copied())),
                    None => Ok::<_, String>(None),
                };
                // Of a bias that several levels share, ONNX Runtime's quantiser writes whole numbers once, for the node that it
                // comes to first, which is the finest level's, and has the others use them with steps of their own. In the
                // file, nodes stand in another order.
                let shared = |node: &&Node<'a>| node.inputs.get(bias_at) == layer.node.inputs.get(bias_at);
                let uses: Vec<&Node<'a>> = layer.others.iter().copied().chain([layer.node]).filter(shared).collect();
                let on_finest = |node: &&&Node<'a>| finest.is_some() && self.feeding(node) == finest;
                let written_for = uses.iter().find(on_finest).copied().unwrap_or(layer.node);
                let image = of_image(written_for)?.ok_or_else(|| lost("scale"))?;
                for other in uses {
                    let of_other = of_image(other)?.ok_or_else(|| lost("scale"))?;
                    doubt = doubt.max(of_other / image).max(image / of_other);
                }
                bias.iter_mut().enumerate().for_each(|(i, b)| *b *= image * scale[i % scale.len()]);
            }
        }
        if turned {
            values = transposed(values).ok_or_else(|| lost("weight"))?;
        }
        let bias = biases.unwrap_or_else(|| vec![0.0; outputs]);
        match values.shape == layer.shape && bias.len() == outputs {
            true => Ok((values, bias, doubt)),
            false => Err(lost("shape")),
        }
    }

    /// What a norm, or what is left of one, makes of each of a layer's `outputs` channels: a factor and a summand.
    pub(super) fn norm(&self, layer: &Weighted<'g, 'a>, outputs: usize) -> Result<(Vec<f32>, Vec<f32>), String> {
        let (mut scale, mut shift) = (vec![1.0; outputs], vec![0.0; outputs]);
        let Some(&first) = layer.node.outputs.first() else { return Ok((scale, shift)) };
        let mut name = first;
        for _ in 0..8 {
            let read = self.readers.get(name).map_or(&[][..], |all| &all[..]);
            let &[reader] = read else { break };
            let node = &self.constants.graph.nodes[reader];
            let channels = |name: &str| {
                Ok::<_, String>(self.constants.value(name)?.map(|v| v.data).filter(|v| v.len() == outputs))
            };
            match (node.op, &node.inputs[..]) {
                ("Identity" | "QuantizeLinear" | "DequantizeLinear", _) => {}
                ("BatchNormalization", [_, of_norm @ ..]) if of_norm.len() == 4 => {
                    let all = of_norm.iter().map(|name| channels(name)).collect::<Result<Option<Vec<_>>, _>>()?;
                    let Some([weight, bias, mean, var]) = all.as_deref() else { break };
                    let eps = f64::from(node.float("epsilon").unwrap_or(1e-5));
                    for i in 0..outputs {
                        let by = f64::from(weight[i]) / (f64::from(var[i]) + eps).sqrt();
                        shift[i] = ((f64::from(shift[i]) - f64::from(mean[i])) * by + f64::from(bias[i])) as f32;
                        scale[i] = (f64::from(scale[i]) * by) as f32;
                    }
                }
                (op @ ("Mul" | "Add" | "Sub" | "Div"), [a, b]) => {
                    let other = if *a == name { b } else { a };
                    let Some(values) = channels(other)? else { break };
                    // What is taken from a constant is no norm.
                    if ["Sub", "Div"].contains(&op) && *a != name {
                        break;
                    }
                    for (i, v) in values.into_iter().enumerate() {
                        match op {
                            "Mul" => (scale[i], shift[i]) = (scale[i] * v, shift[i] * v),
                            "Div" => (scale[i], shift[i]) = (scale[i] / v, shift[i] / v),
                            "Add" => shift[i] += v,
                            _ => shift[i] -= v,
                        }
                    }
                }
                (op @ ("QLinearAdd" | "QLinearMul"), inputs) if inputs.len() >= 6 => {
                    let at = if inputs[0] == name { 3 } else { 0 };
                    let [q, by, zero] = [at, at + 1, at + 2].map(|i| self.constants.value(inputs[i]));
                    let (Some(q), Some(by), zero) = (q?, by?, zero?) else { break };
                    let zero = zero.as_ref().map(|zero| &zero.data[..]);
                    let Some(values) = dequantised(q, &by.data, zero, 0).filter(|v| v.data.len() == outputs) else {
                        break;
                    };
                    for (i, v) in values.data.into_iter().enumerate() {
                        match op {
                            "QLinearMul" => (scale[i], shift[i]) = (scale[i] * v, shift[i] * v),
                            _ => shift[i] += v,
                        }
                    }
                }
                _ => break,
            }
            let Some(&next) = node.outputs.first() else { break };
            name = next;
        }
        Ok((scale, shift))
    }
}
