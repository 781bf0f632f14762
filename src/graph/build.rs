//! The part of the builder that makes more of a call than one op: layers of many settings.

use std::sync::Arc;

use super::{Graph, Tensor};
use crate::Result;
use crate::ops::activation::Activation;
use crate::ops::conv2d::Conv2d;
use crate::ops::elementwise::Elementwise;
use crate::ops::levels::Levels;
use crate::ops::topk::TopK;
use crate::tensor::{Shape, Value};

/// A convolution being described; [`Conv2dBuilder::done`] adds it to the graph.
#[must_use = "a convolution is added by `done` or `into_slice`"]
pub struct Conv2dBuilder<'g> {
    graph: &'g mut Graph,
    label: String,
    x: Tensor,
    weight: Arc<Value>,
    bias: Arc<Value>,
    residual: Option<Tensor>,
    live: Option<Tensor>,
    op: Conv2d,
    activation: Activation,
}

impl Graph {
    /// The k largest of each segment: values, indices and counts, as [`TopK`] gives them.
    ///
    /// # Errors
    /// [`crate::Error::Shape`] where shapes do not fit.
    pub fn top_k(&mut self, label: &str, k: usize, inputs: [Tensor; 2]) -> Result<[Tensor; 3]> {
        let outputs = self.op(label, TopK { k }, &inputs)?;
        Ok([outputs[0], outputs[1], outputs[2]])
    }

    /// A convolution of `x` `[N,H,W,C]` with `weight` `[K,R,S,C/groups]` and `bias` `[K]`.
    pub fn conv2d(&mut self, label: &str, x: Tensor, weight: &Arc<Value>, bias: &Arc<Value>) -> Conv2dBuilder<'_> {
        Conv2dBuilder {
            graph: self,
            label: label.into(),
            x,
            weight: weight.clone(),
            bias: bias.clone(),
            residual: None,
            live: None,
            op: Conv2d::default(),
            activation: Activation::Identity,
        }
    }
}

impl Conv2dBuilder<'_> {
    /// Steps between outputs, both ways.
    pub fn stride(mut self, n: usize) -> Self {
        self.op.stride = (n, n);
        self
    }

    /// Zeros around the image, on all sides.
    pub fn pad(mut self, n: usize) -> Self {
        self.op.pad = (n, n);
        self
    }

    /// Steps between taps, both ways.
    pub fn dilation(mut self, n: usize) -> Self {
        self.op.dilation = (n, n);
        self
    }

    /// Groups of channels that do not mix.
    pub fn groups(mut self, n: usize) -> Self {
        self.op.groups = n;
        self
    }

    /// Ends with max(·, 0).
    pub fn relu(self) -> Self {
        self.activation(Activation::Relu)
    }

    /// Ends with an activation.
    pub fn activation(mut self, activation: Activation) -> Self {
        self.activation = activation;
        self
    }

    /// Adds `r` before the activation: of the output's shape, or smaller and then enlarged by nearest neighbour.
    pub fn residual(mut self, r: Tensor) -> Self {
        self.residual = Some(r);
        self
    }

    /// Takes x for several maps of these sizes, and each by itself.
    pub fn levels(mut self, levels: Levels) -> Self {
        self.op.levels = Some(levels);
        self
    }

    /// Leaves out the rows of N past `count` `[B]`.
    pub fn live(mut self, count: Tensor) -> Self {
        self.op.live = true;
        self.live = Some(count);
        self
    }

    /// Adds the convolution, and what follows it as ops of their own: planning makes them one.
    ///
    /// # Errors
    /// [`crate::Error::Shape`] where shapes do not fit.
    pub fn done(self) -> Result<Tensor> {
        let (label, activation, residual) = (self.label.clone(), self.activation, self.residual);
        let (graph, op, inputs) = self.alone();
        // What the whole layer is refused for names the layer.
        let whole = Conv2d { activation, residual: residual.is_some(), ..op.clone() };
        let mut all = inputs.clone();
        residual.into_iter().for_each(|r| all.insert(whole.residual_at(), r));
        super::infer(&label, &whole, &all)?;
        let mut y = graph.op1(&label, op, &inputs)?;
        if let Some(mut residual) = residual {
            let [h, w] = [y.dim(1), y.dim(2)];
            if (residual.dim(1), residual.dim(2)) != (h, w) {
                residual = graph.op1(&format!("{label}.enlarge"), Elementwise::Enlarge { h, w }, &[residual])?;
            }
            y = graph.op1(&format!("{label}.add"), Elementwise::Add, &[y, residual])?;
        }
        if let Some(op) = Elementwise::of(activation) {
            y = graph.op1(&format!("{label}.{}", op.word()), op, &[y])?;
        }
        Ok(y)
    }

    /// Adds the convolution, writing into `out` from element `offset` of each image on. What follows it is one op with it:
    /// only a convolution can write a part of a tensor.
    ///
    /// # Errors
    /// [`crate::Error::Shape`] where shapes do not fit.
    pub fn into_slice(mut self, out: Tensor, offset: usize) -> Result<()> {
        let whole: Shape = out.shape();
        self.op = Conv2d {
            slice: Some((whole, offset)),
            activation: self.activation,
            residual: self.residual.is_some(),
            ..self.op
        };
        let (label, residual) = (self.label.clone(), self.residual);
        let (graph, op, mut inputs) = self.alone();
        if let Some(residual) = residual {
            inputs.insert(op.residual_at(), residual);
        }
        graph.op_into(&label, op, &inputs, &[out])
    }
}

impl<'g> Conv2dBuilder<'g> {
    /// The convolution with its inputs, but for a residual.
    fn alone(self) -> (&'g mut Graph, Conv2d, Vec<Tensor>) {
        let weight = self.graph.constant(&format!("{}.weight", self.label), self.weight);
        let bias = self.graph.constant(&format!("{}.bias", self.label), self.bias);
        let mut inputs = vec![self.x, weight, bias];
        inputs.extend(self.live);
        (self.graph, self.op, inputs)
    }
}
