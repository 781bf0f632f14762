//! Which network of the family a model is run as (`--mode`), where its RoIs come from, and how often it looks (`--tta`).

use std::ops::ControlFlow;

use clap::ValueEnum;
use maskrcnn::{Augmented, Crops, Detections, Detector, Error, Image, Result, SelectiveSearch, View, selective_search};

use super::given::{Given, GivenArgs};
use super::plan::Job;
use crate::cli::words::count;
use crate::cli::{crowding, progress, stopping};

/// A network of the family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Mode {
    /// Mask R-CNN, or what the weights are for.
    Mask,
    /// Faster R-CNN: the same without its mask head; boxes only, and no time or memory for masks.
    Faster,
    /// Fast R-CNN: proposals that need no network in place of the RPN's: those of --proposals or, without, those of selective
    /// search on the CPU.
    Fast,
    /// R-CNN: such proposals too, and each one's crop goes through the whole body by itself; boxes only. It takes minutes an
    /// image, and is here to be compared with.
    Rcnn,
}

/// The options that say what is run.
#[derive(clap::Args)]
pub(super) struct ModeArgs {
    /// What to run the model as.
    #[arg(long, value_enum, default_value_t = Mode::Mask)]
    mode: Mode,
    /// Test-time augmentation: look at each picture mirrored, too, and in other sizes; boxes of all views are joined before
    /// NMS, and masks are the mean of the views'. `flip`, sizes as factors, or both: `flip,0.8,1.25` is six views. It takes
    /// that many times as long, and about as long again for masks.
    #[arg(long, value_name = "flip,FACTORS", num_args = 0..=1, default_missing_value = "flip", value_parser = views,
        require_equals = true, conflicts_with_all = ["proposals", "boxes"])]
    tta: Option<Views>,
    #[command(flatten)]
    given: GivenArgs,
}

/// The views of `--tta`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Views(Vec<View>);

/// Most sizes beside a picture's own.
const MOST_SIZES: usize = 8;

fn views(text: &str) -> Result<Views, String> {
    let (mut flip, mut scales) = (false, vec![1.0]);
    for part in text.split(',').map(str::trim) {
        match (part, part.parse::<f32>()) {
            ("flip", _) => flip = true,
            (_, Ok(scale)) if (0.1..=10.0).contains(&scale) => {
                if !scales.contains(&scale) {
                    scales.push(scale);
                }
            }
            _ => return Err(format!("`{part}` is neither `flip` nor a factor from 0.1 to 10")),
        }
    }
    if scales.len() > 1 + MOST_SIZES {
        return Err(format!("has {} factors, and {MOST_SIZES} are the most", scales.len() - 1));
    }
    let views = scales.iter().flat_map(|&scale| {
        let mirrored = flip.then_some(View { flip: true, scale });
        [View { flip: false, scale }].into_iter().chain(mirrored)
    });
    Ok(Views(views.collect()))
}

/// What is done to a picture.
pub(super) enum Way {
    /// It goes through the network.
    Plain,
    /// Fast R-CNN, or the masks of known boxes.
    Rois(Source),
    /// R-CNN.
    Crops(Source),
    /// It is looked at in several views.
    Views(Vec<View>),
}

/// RoIs that the RPN does not give.
pub(super) enum Source {
    /// A file's.
    Given(Given),
    /// Selective search's, of each picture.
    Search(SelectiveSearch),
}

/// Pictures on their way.
pub(super) struct Looks<'a> {
    detector: &'a Detector,
    way: Way,
    augmented: Option<Augmented<'a>>,
}

impl ModeArgs {
    /// Whether masks are left away.
    pub(super) fn boxes_only(&self) -> bool {
        matches!(self.mode, Mode::Faster | Mode::Rcnn)
    }

    /// The options, as the user gave them.
    pub(super) fn told(&self) -> String {
        match self.tta {
            Some(_) => "--tta".into(),
            None => format!("--mode {}", self.mode_name()),
        }
    }

    fn mode_name(&self) -> String {
        self.mode.to_possible_value().map_or_else(String::new, |v| v.get_name().to_string())
    }

    /// What to do to pictures.
    ///
    /// # Errors
    /// [`Error::Config`] where the options contradict one another, and as [`GivenArgs::read`].
    pub(super) fn way(&self) -> Result<Way> {
        let known = "with boxes that are known nothing is proposed: leave one away";
        let clash = match self.mode {
            Mode::Mask => None,
            Mode::Faster => self.given.option().map(|option| (option, "its boxes come from the RPN: leave one away")),
            Mode::Fast | Mode::Rcnn => match (self.given.option(), &self.tta) {
                (Some(option @ "--boxes"), _) => Some((option, known)),
                (None, Some(_)) => Some(("--tta", "views are of networks with an RPN: leave one away")),
                _ => None,
            },
        };
        if let Some((option, reason)) = clash {
            let reason = format!("{} cannot be combined with {option}: {reason}", self.mode_name());
            return Err(Error::Config { setting: "--mode".into(), reason });
        }
        let search = || Source::Search(SelectiveSearch::default());
        let source = self.given.read()?.map(Source::Given);
        Ok(match (self.mode, source, &self.tta) {
            (Mode::Rcnn, source, _) => Way::Crops(source.unwrap_or_else(search)),
            (_, Some(source), _) => Way::Rois(source),
            (Mode::Fast, None, _) => Way::Rois(search()),
            (_, None, Some(views)) => Way::Views(views.0.clone()),
            (_, None, None) => Way::Plain,
        })
    }
}

impl Way {
    /// Whether pictures go through the network as a whole, once.
    pub(super) fn is_plain(&self) -> bool {
        matches!(self, Self::Plain)
    }

    /// What tells results of it from others.
    pub(super) fn settings(&self) -> String {
        let of = |source: &Source| match source {
            Source::Given(given) => given.settings(),
            Source::Search(settings) => format!("{settings:?}\n"),
        };
        match self {
            Self::Plain => String::new(),
            Self::Rois(source) => of(source),
            Self::Crops(source) => format!("crops {:?} {}", Crops::default(), of(source)),
            Self::Views(views) => format!("{views:?}\n"),
        }
    }

    fn source(&self) -> Option<&Source> {
        match self {
            Self::Rois(source) | Self::Crops(source) => Some(source),
            Self::Plain | Self::Views(_) => None,
        }
    }
}

impl<'a> Looks<'a> {
    /// # Errors
    /// As [`Detector::augmented`].
    pub(super) fn new(detector: &'a Detector, way: Way) -> Result<Self> {
        let augmented = match &way {
            Way::Views(views) => Some(detector.augmented(views)?),
            _ => None,
        };
        Ok(Self { detector, way, augmented })
    }

    /// As [`Way::is_plain`].
    pub(super) fn are_plain(&self) -> bool {
        self.way.is_plain()
    }

    /// Whether results are boxes that were given, none of which is left out.
    pub(super) fn keep_boxes(&self) -> bool {
        matches!(self.way.source(), Some(Source::Given(given)) if given.are_boxes())
    }

    /// The proposals of a picture, where they are searched for: that needs no GPU.
    ///
    /// # Errors
    /// As [`selective_search`].
    pub(super) fn search(&self, image: &Image) -> Result<Vec<[f32; 4]>> {
        match self.way.source() {
            Some(Source::Search(settings)) => selective_search(image, settings, |_, _| {}),
            _ => Ok(Vec::new()),
        }
    }

    /// What the detector makes of a picture that is not looked at plainly, and what to add to the picture's line; nothing
    /// where the user wants no more. `searched` is what [`Looks::search`] found.
    ///
    /// # Errors
    /// As [`Given::detect`], [`Detector::detect_proposals`], [`Detector::detect_crops`] and [`Augmented::detect`].
    pub(super) fn detect(
        &self,
        image: &Image,
        (job, jobs): (&Job, usize),
        searched: &[[f32; 4]],
    ) -> Result<Option<(Detections, String)>> {
        let told = |found: &Detections| crowding::told(found, self.detector.config());
        let found = match &self.way {
            Way::Crops(source) => {
                let (found, passes) = match source {
                    Source::Search(_) => (self.crops(image, searched)?, searched.len()),
                    Source::Given(given) => {
                        let boxes = given.proposals(job, jobs);
                        (self.crops(image, &boxes).map_err(|e| given.named(job, e))?, boxes.len())
                    }
                };
                return Ok(found.map(|found| {
                    let passes = format!(" in {} through the body{}", count(passes, "pass"), told(&found));
                    (found, passes)
                }));
            }
            Way::Rois(Source::Given(given)) => given.detect(self.detector, image, job, jobs)?,
            Way::Rois(Source::Search(_)) => self.detector.detect_proposals(image, searched)?,
            Way::Plain => self.detector.detect(image)?,
            Way::Views(views) => match &self.augmented {
                None => self.detector.detect(image)?,
                Some(augmented) => {
                    let found = augmented.detect(image)?;
                    let views = format!(" in {}{}", count(views.len(), "view"), told(&found));
                    return Ok(Some((found, views)));
                }
            },
        };
        let told = told(&found);
        Ok(Some((found, told)))
    }

    fn crops(&self, image: &Image, proposals: &[[f32; 4]]) -> Result<Option<Detections>> {
        let bar = progress::Progress::of_passes(proposals.len());
        let mut watch = |done: usize, _| {
            bar.at(done);
            if stopping::asked() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let found = self.detector.detect_crops(image, proposals, &Crops::default(), &mut watch);
        bar.finish();
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn views_are_each_size_plain_and_mirrored() {
        let of = |text| views(text).map(|v| v.0.iter().map(|v| (v.flip, v.scale)).collect::<Vec<_>>());
        assert_eq!(of("flip").unwrap(), [(false, 1.0), (true, 1.0)]);
        assert_eq!(of("0.5").unwrap(), [(false, 1.0), (false, 0.5)]);
        let all = [(false, 1.0), (true, 1.0), (false, 1.25), (true, 1.25)];
        assert_eq!(of("1.25, flip,1").unwrap(), all);
        for bad in ["", "flop", "0", "-1", "nan", "11", "flip,,1", ".1,.2,.3,.4,.5,.6,.7,.8,.9"] {
            assert!(of(bad).is_err(), "{bad}");
        }
    }
}
