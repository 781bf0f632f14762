//! The pictures of a run on their way: read, looked at, written.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use image::RgbImage;
use maskrcnn::engine::vision::coco::{self, CocoResult};
use maskrcnn::engine::vision::results::Pair;
use maskrcnn::{Detections, Detector, Error, Image, Result, Tiling};

use super::exports::{Filter, Save};
use super::key::RunKey;
use super::mode::Looks;
use super::movies::Movies;
use super::outputs::{Finished, Outputs};
use super::pictures::Pictures;
use super::plan::{Job, Plan};
use super::summary::{Counts, Times};
use super::tiles::{self, Drawn, Picture, Tiles};
use super::{Args, told};
use crate::cli::{compiling, crowding, stopping};

/// What the stages share.
pub(super) struct Work<'a> {
    pub args: &'a Args,
    pub plan: &'a Plan,
    pub pictures: &'a Pictures<'a>,
    pub detector: &'a Detector,
    /// How pictures are looked at.
    looks: Looks<'a>,
    tiles: Tiles<'a>,
    pub key: RunKey,
    /// What is written beside the pair.
    outputs: &'a Outputs<'a>,
    filter: Filter,
    /// Videos of the overlays.
    movies: Movies,
    begin: Instant,
    /// Nanoseconds of planning and compiling.
    setup: AtomicU64,
    /// Pictures that are smaller in the network than their nuclei ask for.
    shrunk: AtomicUsize,
}

/// A picture at some stage, or why there is none.
pub(super) enum Step<T> {
    /// It is on its way.
    Of(T),
    /// It has the same results already.
    Finished(Counts),
    /// The user wants no more.
    Stopped,
}

/// A picture that was read.
pub(super) struct Read {
    /// The number of its job.
    job: usize,
    picture: Picture,
    pair: Pair,
    /// What was searched for in it.
    searched: Vec<[f32; 4]>,
}

/// A picture with what was found in it.
pub(super) struct Detected {
    image: Image,
    pair: Pair,
    found: Detections,
    /// For its line: of tiles, or how else it was looked at.
    how: Option<String>,
    seconds: f64,
}

/// A picture whose results are written.
pub(super) struct Written {
    /// The line to tell.
    pub line: String,
    /// What was found.
    pub counts: Counts,
}

impl<'a> Work<'a> {
    pub(super) fn new(
        args: &'a Args,
        plan: &'a Plan,
        pictures: &'a Pictures<'a>,
        (detector, looks): (&'a Detector, Looks<'a>),
        (key, tiling): (RunKey, Tiling),
        (outputs, filter, movies): (&'a Outputs<'a>, Filter, Movies),
    ) -> Self {
        let (setup, shrunk) = (AtomicU64::new(0), AtomicUsize::new(0));
        let tiles = Tiles::new(&args.tiles, tiling, args.model.limits_size());
        let begin = Instant::now();
        Self { args, plan, pictures, detector, looks, tiles, key, outputs, movies, filter, begin, setup, shrunk }
    }

    /// Reads the picture of a job, if it can be done and is to be.
    ///
    /// # Errors
    /// As [`Plan::check`] and [`maskrcnn::Image::decode`].
    pub(super) fn read(&self, i: usize) -> Result<Step<Read>> {
        let read = self.read_wanted(i);
        let job = &self.plan.jobs[i];
        self.pictures.let_go(&job.source, job.page);
        read
    }

    fn read_wanted(&self, i: usize) -> Result<Step<Read>> {
        if stopping::asked() {
            return Ok(Step::Stopped);
        }
        let job = &self.plan.jobs[i];
        self.plan.check(job)?;
        self.outputs.check(job)?;
        self.movies.check(i, job)?;
        if let Some(step) = self.read_pieces(i, job)? {
            return Ok(step);
        }
        let (bytes, page) = self.pictures.file(&job.source, job.page)?;
        let run = self.key.of(&bytes, job.page);
        let pair = job.pair.clone().of_run(&run);
        if let Some(counts) = self.finished(i, &pair, &run)? {
            return Ok(Step::Finished(counts));
        }
        let name = job.name();
        let image = self.args.reading.decode(&bytes, &name, page)?;
        let searched = self.looks.search(&image)?;
        let picture = match self.looks.are_plain() {
            false => Picture::Whole(image),
            true => self.tiles.of(image, &name, self.detector.config()),
        };
        self.tell_of_size(&name, picture.looked_at());
        Ok(Step::Of(Read { job: i, picture, pair, searched }))
    }

    /// What an earlier run found, where its results are to stay.
    fn finished(&self, i: usize, pair: &Pair, run: &str) -> Result<Option<Counts>> {
        if !self.args.resume || !pair.is_of_run() {
            return Ok(None);
        }
        match self.outputs.finished(i, &self.plan.jobs[i], run) {
            Some(Finished::Of(counts)) => Ok(Some(counts)),
            Some(Finished::Unknown) => counts_in(pair).map(Some),
            None => Ok(None),
        }
    }

    /// The same of a picture that is too large to be in memory as a whole, where it can be looked at in tiles.
    fn read_pieces(&self, i: usize, job: &Job) -> Result<Option<Step<Read>>> {
        if !self.looks.are_plain() || !self.tiles.allowed() {
            return Ok(None);
        }
        let (name, page) = (job.name(), job.page.map(|page| page.number));
        let Some(pieces) = self.pictures.pieces(&job.source, &name, page)? else { return Ok(None) };
        self.outputs.check_pieces(job)?;
        let run = self.key.of_pieces(&pieces, job.page);
        let pair = job.pair.clone().of_run(&run);
        if let Some(counts) = self.finished(i, &pair, &run)? {
            return Ok(Some(Step::Finished(counts)));
        }
        let picture = self.tiles.of_pieces(pieces, &name, self.detector.config());
        self.tell_of_size(&name, picture.looked_at());
        Ok(Some(Step::Of(Read { job: i, picture, pair, searched: Vec::new() })))
    }

    /// Looks at pictures, as far as they could be read and the user wants more. The time of a batch is shared out evenly.
    pub(super) fn detect(&self, read: Vec<Result<Step<Read>>>) -> Vec<Result<Step<Detected>>> {
        let mut out = Vec::with_capacity(read.len());
        let mut good = Vec::new();
        for (i, read) in read.into_iter().enumerate() {
            let stopped = stopping::asked();
            match read {
                Ok(Step::Of(read)) if !stopped => good.push((i, read)),
                Ok(Step::Of(_) | Step::Stopped) => out.push((i, Ok(Step::Stopped))),
                Ok(Step::Finished(counts)) => out.push((i, Ok(Step::Finished(counts)))),
                Err(e) => out.push((i, Err(e))),
            }
        }
        let (places, good): (Vec<usize>, Vec<Read>) = good.into_iter().unzip();
        out.extend(places.into_iter().zip(self.together(good)));
        out.sort_by_key(|o| o.0);
        out.into_iter().map(|o| o.1).collect()
    }

    fn together(&self, good: Vec<Read>) -> Vec<Result<Step<Detected>>> {
        let whole: Option<Vec<&Image>> = good.iter().map(|read| read.picture.whole()).collect();
        // One by one where there is but one, and where one of them spoils the batch, to tell which.
        if let Some(images) = whole.filter(|_| good.len() > 1 && self.looks.are_plain()) {
            let (begin, compiled) = (Instant::now(), compiling::time());
            if let Ok(all) = self.detector.detect_batch(images) {
                let setup = compiling::time().saturating_sub(compiled);
                self.add_setup(setup);
                let seconds = begin.elapsed().saturating_sub(setup).as_secs_f64() / good.len() as f64;
                let done = |(Read { picture, pair, .. }, found)| match picture {
                    Picture::Whole(image) => Ok(Step::Of(Detected { image, pair, found, how: None, seconds })),
                    _ => Ok(Step::Stopped),
                };
                return good.into_iter().zip(all).map(done).collect();
            }
        }
        good.into_iter().map(|read| self.alone(read)).collect()
    }

    fn alone(&self, Read { job, picture, pair, searched }: Read) -> Result<Step<Detected>> {
        let image = match picture {
            Picture::Whole(image) => image,
            tiled => return self.in_tiles(tiled, pair),
        };
        if !self.looks.are_plain() {
            let (begin, compiled, jobs) = (Instant::now(), compiling::time(), &self.plan.jobs);
            let looked = self.looks.detect(&image, (&jobs[job], jobs.len()), &searched)?;
            let setup = compiling::time().saturating_sub(compiled);
            self.add_setup(setup);
            let seconds = begin.elapsed().saturating_sub(setup).as_secs_f64();
            return Ok(looked.map_or(Step::Stopped, |(found, how)| {
                Step::Of(Detected { image, pair, found, how: Some(how), seconds })
            }));
        }
        // A size's first image is not slower for what is compiled before it.
        let begin = Instant::now();
        let ready = self.detector.warm_up(image.height(), image.width());
        self.add_setup(begin.elapsed());
        let begin = Instant::now();
        match ready.and_then(|()| self.detector.detect(&image)) {
            Ok(found) => {
                let seconds = begin.elapsed().as_secs_f64();
                Ok(Step::Of(Detected { image, pair, found, how: None, seconds }))
            }
            Err(e) => {
                let name = self.plan.jobs[job].name();
                match self.tiles.instead(&image, &name, &e, self.detector.config()) {
                    // Where tiles do not fit either, what is wrong with the picture as one is what helps.
                    Some(tiling) => self.in_tiles(Picture::Tiles(image, tiling), pair).map_err(|_| e),
                    None => Err(e),
                }
            }
        }
    }

    fn in_tiles(&self, picture: Picture, pair: Pair) -> Result<Step<Detected>> {
        let begin = Instant::now();
        let (rows, columns) = picture.looked_at();
        self.detector.warm_up(rows, columns)?;
        self.add_setup(begin.elapsed());
        let begin = Instant::now();
        let drawn = tiles::detect(self.detector, picture)?;
        Ok(drawn.map_or(Step::Stopped, |Drawn { image, found, told }| {
            Step::Of(Detected { image, pair, found, how: Some(told), seconds: begin.elapsed().as_secs_f64() })
        }))
    }

    /// Writes the results.
    ///
    /// # Errors
    /// As [`Pair::write`].
    pub(super) fn write(&self, i: usize, detected: Result<Step<Detected>>) -> Result<Step<Written>> {
        let mut picture = None;
        let written = self.write_results(i, detected, &mut picture);
        if matches!(written, Ok(Step::Finished(_))) {
            picture =
                self.movies.wants(i).then(|| image::open(self.plan.jobs[i].pair.png()).ok()).flatten().map(Into::into);
        }
        self.movies.put(i, picture);
        written
    }

    /// The same; a frame's overlay is put into `drawn`.
    fn write_results(
        &self,
        i: usize,
        detected: Result<Step<Detected>>,
        drawn: &mut Option<RgbImage>,
    ) -> Result<Step<Written>> {
        let Detected { image, pair, found, how, seconds } = match detected? {
            Step::Of(detected) => detected,
            Step::Finished(counts) => return Ok(Step::Finished(counts)),
            Step::Stopped => return Ok(Step::Stopped),
        };
        let (job, score) = (&self.plan.jobs[i], self.args.score);
        // Whoever gives a box wants it back.
        let known = self.looks.keep_boxes();
        let found = if known { found } else { found.above(score) };
        let (found, left) = self.filter.of(found);
        let (files, notes) = self.outputs.write((i, job), &image, &found, pair.run().unwrap_or_default())?;
        let [json, png] = [Save::Coco, Save::Png].map(|save| self.outputs.has(save));
        let style = self.args.exports.style();
        let picture = if png { tiles::drawn(&image, &found, &style) } else { RgbImage::default() };
        pair.write(&picture, &coco::results(&found, job.id.clone()), self.args.overwrite)?;
        *drawn = self.movies.wants(i).then_some(picture);
        let both = [(json, pair.json()), (png, pair.png())].into_iter().filter(|f| f.0);
        let files: Vec<String> = both.map(|f| f.1.display().to_string()).chain(files).collect();
        let files = if files.is_empty() { String::new() } else { format!(" -> {}", files.join(", ")) };
        let line = format!(
            "{}: {}{left}{}{notes}, {seconds:.2} s{files}",
            job.name(),
            told(&found, score),
            how.unwrap_or_else(|| crowding::told(&found, self.detector.config())),
        );
        let counts = found.counts_by_class();
        let counts = counts.iter().map(|&(label, n)| (found.name(label).into_owned(), n)).collect();
        Ok(Step::Of(Written { line, counts }))
    }

    /// Where the time went so far.
    pub(super) fn times(&self) -> Times {
        let setup = Duration::from_nanos(self.setup.load(Ordering::Relaxed));
        Times { whole: self.begin.elapsed(), setup, busy: self.detector.busy() }
    }

    fn add_setup(&self, time: Duration) {
        self.setup.fetch_add(time.as_nanos() as u64, Ordering::Relaxed);
    }

    /// Says of the first picture that cannot be as large in the network as `--diameter` asks for.
    fn tell_of_size(&self, name: &str, (rows, columns): (u32, u32)) {
        let transform = &self.detector.config().transform;
        let (w, h) = (f64::from(columns), f64::from(rows));
        let scale = f64::from(transform.scale);
        if scale * w.max(h) <= transform.max_size as f64 || self.shrunk.fetch_add(1, Ordering::Relaxed) > 0 {
            return;
        }
        note!(
            "note: {name}: by --diameter it would have {:.0}×{:.0} pixels in the network; it has {} along the long side \
             at most, so what is looked for is smaller than the model knows it (--max-size allows more; or cut it into \
             pieces)",
            scale * w,
            scale * h,
            transform.max_size
        );
    }

    /// Ends the videos; true where they are all written.
    pub(super) fn end_movies(self) -> bool {
        self.movies.finish(stopping::asked())
    }

    /// Says of how many more pictures that holds.
    pub(super) fn finish(&self) {
        self.tiles.finish();
        if let more @ 1.. = self.shrunk.load(Ordering::Relaxed).saturating_sub(1) {
            note!("note: the same note on --diameter holds for {more} more of the pictures");
        }
    }
}

/// What an earlier run found, by its results file.
fn counts_in(pair: &Pair) -> Result<Counts> {
    let io = |source| Error::Io { path: pair.json().into(), source };
    let text = std::fs::read(pair.json()).map_err(io)?;
    let found: Vec<CocoResult> = serde_json::from_slice(&text).map_err(|e| io(e.into()))?;
    let mut counts = BTreeMap::new();
    found.into_iter().for_each(|result| *counts.entry(result.category_name).or_default() += 1);
    Ok(counts)
}
