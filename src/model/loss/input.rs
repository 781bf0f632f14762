//! Truths and samples, as the network takes them.

use super::{LossCapacity, SampleSource};
use crate::config::Config;
use crate::graph::Tensor;
use crate::model::{Builder, Capacity, NetworkSize, RoiSource};
use crate::ops::Info;
use crate::ops::targets::PLACE_WORDS;
use crate::{Error, Result};

/// Where the truths of a batch go. G are as many as there is room for.
#[derive(Clone, Copy, Debug)]
pub struct TruthTensors {
    /// `[B,G,4]`, pixels of the resized image.
    pub boxes: Tensor,
    /// `[B,G]`.
    pub labels: Tensor,
    /// `[B,1]`.
    pub counts: Tensor,
    /// Places `[B,G,6]` and bits `[words]` of their masks ([`crate::engine::ops::targets`]), where the network has a mask head.
    pub masks: Option<[Tensor; 2]>,
}

impl TruthTensors {
    pub(super) fn new(b: &mut Builder, capacity: &LossCapacity, masks: bool) -> Self {
        let (images, n) = (capacity.image.batch, capacity.truths);
        let boxes = b.g.input("truths", Info::f32([images, n, 4]));
        let labels = b.g.input("true labels", Info::u32([images, n]));
        let counts = b.g.input("truth counts", Info::u32([images, 1]));
        let masks = masks.then(|| {
            let places = b.g.input("mask places", Info::u32([images, n, PLACE_WORDS]));
            [places, b.g.input("true masks", Info::u32([capacity.mask_words]))]
        });
        Self { boxes, labels, counts, masks }
    }
}

/// Where samples go that come with the image, those on truths first.
#[derive(Clone, Copy, Debug)]
pub struct GivenSamples {
    /// `[B,k]`: which anchors.
    pub anchors: Tensor,
    /// `[B,1]` each: how many, and how many of them are on truths.
    pub anchor_counts: [Tensor; 2],
    /// `[B,k,4]`: RoIs in pixels of the resized image.
    pub rois: Tensor,
    /// `[B,1]` each: how many, and how many of them are on truths.
    pub roi_counts: [Tensor; 2],
    /// How many of the RoIs can be on truths.
    pub(super) positives: usize,
}

impl GivenSamples {
    pub(super) fn new(b: &mut Builder, images: usize, [anchors, rois, positives]: [usize; 3]) -> Self {
        let counts = |b: &mut Builder, of: &str| {
            let [all, on] = [format!("given {of}"), format!("given {of} on truths")];
            [b.g.input(&all, Info::u32([images, 1])), b.g.input(&on, Info::u32([images, 1]))]
        };
        Self {
            anchors: b.g.input("given anchors", Info::u32([images, anchors])),
            anchor_counts: counts(b, "anchor count"),
            rois: b.g.input("given RoIs", Info::f32([images, rois, 4])),
            roi_counts: counts(b, "RoI count"),
            positives,
        }
    }
}

/// An object that is really in an image.
#[derive(Clone, Copy, Debug)]
pub struct TrueObject<'a> {
    /// x1, y1, x2, y2 in pixels of the image.
    pub bbox: [f32; 4],
    /// Its class; 0 is the background.
    pub label: u32,
    /// The rectangle of its mask: x, y, width and height in pixels of the image; of no width where it has none.
    pub place: [u32; 4],
    /// The mask's rows, each from a whole word on, the leftmost pixel lowest.
    pub bits: &'a [u32],
}

/// The truths of one image, as the network takes them.
#[derive(Clone, Debug)]
pub struct Truths {
    room: usize,
    boxes: Vec<f32>,
    labels: Vec<u32>,
    counts: [u32; 1],
    places: Vec<u32>,
    bits: Vec<u32>,
}

impl Truths {
    /// Of an image of that size, for a network with so many classes. Of a box over the image's border, what is inside counts.
    ///
    /// # Errors
    /// [`Error::GivenBox`] for a box that is empty, not a number or outside of the image, for a label that is no class, and
    /// for a mask that reaches out of the image; [`Error::Limit`] for more objects than [`Config::MOST_DETECTIONS`], and for
    /// masks of more bits than a binding may have.
    pub fn new(objects: &[TrueObject], size: &NetworkSize, classes: usize) -> Result<Self> {
        if objects.len() > Config::MOST_DETECTIONS {
            return Err(Error::Limit {
                what: format!("an image with {} true objects", objects.len()),
                need: 16 * objects.len() as u64,
                limit: 16 * Config::MOST_DETECTIONS as u64,
                cure: "cut the image into pieces".into(),
            });
        }
        let words: usize = objects.iter().map(|o| o.bits.len()).sum();
        if words > Capacity::LEAST_BINDING / 4 {
            return Err(Error::Limit {
                what: format!("the masks of an image with {} true objects", objects.len()),
                need: 4 * words as u64,
                limit: Capacity::LEAST_BINDING as u64,
                cure: "cut the image into pieces".into(),
            });
        }
        let room = RoiSource::room(objects.len());
        let mut out = Self {
            room,
            boxes: Vec::with_capacity(4 * room),
            labels: objects.iter().map(|o| o.label).collect(),
            counts: [objects.len() as u32],
            places: Vec::with_capacity(PLACE_WORDS * room),
            bits: Vec::with_capacity(words),
        };
        for (index, object) in objects.iter().enumerate() {
            let wrong = |reason| Error::GivenBox { index, reason };
            out.boxes.extend(resized(object.bbox, size).map_err(wrong)?);
            if object.label == 0 || object.label as usize >= classes {
                let most = classes.saturating_sub(1);
                return Err(wrong(format!("has the label {}, and the classes are 1 to {most}", object.label)));
            }
            check_mask(object, size).map_err(wrong)?;
            out.places.extend(object.place);
            out.places.extend([out.bits.len() as u32, 0]);
            out.bits.extend(object.bits);
        }
        out.boxes.resize(4 * room, 0.0);
        out.labels.resize(room, 0);
        out.places.resize(PLACE_WORDS * room, 0);
        Ok(out)
    }

    /// How many truths, and how many words of masks, a network must have room for to take them.
    pub fn room(&self) -> (usize, usize) {
        (self.room, Capacity::words(4 * self.bits.len()).min(Capacity::LEAST_BINDING / 4))
    }

    /// What goes into which tensor.
    pub fn of(&self, to: &TruthTensors) -> Vec<(Tensor, &[u8])> {
        let mut out = vec![
            (to.boxes, bytemuck::cast_slice(&self.boxes)),
            (to.labels, bytemuck::cast_slice(&self.labels)),
            (to.counts, bytemuck::cast_slice(&self.counts)),
        ];
        if let Some([places, bits]) = to.masks {
            out.extend([(places, bytemuck::cast_slice(&self.places)), (bits, bytemuck::cast_slice(&self.bits))]);
        }
        out
    }
}

/// A box of the image, cut at its border, as a box of the resized one: torchvision's `clip` of the annotations and its
/// `resize_boxes`, in this order.
fn resized(bbox: [f32; 4], size: &NetworkSize) -> Result<[f32; 4], String> {
    let [h, w] = [size.input.0 as f32, size.input.1 as f32];
    let told = |reason: &str| {
        let [x1, y1, x2, y2] = bbox;
        format!("{reason} (x1 {x1}, y1 {y1}, x2 {x2}, y2 {y2}; the image has {w}×{h} pixels)")
    };
    if !bbox.iter().all(|v| v.is_finite()) {
        return Err(told("has a corner that is no number"));
    }
    if bbox[2] <= bbox[0] || bbox[3] <= bbox[1] {
        return Err(told("is empty: x2 must be more than x1, and y2 more than y1"));
    }
    let by = [size.resized.1 as f32 / w, size.resized.0 as f32 / h];
    let out: [f32; 4] = std::array::from_fn(|c| bbox[c].clamp(0.0, [w, h][c % 2]) * by[c % 2]);
    if out[2] <= out[0] || out[3] <= out[1] {
        return Err(told("has nothing inside of the image"));
    }
    Ok(out)
}

fn check_mask(object: &TrueObject, size: &NetworkSize) -> Result<(), String> {
    let [x, y, w, h] = object.place.map(u64::from);
    if x + w > u64::from(size.input.1) || y + h > u64::from(size.input.0) {
        return Err(format!(
            "has a mask of {w}×{h} pixels at ({x}, {y}), which reaches out of the image of {}×{}",
            size.input.1, size.input.0
        ));
    }
    match w.div_ceil(32) * h {
        need if need == object.bits.len() as u64 => Ok(()),
        need => Err(format!("has a mask of {w}×{h} pixels in {} words: it takes {need}", object.bits.len())),
    }
}

/// Which anchors and RoIs of an image the terms of its loss are of.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sampled {
    /// Anchors on truths, by their numbers: level after level, in (H, W, A) order.
    pub positive_anchors: Vec<u32>,
    /// Anchors on the background.
    pub negative_anchors: Vec<u32>,
    /// RoIs on truths: x1, y1, x2, y2 in pixels of the resized image.
    pub positive_rois: Vec<[f32; 4]>,
    /// RoIs on the background.
    pub negative_rois: Vec<[f32; 4]>,
}

impl SampleSource {
    /// Of such samples: what a network must be made for to take them.
    ///
    /// # Errors
    /// As a sentence, where there are too many of them, an anchor is given twice, or a RoI is no box.
    pub fn of(sampled: &Sampled) -> Result<Self, String> {
        let (anchors, rois) = (sampled.anchors(), sampled.rois());
        for (n, what) in [(anchors.len(), "anchors"), (rois.len(), "RoIs")] {
            if n > Config::MOST_DETECTIONS {
                return Err(format!("{n} {what} of an image, and {} can be given", Config::MOST_DETECTIONS));
            }
        }
        let mut numbers = anchors;
        numbers.sort_unstable();
        if let Some(pair) = numbers.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(format!("anchor {} is given twice", pair[0]));
        }
        let is_box = |r: &[f32; 4]| r.iter().all(|v| v.is_finite()) && r[2] > r[0] && r[3] > r[1];
        if let Some(bad) = rois.iter().find(|r| !is_box(r)) {
            return Err(format!("the RoI {bad:?} is no box: x2 must be more than x1, and y2 more than y1"));
        }
        let rois_room = RoiSource::room(rois.len());
        Ok(Self::Given {
            anchors: RoiSource::room(numbers.len()),
            rois: rois_room,
            positives: RoiSource::room(sampled.positive_rois.len()).min(rois_room),
        })
    }
}

impl GivenSamples {
    /// What goes into which tensor.
    pub fn filled(&self, sampled: &Sampled) -> Vec<(Tensor, Vec<u8>)> {
        let (mut anchors, mut rois) = (sampled.anchors(), sampled.rois());
        anchors.resize(self.anchors.dim(1), 0);
        rois.resize(self.rois.dim(1), [0.0; 4]);
        let count = |n: usize| bytemuck::bytes_of(&(n as u32)).to_vec();
        let counts = |on: usize, off: usize| [count(on + off), count(on)];
        let of_anchors = counts(sampled.positive_anchors.len(), sampled.negative_anchors.len());
        let of_rois = counts(sampled.positive_rois.len(), sampled.negative_rois.len());
        [(self.anchors, bytemuck::cast_slice(&anchors).to_vec()), (self.rois, bytemuck::cast_slice(&rois).to_vec())]
            .into_iter()
            .chain(self.anchor_counts.into_iter().zip(of_anchors))
            .chain(self.roi_counts.into_iter().zip(of_rois))
            .collect()
    }
}

impl Sampled {
    /// All anchors, those on truths first.
    fn anchors(&self) -> Vec<u32> {
        [&self.positive_anchors[..], &self.negative_anchors].concat()
    }

    fn rois(&self) -> Vec<[f32; 4]> {
        [&self.positive_rois[..], &self.negative_rois].concat()
    }
}
