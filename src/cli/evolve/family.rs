//! The four networks on one picture, with the same weights, run and timed.

use std::ops::ControlFlow;
use std::time::Instant;

use maskrcnn::engine::detector::Profile;
use maskrcnn::engine::vision::{Board, Palette, StyleParts};
use maskrcnn::{Crops, Detections, Detector, Image, Result, SelectiveSearch, selective_search};

use super::section::{DIM, Figure, GROUND, INK, Section, card, seconds};
use crate::cli::words::count;
use crate::cli::{compiling, progress, stopping};

/// What is asked of them.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    /// Proposals of selective search.
    pub proposals: usize,
    /// What scores less is not shown.
    pub score: f32,
}

/// Parts of the work, in the order of the bars' colours.
const PARTS: [(&str, [u8; 3]); 8] = [
    ("selective search", [154, 160, 166]),
    ("resize and warp", [120, 190, 255]),
    ("body", [40, 110, 220]),
    ("FPN", [92, 75, 200]),
    ("RPN", [0, 158, 115]),
    ("box head", [230, 159, 0]),
    ("class NMS", [213, 94, 0]),
    ("mask head", [204, 80, 150]),
];

/// A network of the family, and what it did.
pub(super) struct Member {
    name: &'static str,
    /// When and by whom, and what was new.
    story: &'static str,
    /// How many proposals, and whose.
    proposals: String,
    /// Through the body.
    passes: usize,
    /// All that an image takes.
    seconds: f64,
    /// Of the parts.
    parts: [f64; PARTS.len()],
    found: Detections,
}

/// All four.
pub(super) struct Family {
    members: Vec<Member>,
    /// What the last of them found.
    pub found: Detections,
    /// The same with all that the network lets through.
    pub all: Detections,
}

/// The part that a stage of a network belongs to.
fn part(stage: &str) -> usize {
    let name = match stage {
        "resize" | "crops" => "resize and warp",
        "FPN" => "FPN",
        "RPN" | "proposals" => "RPN",
        s if s.starts_with("box") => "box head",
        "class NMS" => "class NMS",
        s if s.starts_with("mask") || s == "paste" => "mask head",
        _ => "body",
    };
    PARTS.iter().position(|p| p.0 == name).unwrap_or(2)
}

/// The time of each part, of a whole that took so long.
fn shares<'s>(stages: impl Iterator<Item = (&'s str, f64)>, whole: f64) -> [f64; PARTS.len()] {
    let mut parts = [0.0; PARTS.len()];
    stages.for_each(|(stage, s)| parts[part(stage)] += s);
    let sum: f64 = parts.iter().sum();
    parts.map(|s| if sum > 0.0 { s / sum * whole } else { 0.0 })
}

fn of_profile(profile: &Profile) -> [f64; PARTS.len()] {
    let stages = profile.stages();
    shares(stages.iter().map(|s| (s.name, s.seconds)), profile.whole)
}

impl Family {
    /// Runs them, each for its result and once more for its times; nothing where the user wants no more.
    pub(super) fn run(detector: &Detector, image: &Image, limits: Limits) -> Result<Option<Self>> {
        let boxes_only = detector.beside(detector.config().clone().without_masks())?;
        let found = |all: Detections| all.above(limits.score);
        let told = |member: &Member| {
            let found = count(member.found.len(), "object");
            say!("{}: {found} in {}, {}", member.name, count(member.passes, "pass"), seconds(member.seconds));
        };

        let begin = Instant::now();
        let settings = SelectiveSearch { max_boxes: limits.proposals, ..SelectiveSearch::default() };
        let searched = selective_search(image, &settings, |_, _| {})?;
        let searching = begin.elapsed().as_secs_f64();
        let of_search = format!("{} of selective search", searched.len());
        say!("selective search: {}, {}", count(searched.len(), "proposal"), seconds(searching));
        if searched.is_empty() || stopping::asked() {
            if searched.is_empty() {
                note!(
                    "note: selective search proposes nothing in this picture: R-CNN and Fast R-CNN have nothing to do"
                );
            } else {
                return Ok(None);
            }
        }

        let Some(Crop { found: all, parts, seconds: whole }) = crops(&boxes_only, image, &searched)? else {
            return Ok(None);
        };
        let mut members = vec![Member {
            name: "R-CNN",
            story: "Girshick et al., 2013. Boxes that may hold an object are searched for without a network; each one's crop is \
                    warped to a square and goes through the whole body by itself. Nothing is shared between them.",
            proposals: of_search.clone(),
            passes: searched.len(),
            seconds: searching + whole,
            parts: with_search(parts, searching),
            found: found(all),
        }];
        told(&members[0]);

        let profile = boxes_only.profile_proposals(image, &searched, 1, None)?;
        members.push(Member {
            name: "Fast R-CNN",
            story: "Girshick, 2015. The body runs once for the picture; what belongs to a box is cut out of its feature map \
                    (RoIPool) and not out of the picture. What is left to wait for is the search.",
            proposals: of_search,
            passes: 1,
            seconds: searching + profile.whole,
            parts: with_search(of_profile(&profile), searching),
            found: found(boxes_only.detect_proposals(image, &searched)?),
        });
        told(&members[1]);
        if stopping::asked() {
            return Ok(None);
        }

        let profile = boxes_only.profile(image, 1, None)?;
        let proposed = |profile: &Profile| {
            let live = profile.live.iter().find(|live| live.what == "proposals").map_or(0, |live| live.count);
            format!("{live} of its own RPN")
        };
        members.push(Member {
            name: "Faster R-CNN",
            story: "Ren et al., 2015. A small network on the same feature map, the RPN, proposes: fewer boxes, better ones, and \
                    on the GPU. The picture goes in, and boxes come out.",
            proposals: proposed(&profile),
            passes: 1,
            seconds: profile.whole,
            parts: of_profile(&profile),
            found: found(boxes_only.detect(image)?),
        });
        told(&members[2]);
        if stopping::asked() {
            return Ok(None);
        }

        let (profile, all) = (detector.profile(image, 1, None)?, detector.detect(image)?);
        let with_masks = detector.config().mask.is_some();
        members.push(Member {
            name: if with_masks { "Mask R-CNN" } else { "(no mask head)" },
            story: "He et al., 2017. A third branch beside class and box: a small fully convolutional network makes a mask of \
                    each object, and RoIAlign keeps it where its pixels are.",
            proposals: proposed(&profile),
            passes: 1,
            seconds: profile.whole,
            parts: of_profile(&profile),
            found: found(all.clone()),
        });
        told(&members[3]);
        if !with_masks {
            note!("note: these weights have no mask head: what is said of masks is left out");
            members.pop();
        }
        let found = found(all.clone());
        Ok(Some(Self { members, found, all }))
    }

    /// The four side by side.
    pub(super) fn section(&self, image: &Image) -> Section {
        let drawn = StyleParts { fill: true, outline: true, boxes: true, labels: false };
        let figures = self.members.iter().map(|m| Figure {
            title: format!("{}: {}", m.name, seconds(m.seconds)),
            caption: format!(
                "{} Proposals: {}. Passes through the body: {}. Found: {}.",
                m.story,
                m.proposals,
                m.passes,
                m.found.len()
            ),
            picture: card(image, &m.found, Palette::Instances, drawn),
        });
        let figures = figures.chain([self.bars()]).collect();
        let header = ["", "proposals", "passes", "time"].map(String::from).into_iter();
        let header = header.chain(PARTS.map(|p| p.0.to_string())).chain(["found".into()]).collect();
        let rows = self.members.iter().map(|m| {
            let start = [m.name.into(), m.proposals.clone(), m.passes.to_string(), seconds(m.seconds)].into_iter();
            let share = |s: &f64| match 100.0 * s / m.seconds {
                0.0 => "–".into(),
                share => format!("{share:.1} %"),
            };
            start.chain(m.parts.iter().map(share)).chain([m.found.len().to_string()]).collect()
        });
        let first = self.members.first().map_or(0.0, |m| m.seconds);
        let last = self.members.last().map_or(1.0, |m| m.seconds);
        Section {
            title: "Four networks, one set of weights".into(),
            text: vec![format!(
                "Each of them does what the one before it did, and takes away what that one waited for. From the first to the \
                 last, this picture takes {} instead of {}: {:.0} times less. The box head's time goes with the number of proposals, \
                 and differs with it. All four run with the weights of the last, which was trained with proposals of its RPN \
                 on whole pictures: the first two do worse with them than they did with their own.",
                seconds(last),
                seconds(first),
                first / last
            )],
            figures,
            table: [header].into_iter().chain(rows).collect(),
        }
    }

    /// Where the time of each goes.
    fn bars(&self) -> Figure {
        const WIDTH: f32 = 1500.0;
        let (row, left) = (34.0, 150.0);
        let height = 44.0 + row * self.members.len() as f32;
        let mut board = Board::new(WIDTH as u32, height as u32, GROUND);
        let mut x = left;
        for (name, colour) in PARTS {
            board.fill([x, 8.0, x + 14.0, 22.0], colour, 1.0);
            x += 20.0 + board.text(name, (x + 20.0, 5.0), 17.0, INK) + 22.0;
        }
        for (i, m) in self.members.iter().enumerate() {
            let y = 38.0 + row * i as f32;
            board.text(m.name, (0.0, y + 3.0), 18.0, INK);
            let mut x = left;
            let whole: f64 = m.parts.iter().sum();
            for (seconds, (_, colour)) in m.parts.iter().zip(PARTS) {
                let wide = (seconds / whole.max(1e-12)) as f32 * (WIDTH - left - 90.0);
                board.fill([x, y, x + wide, y + row - 8.0], colour, 1.0);
                x += wide;
            }
            board.text(&seconds(m.seconds), (x + 8.0, y + 3.0), 18.0, DIM);
        }
        Figure {
            title: "Where the time of each goes".into(),
            caption: "Shares of the whole of each; the wholes are at the right.".into(),
            picture: board.finish(),
        }
    }
}

fn with_search(mut parts: [f64; PARTS.len()], searching: f64) -> [f64; PARTS.len()] {
    parts[0] = searching;
    parts
}

/// What R-CNN finds, where its time goes, and that time.
struct Crop {
    found: Detections,
    parts: [f64; PARTS.len()],
    seconds: f64,
}

/// Nothing where the user wants no more.
fn crops(detector: &Detector, image: &Image, proposals: &[[f32; 4]]) -> Result<Option<Crop>> {
    let bar = progress::Progress::of_passes(proposals.len());
    let mut watch = |done: usize, _| {
        bar.at(done);
        if stopping::asked() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let (begin, compiled) = (Instant::now(), compiling::time());
    let found = detector.detect_crops(image, proposals, &Crops::default(), &mut watch);
    let whole = begin.elapsed().saturating_sub(compiling::time().saturating_sub(compiled)).as_secs_f64();
    bar.finish();
    let Some(found) = found? else { return Ok(None) };
    if proposals.is_empty() {
        return Ok(Some(Crop { found, parts: [0.0; PARTS.len()], seconds: whole }));
    }
    let stages = detector.crop_stages(image, proposals, &Crops::default())?;
    Ok(Some(Crop { found, parts: shares(stages.into_iter(), whole), seconds: whole }))
}
