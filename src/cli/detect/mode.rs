//! Which network of the family a model is run as (`--mode`), and where its RoIs come from.

use clap::ValueEnum;
use maskrcnn::{Detections, Detector, Error, Image, Result, SelectiveSearch, selective_search};

use super::given::{Given, GivenArgs};
use super::plan::Job;

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
}

/// The options that say what is run.
#[derive(clap::Args)]
pub(super) struct ModeArgs {
    /// What to run the model as.
    #[arg(long, value_enum, default_value_t = Mode::Mask)]
    mode: Mode,
    #[command(flatten)]
    given: GivenArgs,
}

/// RoIs that the RPN does not give.
pub(super) enum Rois {
    /// A file's.
    Given(Given),
    /// Selective search's, of each picture.
    Search(SelectiveSearch),
}

impl ModeArgs {
    /// Whether masks are left away.
    pub(super) fn boxes_only(&self) -> bool {
        self.mode == Mode::Faster
    }

    /// Where RoIs come from, if not from the RPN.
    ///
    /// # Errors
    /// [`Error::Config`] where the options contradict one another, and as [`GivenArgs::read`].
    pub(super) fn rois(&self) -> Result<Option<Rois>> {
        let clash = match self.mode {
            Mode::Mask => None,
            Mode::Faster => self.given.option().map(|option| (option, "its boxes come from the RPN: leave one away")),
            Mode::Fast => self.given.option().filter(|o| *o == "--boxes").map(|o| {
                (
                    o,
                    "with boxes that are known nothing \
                is proposed: leave one away",
                )
            }),
        };
        if let Some((option, reason)) = clash {
            let mode = self.mode.to_possible_value().map_or_else(String::new, |v| v.get_name().to_string());
            let reason = format!("{mode} cannot be combined with {option}: {reason}");
            return Err(Error::Config { setting: "--mode".into(), reason });
        }
        match self.given.read()? {
            Some(given) => Ok(Some(Rois::Given(given))),
            None if self.mode == Mode::Fast => Ok(Some(Rois::Search(SelectiveSearch::default()))),
            None => Ok(None),
        }
    }
}

impl Rois {
    /// What tells results by these from others.
    pub(super) fn settings(&self) -> String {
        match self {
            Self::Given(given) => given.settings(),
            Self::Search(settings) => format!("{settings:?}\n"),
        }
    }

    /// Whether they are the results' boxes, none of which is left out.
    pub(super) fn are_boxes(&self) -> bool {
        matches!(self, Self::Given(given) if given.are_boxes())
    }

    /// The proposals of a picture, where they are searched for: that needs no GPU.
    ///
    /// # Errors
    /// As [`selective_search`].
    pub(super) fn search(&self, image: &Image) -> Result<Vec<[f32; 4]>> {
        match self {
            Self::Given(_) => Ok(Vec::new()),
            Self::Search(settings) => selective_search(image, settings, |_, _| {}),
        }
    }

    /// What the detector makes of a picture by them. `searched` is what [`Rois::search`] found.
    ///
    /// # Errors
    /// As [`Given::detect`] and [`Detector::detect_proposals`].
    pub(super) fn detect(
        &self,
        detector: &Detector,
        image: &Image,
        (job, jobs): (&Job, usize),
        searched: &[[f32; 4]],
    ) -> Result<Detections> {
        match self {
            Self::Given(given) => given.detect(detector, image, job, jobs),
            Self::Search(_) => detector.detect_proposals(image, searched),
        }
    }
}
