//! R-CNN (Girshick et al., arXiv:1311.2524): each proposal's crop goes through the whole body, and the box head sees all of
//! what comes out. Two networks: one for a batch of crops, up to logits and deltas, and one for all of an image's, from there.

use std::sync::Arc;

use super::heads::{self, BoxOutputs};
use super::pyramid::Pyramid;
use super::rpn::Rois;
use super::{Builder, Capacity, Outputs, RoiSource, Tap, backbone, detections};
use crate::Result;
use crate::config::{BoxRule, Config, Neck};
use crate::graph::{Graph, Tensor};
use crate::ops::Info;
use crate::ops::frame::FRAME_WORDS;
use crate::ops::preprocess::Preprocess;
use crate::ops::sampling::{Axis, Filter};
use crate::ops::warp::{PLACE_WORDS, Warp};
use crate::tensor::Value;
use crate::weights::NetworkWeights;

/// How proposals become crops. Take the rest as it is by default, so that settings may be added:
/// `Crops { batch: 8, ..Crops::default() }`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Crops {
    /// Pixels of a side of the square that each crop is warped to: a multiple of 32.
    pub side: u32,
    /// How many of these are context, at each side of the proposal: the paper's 16, of 227.
    pub context: u32,
    /// Crops that go through the body together.
    pub batch: usize,
}

impl Default for Crops {
    fn default() -> Self {
        Self { side: 224, context: 16, batch: 16 }
    }
}

impl Crops {
    /// Most pixels of a side.
    const MOST_SIDE: u32 = 1024;
    /// Most crops of a batch.
    const MOST_BATCH: usize = 64;

    /// Whether there can be such crops.
    ///
    /// # Errors
    /// [`Error::Config`](crate::Error::Config), which names the setting.
    pub fn validate(&self) -> Result<()> {
        let refuse =
            |setting: &str, reason: String| Err(crate::Error::Config { setting: format!("crops.{setting}"), reason });
        if self.side == 0 || !self.side.is_multiple_of(32) || self.side > Self::MOST_SIDE {
            return refuse("side", format!("is {}, allowed are multiples of 32 up to {}", self.side, Self::MOST_SIDE));
        }
        if 2 * u64::from(self.context) >= u64::from(self.side) {
            let most = (self.side - 1) / 2;
            return refuse(
                "context",
                format!("is {}, which leaves nothing of {}: at most {most}", self.context, self.side),
            );
        }
        if !(1..=Self::MOST_BATCH).contains(&self.batch) {
            return refuse("batch", format!("is {}, allowed 1 to {}", self.batch, Self::MOST_BATCH));
        }
        Ok(())
    }
}

/// What is seen of a proposal, in whole pixels of the image: the first, and the one after the last, which may lie beyond it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Of the columns.
    pub x: [i64; 2],
    /// Of the rows.
    pub y: [i64; 2],
}

impl Window {
    /// What is seen of a proposal that is at least partly inside of an image of `width` × `height` pixels: whole pixels,
    /// beyond the image where the context is.
    pub fn new(crops: &Crops, [x1, y1, x2, y2]: [f32; 4], (width, height): (u32, u32)) -> Self {
        let grown = f64::from(crops.side) / f64::from(crops.side - 2 * crops.context);
        let axis = |low: f32, high: f32, pixels: u32| {
            let pixels = f64::from(pixels);
            let [low, high] = [low, high].map(|v| f64::from(v).clamp(0.0, pixels));
            let (centre, half) = (f64::midpoint(low, high), (high - low) / 2.0 * grown);
            let first = (centre - half).round().min(pixels - 1.0);
            // A pixel of the image at least.
            let end = (centre + half).round().max(first + 1.0).max(1.0);
            [first as i64, end as i64]
        };
        Self { x: axis(x1, x2, width), y: axis(y1, y2, height) }
    }

    /// x1, y1, x2, y2.
    pub fn bbox(&self) -> [f32; 4] {
        [self.x[0], self.y[0], self.x[1], self.y[1]].map(|v| v as f32)
    }

    /// Adds a row of places ([`Warp`]) for each row of a square of `side` that it is warped to, then for each column.
    pub fn places(&self, side: u32, (width, height): (u32, u32), out: &mut Vec<u32>) {
        for ([first, end], pixels, pitch) in [(self.y, height, width), (self.x, width, 1)] {
            let inside = [first.clamp(0, i64::from(pixels)), end.clamp(0, i64::from(pixels))];
            let scale = f64::from(side) / (end - first) as f64;
            // What the square's part inside of the image begins with, and how long it is.
            let begin = (((inside[0] - first) as f64 * scale).round() as u32).min(side - 1);
            let length = ((inside[1] - inside[0]) as f64 * scale).round() as u32;
            let length = length.clamp(1, side - begin);
            let axis = Axis { input: (inside[1] - inside[0]).max(1) as u32, output: length, filter: Filter::Nearest };
            for at in 0..side {
                out.extend(match at.checked_sub(begin).filter(|d| *d < length) {
                    None => [0; PLACE_WORDS],
                    Some(d) => {
                        let pair = axis.pair(d);
                        let place = |of: u32| (inside[0] as u32 + of) * pitch;
                        [place(pair.low), place(pair.high), pair.weight.to_bits(), 1]
                    }
                });
            }
        }
    }
}

/// What the network of a batch of crops is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CropCapacity {
    /// The crops.
    pub crops: Crops,
    /// Words of the buffer of image bytes.
    pub image_words: usize,
}

impl CropCapacity {
    /// For an image of so many pixels, and others of about that size.
    pub fn for_image(crops: Crops, (width, height): (u32, u32)) -> Self {
        Self { crops, image_words: Capacity::words(3 * width as usize * height as usize) }
    }
}

/// From an image's bytes to the logits and deltas of a batch of crops.
#[derive(Clone, Debug)]
pub struct CropNetwork {
    /// The ops.
    pub graph: Graph,
    /// Image bytes, `[words]`. They stay from run to run.
    pub bytes: Tensor,
    /// What each crop's rows and columns are made of, `[B,2·S,4]`.
    pub places: Tensor,
    /// 1 for each crop that there is, `[B,1]`.
    pub live: Tensor,
    /// `[B,K]`.
    pub logits: Tensor,
    /// `[B,4K]`, or `[B,4]` for all classes.
    pub deltas: Tensor,
    /// Every stage by name.
    pub taps: Vec<Tap>,
}

impl CropNetwork {
    /// Builds it.
    ///
    /// # Errors
    /// [`crate::Error::Shape`] where weights and configuration do not fit each other; [`crate::Error::Config`] for boxes that
    /// are shares of an input, or have their last pixel.
    pub fn new(config: &Config, weights: &NetworkWeights, capacity: &CropCapacity) -> Result<Self> {
        if config.box_rule != BoxRule::Corners {
            let reason = "is normalized, as matterport's networks have it, whose boxes are shares of a whole input: R-CNN gives \
                          them crops; look at the image itself (`--mode mask`)";
            return Err(crate::Error::Config { setting: "box_rule".into(), reason: reason.into() });
        }
        config.expect_exclusive("R-CNN's are cut out without: look at the image itself (`--mode mask`)")?;
        let Crops { side, batch, .. } = capacity.crops;
        let square = side as usize;
        let mut b = Builder { g: Graph::new(), taps: Vec::new() };
        b.g.stage("crops");
        let bytes = b.g.input("image bytes", Info::u32([capacity.image_words]));
        b.g.keep(bytes);
        let places = b.g.input("places", Info::u32([batch, 2 * square, PLACE_WORDS]));
        let live = b.g.input("crops", Info::u32([batch, 1]));
        let transform = &config.transform;
        let table = Preprocess::table(transform.image_range, transform.image_mean, transform.image_std);
        let table = b.g.constant("normalisation", Arc::new(table));
        let x = b.g.op1("warp", Warp { side: square }, &[bytes, places, table])?;
        b.tap("warp", x);
        let features = backbone::features(&mut b, config, &weights.body, x)?;
        let pyramid = whole_map(&mut b, config, weights, &features, side)?;
        let whole = [0.0, 0.0, side as f32, side as f32].repeat(batch);
        let whole = b.g.constant("whole crops", Arc::new(Value::f32([batch, 1, 4], whole)));
        let rois = Rois { boxes: whole, counts: live, candidates: None };
        let of_image = Capacity {
            height: square,
            width: square,
            batch,
            roi_shift: 0,
            image_words: capacity.image_words,
            taps: 0,
            mask_words: 0,
            pyramid_bytes: Capacity::PYRAMID_BYTES,
            rois: RoiSource::Proposals(1),
        };
        let of_head = (&weights.body, &weights.box_head);
        let [logits, deltas] = heads::predictions(&mut b, config, of_head, &pyramid, &rois, &of_image)?;
        [logits, deltas].into_iter().for_each(|t| b.g.keep(t));
        Ok(Self { graph: b.g, bytes, places, live, logits, deltas, taps: b.taps })
    }
}

/// The one map that a RoI as large as a crop is pooled from; the pyramid's others are not made.
fn whole_map(
    b: &mut Builder,
    config: &Config,
    weights: &NetworkWeights,
    features: &[backbone::Feature],
    side: u32,
) -> Result<Pyramid> {
    if config.neck != Neck::Fpn {
        return Ok(Pyramid::of_maps('C', backbone::level(features[0].stride), &features[..1], &[]));
    }
    let mut scales: Vec<f32> = features.iter().map(|f| 1.0 / f.stride as f32).collect();
    scales.dedup();
    let level = heads::level_of(config, (side as usize, side as usize), &[0.0, 0.0, side as f32, side as f32], &scales);
    let map = backbone::one_level(b, config, &weights.fpn, features, level)?;
    Ok(Pyramid::of_maps('P', backbone::level(map.stride), &[map], &[]))
}

/// From the logits and deltas of all crops of an image to what is in it.
#[derive(Clone, Debug)]
pub struct CropResults {
    /// The ops.
    pub graph: Graph,
    /// `[n,K]`.
    pub logits: Tensor,
    /// `[n,4K]`, or `[n,4]` for all classes.
    pub deltas: Tensor,
    /// What was seen of each proposal, pixels of the image, `[1,n,4]`.
    pub windows: Tensor,
    /// How many there are, `[1,1]`.
    pub live: Tensor,
    /// The frame of the image, which is not resized, `[1,8]`.
    pub frames: Tensor,
    /// What comes out.
    pub outputs: Outputs,
}

impl CropResults {
    /// Builds it for `n` proposals at most.
    ///
    /// # Errors
    /// As [`CropNetwork::new`].
    pub fn new(config: &Config, n: usize) -> Result<Self> {
        let mut b = Builder { g: Graph::new(), taps: Vec::new() };
        let classes = config.num_classes;
        let deltas = if config.box_head.class_agnostic { 4 } else { 4 * classes };
        let logits = b.g.input("logits", Info::f32([n, classes]));
        let deltas = b.g.input("deltas", Info::f32([n, deltas]));
        let windows = b.g.input("windows", Info::f32([1, n, 4]));
        let live = b.g.input("proposals", Info::u32([1, 1]));
        let frames = b.g.input("frames", Info::u32([1, FRAME_WORDS]));
        let found: BoxOutputs = detections::of_classes(&mut b, config, [logits, deltas], [windows, live], frames)?;
        let outputs = detections::results(&mut b, config, &found, (None, None), (1, 0), frames)?;
        outputs.tensors(false).into_iter().for_each(|t| b.g.keep(t));
        Ok(Self { graph: b.g, logits, deltas, windows, live, frames, outputs })
    }

    /// Room for `n` proposals, shared by numbers of about that.
    pub fn room(n: usize) -> usize {
        RoiSource::room(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Crops = Crops { side: 64, context: 0, batch: 1 };

    fn places(window: Window, side: u32, size: (u32, u32)) -> (Vec<[u32; 4]>, Vec<[u32; 4]>) {
        let mut words = Vec::new();
        window.places(side, size, &mut words);
        let all: Vec<[u32; 4]> = words.chunks(4).map(|c| c.try_into().unwrap()).collect();
        let (rows, columns) = all.split_at(side as usize);
        (rows.to_vec(), columns.to_vec())
    }

    /// 16 of 224 pixels at either side: the window is 224 / 192 as wide as the proposal.
    #[test]
    fn a_window_has_context_around_its_proposal() {
        let crops = Crops::default();
        let window = Window::new(&crops, [100.0, 40.0, 196.0, 232.0], (500, 500));
        assert_eq!(window, Window { x: [92, 204], y: [24, 248] });
        assert_eq!(window.bbox(), [92.0, 24.0, 204.0, 248.0]);
        // Beyond the image, but of what is inside of the proposal.
        let window = Window::new(&crops, [-50.0, 0.0, 96.0, 12.0], (500, 100));
        assert_eq!(window, Window { x: [-8, 104], y: [-1, 13] });
    }

    #[test]
    fn windows_of_anything_have_a_pixel_of_the_image() {
        for size in [(1, 1), (3, 200), (640, 480)] {
            let (w, h) = (size.0 as f32, size.1 as f32);
            for b in
                [[w - 0.01, h - 0.01, w, h], [0.0, 0.0, 0.01, 0.01], [0.0, 0.0, w, h], [-9.0, -9.0, 0.001, h + 5.0]]
            {
                for crops in [PLAIN, Crops::default()] {
                    let window = Window::new(&crops, b, size);
                    for ([first, end], pixels) in [(window.x, size.0), (window.y, size.1)] {
                        assert!(first < end && first < i64::from(pixels) && end > 0, "{b:?} of {size:?}: {window:?}");
                    }
                    let (rows, columns) = places(window, crops.side, size);
                    let pixels = size.0 * size.1;
                    assert!(rows.iter().any(|p| p[3] == 1) && columns.iter().any(|p| p[3] == 1));
                    assert!(
                        rows.iter().all(|p| p[1] < pixels && p[0] <= p[1]) && columns.iter().all(|p| p[1] < size.0)
                    );
                }
            }
        }
    }

    /// A window of 32 columns from 10 to 42 as 64: each column twice, a quarter of a pixel to its left and right.
    #[test]
    fn a_crop_is_stretched_to_the_square() {
        let window = Window { x: [10, 42], y: [3, 131] };
        let (rows, columns) = places(window, 64, (200, 150));
        let quarter = |p: [u32; 4]| (p[0], p[1], f32::from_bits(p[2]), p[3]);
        assert_eq!(quarter(columns[0]), (10, 11, 0.0, 1));
        assert_eq!(quarter(columns[1]), (10, 11, 0.25, 1));
        assert_eq!(quarter(columns[2]), (10, 11, 0.75, 1));
        assert_eq!(quarter(columns[63]), (41, 41, 0.25, 1));
        // Rows are shrunk to half, and begin where they do in the image: between 3 and 4, then between 5 and 6.
        assert_eq!(quarter(rows[0]), (3 * 200, 4 * 200, 0.5, 1));
        assert_eq!(quarter(rows[1]), (5 * 200, 6 * 200, 0.5, 1));
    }

    /// Of a window with a quarter beyond the left border and a quarter below the image, these parts of the square are none.
    #[test]
    fn what_is_beyond_the_image_is_left_out() {
        let (rows, columns) = places(Window { x: [-16, 48], y: [52, 116] }, 64, (200, 100));
        let inside = |of: &[[u32; 4]]| of.iter().map(|p| p[3]).collect::<Vec<_>>();
        let due = |from: usize, to: usize| (0..64).map(|i| u32::from((from..to).contains(&i))).collect::<Vec<_>>();
        assert_eq!((inside(&columns), inside(&rows)), (due(16, 64), due(0, 48)));
        assert_eq!((columns[16][0], rows[47][0]), (0, 99 * 200));
    }

    #[test]
    fn what_cannot_be_is_refused_by_its_name() {
        let told = |crops: Crops| crops.validate().map_err(|e| e.to_string());
        for good in [
            Crops::default(),
            PLAIN,
            Crops { side: 1024, context: 511, batch: 64 },
            Crops { side: 32, context: 15, batch: 1 },
        ] {
            assert_eq!(told(good), Ok(()));
        }
        for (bad, part) in [
            (Crops { side: 0, ..PLAIN }, "`crops.side`: is 0, allowed are multiples of 32 up to 1024"),
            (Crops { side: 48, ..PLAIN }, "`crops.side`: is 48"),
            (Crops { side: 1056, ..PLAIN }, "`crops.side`: is 1056"),
            (Crops { context: 32, ..PLAIN }, "`crops.context`: is 32, which leaves nothing of 64: at most 31"),
            (Crops { batch: 0, ..PLAIN }, "`crops.batch`: is 0, allowed 1 to 64"),
            (Crops { batch: 65, ..PLAIN }, "`crops.batch`: is 65"),
        ] {
            let told = told(bad).unwrap_err();
            assert!(told.contains(part), "{told}");
        }
    }
}
