//! Which of a graph's layers are what in a Mask or Faster R-CNN with an FPN, by how they are joined: an exporter's names
//! are numbers, and its order is that of the computation.

use super::flow::{Does, Flow, Origin, Weighted};
use crate::weights::layers::{Kind, Layer};

/// What each layer of a flow is, as far as they have a role.
pub(super) fn roles(flow: &Flow) -> Result<Vec<(Layer, usize)>, String> {
    let mut found = Found { flow, roles: Vec::new(), taken: vec![false; flow.layers.len()] };
    let stem = (0..flow.layers.len()).find(|&i| flow.layers[i].is_conv() && flow.layers[i].shape[1] == 3);
    found.take(
        Kind::Stem.only(),
        stem.ok_or("is an ONNX model without a convolution on three colours: it is no R-CNN")?,
    );
    let ends = found.body();
    found.fpn(&ends)?;
    found.rpn()?;
    found.box_head()?;
    found.mask_head()?;
    let left = found.taken.iter().filter(|taken| !**taken).count();
    match left {
        0 => Ok(found.roles),
        _ => Err(format!(
            "is an ONNX model with {left} layers that have no place in a Mask or Faster R-CNN on a ResNet with an FPN: other \
             networks are not supported"
        )),
    }
}

impl Weighted<'_, '_> {
    fn is_conv(&self) -> bool {
        self.does == Does::Conv && self.shape.len() == 4
    }

    /// Whether it is a convolution of so many rows and columns.
    fn is_square(&self, side: usize) -> bool {
        self.is_conv() && self.shape[2..] == [side, side]
    }
}

struct Found<'f, 'g, 'a> {
    flow: &'f Flow<'g, 'a>,
    roles: Vec<(Layer, usize)>,
    taken: Vec<bool>,
}

impl Found<'_, '_, '_> {
    fn take(&mut self, layer: Layer, i: usize) {
        self.roles.push((layer, i));
        self.taken[i] = true;
    }

    /// Layers without a role yet of which something holds.
    fn free(&self, which: impl Fn(&Weighted) -> bool) -> Vec<usize> {
        (0..self.flow.layers.len()).filter(|&i| !self.taken[i] && which(&self.flow.layers[i])).collect()
    }

    /// Residual blocks, one after the other: each adds up two branches that begin where the one before ended. Returns where
    /// each stage ends.
    fn body(&mut self) -> Vec<Origin> {
        let mut at = None;
        let (mut stages, mut block) = (Vec::new(), 0);
        for node in 0..self.flow.constants.graph.nodes.len() {
            let Some(summands) = self.flow.summands(node) else { continue };
            let [a, b] = summands.map(|origin| self.branch(origin));
            let (Some((mut long, start)), Some((mut short, other))) = (a, b) else { continue };
            if short.len() > long.len() {
                std::mem::swap(&mut long, &mut short);
            }
            let begins = match at {
                None => matches!(start, Origin::Junction(_) | Origin::Layer(_)),
                Some(at) => start == at,
            };
            if start != other || !begins || !(2..=3).contains(&long.len()) || short.len() > 1 {
                continue;
            }
            if !short.is_empty() || stages.is_empty() {
                stages.push(start);
                block = 0;
            }
            let stage = stages.len() - 1;
            for (conv, &i) in long.iter().enumerate() {
                self.take(Kind::BlockConv.in_block(stage, block, conv), i);
            }
            if let [shortcut] = short[..] {
                self.take(Kind::Shortcut.in_block(stage, block, 0), shortcut);
            }
            block += 1;
            at = Some(Origin::Junction(node));
            stages[stage] = Origin::Junction(node);
        }
        stages
    }

    /// The free convolutions that lead to a value, the first of them first, and where they begin.
    fn branch(&self, end: Origin) -> Option<(Vec<usize>, Origin)> {
        let (mut convs, mut at) = (Vec::new(), end);
        while let Origin::Layer(i) = at {
            let layer = &self.flow.layers[i];
            if self.taken[i] || convs.len() > 3 || !layer.is_conv() || layer.uses > 1 {
                break;
            }
            convs.push(i);
            at = layer.from;
        }
        convs.reverse();
        (at != Origin::Image).then_some((convs, at))
    }

    /// On each stage's end a 1×1 convolution; on each of these, or on its sum with the level above, a 3×3 one.
    fn fpn(&mut self, ends: &[Origin]) -> Result<(), String> {
        let mut levels = Vec::new();
        for &end in ends {
            let inner = self.free(|layer| layer.is_square(1) && layer.from == end);
            match inner[..] {
                [] if levels.is_empty() => {}
                [inner] => {
                    self.take(Kind::FpnInner.nth(levels.len()), inner);
                    levels.push(inner);
                }
                _ => return Err(lost("FPN's lateral convolutions")),
            }
        }
        if levels.is_empty() {
            return Err(
                "is an ONNX model of a network without an FPN, which is not read from such files: give its own \
                        weights file (.pth, .pkl)"
                    .into(),
            );
        }
        for (level, &inner) in levels.iter().enumerate() {
            let of_level = |from: Origin| match from {
                Origin::Layer(i) => i == inner,
                Origin::Junction(node) => {
                    self.flow.summands(node).is_some_and(|both| both.contains(&Origin::Layer(inner)))
                }
                Origin::Image => false,
            };
            let layer = self.free(|layer| layer.is_square(3) && of_level(layer.from));
            let [layer] = layer[..] else { return Err(lost("FPN's output convolutions")) };
            self.take(Kind::FpnLayer.nth(level), layer);
        }
        Ok(())
    }

    /// What all levels share: convolutions of 3×3, and two of 1×1 on what these make.
    fn rpn(&mut self) -> Result<(), String> {
        let shared = self.free(|layer| layer.is_conv() && layer.uses > 1);
        let (convs, predictors): (Vec<usize>, Vec<usize>) =
            shared.into_iter().partition(|&i| !self.flow.layers[i].is_square(1));
        let [a, b] = predictors[..] else { return Err(lost("RPN's predictors")) };
        let (logits, deltas) = self.predictors(a, b, "RPN")?;
        if self.flow.layers[deltas].shape[0] != 4 * self.flow.layers[logits].shape[0] || convs.is_empty() {
            return Err(lost("RPN's predictors"));
        }
        for (i, &conv) in convs.iter().enumerate() {
            self.take(Kind::RpnConv.nth(i), conv);
        }
        self.take(Kind::RpnLogits.only(), logits);
        self.take(Kind::RpnDeltas.only(), deltas);
        Ok(())
    }

    /// Logits and deltas of two layers on the same input, by their outputs.
    fn predictors(&self, a: usize, b: usize, of: &str) -> Result<(usize, usize), String> {
        let [x, y] = [a, b].map(|i| &self.flow.layers[i]);
        match x.from == y.from {
            true if x.shape[0] < y.shape[0] => Ok((a, b)),
            true if x.shape[0] > y.shape[0] => Ok((b, a)),
            _ => Err(lost(&format!("{of}'s predictors"))),
        }
    }

    /// Fully connected layers, the last two on the same input, and the convolutions that lead to the first.
    fn box_head(&mut self) -> Result<(), String> {
        let dense = self.free(|layer| layer.does == Does::Dense && layer.shape.len() == 2);
        let [fcs @ .., a, b] = &dense[..] else { return Err(lost("box head's fully connected layers")) };
        let (mut logits, mut deltas) = self.predictors(*a, *b, "box head")?;
        // One set of deltas for all of more than four classes.
        if self.flow.layers[logits].shape[0] == 4 && self.flow.layers[deltas].shape[0] != 16 {
            (logits, deltas) = (deltas, logits);
        }
        if let Some(&first) = fcs.first() {
            let (convs, _) = self.branch(self.flow.layers[first].from).unwrap_or((Vec::new(), Origin::Image));
            for (i, &conv) in convs.iter().enumerate() {
                self.take(Kind::BoxConv.nth(i), conv);
            }
        }
        for (i, &fc) in fcs.iter().enumerate() {
            self.take(Kind::BoxFc.nth(i), fc);
        }
        self.take(Kind::BoxLogits.only(), logits);
        self.take(Kind::BoxDeltas.only(), deltas);
        Ok(())
    }

    /// What is left: convolutions, a transposed one, and a 1×1 one; or nothing.
    fn mask_head(&mut self) -> Result<(), String> {
        let deconv = self.free(|layer| layer.does == Does::Deconv && layer.shape.len() == 4);
        let [deconv] = deconv[..] else {
            return if deconv.is_empty() { Ok(()) } else { Err(lost("mask head's transposed convolution")) };
        };
        self.take(Kind::MaskDeconv.only(), deconv);
        let logits = self.free(|layer| layer.is_square(1) && layer.from == Origin::Layer(deconv));
        let [logits] = logits[..] else { return Err(lost("mask head's predictor")) };
        self.take(Kind::MaskLogits.only(), logits);
        for (i, conv) in self.free(|layer| layer.is_square(3)).into_iter().enumerate() {
            self.take(Kind::MaskConv.nth(i), conv);
        }
        Ok(())
    }
}

fn lost(what: &str) -> String {
    format!(
        "is an ONNX model whose {what} cannot be told from how its layers are joined: it is no Mask or Faster R-CNN on a \
         ResNet with an FPN, or was changed after the export; give its own weights file (.pth) instead"
    )
}
