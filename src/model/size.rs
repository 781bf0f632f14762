//! From an image's size to the network's input (torchvision, `models/detection/transform.py`; detectron2,
//! `data/transforms/augmentation_impl.py`).

use crate::config::{LevelRule, Resize, Transform};
use crate::ops::frame::Frame;
use crate::ops::sampling::{Filter, MOST_RATIO, PILLOW_LONGEST, Sampling};
use crate::{Error, Result};

/// Sizes of one image on its way into the network, (rows, columns).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetworkSize {
    /// As it came.
    pub input: (u32, u32),
    /// After the resize.
    pub resized: (u32, u32),
    /// After the padding.
    pub padded: (u32, u32),
    /// Of the padding, what is above the image and left of it.
    pub offset: (u32, u32),
    /// How pixels are made.
    pub resize: Resize,
}

impl NetworkSize {
    /// `scale = min(min_size / short, max_size / long)` in f64, sides `⌊side · scale⌋`, padded to a multiple; with
    /// [`Transform::scale`] that, instead of the first of the two.
    ///
    /// The floor of the rounded product matters: `⌊97 · (800 / 97)⌋` is 799. With [`Resize::Pillow`] both are scaled so that
    /// the short side is right, then, if the long one is too long, again, and rounded. With [`Resize::Opencv`] `side · scale`
    /// is rounded.
    /// With [`Resize::Square`] and [`Resize::Pad64`] images are only enlarged, unless the long side would pass `max_size`, and
    /// rounded, halves to the even.
    ///
    /// # Errors
    /// [`Error::Image`] where a side would vanish: the image is too long and narrow.
    pub fn new(name: &str, height: u32, width: u32, transform: &Transform) -> Result<Self> {
        let (short, long) = (height.min(width) as f64, height.max(width) as f64);
        let matterport = matches!(transform.resize, Resize::Square | Resize::Pad64 | Resize::None);
        let wanted = match transform.scale {
            0.0 if transform.resize == Resize::None => 1.0,
            0.0 if matterport => (transform.min_size as f64 / short).max(1.0).max(transform.min_scale.into()),
            0.0 => transform.min_size as f64 / short,
            given => f64::from(given),
        };
        let most = transform.max_size as f64;
        let scale = wanted.min(most / long);
        let side = |n: u32| match transform.resize {
            Resize::Bilinear => (n as f64 * scale).floor() as u32,
            Resize::Opencv => (n as f64 * scale + 0.5) as u32,
            // Python's `round`.
            Resize::Square | Resize::Pad64 | Resize::None => {
                let fits = (long * wanted).round_ties_even() <= most;
                (f64::from(n) * if fits { wanted } else { most / long }).round_ties_even() as u32
            }
            Resize::PillowFloor => floored(n.into(), (short, long), transform),
            Resize::Pillow => {
                let once =
                    |n: f64| if n == short && transform.scale == 0.0 { transform.min_size as f64 } else { wanted * n };
                let (n, long) = (once(n.into()), once(long));
                let n = if long > most { n * (most / long) } else { n };
                (n + 0.5) as u32
            }
        };
        let resized = (side(height), side(width));
        if resized.0 == 0 || resized.1 == 0 {
            let reason = format!(
                "{width}×{height} is too long and narrow: resized to at most {} pixels, nothing is left of the short \
                 side; cut it into pieces",
                transform.max_size
            );
            return Err(Error::Image { name: name.into(), reason });
        }
        let far = |from: u32, to: u32| from > PILLOW_LONGEST || from / MOST_RATIO > to;
        if filter(transform.resize) == Filter::Area && (far(height, resized.0) || far(width, resized.1)) {
            let reason = format!(
                "{width}×{height} has a side of more than {PILLOW_LONGEST} pixels, or of more than {MOST_RATIO} for each that \
                 is left of it: cut it into pieces"
            );
            return Err(Error::Image { name: name.into(), reason });
        }
        let pad = |n: u32| n.next_multiple_of(transform.size_divisible as u32);
        let padded = match transform.resize {
            Resize::Square => [pad(transform.max_size as u32); 2].into(),
            _ => (pad(resized.0), pad(resized.1)),
        };
        let offset = match matterport {
            true => ((padded.0 - resized.0) / 2, (padded.1 - resized.1) / 2),
            false => (0, 0),
        };
        Ok(Self { input: (height, width), resized, padded, offset, resize: transform.resize })
    }

    /// What the resize reads of the image.
    pub fn sampling(&self) -> Sampling {
        Sampling::new(self.input, self.resized).filtered(filter(self.resize))
    }

    /// What the network is told of such an image, whose pixels begin at `first_word`, in rows of `sent_w`; `least` is the
    /// least of its bytes, where these are known.
    pub fn frame(&self, first_word: u32, sent_w: u32, least: u8) -> Frame {
        let (top, left) = self.offset;
        // The resize makes no byte that is less, if it makes any.
        let least = if self.blackens() { least.into() } else { 0 };
        Frame { sent_w, top, left, least, ..Frame::new(self.input, self.resized, first_word) }
    }

    /// Whether pixels at the border are mixed with what lies outside of the image.
    pub fn blackens(&self) -> bool {
        filter(self.resize) == Filter::Cut && (self.resized.0 > self.input.0 || self.resized.1 > self.input.1)
    }

    /// A box of the image in pixels of the padded input, cut at the image's border: torchvision's `resize_boxes` and
    /// `clip_boxes_to_image`; with [`Resize::Square`] and its like, what the way back ([`Pasting::Whole`]) makes the box of.
    ///
    /// [`Pasting::Whole`]: crate::ops::paste_layout::Pasting::Whole
    pub(crate) fn onto_input(&self, bbox: [f32; 4]) -> [f32; 4] {
        let axis = |c: usize| match c % 2 {
            0 => (self.input.1, self.resized.1, self.offset.1),
            _ => (self.input.0, self.resized.0, self.offset.0),
        };
        std::array::from_fn(|c| {
            let (input, resized, offset) = axis(c);
            if filter(self.resize) == Filter::Cut {
                let [input, resized] = [input, resized].map(|side| (side.max(2) - 1) as f32);
                let first = if c < 2 { bbox[c] } else { bbox[c] - 1.0 };
                return (first / input).clamp(0.0, 1.0) * resized + offset as f32;
            }
            let by = resized as f32 / input as f32;
            (bbox[c] * by).clamp(0.0, resized as f32) + offset as f32
        })
    }

    /// How much finer than its stride a level of the pyramid counts as, in powers of two: 0 but for images that are
    /// mostly padding. torchvision takes the scale of P2 for 2^round(log2(its rows / rows after the resize))
    /// (`ops/poolers.py`), and with resized heights up to 22, of 33 to 45 or 65 to 67 that is not 1/4. With
    /// the other rules always 0.
    pub fn roi_shift(&self, rule: LevelRule) -> u32 {
        if rule != LevelRule::Inferred {
            return 0;
        }
        let shift = (f64::from(self.padded.0) / f64::from(self.resized.0)).log2().round();
        shift.max(0.0) as u32
    }
}

/// A side as maskrcnn-benchmark has it (`data/transforms/transforms.py`): the short one is rounded where the long one would be
/// too long, the long one is rounded down.
fn floored(n: f64, (short, long): (f64, f64), transform: &Transform) -> u32 {
    let (min, max) = (transform.min_size as f64, transform.max_size as f64);
    if transform.scale != 0.0 {
        return (n * f64::from(transform.scale).min(max / long)) as u32;
    }
    let side = if long / short * min > max { (max * short / long).round_ties_even() } else { min };
    if n == short { side as u32 } else { (side * n / short) as u32 }
}

/// What a pixel of the resized image is made of.
pub(super) fn filter(resize: Resize) -> Filter {
    match resize {
        Resize::Bilinear => Filter::Nearest,
        Resize::Pillow | Resize::PillowFloor => Filter::Area,
        Resize::Opencv => Filter::Fixed,
        Resize::Square | Resize::Pad64 | Resize::None => Filter::Cut,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn coco() -> Transform {
        Transform { min_size: 800, max_size: 1333, ..Transform::default() }
    }

    #[test]
    fn floors_as_torchvision_does() {
        let size = |h, w| NetworkSize::new("t", h, w, &coco()).unwrap();
        assert_eq!(size(480, 640).resized, (800, 1066));
        assert_eq!(size(480, 640).padded, (800, 1088));
        for side in [97, 161, 385, 578, 607] {
            assert_eq!(size(side, side).resized, (799, 799), "{side}");
        }
        for long in [149, 153, 298] {
            assert_eq!(size(long / 4, long).resized.1, 1332, "{long}");
        }
        let short = (1..=4000).filter(|&n| size(n, n).resized.0 == 799).count();
        assert_eq!(short, 188);
    }

    #[test]
    fn a_given_scale_goes_before_the_short_side() {
        let size = |scale, h, w| NetworkSize::new("t", h, w, &Transform { scale, ..coco() }).unwrap().resized;
        assert_eq!(
            (size(0.5, 480, 640), size(2.0, 100, 300), size(0.0, 480, 640)),
            ((240, 320), (200, 600), (800, 1066))
        );
        // The long side has its limit all the same.
        assert_eq!(size(2.0, 500, 1000), (666, 1333));
    }

    /// By matterport's `resize_image`: sizes, and what is left before the image.
    #[test]
    fn pads_on_all_sides() {
        let with = |resize, min_size, max_size, min_scale| Transform {
            resize,
            min_size,
            max_size,
            min_scale,
            size_divisible: 64,
            ..coco()
        };
        let size = |transform: &Transform, h, w| {
            let NetworkSize { resized, padded, offset, .. } = NetworkSize::new("t", h, w, transform).unwrap();
            (resized, padded, offset)
        };
        let square = with(Resize::Square, 800, 1024, 0.0);
        assert_eq!(size(&square, 480, 640), ((768, 1024), (1024, 1024), (128, 0)));
        assert_eq!(size(&square, 427, 600), ((729, 1024), (1024, 1024), (147, 0)));
        // Made smaller to fit, never to `min_size`; of 2.5 rows there are 2, of 3.5 there are 4.
        assert_eq!(size(&square, 900, 950), ((900, 950), (1024, 1024), (62, 37)));
        assert_eq!(size(&square, 5, 2048), ((2, 1024), (1024, 1024), (511, 0)));
        assert_eq!(size(&square, 7, 2048), ((4, 1024), (1024, 1024), (510, 0)));
        let pad64 = with(Resize::Pad64, 512, 16_384, 2.0);
        assert_eq!(size(&pad64, 256, 320), ((512, 640), (512, 640), (0, 0)));
        assert_eq!(size(&pad64, 520, 696), ((1040, 1392), (1088, 1408), (24, 8)));
        assert_eq!(size(&with(Resize::None, 800, 1024, 2.0), 65, 64), ((65, 64), (128, 64), (31, 0)));
        assert_eq!(size(&Transform { scale: 0.5, ..pad64 }, 256, 320), ((128, 160), (128, 192), (0, 16)));
    }

    #[test]
    fn only_strips_shift_the_levels() {
        let shifted = |h: u32| NetworkSize {
            input: (h, 999),
            resized: (h, 999),
            padded: (h.next_multiple_of(32), 999),
            offset: (0, 0),
            resize: Resize::Bilinear,
        };
        let rows: Vec<u32> = (1..=2000).filter(|&h| shifted(h).roi_shift(LevelRule::Inferred) > 0).collect();
        let expected: Vec<u32> = (1..=22).chain(33..=45).chain(65..=67).collect();
        assert_eq!(rows, expected);
        assert_eq!([22, 11, 1].map(|h| shifted(h).roi_shift(LevelRule::Inferred)), [1, 2, 5]);
        assert_eq!(shifted(11).roi_shift(LevelRule::Fixed), 0);
    }

    #[test]
    fn other_projects_round_in_other_ways() {
        let size = |resize, h, w| NetworkSize::new("t", h, w, &Transform { resize, ..coco() }).unwrap().resized;
        // 1066.67, and 799.8 × 1333.
        assert_eq!((size(Resize::Opencv, 480, 640), size(Resize::Opencv, 600, 1000)), ((800, 1067), (800, 1333)));
        assert_eq!(
            (size(Resize::PillowFloor, 480, 640), size(Resize::PillowFloor, 640, 480)),
            ((800, 1066), (1066, 800))
        );
        // The long side is that of the short one as it was rounded: 500.5 to 500, 500 · 2.664 = 1332.
        assert_eq!(
            (size(Resize::PillowFloor, 1000, 2665), size(Resize::Opencv, 1000, 2665)),
            ((500, 1332), (500, 1333))
        );
        // A long side that just fits, and one that does not, of which the short one is rounded to the even: 666.5.
        assert_eq!(size(Resize::PillowFloor, 800, 1333), (800, 1333));
        assert_eq!(
            (size(Resize::PillowFloor, 1000, 2000), size(Resize::PillowFloor, 2000, 1000)),
            ((666, 1332), (1332, 666))
        );
    }

    #[test]
    fn a_strip_is_refused() {
        assert!(NetworkSize::new("t", 1, 5000, &coco()).is_err());
        assert!(NetworkSize::new("t", 5000, 4, &coco()).is_ok());
    }
}
