//! What a project takes for granted, and the way from there to the canonical layout.

use super::keras;
use crate::config::Colours;
use crate::tensor::HostTensor;
use crate::weights::layers::{Kind, Layer, LayerSpec, Norm, Role};

/// What a project takes for granted and no tensor says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::weights) struct Conventions {
    /// Where the background is among the classes.
    pub background: Background,
    /// Order of the input's channels, and of `mean` and `std`.
    pub colours: Colours,
    /// What a byte of 255 counts as when the mean is subtracted: 1 or 255.
    pub range: f32,
    /// Subtracted from each channel.
    pub mean: [f32; 3],
    /// Divides what is left.
    pub std: [f32; 3],
    /// How tensors lie.
    pub layout: Layout,
}

/// How a project's framework lays tensors out, and which there are of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::weights) enum Layout {
    /// So is the canonical layout.
    Torch,
    /// Keras's, as matterport uses it: [`keras`].
    Keras,
}

/// Where the background is among the classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::weights) enum Background {
    /// Class 0; it has deltas and a mask as all classes have, which are never used. So is the canonical layout.
    First,
    /// The last of the logits; it has neither deltas nor a mask.
    Last,
}

impl Conventions {
    /// These, with the mean and the standard deviation that a file says. Of ImageNet's means red is the largest, so they
    /// tell the order of the colours, too.
    pub(in crate::weights) fn told(self, mean: Option<[f32; 3]>, std: Option<[f32; 3]>) -> Self {
        let colours = match mean {
            Some([first, _, last]) if first > last => Colours::Rgb,
            Some([first, _, last]) if first < last => Colours::Bgr,
            _ => self.colours,
        };
        Self { colours, mean: mean.unwrap_or(self.mean), std: std.unwrap_or(self.std), ..self }
    }

    /// The tensors that a file has of a layer: those of the canonical layout, and whatever goes up in them.
    pub(in crate::weights) fn tensors(&self, form: &LayerSpec) -> Vec<(Role, Vec<usize>)> {
        let mut tensors = form.tensors();
        if self.layout == Layout::Keras {
            let more: &[Role] = match (form.norm, form.layer.kind) {
                (Norm::Batch, _) => &[Role::Bias],
                (Norm::None, Kind::BoxFc) => &Role::NORM,
                _ => &[],
            };
            tensors.extend(more.iter().map(|&role| (role, vec![form.outputs])));
        }
        tensors
    }

    /// The axes that a tensor of `stored` ones has in the canonical layout.
    pub(in crate::weights) fn axes(&self, layer: Layer, role: Role, stored: &[usize]) -> Vec<usize> {
        match self.layout {
            Layout::Torch => stored.to_vec(),
            Layout::Keras => keras::axes(layer.kind, role, stored),
        }
    }

    /// The shape that a tensor of canonical `shape` has in a file, in which it has the shape `has`, if it is there.
    pub(in crate::weights) fn stored(
        &self,
        layer: Layer,
        role: Role,
        shape: &[usize],
        has: Option<&[usize]>,
    ) -> Vec<usize> {
        if self.layout == Layout::Keras {
            return keras::stored(layer.kind, role, shape, has);
        }
        let mut stored = shape.to_vec();
        // What serves all classes is not the background's, either.
        if let Some(values) = values_of_a_class(layer.kind).filter(|values| shape[0] > *values)
            && self.background == Background::Last
        {
            stored[0] = shape[0] - values;
        }
        stored
    }

    /// A tensor of the shape [`Conventions::stored`] in the canonical layout, of `shape`.
    pub(in crate::weights) fn canonical(
        &self,
        layer: Layer,
        role: Role,
        shape: &[usize],
        stored: HostTensor,
    ) -> HostTensor {
        if self.layout == Layout::Keras {
            return keras::canonical(layer.kind, role, shape, stored);
        }
        match layer.kind {
            Kind::Stem if role == Role::Weight && self.colours == Colours::Bgr => reversed_channels(stored),
            Kind::BoxLogits if self.background == Background::Last => {
                let mut data = stored.data;
                data.rotate_right(row(shape));
                HostTensor::new(shape, data)
            }
            kind => match values_of_a_class(kind) {
                Some(values) if stored.shape != shape => with_background(values * row(shape), shape, &stored.data),
                _ => stored,
            },
        }
    }
}

/// Values that a class has of a layer that makes some for each; `None` for other layers.
fn values_of_a_class(kind: Kind) -> Option<usize> {
    match kind {
        Kind::BoxDeltas => Some(4),
        Kind::MaskLogits => Some(1),
        _ => None,
    }
}

/// Elements of one output.
fn row(shape: &[usize]) -> usize {
    shape[1..].iter().product()
}

/// Zeros for the background, and then what is there. `block` is the elements of a class.
fn with_background(block: usize, shape: &[usize], stored: &[f32]) -> HostTensor {
    HostTensor::new(shape, [&vec![0.0; block], stored].concat())
}

/// `[K, 3, R, S]` with the three input channels in the other order.
fn reversed_channels(weight: HostTensor) -> HostTensor {
    let plane = row(&weight.shape) / weight.shape[1].max(1);
    let mut data = Vec::with_capacity(weight.data.len());
    for kernel in weight.data.chunks_exact(plane * weight.shape[1]) {
        kernel.rchunks_exact(plane).for_each(|channel| data.extend_from_slice(channel));
    }
    HostTensor::new(&weight.shape, data)
}
