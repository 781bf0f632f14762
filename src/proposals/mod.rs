//! Where objects may be, without a network: boxes for [`Detector::detect_proposals`](crate::Detector::detect_proposals).
//!
//! Selective search (Uijlings, van de Sande, Gevers, Smeulders 2013): the picture is cut into small regions in several
//! colour spaces and at several scales, and neighbours are joined, the most alike first, until one region is left. The box
//! of each region on the way is one that something may fill.
//!
//! | file | what is in it |
//! |---|---|
//! | `planes` | colour spaces, smoothing |
//! | `segment` | pixels to regions: Felzenszwalb and Huttenlocher 2004 |
//! | `regions` | histograms of colour and texture, and how alike regions are |
//! | `group` | regions to a hierarchy |
//! | `search` | strategies side by side, ranking, boxes that say the same |
//! | `shrink` | large pictures first made smaller |

mod group;
mod planes;
mod regions;
mod search;
mod segment;
mod shrink;

use self::search::Settings;
use self::shrink::Shrunk;
use crate::error::{Error, Result};
use crate::vision::Pixels;

/// How [`selective_search`] looks for boxes. The default is the paper's fast setting: HSV and L*a*b*, k = 50 and 100, by
/// colour, texture, size and filling, and by the last three.
#[derive(Clone, Debug, PartialEq)]
pub struct SelectiveSearch {
    /// Most boxes.
    pub max_boxes: usize,
    /// A picture with a longer side is shrunk to this many pixels first, by the mean of what falls together: time and
    /// memory go with the pixels that are left.
    pub max_side: u32,
    /// k of the segmentation, each by itself: larger ones make larger regions to begin with. Colours are 0 to 255.
    pub scales: Vec<f32>,
    /// Fewest pixels of a region to begin with, after shrinking.
    pub min_pixels: u32,
    /// The shortest side that a box may have, in pixels of the picture.
    pub min_side: f32,
    /// A box is left out that overlaps a better one by more than this IoU; 1 leaves out equal ones alone.
    pub overlap: f32,
    /// Where the random numbers of the ranking begin.
    pub seed: u64,
}

impl Default for SelectiveSearch {
    fn default() -> Self {
        Self {
            max_boxes: 2000,
            max_side: 640,
            scales: vec![50.0, 100.0],
            min_pixels: 50,
            min_side: 0.0,
            overlap: 0.8,
            seed: 1,
        }
    }
}

impl SelectiveSearch {
    fn check(&self) -> Result<()> {
        let wrong = |setting: &str, reason: &str| {
            Err(Error::Config { setting: format!("selective search: {setting}"), reason: reason.into() })
        };
        if self.scales.is_empty() || !self.scales.iter().all(|k| (0.0..=1e6).contains(k)) {
            return wrong("scales", "give one number or more, each from 0 to 1e6");
        }
        if self.max_side == 0 {
            return wrong("max_side", "give 1 pixel or more");
        }
        if !(self.overlap > 0.0 && self.overlap <= 1.0) {
            return wrong("overlap", "give an IoU above 0, 1 at most");
        }
        if self.min_side.is_nan() {
            return wrong("min_side", "is not a number");
        }
        Ok(())
    }
}

/// Boxes of an image that may hold objects (x1, y1, x2, y2 in pixels of the image), best first: none twice, at most
/// [`SelectiveSearch::max_boxes`]. The box of the whole image is always found, if not always ranked among the first; of an
/// image without any differences it is the only one. The same image gives the same boxes, on any number of threads.
///
/// The work is shared among rayon's threads. `progress` hears how many strategies are done and of how many (8 with the default
/// settings), from any of them.
///
/// ```no_run
/// use maskrcnn::{Detector, Image, SelectiveSearch, selective_search};
///
/// # fn main() -> maskrcnn::Result<()> {
/// let image = Image::open("street.jpg")?;
/// let boxes = selective_search(&image, &SelectiveSearch::default(), |_, _| {})?;
/// let found = Detector::open("model.pth")?.detect_proposals(&image, &boxes)?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`Error::Config`] for settings that cannot be.
pub fn selective_search<'a>(
    image: impl Into<Pixels<'a>>,
    settings: &SelectiveSearch,
    progress: impl Fn(usize, usize) + Sync,
) -> Result<Vec<[f32; 4]>> {
    settings.check()?;
    let image: Pixels = image.into();
    let (width, height) = (image.width() as usize, image.height() as usize);
    let rgb = image.rgb();
    let shrunk = Shrunk::new(&rgb, width, height, settings.max_side as usize);
    let whole = |b: &[u32; 4]| shrunk.whole(*b);
    let wanted = |b: &[u32; 4]| {
        let [x1, y1, x2, y2] = whole(b);
        (x2 - x1).min(y2 - y1) >= settings.min_side
    };
    let search = Settings {
        scales: &settings.scales,
        min_pixels: settings.min_pixels,
        max_boxes: settings.max_boxes,
        overlap: settings.overlap,
        seed: settings.seed,
    };
    let found = search::search(shrunk.rgb(), shrunk.width, &search, &progress, wanted);
    Ok(found.iter().map(whole).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vision::Image;

    /// Two squares on grey, their colours as different as can be.
    fn squares(scale: u32) -> Image {
        let (w, h) = (60 * scale, 40 * scale);
        let on = |x: u32, y: u32, at: (u32, u32)| {
            (at.0..at.0 + 12).contains(&(x / scale)) && (at.1..at.1 + 12).contains(&(y / scale))
        };
        let colour = |(x, y)| match (on(x, y, (6, 20)), on(x, y, (40, 6))) {
            (true, _) => [250, 20, 20],
            (_, true) => [20, 20, 250],
            _ => [128, 128, 128],
        };
        let pixels = (0..h).flat_map(|y| (0..w).map(move |x| (x, y)));
        Image::from_rgb8(w, h, pixels.flat_map(colour).collect()).unwrap()
    }

    fn near(found: &[[f32; 4]], want: [f32; 4], within: f32) -> bool {
        found.iter().any(|b| b.iter().zip(want).all(|(a, b)| (a - b).abs() <= within))
    }

    #[test]
    fn boxes_are_in_pixels_of_the_picture_however_it_is_shrunk() {
        let find = |image: &Image, settings: &SelectiveSearch| selective_search(image, settings, |_, _| {}).unwrap();
        let settings = SelectiveSearch { max_side: 60, ..SelectiveSearch::default() };
        for scale in [1, 3, 10] {
            let found = find(&squares(scale), &settings);
            let s = scale as f32;
            assert!(near(&found, [6.0 * s, 20.0 * s, 18.0 * s, 32.0 * s], 1.5 * s), "{found:?}");
            assert!(near(&found, [40.0 * s, 6.0 * s, 52.0 * s, 18.0 * s], 1.5 * s), "{found:?}");
            assert!(near(&found, [0.0, 0.0, 60.0 * s, 40.0 * s], 0.0), "{found:?}");
            // In the picture's pixels, too.
            let wide = find(&squares(scale), &SelectiveSearch { min_side: 20.0 * s, ..settings.clone() });
            assert!(!wide.is_empty() && wide.iter().all(|b| (b[2] - b[0]).min(b[3] - b[1]) >= 20.0 * s), "{wide:?}");
        }
    }

    #[test]
    fn long_and_narrow_pictures_are_taken() {
        for (w, h) in [(1, 1), (3000, 1), (1, 3000), (2000, 7)] {
            let image = Image::from_rgb8(w, h, vec![50; (w * h * 3) as usize]).unwrap();
            let found = selective_search(&image, &SelectiveSearch::default(), |_, _| {}).unwrap();
            assert_eq!(found, [[0.0, 0.0, w as f32, h as f32]]);
        }
    }

    #[test]
    fn settings_that_cannot_be_are_refused() {
        let good = SelectiveSearch::default();
        for (bad, part) in [
            (SelectiveSearch { scales: vec![], ..good.clone() }, "scales"),
            (SelectiveSearch { scales: vec![50.0, f32::NAN], ..good.clone() }, "scales"),
            (SelectiveSearch { max_side: 0, ..good.clone() }, "max_side"),
            (SelectiveSearch { overlap: 0.0, ..good.clone() }, "overlap"),
            (SelectiveSearch { overlap: 1.5, ..good.clone() }, "overlap"),
            (SelectiveSearch { min_side: f32::NAN, ..good.clone() }, "min_side"),
        ] {
            let told = selective_search(&squares(1), &bad, |_, _| {}).unwrap_err().to_string();
            assert!(told.contains(part), "{told}");
        }
    }
}
