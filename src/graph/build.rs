//! The part of the builder that makes more of a call than one op of one kernel: layers of many settings, selections of
//! any size.

use std::sync::Arc;

use super::{Graph, Tensor};
use crate::Result;
use crate::kernels::conv2d::Conv2d;
use crate::kernels::levels::Levels;
use crate::kernels::topk::{MAX_K, TopK};
use crate::kernels::topk_merge::TopKMerge;
use crate::kernels::topk_select::TopKSelect;
use crate::kernels::topk_sort::TopKSort;
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
    kernel: Conv2d,
}

impl Graph {
    /// The k largest of each segment: values, indices and counts, as [`TopK`] gives them, for any k.
    ///
    /// # Errors
    /// [`crate::Error::Shape`] where shapes do not fit.
    pub fn top_k(&mut self, label: &str, k: usize, inputs: [Tensor; 2]) -> Result<[Tensor; 3]> {
        let told = |outputs: Vec<Tensor>| [outputs[0], outputs[1], outputs[2]];
        if k <= MAX_K {
            return Ok(told(self.op(label, TopK { k }, &inputs)?));
        }
        let selected = self.op(&format!("{label} select"), TopKSelect { k }, &inputs)?;
        let counts = selected[1];
        let sorted = self.op1(&format!("{label} sort"), TopKSort, &[selected[0], counts])?;
        let merged = self.op(&format!("{label} merge"), TopKMerge { k }, &[sorted, counts])?;
        Ok([merged[0], merged[1], counts])
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
            kernel: Conv2d::default(),
        }
    }
}

impl Conv2dBuilder<'_> {
    /// Steps between outputs, both ways.
    pub fn stride(mut self, n: usize) -> Self {
        self.kernel.stride = (n, n);
        self
    }

    /// Zeros around the image, on all sides.
    pub fn pad(mut self, n: usize) -> Self {
        self.kernel.pad = (n, n);
        self
    }

    /// Ends with max(·, 0).
    pub fn relu(mut self) -> Self {
        self.kernel.relu = true;
        self
    }

    /// Adds `r` before the ReLU: of the output's shape, or smaller and then enlarged by nearest neighbour.
    pub fn residual(mut self, r: Tensor) -> Self {
        self.kernel.residual = true;
        self.residual = Some(r);
        self
    }

    /// Takes x for several maps of these sizes, and each by itself.
    pub fn levels(mut self, levels: Levels) -> Self {
        self.kernel.levels = Some(levels);
        self
    }

    /// Leaves out the rows of N past `count` `[B]`.
    pub fn live(mut self, count: Tensor) -> Self {
        self.kernel.live = true;
        self.live = Some(count);
        self
    }

    /// Adds the convolution.
    ///
    /// # Errors
    /// [`crate::Error::Shape`] where shapes do not fit.
    pub fn done(self) -> Result<Tensor> {
        let (graph, label, kernel, inputs) = self.finish();
        graph.op1(&label, kernel, &inputs)
    }

    /// Adds the convolution, writing into `out` from element `offset` of each image on.
    ///
    /// # Errors
    /// [`crate::Error::Shape`] where shapes do not fit.
    pub fn into_slice(mut self, out: Tensor, offset: usize) -> Result<()> {
        let whole: Shape = out.shape();
        self.kernel.slice = Some((whole, offset));
        let (graph, label, kernel, inputs) = self.finish();
        graph.op_into(&label, kernel, &inputs, &[out])
    }
}

impl<'g> Conv2dBuilder<'g> {
    fn finish(self) -> (&'g mut Graph, String, Conv2d, Vec<Tensor>) {
        let weight = self.graph.constant(&format!("{}.weight", self.label), self.weight);
        let bias = self.graph.constant(&format!("{}.bias", self.label), self.bias);
        let mut inputs = vec![self.x, weight, bias];
        inputs.extend(self.residual);
        inputs.extend(self.live);
        (self.graph, self.label, self.kernel, inputs)
    }
}
