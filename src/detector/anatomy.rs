//! What the RPN sees in an image: its anchors, and how much of an object it takes each of them for.

use super::Detector;
use super::batch::SizedImage;
use crate::compiled::PlannedNetwork;
use crate::config::{Config, Neck};
use crate::gpu::Pool;
use crate::model::{NetworkSize, cell_anchors, level_of};
use crate::vision::Pixels;
use crate::{Error, Result};

/// The RPN's view of an image.
#[derive(Clone, Debug)]
pub struct Anatomy {
    /// Sizes on the way into the network.
    pub size: NetworkSize,
    /// Its levels, the finest first.
    pub levels: Vec<LevelAnatomy>,
    /// Strides of the levels that RoIs are pooled from.
    pub strides: Vec<usize>,
    /// What it proposes: pixels of the image, the best first.
    pub proposals: Vec<[f32; 4]>,
    config: Config,
}

/// A level of the pyramid, or the one map that there is.
#[derive(Clone, Debug)]
pub struct LevelAnatomy {
    /// As in "P3".
    pub name: String,
    /// Rows and columns of the map.
    pub map: (usize, usize),
    /// Pixels of the network's input from one cell to the next: down, and to the right.
    pub stride: (usize, usize),
    /// The anchors of a cell round its corner: x1, y1, x2, y2, in pixels of the network's input.
    pub anchors: Vec<[f32; 4]>,
    /// The logit of each anchor of each cell: row by row, cell by cell.
    pub logits: Vec<f32>,
}

impl LevelAnatomy {
    /// The probability that a cell's likeliest anchor is of an object, 0 to 1, row by row.
    pub fn objectness(&self) -> Vec<f32> {
        let best = |of_cell: &[f32]| of_cell.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        self.logits.chunks(self.anchors.len().max(1)).map(|c| 1.0 / (1.0 + (-best(c)).exp())).collect()
    }
}

impl Anatomy {
    /// Along one axis, pixels of the network's input for one of the image: down, and to the right.
    pub fn scale(&self) -> (f32, f32) {
        let ratio = |resized: u32, input: u32| resized as f32 / input as f32;
        (ratio(self.size.resized.0, self.size.input.0), ratio(self.size.resized.1, self.size.input.1))
    }

    /// The level that a box of the image is pooled from, among [`Anatomy::strides`], and the box in that level's cells.
    pub fn on_level(&self, bbox: [f32; 4]) -> (usize, [f32; 4]) {
        let resized = self.size.onto_input(bbox);
        let shift = (self.size.roi_shift(self.config.roi_levels) as f32).exp2();
        let scales: Vec<f32> = self.strides.iter().map(|&s| shift / s as f32).collect();
        let level =
            level_of(&self.config, (self.size.padded.0 as usize, self.size.padded.1 as usize), &resized, &scales);
        (level, resized.map(|v| v * scales[level]))
    }
}

impl Detector {
    /// What the RPN sees in an image.
    ///
    /// # Errors
    /// As [`Detector::detect`].
    ///
    /// **Unstable**, as all of the [`engine`](crate::engine).
    pub fn anatomy<'a>(&self, image: impl Into<Pixels<'a>>) -> Result<Anatomy> {
        let image = SizedImage::new(&self.config, image.into())?;
        // Neither masks nor their memory are needed.
        let config = Config { mask: None, ..self.config.clone() };
        let taps = ["rpn.logits", "rpn.proposals", "rpn.proposals.count"];
        let mut kept = Vec::new();
        let planned =
            PlannedNetwork::keeping(&config, &self.weights, image.capacity, &self.target, &self.tuning, |network| {
                let tap = |name: &&str| network.taps.iter().find(|t| t.name == **name).map(|t| t.tensor);
                kept = taps.iter().filter_map(tap).collect();
                kept.clone()
            })?;
        let mut plans = self.lock();
        self.settle(&mut plans);
        plans.networks.iter_mut().for_each(|n| n.runner().forget_bindings());
        let mut network = planned.compile(&self.device, &Pool::new())?;
        let values = network.run_for(&[image.given()], &kept)?;
        drop(plans);
        let [logits, boxes, count] = &values[..] else {
            return Err(Error::Internal("the RPN has no taps".into()));
        };
        let padded = (image.capacity.height, image.capacity.width);
        let (levels, strides) = levels(&config, padded, logits.floats());
        let mut anatomy = Anatomy { size: image.size, levels, strides, proposals: Vec::new(), config };
        let (y, x) = anatomy.scale();
        let count = count.ints().first().map_or(0, |n| *n as usize);
        let boxes = boxes.floats().chunks_exact(4).take(count);
        anatomy.proposals = boxes.map(|b| [b[0] / x, b[1] / y, b[2] / x, b[3] / y]).collect();
        Ok(anatomy)
    }
}

/// The levels, and the strides of those that RoIs are pooled from.
fn levels(config: &Config, padded: (usize, usize), logits: &[f32]) -> (Vec<LevelAnatomy>, Vec<usize>) {
    let mut strides: Vec<usize> = match config.neck {
        Neck::Fpn => config.backbone.stage_strides().split_off(config.backbone.first_level),
        Neck::C4 | Neck::Dc5 => vec![16],
    };
    let mut maps: Vec<(usize, usize)> =
        strides.iter().map(|s| (padded.0.div_ceil(*s), padded.1.div_ceil(*s))).collect();
    if let (Neck::Fpn, Some(last)) = (config.neck, maps.last().copied()) {
        maps.push((last.0.div_ceil(2), last.1.div_ceil(2)));
    }
    let (letter, first) = match config.neck {
        Neck::Fpn => ('P', strides.first().map_or(2, |stride| stride.ilog2() as usize)),
        Neck::C4 => ('C', 4),
        Neck::Dc5 => ('C', 5),
    };
    let mut rest = logits;
    let levels = maps.iter().zip(&config.anchor_sizes).enumerate().map(|(i, (&map, sizes))| {
        let of_level = strides.get(i).or(strides.last()).map_or(16, |s| if i < strides.len() { *s } else { 2 * s });
        let anchors = cell_anchors(config, sizes, of_level);
        let (own, others) = rest.split_at((map.0 * map.1 * anchors.len()).min(rest.len()));
        rest = others;
        let stride = (padded.0 / map.0, padded.1 / map.1);
        LevelAnatomy { name: format!("{letter}{}", first + i), map, stride, anchors, logits: own.to_vec() }
    });
    let levels = levels.collect();
    // Of two maps of one stride RoIs are on the first.
    strides.dedup();
    (levels, strides)
}
