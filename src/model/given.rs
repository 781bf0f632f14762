//! RoIs that come with the image instead of being found in it: proposals from elsewhere (Fast R-CNN), or boxes whose masks are
//! wanted.

use super::NetworkSize;
use super::rpn::Rois;
use super::{Builder, Capacity};
use crate::config::Config;
use crate::graph::Tensor;
use crate::ops::Info;
use crate::{Error, Result};

/// Where a network's RoIs come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RoiSource {
    /// The RPN proposes them.
    #[default]
    Rpn,
    /// So many proposals an image, at most, come with it; the box head does the rest.
    Proposals(usize),
    /// So many boxes an image, at most, come with it, with their labels: only their masks are made.
    Boxes(usize),
}

impl RoiSource {
    /// Room for `n`, shared by numbers of about that.
    pub(crate) fn room(n: usize) -> usize {
        const STEP: usize = 64;
        let room = if n <= 8 * STEP { n.next_multiple_of(STEP) } else { n.next_power_of_two() };
        room.clamp(STEP, Config::MOST_DETECTIONS)
    }
}

/// Where what comes with an image goes.
#[derive(Clone, Copy, Debug)]
pub struct GivenTensors {
    /// `[1,n,4]`, pixels of the resized image.
    pub boxes: Tensor,
    /// `[1,1]`.
    pub counts: Tensor,
    /// `[1,n]` labels and `[1,1,n]` scores, of [`RoiSource::Boxes`].
    pub known: Option<[Tensor; 2]>,
}

impl GivenTensors {
    /// Inputs for what `capacity` says that is given, if anything.
    pub(super) fn new(b: &mut Builder, capacity: &Capacity) -> Option<Self> {
        let (n, known) = match capacity.rois {
            RoiSource::Rpn => return None,
            RoiSource::Proposals(n) => (n, false),
            RoiSource::Boxes(n) => (n, true),
        };
        let images = capacity.batch;
        let boxes = b.g.input("given boxes", Info::f32([images, n, 4]));
        let counts = b.g.input("given count", Info::u32([images, 1]));
        let known = known.then(|| {
            let labels = b.g.input("given labels", Info::u32([images, n]));
            [labels, b.g.input("given scores", Info::f32([images, 1, n]))]
        });
        Some(Self { boxes, counts, known })
    }

    /// As proposals.
    pub(super) fn proposals(&self, b: &mut Builder) -> Rois {
        b.tap("rpn.proposals", self.boxes);
        b.tap("rpn.proposals.count", self.counts);
        Rois { boxes: self.boxes, counts: self.counts, candidates: None }
    }
}

/// A box whose mask is wanted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KnownBox {
    /// x1, y1, x2, y2 in pixels of the image.
    pub bbox: [f32; 4],
    /// The class; 0 is the background.
    pub label: u32,
    /// What its detection is to have as its score: 1 for one that a person drew.
    pub score: f32,
}

/// What comes with an image, as the network takes it.
#[derive(Clone, Debug)]
pub struct Given {
    source: RoiSource,
    boxes: Vec<f32>,
    counts: [u32; 1],
    labels: Vec<u32>,
    scores: Vec<f32>,
}

impl Given {
    /// Proposals for an image of that size.
    ///
    /// # Errors
    /// [`Error::GivenBox`] for one that is empty, not a number, or lies outside of the image; [`Error::Limit`] for more than
    /// [`Config::MOST_DETECTIONS`].
    pub fn proposals(boxes: &[[f32; 4]], size: &NetworkSize) -> Result<Self> {
        let n = room_for_boxes(boxes.len())?;
        let source = RoiSource::Proposals(n);
        Ok(Self { source, boxes: resized(boxes, size, n)?, counts: counts(boxes), labels: vec![], scores: vec![] })
    }

    /// Boxes whose masks are wanted, of a network with so many classes.
    ///
    /// # Errors
    /// As [`Given::proposals`]; [`Error::GivenBox`] for a label that is no class, too.
    pub fn boxes(known: &[KnownBox], size: &NetworkSize, classes: usize) -> Result<Self> {
        let n = room_for_boxes(known.len())?;
        let no_class = |k: &KnownBox| k.label == 0 || k.label as usize >= classes;
        if let Some(index) = known.iter().position(no_class) {
            let reason = format!("has the label {}, and the classes are 1 to {}", known[index].label, classes - 1);
            return Err(Error::GivenBox { index, reason });
        }
        let boxes: Vec<[f32; 4]> = known.iter().map(|k| k.bbox).collect();
        // Background, of what is not there.
        let mut labels: Vec<u32> = known.iter().map(|k| k.label).collect();
        let mut scores: Vec<f32> = known.iter().map(|k| k.score).collect();
        labels.resize(n, 1);
        scores.resize(n, 0.0);
        Ok(Self {
            source: RoiSource::Boxes(n),
            boxes: resized(&boxes, size, n)?,
            counts: counts(&boxes),
            labels,
            scores,
        })
    }

    /// What a network must be made for to take them.
    pub fn source(&self) -> RoiSource {
        self.source
    }

    /// What goes into which tensor.
    pub(super) fn of(&self, to: &GivenTensors) -> Vec<(Tensor, &[u8])> {
        let own = [(to.boxes, bytemuck::cast_slice(&self.boxes)), (to.counts, bytemuck::cast_slice(&self.counts))];
        let [labels, scores] = [bytemuck::cast_slice(&self.labels), bytemuck::cast_slice(&self.scores)];
        let known = to.known.into_iter().flat_map(|[l, s]| [(l, labels), (s, scores)]);
        own.into_iter().chain(known).collect()
    }
}

fn counts(boxes: &[[f32; 4]]) -> [u32; 1] {
    [boxes.len() as u32]
}

/// Room for `n` boxes.
///
/// # Errors
/// [`Error::Limit`] for more than [`Config::MOST_DETECTIONS`].
pub(crate) fn room_for_boxes(n: usize) -> Result<usize> {
    if n > Config::MOST_DETECTIONS {
        return Err(Error::Limit {
            what: format!("an image with {n} given boxes"),
            need: 16 * n as u64,
            limit: 16 * Config::MOST_DETECTIONS as u64,
            cure: format!("give the best {} of them", Config::MOST_DETECTIONS),
        });
    }
    Ok(RoiSource::room(n))
}

/// Whether box `index` of those given is one, in an image of `width` × `height` pixels.
///
/// # Errors
/// [`Error::GivenBox`] where it is not.
pub(crate) fn check_box(index: usize, &[x1, y1, x2, y2]: &[f32; 4], (width, height): (u32, u32)) -> Result<()> {
    let (w, h) = (width as f32, height as f32);
    let wrong = match [x1, y1, x2, y2] {
        all if !all.iter().all(|v| v.is_finite()) => Some("has a corner that is no number"),
        _ if x2 <= x1 || y2 <= y1 => Some("is empty: x2 must be more than x1, and y2 more than y1"),
        _ if x1 >= w || y1 >= h || x2 <= 0.0 || y2 <= 0.0 => Some("lies outside of the image"),
        _ => None,
    };
    let Some(reason) = wrong else { return Ok(()) };
    let reason = format!("{reason} (x1 {x1}, y1 {y1}, x2 {x2}, y2 {y2}; the image has {w}×{h} pixels)");
    Err(Error::GivenBox { index, reason })
}

/// Boxes of the image as boxes of the resized one, cut at its border, with room for `n`: torchvision's `resize_boxes` and
/// `clip_boxes_to_image`.
fn resized(boxes: &[[f32; 4]], size: &NetworkSize, n: usize) -> Result<Vec<f32>> {
    let mut out = Vec::with_capacity(4 * n);
    for (index, bbox) in boxes.iter().enumerate() {
        check_box(index, bbox, (size.input.1, size.input.0))?;
        out.extend(size.onto_input(*bbox));
    }
    out.resize(4 * n, 0.0);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Resize;

    fn size() -> NetworkSize {
        let offset = (0, 0);
        NetworkSize { input: (100, 200), resized: (50, 300), padded: (64, 320), offset, resize: Resize::Bilinear }
    }

    #[test]
    fn boxes_are_resized_and_cut_at_the_border() {
        let boxes = [[10.0, 20.0, 30.0, 60.0], [-5.0, 90.0, 250.0, 130.0]];
        let given = Given::proposals(&boxes, &size()).unwrap();
        assert_eq!(given.boxes[..8], [15.0, 10.0, 45.0, 30.0, 0.0, 45.0, 300.0, 50.0]);
        assert_eq!((given.boxes.len(), given.counts, given.source()), (256, [2], RoiSource::Proposals(64)));
    }

    #[test]
    fn what_is_no_box_is_named() {
        let good = [1.0, 1.0, 2.0, 2.0];
        for (bad, part) in [
            ([3.0, 3.0, 3.0, 9.0], "empty"),
            ([3.0, 9.0, 5.0, 3.0], "empty"),
            ([f32::NAN, 3.0, 5.0, 9.0], "no number"),
            ([1.0, 3.0, f32::INFINITY, 9.0], "no number"),
            ([200.0, 3.0, 210.0, 9.0], "outside"),
            ([-9.0, -9.0, 10.0, 0.0], "outside"),
        ] {
            let told = Given::proposals(&[good, good, bad], &size()).unwrap_err().to_string();
            assert!(told.contains("box 2 ") && told.contains(part), "{told}");
        }
        let many = vec![good; Config::MOST_DETECTIONS + 1];
        assert!(Given::proposals(&many, &size()).unwrap_err().to_string().contains("16384"));
        let known = |label| [KnownBox { bbox: good, label, score: 1.0 }];
        assert!(Given::boxes(&known(2), &size(), 3).is_ok());
        for label in [0, 3] {
            let told = Given::boxes(&known(label), &size(), 3).unwrap_err().to_string();
            assert!(told.contains(&format!("label {label}")) && told.contains("1 to 2"), "{told}");
        }
    }

    #[test]
    fn room_is_shared() {
        let rooms = [0, 1, 64, 65, 300, 512, 513, 1000, 2000, 16_384].map(RoiSource::room);
        assert_eq!(rooms, [64, 64, 64, 128, 320, 512, 1024, 1024, 2048, 16_384]);
    }

    #[test]
    fn more_boxes_than_there_is_room_for_are_refused() {
        let most = Config::MOST_DETECTIONS;
        assert_eq!(room_for_boxes(most).unwrap(), RoiSource::room(most));
        match room_for_boxes(most + 1).unwrap_err() {
            Error::Limit { need, limit, .. } => {
                assert_eq!((need, limit), (16 * most as u64 + 16, 16 * most as u64));
            }
            other => panic!("{other}"),
        }
    }
}
