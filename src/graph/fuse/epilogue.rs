//! What follows a product, as its epilogue.

use std::sync::Arc;

use super::{Fused, Pair, only_reader, zeros};
use crate::graph::{Graph, Node, Tensor};
use crate::ops::Op;
use crate::ops::activation::Activation;
use crate::ops::conv2d::Conv2d;
use crate::ops::deconv2d::Deconv2d;
use crate::ops::elementwise::Elementwise;
use crate::ops::linear::Linear;

/// A product, as far as its epilogue goes.
#[derive(Clone)]
enum Product {
    Conv2d(Conv2d),
    Deconv2d(Deconv2d),
    Linear(Linear),
}

impl Product {
    fn of(op: &dyn Op) -> Option<Self> {
        let conv = op.downcast::<Conv2d>().filter(|conv| conv.slice.is_none()).cloned().map(Self::Conv2d);
        let deconv = || op.downcast::<Deconv2d>().cloned().map(Self::Deconv2d);
        conv.or_else(deconv).or_else(|| op.downcast::<Linear>().cloned().map(Self::Linear))
    }

    fn bias(&mut self) -> &mut bool {
        match self {
            Self::Conv2d(op) => &mut op.bias,
            Self::Deconv2d(op) => &mut op.bias,
            Self::Linear(op) => &mut op.bias,
        }
    }

    /// Whether something ends it yet.
    fn is_ended(&self) -> bool {
        match self {
            Self::Conv2d(op) => op.activation != Activation::Identity,
            Self::Deconv2d(op) => op.relu,
            Self::Linear(op) => op.activation != Activation::Identity,
        }
    }

    /// The same with that at its end, where it can have it: a transposed convolution has but a ReLU.
    fn ending_with(mut self, activation: Activation) -> Option<Self> {
        match &mut self {
            Self::Conv2d(op) => op.activation = activation,
            Self::Deconv2d(op) if activation == Activation::Relu => op.relu = true,
            Self::Deconv2d(_) => return None,
            Self::Linear(op) => op.activation = activation,
        }
        Some(self)
    }

    /// Whether something is added yet; only a convolution can add.
    fn residual(&self) -> bool {
        !matches!(self, Self::Conv2d(op) if !op.residual)
    }

    fn shared(self) -> Arc<dyn Op> {
        match self {
            Self::Conv2d(op) => Arc::new(op),
            Self::Deconv2d(op) => Arc::new(op),
            Self::Linear(op) => Arc::new(op),
        }
    }
}

/// Whether `tensor` is of a convolution that could add what it is added to, once its bias is its own.
fn could_add(graph: &Graph, tensor: Tensor) -> bool {
    let writes = |node: &&Node| node.outputs.iter().any(|t| t.id == tensor.id);
    let alone = only_reader(graph, tensor).is_some() && !graph.tensors[tensor.id].keep;
    let Some(node) = graph.nodes.iter().find(writes).filter(|_| alone) else { return false };
    match node.op.downcast::<Elementwise>() {
        Some(Elementwise::Bias) => could_add(graph, node.inputs[0]),
        _ => node
            .op
            .downcast::<Conv2d>()
            .is_some_and(|c| !c.residual && c.activation == Activation::Identity && c.slice.is_none()),
    }
}

/// A product and a bias, a sum or an activation.
pub(super) fn of_product(pair: &Pair) -> Option<Fused> {
    let mut product = Product::of(pair.first.op.as_ref())?;
    let follows = *pair.next.op.downcast::<Elementwise>()?;
    let mut inputs = pair.first.inputs.clone();
    // Nothing comes after the activation, and a bias before a sum.
    if product.is_ended() {
        return None;
    }
    if let Some(activation) = follows.activation() {
        product = product.ending_with(activation)?;
        return Some(Fused { op: product.shared(), inputs, label: pair.first.label.clone() });
    }
    match follows {
        Elementwise::Bias if pair.input == 0 && !*product.bias() => {
            *product.bias() = true;
            inputs.insert(2, pair.next.inputs[1]);
        }
        // Of two convolutions the one that stands first in the sum takes the other's result.
        Elementwise::Add if !product.residual() && (pair.input == 0 || !could_add(pair.graph, pair.next.inputs[0])) => {
            let Product::Conv2d(conv) = &mut product else { return None };
            conv.residual = true;
            inputs.insert(conv.residual_at(), pair.next.inputs[1 - pair.input]);
        }
        _ => return None,
    }
    Some(Fused { op: product.shared(), inputs, label: pair.first.label.clone() })
}

/// An enlargement and the convolution that adds it.
pub(super) fn enlarged(pair: &Pair) -> Option<Fused> {
    let Elementwise::Enlarge { .. } = pair.first.op.downcast::<Elementwise>()? else { return None };
    let conv = pair.next.op.downcast::<Conv2d>().filter(|conv| conv.residual && conv.residual_at() == pair.input)?;
    let mut inputs = pair.next.inputs.clone();
    inputs[pair.input] = pair.first.inputs[0];
    Some(Fused { op: Arc::new(conv.clone()), inputs, label: pair.next.label.clone() })
}

/// The graph with a bias of zeros for every product that found none: shaders add one always.
pub(super) fn complete(mut graph: Graph) -> Graph {
    for mut node in std::mem::take(&mut graph.nodes) {
        if let Some(mut product) = unbiased(node.op.as_ref()) {
            let rows = node.inputs[1].dim(0);
            node.inputs.insert(2, zeros(&mut graph, rows));
            *product.bias() = true;
            node.op = product.shared();
        }
        graph.nodes.push(node);
    }
    graph
}

fn unbiased(op: &dyn Op) -> Option<Product> {
    let conv = op.downcast::<Conv2d>().cloned().map(Product::Conv2d);
    conv.or_else(|| Product::of(op)).filter(|product| !*product.clone().bias())
}
