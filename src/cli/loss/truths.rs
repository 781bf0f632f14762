//! What is really in the images, as the detector takes it.

use maskrcnn::engine::eval::{self, Annotations};
use maskrcnn::{Detector, Error, Image, Mask, Result, Truth};

use crate::cli::words::count;

/// The annotations that training takes, as torchvision's reference does (`references/detection/coco_utils.py`): no crowds, and
/// no boxes without an inside.
pub(super) struct Truths<'a> {
    annotations: &'a Annotations,
    /// The model's label of each category, where it has one.
    labels: Vec<Option<u32>>,
    masks: bool,
    /// What is left out, a sentence each.
    pub notes: Vec<String>,
}

impl<'a> Truths<'a> {
    pub(super) fn new(detector: &Detector, annotations: &'a Annotations) -> Result<Self> {
        let masks = detector.config().mask.is_some();
        if let Some(bare) = annotations.truths.iter().find(|t| masks && !t.crowd && t.mask.is_none()) {
            let reason = format!(
                "annotation {} has no mask (`segmentation`), and the model has a mask head: annotate it, or leave masks out with \
                 --boxes-only",
                bare.id
            );
            return Err(Error::Dataset { file: annotations.file.clone(), reason });
        }
        let (labels, mut notes) = labels(&detector.config().class_names, annotations);
        let mut tell = |n: usize, what: &str| {
            if n > 0 {
                notes.push(format!("{}: {} left out: {what}", annotations.file, count(n, "annotation")));
            }
        };
        let counted = |of: &dyn Fn(&eval::Truth) -> bool| annotations.truths.iter().filter(|t| of(t)).count();
        tell(counted(&|t| t.crowd), "crowds");
        tell(counted(&|t| !t.crowd && labels[t.category].is_none()), "of categories that the model does not have");
        let taken = |t: &eval::Truth| !t.crowd && labels[t.category].is_some();
        tell(
            counted(&|t| taken(t) && is_empty(t, annotations.images[t.image].size)),
            "boxes with nothing inside of the image",
        );
        Ok(Self { annotations, labels, masks, notes })
    }

    /// Those of an image, by its place in the annotations.
    pub(super) fn of(&self, image: usize, picture: &Image) -> Result<Vec<Truth>> {
        let size = [picture.height(), picture.width()];
        let all = self.annotations.truths.iter();
        let all = all.filter(|t| t.image == image && !t.crowd && !is_empty(t, Some(size)));
        all.filter_map(|t| Some((t, self.labels[t.category]?))).map(|(t, label)| self.one(t, label, size)).collect()
    }

    fn one(&self, truth: &eval::Truth, label: u32, [height, width]: [u32; 2]) -> Result<Truth> {
        let wrong = |reason: String| {
            let reason = format!("annotation {}: {reason}", truth.id);
            Error::Dataset { file: self.annotations.file.clone(), reason }
        };
        let mask = match truth.mask.as_ref().filter(|_| self.masks) {
            None => Mask::default(),
            Some(region) => {
                let rle = region.rle();
                if (rle.height, rle.width) != (height, width) {
                    return Err(wrong(format!(
                        "its mask is {}×{} (height × width), and its image {height}×{width}",
                        rle.height, rle.width
                    )));
                }
                rle.to_mask().map_err(|e| wrong(e.to_string()))?
            }
        };
        Ok(Truth { bbox: corners(truth), label, mask })
    }
}

/// x1, y1, x2, y2, added in f32 as torchvision's reference adds them.
fn corners(truth: &eval::Truth) -> [f32; 4] {
    let [x, y, w, h] = truth.bbox.map(|v| v as f32);
    [x, y, x + w, y + h]
}

/// Whether nothing of it is inside of an image of that height and width.
fn is_empty(truth: &eval::Truth, size: Option<[u32; 2]>) -> bool {
    let [x1, y1, x2, y2] = corners(truth);
    let [h, w] = size.map_or([f32::MAX; 2], |size| size.map(|side| side as f32));
    x2.clamp(0.0, w) <= x1.clamp(0.0, w) || y2.clamp(0.0, h) <= y1.clamp(0.0, h)
}

/// The label of each category: by its name among the model's classes, or by its number where no name is in both.
fn labels(classes: &[String], annotations: &Annotations) -> (Vec<Option<u32>>, Vec<String>) {
    let by_name = |name: &str| {
        let mut known = classes.iter().enumerate().skip(1);
        known.find(|(_, class)| class.eq_ignore_ascii_case(name)).map(|(label, _)| label as u32)
    };
    let named: Vec<Option<u32>> = annotations.categories.iter().map(|c| by_name(&c.name)).collect();
    if named.iter().any(Option::is_some) {
        return (named, Vec::new());
    }
    let known = |id: u32| (id > 0 && (id as usize) < classes.len()).then_some(id);
    let note = format!(
        "no class of the model is a category of {} by name; they are taken for one another by their numbers",
        annotations.file
    );
    (annotations.categories.iter().map(|c| known(c.id)).collect(), vec![note])
}
