//! A kernel from the shapes of its inputs and a few settings, for launches that no network at hand has.

use std::sync::Arc;

use crate::kernels::depthwise_conv2d::DepthwiseConv2d;
use crate::kernels::grouped_conv2d::GroupedConv2d;
use crate::kernels::{Kernel, REGISTRY};
use crate::ops::activation::Activation;
use crate::ops::conv2d::Conv2d;
use crate::ops::deconv2d::Deconv2d;
use crate::ops::linear::Linear;
use crate::ops::max_pool::MaxPool;
use crate::ops::softmax::Softmax;
use crate::ops::{Info, check};
use crate::tensor::Shape;

/// What the kernels that go by shapes take, for messages.
const FORMS: &str = "conv2d NxHxWxC,KxRxSxC (stride, pad, dilation, groups, relu or hard_swish, residual); grouped_conv2d and depthwise_conv2d the same; deconv2d NxHxWxC,KxRxSxC \
                     (stride, pad, relu); linear NxC,KxC (relu); max_pool NxHxWxC (kernel, stride, pad); softmax \
                     NxC";

/// A kernel and its inputs.
type Made = (Arc<dyn Kernel>, Vec<Info>);

/// The kernel `name` on inputs of these `shapes`, `1x56x56x64,64x3x3x64`: one for each input but the bias, whose shape
/// follows.
pub(super) fn kernel(name: &str, shapes: &str, settings: &[(String, usize)]) -> Result<Made, String> {
    let shapes = shapes.split(',').map(parse).collect::<Result<Vec<Shape>, String>>()?;
    let mut settings = Settings { given: settings, known: Vec::new() };
    let made: (Arc<dyn Kernel>, Vec<Shape>) = match (name, &shapes[..]) {
        ("conv2d", [x, w]) => {
            let (conv, shapes) = conv2d(&mut settings, *x, *w)?;
            (Arc::new(conv), shapes)
        }
        ("grouped_conv2d", [x, w]) => {
            let (conv, shapes) = conv2d(&mut settings, *x, *w)?;
            (Arc::new(GroupedConv2d { conv }), shapes)
        }
        ("depthwise_conv2d", [x, w]) => {
            let (conv, shapes) = conv2d(&mut settings, *x, *w)?;
            (Arc::new(DepthwiseConv2d { conv }), shapes)
        }
        ("deconv2d", [x, w]) if w.rank() == 4 => {
            let (stride, pad) = (settings.get("stride", 2), settings.get("pad", 0));
            let kernel = Deconv2d { stride, pad, bias: true, relu: settings.flag("relu"), live: false };
            (Arc::new(kernel), vec![*x, *w, Shape::from([w.dim(0)])])
        }
        ("linear", [x, w]) if w.rank() == 2 => {
            let kernel = Linear { bias: true, activation: Activation::relu(settings.flag("relu")), live: false };
            (Arc::new(kernel), vec![*x, *w, Shape::from([w.dim(0)])])
        }
        ("max_pool", [x]) => {
            let kernel = settings.get("kernel", 3);
            let pad = settings.get("pad", kernel / 2);
            let (stride, after) = (settings.get("stride", 2), settings.get("after", pad));
            let kernel = MaxPool { kernel, stride, pad, after };
            (Arc::new(kernel), vec![*x])
        }
        ("softmax", [x]) => (Arc::new(Softmax { live: false }), vec![*x]),
        _ if !REGISTRY.iter().any(|e| e.name == name) => return Err(unknown(name)),
        _ => {
            return Err(format!("does not go by these shapes: it takes {FORMS}; the others are measured in a network"));
        }
    };
    settings.finish()?;
    let (kernel, shapes) = made;
    Ok((kernel, shapes.into_iter().map(Info::f32).collect()))
}

fn conv2d(settings: &mut Settings, x: Shape, w: Shape) -> Result<(Conv2d, Vec<Shape>), String> {
    if x.rank() != 4 || w.rank() != 4 {
        return Err(format!("takes {FORMS}, not {x} and {w}"));
    }
    let both = |n: usize| (n, n);
    let dilation = settings.get("dilation", 1);
    let same = |side: usize| dilation * (side - 1) / 2;
    let (pad, relu) = (settings.find("pad"), settings.flag("relu"));
    let kernel = Conv2d {
        stride: both(settings.get("stride", 1)),
        pad: pad.map_or((same(w.dim(1)), same(w.dim(2))), both),
        dilation: both(dilation),
        groups: settings.get("groups", 1),
        activation: if settings.flag("hard_swish") { Activation::HardSwish } else { Activation::relu(relu) },
        ..Conv2d::default()
    };
    let mut shapes = vec![x, w, Shape::from([w.dim(0)])];
    if !settings.flag("residual") {
        return Ok((kernel, shapes));
    }
    let infos: Vec<Info> = shapes.iter().map(|&s| Info::f32(s)).collect();
    shapes.push(check(&kernel, &infos)?[0].shape);
    Ok((Conv2d { residual: true, ..kernel }, shapes))
}

/// Says which kernels there are.
pub(super) fn unknown(name: &str) -> String {
    let names: Vec<&str> = REGISTRY.iter().map(|e| e.name).collect();
    format!("there is no kernel `{name}`; there are {}", names.join(", "))
}

fn parse(text: &str) -> Result<Shape, String> {
    let refuse = || format!("`{text}` is no shape: write extents with x between them, as in 1x56x56x64");
    let extent = |part: &str| match part.trim().parse::<u32>() {
        Ok(n) if n > 0 => Some(n as usize),
        _ => None,
    };
    let dims = text.split(['x', '×']).map(extent).collect::<Option<Vec<usize>>>().ok_or_else(refuse)?;
    // Bounded here, so that no product of extents can overflow.
    let elements = dims.iter().try_fold(1usize, |product, &d| product.checked_mul(d).filter(|&p| p <= 1 << 32));
    match elements {
        Some(_) if dims.len() <= 5 => Ok(Shape::new(&dims)),
        _ => Err(refuse()),
    }
}

/// Settings as given, and which of them a kernel asked for.
struct Settings<'a> {
    given: &'a [(String, usize)],
    known: Vec<&'static str>,
}

impl Settings<'_> {
    fn find(&mut self, name: &'static str) -> Option<usize> {
        self.known.push(name);
        self.given.iter().find(|s| s.0 == name).map(|s| s.1)
    }

    fn get(&mut self, name: &'static str, usual: usize) -> usize {
        self.find(name).unwrap_or(usual)
    }

    fn flag(&mut self, name: &'static str) -> bool {
        self.get(name, 0) != 0
    }

    fn finish(self) -> Result<(), String> {
        for (name, value) in self.given {
            if !self.known.contains(&name.as_str()) {
                return Err(format!("has no setting `{name}`; it takes {FORMS}"));
            }
            if *value > 1 << 16 {
                return Err(format!("cannot have {name}={value}"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(name: &str, shapes: &str, settings: &[(&str, usize)]) -> Result<String, String> {
        let settings: Vec<_> = settings.iter().map(|(n, v)| (n.to_string(), *v)).collect();
        let (kernel, inputs) = kernel(name, shapes, &settings)?;
        let outputs = check(kernel.as_ref(), &inputs)?;
        Ok(format!("{inputs:?} {outputs:?}"))
    }

    #[test]
    fn kernels_go_by_shapes() {
        for (name, shapes, settings, output) in [
            ("conv2d", "1x56x56x64,32x3x3x64", &[][..], "f32[1×56×56×32]"),
            ("conv2d", "1x56x56x64,32x3x3x64", &[("stride", 2), ("residual", 1)], "f32[1×28×28×32]"),
            ("conv2d", "2x9x9x8,4x3x3x8", &[("pad", 0)], "f32[2×7×7×4]"),
            ("grouped_conv2d", "1x14x14x64,32x3x3x16", &[("groups", 4)], "f32[1×14×14×32]"),
            ("linear", "1000x12544,1024x12544", &[("relu", 1)], "f32[1000×1024]"),
            ("deconv2d", "10x14x14x256,256x2x2x256", &[], "f32[10×28×28×256]"),
            ("max_pool", "1x100x100x64", &[], "f32[1×50×50×64]"),
            ("softmax", "1000x91", &[], "f32[1000×91]"),
        ] {
            let made = made(name, shapes, settings).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert!(made.ends_with(&format!("[{output}]")), "{name}: {made}");
        }
    }

    #[test]
    fn what_cannot_be_is_one_sentence() {
        for (name, shapes, settings, told) in [
            ("conv3d", "1x2", &[][..], "there is no kernel"),
            ("nms", "1x2x3", &[], "does not go by these shapes"),
            ("conv2d", "1x56x56x64", &[], "does not go by these shapes"),
            ("conv2d", "1x56,32x3", &[], "takes conv2d"),
            ("conv2d", "1x5x5x64,32x9x9x64", &[("pad", 0)], ""),
            ("conv2d", "1x56x56x64,32x3x3x65", &[], ""),
            ("conv2d", "1x56x56x0,32x3x3x0", &[], "no shape"),
            ("conv2d", "axb,c", &[], "no shape"),
            ("linear", "4294967295x4294967295,1x1", &[], "no shape"),
            ("linear", "8x8,8x8", &[("stride", 2)], "no setting `stride`"),
            ("conv2d", "1x8x8x8,8x3x3x8", &[("stride", 0)], ""),
            ("conv2d", "1x8x8x8,8x3x3x8", &[("groups", 3)], ""),
            ("conv2d", "1x8x8x8,8x3x3x8", &[("pad", usize::MAX)], "cannot have"),
        ] {
            let error = made(name, shapes, settings).expect_err(shapes);
            assert!(error.contains(told) && !error.is_empty(), "{name} {shapes}: {error}");
        }
    }
}
