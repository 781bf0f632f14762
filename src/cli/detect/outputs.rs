//! The files that are written of each image beside its pair, and what the program keeps for those of the whole run.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::io::Write;
use std::path::{Component, Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use image::ImageFormat;
use maskrcnn::engine::vision::coco::{self, CocoResult};
use maskrcnn::engine::vision::export::{self, Entry, Lost};
use maskrcnn::engine::vision::results::{self, Form, Obstacle, Staged, run_of};
use maskrcnn::engine::vision::{Style, StyleParts};
use maskrcnn::{Detections, Error, Image, Result};

use super::exports::{ExportArgs, Save};
use super::plan::{Job, Plan};
use super::record::{Record, knows, replace_sum};
use super::summary::Counts;
use super::{names, place, tiles};
use crate::cli::sources::Source;

/// The longer side of a contact sheet's thumbnails, in pixels.
const THUMBNAIL: u32 = 360;

/// What is to be written, and what has been.
pub(super) struct Outputs<'a> {
    pub args: &'a ExportArgs,
    pub chosen: BTreeSet<Save>,
    pub out: &'a Path,
    pub overwrite: bool,
    /// Pictures of the run by their places without links, and as they were named.
    inputs: HashMap<PathBuf, PathBuf>,
    /// The run that made the files of each image that is done.
    pub done: Mutex<BTreeMap<usize, String>>,
    lost: Mutex<BTreeMap<Save, Lost>>,
}

/// A file of an image's on its way.
type Made = (Save, PathBuf, Staged);

impl<'a> Outputs<'a> {
    pub(super) fn new(args: &'a ExportArgs, plan: &Plan, (out, overwrite): (&'a Path, bool)) -> Self {
        let files = plan.jobs.iter().filter_map(|job| match &job.source {
            Source::File(path) => Some((path.canonicalize().ok()?, path.clone())),
            _ => None,
        });
        let (inputs, chosen) = (files.collect(), args.chosen());
        Self { args, chosen, out, overwrite, inputs, done: Mutex::default(), lost: Mutex::default() }
    }

    pub(super) fn has(&self, save: Save) -> bool {
        self.chosen.contains(&save)
    }

    /// Whether something is kept of each image.
    fn keeps(&self) -> bool {
        self.chosen.iter().any(|s| s.is_further()) || !self.has(Save::Coco)
    }

    /// Whether a file is a picture of the run.
    pub(super) fn is_input(&self, path: &Path) -> bool {
        path.canonicalize().is_ok_and(|path| self.inputs.contains_key(&path))
    }

    /// Removes what killed runs left half written.
    pub(super) fn sweep(&self) {
        place::folders(self.out).iter().for_each(|(folder, endings)| results::sweep(folder, endings));
    }

    /// Whether an image's files can be written, as far as their places tell.
    ///
    /// # Errors
    /// [`Error::Image`], naming what stands in the way.
    pub(super) fn check(&self, job: &Job) -> Result<()> {
        let record = place::record(self.out, &job.stem);
        let kept = self.keeps().then_some((Save::Coco, record.clone()));
        let folder = place::cutouts(self.out, &job.stem);
        let cutouts = self.has(Save::Cutouts).then(|| listed(&folder)).into_iter().flatten();
        let files = self.files(&job.stem).map(|(save, path, _)| (save, path)).chain(kept);
        for (save, path) in files.chain(cutouts.map(|path| (Save::Cutouts, path))) {
            if let Some(picture) = path.canonicalize().ok().and_then(|path| self.inputs.get(&path)) {
                let picture = picture.display();
                let reason = format!("its results would replace {picture}; name another folder with --out");
                return Err(Error::Image { name: job.name(), reason });
            }
            let own = |path: &Path| knows(Record::read(&record, None).as_ref().and_then(|r| r.sums.get(&save)), path);
            let obstacle = results::obstacle(&path, own);
            if let Some(reason) = told(obstacle, self.overwrite) {
                let reason = format!("its result {} {reason}", path.display());
                return Err(Error::Image { name: job.name(), reason });
            }
        }
        Ok(())
    }

    /// Whether an image that is never in memory as a whole can have what is chosen.
    ///
    /// # Errors
    /// [`Error::Image`], naming what needs all its pixels.
    pub(super) fn check_pieces(&self, job: &Job) -> Result<()> {
        let copies = |save: &Save| *save == Save::Labelme && job.page.is_some();
        let needs = |save: &&Save| matches!(save, Save::Csv | Save::Cutouts) || copies(save);
        let Some(save) = self.chosen.iter().find(needs) else { return Ok(()) };
        let reason = format!(
            "is too large to be in memory as a whole, which --save {} needs: leave that out, or cut the picture into pieces",
            save.name()
        );
        Err(Error::Image { name: job.name(), reason })
    }

    /// The files of an image that are chosen.
    fn files(&self, stem: &str) -> impl Iterator<Item = (Save, PathBuf, Form)> {
        let place = |save: &Save| place::of_image(*save, self.out, stem).map(|(path, form)| (*save, path, form));
        self.chosen.iter().filter_map(place).collect::<Vec<_>>().into_iter()
    }

    /// What an earlier run found in an image, where all that is chosen is there, made by such a run: of the pair, the caller
    /// knows. None where nothing is kept, too.
    pub(super) fn finished(&self, i: usize, job: &Job, run: &str) -> Option<Finished> {
        if !self.keeps() {
            return Some(Finished::Unknown);
        }
        let record = Record::read(&place::record(self.out, &job.stem), Some(run))?;
        let made = |save: &Save| !save.is_further() || record.made.contains(save);
        let folder = place::cutouts(self.out, &job.stem);
        let whole = self.chosen.iter().all(made)
            && self.files(&job.stem).all(|(save, path, form)| match form {
                Form::Plain => knows(record.sums.get(&save).map(|sums| sums[..1].to_vec()).as_ref(), &path),
                _ => run_of(&path).as_deref() == Some(run),
            })
            && (!self.has(Save::Cutouts)
                || (1..=record.cutouts).all(|n| run_of(&place::cutout(&folder, n)).as_deref() == Some(run)));
        whole.then(|| {
            self.finish(i, run);
            let mut counts = Counts::new();
            record.results.into_iter().for_each(|r| *counts.entry(r.category_name).or_default() += 1);
            Finished::Of(counts)
        })
    }

    fn finish(&self, i: usize, run: &str) {
        self.done.lock().unwrap_or_else(PoisonError::into_inner).insert(i, run.to_string());
    }

    /// Writes the files of an image, and keeps what those of the run need. Gives their paths, and what to say of them.
    ///
    /// # Errors
    /// [`Error::Io`], naming the file.
    pub(super) fn write(
        &self,
        (i, job): (usize, &Job),
        image: &Image,
        found: &Detections,
        run: &str,
    ) -> Result<(Vec<String>, String)> {
        let (mut paths, mut notes) = (Vec::new(), String::new());
        if !self.keeps() {
            return Ok((paths, notes));
        }
        let mut made: Vec<Made> = Vec::new();
        for (save, path, form) in self.files(&job.stem) {
            let bytes = self.bytes(save, job, image, found, form.room(run), &mut notes)?;
            let staged = Staged::new(&path, form, run, |out| out.write_all(&bytes))?;
            made.push((save, path, staged));
        }
        let place = place::record(self.out, &job.stem);
        let mut record = self.record(job, image, found)?;
        // What is known of files without marks stays known, of those that are not chosen now, too.
        record.sums = Record::read(&place, None).map(|old| old.sums).unwrap_or_default();
        for (save, path, staged) in made.iter().filter(|m| m.0 == Save::Yolo) {
            replace_sum(&mut record.sums, *save, path, staged.sum);
        }
        // The record goes first: without it, nobody knows a file without a mark.
        record.write(&place, run, self.overwrite)?;
        for (save, path, staged) in made {
            let own = |path: &Path| knows(record.sums.get(&save), path);
            staged.publish(&path, own, self.overwrite)?;
            paths.push(path.display().to_string());
        }
        if self.has(Save::Cutouts) {
            paths.push(self.cut_out(job, image, found, run)?);
        }
        self.finish(i, run);
        Ok((paths, notes))
    }

    /// The content of a file of an image's.
    fn bytes(
        &self,
        save: Save,
        job: &Job,
        image: &Image,
        found: &Detections,
        room: usize,
        notes: &mut String,
    ) -> Result<Vec<u8>> {
        let refused = |reason| Error::Image { name: job.name(), reason };
        let (bytes, lost) = match save {
            Save::Labels16 | Save::Labels32 => {
                let bits = if save == Save::Labels16 { 16 } else { 32 };
                let map = export::label_map(found, bits, self.args.pixel_size(), room).map_err(refused)?;
                // Of 16 and 32 bits alike.
                if map.lost > 0 && notes.is_empty() {
                    *notes = format!(", {} pixels of overlaps went to the higher score in the label map", map.lost);
                }
                return Ok(map.bytes);
            }
            Save::Imagej => {
                let slice = job.page.map_or(0, |page| page.number as u32);
                export::imagej(found, slice, room).map_err(refused)?
            }
            Save::Geojson => text(export::geojson(found)),
            Save::Yolo => text(export::yolo(found)),
            _ => {
                let path = match &job.source {
                    Source::File(path) if job.page.is_none() => Some(path),
                    _ => None,
                };
                let data = path.is_none().then(|| png(image)).transpose().map_err(|e| refused(e.to_string()))?;
                let name = path.map_or_else(|| format!("{}.png", job.stem), |p| relative(p, &self.out.join("labelme")));
                text(export::labelme(found, &name, data.map(|png| export::base64(&png)).as_deref()))
            }
        };
        let mut all = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        let sum = all.entry(save).or_default();
        sum.holes += lost.holes;
        sum.parts += lost.parts;
        sum.part_pixels += lost.part_pixels;
        sum.empty += lost.empty;
        Ok(bytes)
    }

    /// What is kept of an image.
    fn record(&self, job: &Job, image: &Image, found: &Detections) -> Result<Record> {
        let io = |source| Error::Io { path: place::record(self.out, &job.stem), source };
        let entry = match self.has(Save::Html) {
            true => Some(self.entry(job, image, found).map_err(io)?),
            false => None,
        };
        let name = job.name();
        let rows = self.has(Save::Csv).then(|| export::csv_rows(&name, found, image, self.args.pixel_size()));
        let results: Vec<CocoResult> = coco::results(found, job.id.clone());
        let (file, page) = (job.source.path().display().to_string().replace('\\', "/"), job.page.map(|p| p.number));
        Ok(Record {
            file,
            page,
            width: found.width,
            height: found.height,
            made: self.chosen.iter().copied().filter(|s| s.is_further()).collect(),
            cutouts: if self.has(Save::Cutouts) { cut(found).count() } else { 0 },
            results,
            rows,
            entry,
            ..Record::default()
        })
    }

    fn entry(&self, job: &Job, image: &Image, found: &Detections) -> std::io::Result<String> {
        let shrunk = image.width().max(image.height()) as f32 / THUMBNAIL as f32;
        let style = Style {
            parts: StyleParts { fill: false, outline: true, boxes: !found.has_masks(), labels: false },
            line_width: Some(1.5 * shrunk.max(0.8)),
            enlarged: false,
            ..self.args.style()
        };
        let picture = tiles::drawn(image, found, &style);
        let (jpeg, w, h) = export::jpeg_thumbnail(&picture, THUMBNAIL)?;
        let overlay = self.has(Save::Png).then(|| format!("{}.png", job.stem));
        let name = job.name();
        Ok(export::page_entry(Entry { name: &name, found, thumbnail: (&jpeg, w, h), link: overlay.as_deref() }))
    }

    /// Writes the cut-outs, and removes those of an earlier run that found more.
    fn cut_out(&self, job: &Job, image: &Image, found: &Detections, run: &str) -> Result<String> {
        let folder = place::cutouts(self.out, &job.stem);
        let mut count = 0;
        for mask in cut(found) {
            let Some(picture) = export::cutout(&mask, image) else { continue };
            count += 1;
            let path = place::cutout(&folder, count);
            let fill = |out: &mut dyn Write| {
                let mut bytes = std::io::Cursor::new(Vec::new());
                picture.write_to(&mut bytes, ImageFormat::Png).map_err(std::io::Error::other)?;
                out.write_all(bytes.get_ref())
            };
            Staged::new(&path, Form::Png, run, fill)?.publish(&path, |_| false, self.overwrite)?;
        }
        for old in listed(&folder).filter(|path| run_of(path).is_some_and(|other| other != run)) {
            fs::remove_file(&old).map_err(|source| Error::Io { path: old, source })?;
        }
        Ok(format!("{count} cut-outs in {}", folder.display()))
    }

    /// Says what formats had no room for.
    pub(super) fn tell_lost(&self) {
        for (save, lost) in self.lost.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let parts = match (lost.parts, lost.part_pixels) {
                (0, _) => String::new(),
                (parts, pixels) => format!("{parts} parts of masks with {pixels} pixels are left out"),
            };
            let holes =
                if lost.holes > 0 { format!("{} holes of masks are filled", lost.holes) } else { String::new() };
            let empty = if lost.empty > 0 {
                format!("{} instances without pixels are left out", lost.empty)
            } else {
                String::new()
            };
            let told: Vec<String> = [parts, holes, empty].into_iter().filter(|t| !t.is_empty()).collect();
            if !told.is_empty() {
                note!("note: in the files of {}, {} (geojson and coco hold all pixels)", save.name(), told.join(", "));
            }
        }
    }
}

/// What is known of an image that an earlier run finished.
pub(super) enum Finished {
    /// What it found.
    Of(Counts),
    /// Nothing is kept: the pair says.
    Unknown,
}

/// What to say of a place that is taken.
pub(super) fn told(obstacle: Option<Obstacle>, overwrite: bool) -> Option<&'static str> {
    match obstacle? {
        Obstacle::Folder => Some("is a folder; remove it, or name another with --out"),
        Obstacle::Foreign if overwrite => None,
        Obstacle::Foreign => Some(
            "is there already, and was written or changed by somebody else; name another folder with --out, or replace it \
             with --overwrite",
        ),
    }
}

/// Masks of the instances that have a cut-out, in their order.
fn cut(found: &Detections) -> impl Iterator<Item = std::borrow::Cow<'_, maskrcnn::Mask>> {
    found.iter().map(|d| export::shape(found, d)).filter(|mask| export::bounds(mask).is_some())
}

/// Files in a folder of cut-outs that have such names.
fn listed(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let files = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    files.filter(|path| {
        let stem = path.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
        path.extension().is_some_and(|e| e == "png") && stem.len() >= 4 && stem.bytes().all(|b| b.is_ascii_digit())
    })
}

fn text((text, lost): (String, Lost)) -> (Vec<u8>, Lost) {
    (text.into_bytes(), lost)
}

fn png(image: &Image) -> image::ImageResult<Vec<u8>> {
    let mut out = std::io::Cursor::new(Vec::new());
    let pixels = image::RgbImage::from_raw(image.width(), image.height(), image.rgb().to_vec()).unwrap_or_default();
    pixels.write_to(&mut out, ImageFormat::Png)?;
    Ok(out.into_inner())
}

/// A path from a folder on, which need not be there yet, as `../../a.png`; whole where there is none.
pub(super) fn relative(path: &Path, folder: &Path) -> String {
    let path = names::absolute(path);
    // As far as it is there, without links.
    let there = folder.ancestors().find_map(|a| {
        let a = if a.as_os_str().is_empty() { Path::new(".") } else { a };
        Some((a.canonicalize().ok()?, folder.strip_prefix(a).unwrap_or(folder).to_path_buf()))
    });
    let Some((begin, rest)) = there else { return path.display().to_string() };
    let folder = begin.join(rest);
    let (from, to): (Vec<Component>, Vec<Component>) = (folder.components().collect(), path.components().collect());
    let common = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    if common == 0 || path.is_relative() {
        return path.display().to_string();
    }
    let up = std::iter::repeat_n("..".to_string(), from.len() - common);
    let down = to[common..].iter().map(|c| c.as_os_str().to_string_lossy().into_owned());
    up.chain(down).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_found_from_the_folder_of_its_annotations() {
        let dir = tempfile::tempdir().unwrap();
        let (pictures, out) = (dir.path().join("data/in"), dir.path().join("out/labelme"));
        fs::create_dir_all(&pictures).unwrap();
        fs::write(pictures.join("a.png"), b"x").unwrap();
        for made in [false, true] {
            assert_eq!(relative(&pictures.join("a.png"), &out), "../../data/in/a.png", "{made}");
            fs::create_dir_all(&out).unwrap();
        }
        assert_eq!(fs::read(out.join("../../data/in/a.png")).unwrap(), b"x");
        assert_eq!(relative(&pictures.join("a.png"), &pictures), "a.png");
    }
}
