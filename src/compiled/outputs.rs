//! What a run gives, by name.

use super::internal;
use crate::Result;
use crate::graph::Tensor;
use crate::model::Outputs;
use crate::tensor::Value;

/// The values of a network's [`Outputs`], of B images with n detections at most.
#[derive(Clone, Debug)]
pub struct OutputValues {
    /// `[B,2]`: detections found, words of bits needed.
    pub header: Value,
    /// `[B,n,4]`, original pixels.
    pub boxes: Value,
    /// `[B,1,n]`, falling.
    pub scores: Value,
    /// `[B,n]`.
    pub labels: Value,
    /// `[B,classes,proposals]`: scores of all that passed the score threshold and NMS, where there is a box head.
    pub candidates: Option<Value>,
    /// `[B,levels,k]` each: logits of the anchors that the RPN's NMS was given, and of those that it kept; where there is an
    /// RPN.
    pub anchors: Option<[Value; 2]>,
    /// The masks, where the network has a mask head.
    pub masks: Option<MaskValues>,
}

/// The values of [`MaskOutputs`](crate::model::MaskOutputs).
#[derive(Clone, Debug)]
pub struct MaskValues {
    /// `[B,n,8]`: see [`crate::ops::paste_layout::PasteLayout`].
    pub places: Value,
    /// `[B,words]`: of a [`CompiledNetwork`](super::CompiledNetwork)'s run as many words as an image needs, where there
    /// was room for them.
    pub bits: Value,
    /// `[B·n,M,M]`, 0..1, where they were asked for.
    pub soft: Option<Value>,
}

impl Outputs {
    /// The tensors to read back for [`Outputs::read`], the header first, with or without the soft masks: of 100 detections, 300 KiB.
    pub fn tensors(&self, soft: bool) -> Vec<Tensor> {
        let mut out = vec![self.header, self.boxes, self.scores, self.labels];
        out.extend(self.candidates);
        out.extend(self.anchors.into_iter().flatten());
        out.extend(self.masks.iter().flat_map(|m| [m.places, m.bits]));
        out.extend(self.masks.iter().filter(|_| soft).map(|m| m.soft));
        out
    }

    /// What was read back, by name, in whatever order it comes.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] where one of the tensors is not among them.
    pub fn read(&self, values: impl IntoIterator<Item = (Tensor, Value)>) -> Result<OutputValues> {
        let mut values: Vec<(usize, Value)> = values.into_iter().map(|(t, value)| (t.id, value)).collect();
        let mut find = |tensor: Tensor| {
            let at = values.iter().position(|(id, _)| *id == tensor.id);
            at.map(|at| values.swap_remove(at).1)
        };
        let soft = self.masks.and_then(|m| find(m.soft));
        let mut take = |tensor: Tensor| find(tensor).ok_or_else(|| internal("is incomplete"));
        let masks = match self.masks {
            Some(m) => Some(MaskValues { places: take(m.places)?, bits: take(m.bits)?, soft }),
            None => None,
        };
        Ok(OutputValues {
            header: take(self.header)?,
            boxes: take(self.boxes)?,
            scores: take(self.scores)?,
            labels: take(self.labels)?,
            candidates: self.candidates.map(&mut take).transpose()?,
            anchors: match self.anchors {
                Some([given, kept]) => Some([take(given)?, take(kept)?]),
                None => None,
            },
            masks,
        })
    }
}

/// Words of bits that each image of a batch has room for, if all are to have it, from the [`OutputValues::header`].
pub(super) fn words_needed(header: &Value) -> usize {
    header.ints().chunks_exact(2).map(|h| h[1] as usize).max().unwrap_or(0)
}

impl OutputValues {
    /// How many were found in each image.
    pub fn found(&self) -> Vec<usize> {
        let most = self.labels.shape.dim(1);
        self.header.ints().chunks_exact(2).map(|h| (h[0] as usize).min(most)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::Info;

    /// A network's ends, as the tensors of these numbers.
    fn outputs(ids: [usize; 10]) -> Outputs {
        let tensor = |i: usize| Tensor { id: ids[i], info: Info::u32([1]) };
        let masks = crate::model::MaskOutputs { places: tensor(7), soft: tensor(9), bits: tensor(8) };
        Outputs {
            header: tensor(0),
            boxes: tensor(1),
            scores: tensor(2),
            labels: tensor(3),
            candidates: Some(tensor(4)),
            anchors: Some([tensor(5), tensor(6)]),
            masks: Some(masks),
        }
    }

    #[test]
    fn results_are_found_by_name_in_any_order() {
        let outputs = outputs([4, 8, 15, 16, 23, 42, 1, 0, 99, 7]);
        let mut values: Vec<(Tensor, Value)> =
            outputs.tensors(true).into_iter().map(|t| (t, Value::u32([1], vec![t.id as u32]))).collect();
        for _ in 0..values.len() {
            values.rotate_left(1);
            let read = outputs.read(values.clone()).unwrap();
            let (masks, [anchors, proposals]) = (read.masks.unwrap(), read.anchors.unwrap());
            assert_eq!(masks.soft.unwrap().ints()[0], 7);
            let seen = [
                &read.header,
                &read.boxes,
                &read.scores,
                &read.labels,
                &read.candidates.unwrap(),
                &anchors,
                &proposals,
                &masks.places,
                &masks.bits,
            ];
            assert_eq!(seen.map(|v| v.ints()[0]), [4, 8, 15, 16, 23, 42, 1, 0, 99]);
        }
        values.remove(2);
        assert!(outputs.read(values).unwrap_err().to_string().contains("incomplete"));
    }
}
