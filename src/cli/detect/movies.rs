//! Videos of what was drawn on the frames of videos.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use image::RgbImage;
use maskrcnn::engine::vision::results::{self, is_ours};
use maskrcnn::{Error, Result};

use super::exports::Save;
use super::outputs::{Outputs, told};
use super::pictures::Pictures;
use super::plan::{Job, Plan};
use crate::cli::video::VideoOut;

/// One for each video of the run, where overlays are written: `<stem>.mp4`.
pub(super) struct Movies {
    all: Vec<Movie>,
    /// Of each job that is a frame: the number of its video, and its place there.
    places: HashMap<usize, (usize, usize)>,
    overwrite: bool,
}

struct Movie {
    path: PathBuf,
    rate: String,
    out: VideoOut,
    /// A picture of the run has its place.
    replaces: bool,
    /// Frames of the run.
    frames: usize,
}

impl Movies {
    /// Those of a plan. Nothing is written before the first frame is done.
    ///
    /// # Errors
    /// [`Error::Io`] where there are no threads.
    pub(super) fn new(plan: &Plan, pictures: &Pictures, outputs: &Outputs) -> Result<Self> {
        let (mut all, mut places): (Vec<Movie>, HashMap<usize, (usize, usize)>) = (Vec::new(), HashMap::new());
        let mut known: HashMap<&Path, (usize, usize)> = HashMap::new();
        let jobs = plan.jobs.iter().enumerate().filter(|_| outputs.has(Save::Png));
        for (i, job) in jobs {
            let Some(video) = pictures.video(&job.source) else { continue };
            let next = match known.get(job.source.path()) {
                Some((movie, place)) => (*movie, place + 1),
                None => {
                    // Frames have their numbers behind the video's own name.
                    let stem = job.stem.rsplit_once("-p").map_or(job.stem.as_str(), |(stem, _)| stem);
                    let path = outputs.out.join(format!("{stem}.mp4"));
                    let (out, replaces) =
                        (VideoOut::new(&path, &video.probe.rate, outputs.overwrite)?, outputs.is_input(&path));
                    all.push(Movie { path, rate: video.probe.rate.clone(), out, replaces, frames: 0 });
                    (all.len() - 1, 0)
                }
            };
            all[next.0].frames += 1;
            known.insert(job.source.path(), next);
            places.insert(i, next);
        }
        Ok(Self { all, places, overwrite: outputs.overwrite })
    }

    /// Whether the video that a job is a frame of can be written.
    ///
    /// # Errors
    /// [`Error::Image`], naming what stands in the way.
    pub(super) fn check(&self, i: usize, job: &Job) -> Result<()> {
        let Some(movie) = self.places.get(&i).map(|(movie, _)| &self.all[*movie]) else { return Ok(()) };
        let place = movie.path.display();
        let reason = match movie.replaces {
            true => Some("would replace a picture of this call; name another folder with --out"),
            false => told(results::obstacle(&movie.path, is_ours), self.overwrite),
        };
        let refuse = |reason| Error::Image { name: job.name(), reason: format!("its result {place} {reason}") };
        reason.map_or(Ok(()), |reason| Err(refuse(reason)))
    }

    /// Whether a job is a frame of one.
    pub(super) fn wants(&self, i: usize) -> bool {
        self.places.contains_key(&i)
    }

    /// A frame's overlay, or that there is none. Waits until it is its turn.
    pub(super) fn put(&self, i: usize, picture: Option<RgbImage>) {
        if let Some((movie, place)) = self.places.get(&i) {
            self.all[*movie].out.put(*place, picture);
        }
    }

    /// Ends them, and says where they are; given up where the run was stopped. True where all are written.
    pub(super) fn finish(self, stopped: bool) -> bool {
        let mut good = true;
        for movie in self.all {
            let path = movie.path.display();
            if stopped {
                movie.out.abandon();
                note!("note: {path} is not written, since not all frames are done; --resume goes on with them");
                continue;
            }
            match movie.out.finish() {
                Ok(0) => {}
                Ok(there) => {
                    // Those that could not be done were complained of.
                    let of = if there < movie.frames { format!(" of {}", movie.frames) } else { String::new() };
                    say!("video: {path}, {there}{of} frames, {} a second, without sound", movie.rate);
                }
                Err(e) => {
                    note!("error: {e}");
                    good = false;
                }
            }
        }
        good
    }
}
