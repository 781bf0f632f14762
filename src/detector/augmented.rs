//! Test-time augmentation: an image looked at several times, mirrored and in other sizes, and what was found joined.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::{Detector, Options};
use crate::compiled::masks_of;
use crate::config::{Config, Suppression};
use crate::gpu::Pool;
use crate::model::KnownBox;
use crate::ops::Op;
use crate::ops::frame::Frame;
use crate::ops::nms::Nms;
use crate::ops::paste::Paste;
use crate::ops::paste_layout::{PasteLayout, Pasting};
use crate::ops::soft_nms::{Decay, SoftNms};
use crate::ops::topk::NONE;
use crate::tensor::Value;
use crate::vision::{Detection, Detections, Image, Mask, Pixels, SoftMask};
use crate::{Error, Result};

/// Candidates of an image for each detection that it may have: boxes of all views come together before NMS.
const CANDIDATES: usize = 4;

/// One way to look at an image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct View {
    /// Left and right are changed.
    pub flip: bool,
    /// How large the image is in the network, over how large it is there otherwise.
    pub scale: f32,
}

impl View {
    /// The image as it is.
    pub const PLAIN: Self = Self { flip: false, scale: 1.0 };
}

/// A detector that looks at each image in several ways ([`Detector::augmented`]).
pub struct Augmented<'d> {
    detector: &'d Detector,
    views: Vec<View>,
    sizes: Vec<OfScale>,
    /// Held while an image is looked at: the activations of all sizes lie in one pool.
    turn: Mutex<()>,
}

/// The network at one size: its candidates without NMS, and its masks. Weights on the device are shared by all.
struct OfScale {
    scale: f32,
    candidates: Detector,
    masks: Detector,
}

/// What several views saw, in pixels of the image.
struct Candidate {
    bbox: [f32; 4],
    score: f32,
}

impl Detector {
    /// This detector, looking at every image in each of `views`. Boxes of all views come together before NMS; masks of what
    /// is left are the mean over the views, cut at the configuration's threshold. It takes as many runs of the body as there
    /// are views, and as many again for the masks.
    ///
    /// ```no_run
    /// # fn main() -> maskrcnn::Result<()> {
    /// use maskrcnn::{Detector, View};
    /// let detector = Detector::open("model.pth")?;
    /// let image = maskrcnn::Image::open("street.jpg")?;
    /// let found = detector.augmented(&[View::PLAIN, View { flip: true, scale: 1.0 }])?.detect(&image)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Config`] where there is no view, a scale makes sizes that cannot be, or boxes have their last pixel
    /// ([`Extents`](crate::Extents)).
    pub fn augmented(&self, views: &[View]) -> Result<Augmented<'_>> {
        let refuse = |reason: &str| Err(Error::Config { setting: "views".into(), reason: reason.into() });
        if views.is_empty() {
            return refuse("are none: there must be one at least");
        }
        self.config.expect_exclusive("views are joined by boxes without: look at the image once, without `--tta`")?;
        let (mut sizes, pool): (Vec<OfScale>, _) = (Vec::new(), Pool::new());
        for view in views {
            if !(view.scale.is_finite() && view.scale > 0.0) {
                return refuse("have a scale that is no number above 0");
            }
            if !sizes.iter().any(|size| size.scale == view.scale) {
                sizes.push(OfScale::new(self, view.scale, &pool)?);
            }
        }
        Ok(Augmented { detector: self, views: views.to_vec(), sizes, turn: Mutex::new(()) })
    }
}

impl OfScale {
    fn new(detector: &Detector, scale: f32, pool: &Pool) -> Result<Self> {
        let mut config = detector.config.clone();
        let transform = &mut config.transform;
        let scaled = |side: usize| ((side as f64 * f64::from(scale)).round() as usize).max(1);
        transform.max_size = scaled(transform.max_size);
        transform.min_size = scaled(transform.min_size).min(transform.max_size);
        transform.scale *= scale;
        let masks = detector.beside_in(config.clone(), pool)?;
        config.mask = None;
        let head = &mut config.box_head;
        // No IoU passes 1.
        (head.suppression, head.nms_thresh) = (Suppression::Hard, 1.0);
        head.detections_per_img = (head.detections_per_img * CANDIDATES).max(config.rpn.post_nms_top_n);
        head.detections_per_img = head.detections_per_img.min(Config::MOST_DETECTIONS);
        Ok(Self { scale, candidates: detector.beside_in(config, pool)?, masks })
    }
}

impl Augmented<'_> {
    /// Instances in an image, by falling score, with their soft masks.
    ///
    /// # Errors
    /// As [`Detector::detect`].
    pub fn detect<'a>(&self, image: impl Into<Pixels<'a>>) -> Result<Detections> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let plain = image.into().to_image()?;
        let mirrored = self.views.iter().any(|view| view.flip).then(|| plain.mirrored()).transpose()?;
        let of = |view: &View| mirrored.as_ref().filter(|_| view.flip).unwrap_or(&plain);
        let (w, config) = (plain.width() as f32, &self.detector.config);

        let mut classes: BTreeMap<u32, Vec<Candidate>> = BTreeMap::new();
        let mut crowded = false;
        for view in &self.views {
            let found = self.size(view).candidates.detect(of(view))?;
            // Before NMS, what had no room may be anything.
            crowded |= found.crowded || !found.left_out.is_empty();
            for d in found.items {
                let bbox = turned(d.bbox, w, view.flip);
                classes.entry(d.label).or_default().push(Candidate { bbox, score: d.score });
            }
        }
        let mut kept: Vec<KnownBox> = Vec::new();
        for (label, candidates) in classes {
            let of_class = suppressed(config, candidates)?;
            kept.extend(of_class.into_iter().map(|c| KnownBox { bbox: c.bbox, label, score: c.score }));
        }
        kept.sort_by(|a, b| b.score.total_cmp(&a.score));
        let most = config.box_head.detections_per_img.min(kept.len());
        let left_out = kept.drain(most..).map(|known| known.score).collect();
        let items = self.with_masks(&kept, &plain, |view| of(view))?;
        let found = Detections::new(plain.width(), plain.height(), self.detector.classes.clone(), items);
        Ok(Detections { left_out, crowded, ..found })
    }

    fn size(&self, view: &View) -> &OfScale {
        // Each view's was made with it.
        self.sizes.iter().find(|size| size.scale == view.scale).unwrap_or(&self.sizes[0])
    }

    /// Detections of known boxes, with the mean over the views of their masks.
    fn with_masks<'i>(
        &self,
        kept: &[KnownBox],
        plain: &Image,
        of: impl Fn(&View) -> &'i Image,
    ) -> Result<Vec<Detection>> {
        let whole = |known: &KnownBox, mask, soft| Detection {
            bbox: known.bbox,
            score: known.score,
            label: known.label,
            mask,
            soft,
        };
        let Some(head) = self.detector.config.mask.as_ref().filter(|_| !kept.is_empty()) else {
            return Ok(kept.iter().map(|known| whole(known, Mask::default(), None)).collect());
        };
        let side = head.output_size;
        let mut sums = vec![0.0f64; kept.len() * side * side];
        for view in &self.views {
            let turn =
                |known: &KnownBox| KnownBox { bbox: turned(known.bbox, plain.width() as f32, view.flip), ..*known };
            let boxes: Vec<KnownBox> = kept.iter().map(turn).collect();
            let options = Options { soft_masks: true };
            let found = self.size(view).masks.masks_of_boxes_with(of(view), &boxes, &options)?;
            for (sums, d) in sums.chunks_mut(side * side).zip(&found.items) {
                let soft = d.soft.as_ref().ok_or_else(|| super::internal("has no soft masks"))?;
                for (sums, row) in sums.chunks_mut(side).zip(soft.values.chunks(side)) {
                    for (column, sum) in sums.iter_mut().enumerate() {
                        *sum += f64::from(row[if view.flip { side - 1 - column } else { column }]);
                    }
                }
            }
        }
        let means: Vec<f32> = sums.iter().map(|sum| (sum / self.views.len() as f64) as f32).collect();
        let masks = pasted(
            kept,
            (side, head.threshold, crate::model::pasting(&self.detector.config)),
            &means,
            (plain.height(), plain.width()),
        )?;
        let softs = means.chunks(side * side).map(|values| SoftMask { side, values: values.to_vec() });
        Ok(kept.iter().zip(masks).zip(softs).map(|((known, mask), soft)| whole(known, mask, Some(soft))).collect())
    }
}

/// A box of a mirrored image in the image, and the other way round.
fn turned([x1, y1, x2, y2]: [f32; 4], width: f32, flip: bool) -> [f32; 4] {
    if flip { [width - x2, y1, width - x1, y2] } else { [x1, y1, x2, y2] }
}

/// Those of a class that NMS, hard or soft, leaves, with their scores then; of equal scores the earlier view's goes first.
fn suppressed(config: &Config, mut candidates: Vec<Candidate>) -> Result<Vec<Candidate>> {
    candidates.sort_by(|a, b| b.score.total_cmp(&a.score));
    let (n, head) = (candidates.len(), &config.box_head);
    let boxes = Value::f32([1, n, 4], candidates.iter().flat_map(|c| c.bbox).collect());
    let scores = Value::f32([1, n], candidates.iter().map(|c| c.score).collect());
    let inputs = [boxes, scores, Value::u32([1], vec![n as u32])];
    let soft = |decay| SoftNms { decay, least: head.score_thresh }.twin(&inputs);
    let left = match head.suppression {
        Suppression::Hard => Nms { threshold: head.nms_thresh, any_corners: false }.twin(&inputs),
        Suppression::Linear => soft(Decay::Linear(head.nms_thresh)),
        Suppression::Gaussian => soft(Decay::Gaussian(head.soft_nms_sigma)),
    };
    let scores = left.first().ok_or_else(|| super::internal("has no scores"))?;
    let each = candidates.into_iter().zip(scores.floats().to_vec());
    Ok(each.filter(|(_, score)| *score > NONE).map(|(c, score)| Candidate { score, ..c }).collect())
}

/// Soft masks of boxes, pasted into an image of so many rows and columns as the network's are.
fn pasted(
    kept: &[KnownBox],
    (side, threshold, pasting): (usize, f32, Pasting),
    soft: &[f32],
    size: (u32, u32),
) -> Result<Vec<Mask>> {
    let n = kept.len();
    let (live, frame) = (Value::u32([1], vec![n as u32]), Frame::value(&[Frame::new(size, size, 0)]));
    // Whole boxes are told by their last pixels.
    let last = if pasting == Pasting::Whole { 1.0 } else { 0.0 };
    let boxes = kept.iter().flat_map(|KnownBox { bbox: [x1, y1, x2, y2], .. }| [*x1, *y1, x2 - last, y2 - last]);
    let boxes = Value::f32([1, n, 4], boxes.collect());
    let layout = PasteLayout { mask_side: side, pasting }.twin(&[boxes, live.clone(), frame]);
    let [placed, places, header] = &layout[..] else { return Err(super::internal("has no places for masks")) };
    let words = header.ints().get(1).map_or(0, |words| *words as usize);
    let paste = Paste { capacity: words.max(1), first: 0, threshold, pasting };
    let mut inputs = vec![Value::f32([n, side, side], soft.to_vec()), places.clone(), live];
    if pasting == Pasting::Sampled {
        inputs.push(placed.clone());
    }
    let bits = paste.twin(&inputs);
    masks_of(places, &bits[0], 0, n)
}
