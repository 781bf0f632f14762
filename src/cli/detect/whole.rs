//! The files of a whole run, made of what is kept of each image: never more than one of these is in memory.

use std::io;
use std::path::Path;
use std::sync::PoisonError;

use maskrcnn::engine::vision::coco::ImageId;
use maskrcnn::engine::vision::export::{self, Dataset, DatasetImage};
use maskrcnn::engine::vision::results::{self, Form, Staged};
use maskrcnn::{Detector, Error, Result};
use serde::{Deserialize, Serialize};

use super::exports::Save;
use super::outputs::{Outputs, told};
use super::place;
use super::plan::Plan;
use super::record::{self, Sums, knows, replace_sum};

/// The files that are made in the end.
const FILES: [Save; 4] = [Save::Dataset, Save::Yolo, Save::Csv, Save::Html];

/// What the program has to know of them later.
#[derive(Default, Serialize, Deserialize)]
struct RunRecord {
    sums: Sums,
}

impl Outputs<'_> {
    /// Whether the files of the run can be written, as far as their places tell.
    ///
    /// # Errors
    /// [`Error::Dataset`], naming what stands in the way.
    pub(super) fn check_run(&self) -> Result<()> {
        let known = self.known();
        let record = (Save::Coco, place::run_record(self.out));
        let chosen = FILES.into_iter().filter(|save| self.has(*save));
        for (save, path) in chosen.filter_map(|s| Some((s, place::of_run(s, self.out)?.0))).chain([record]) {
            let obstacle = results::obstacle(&path, |path| knows(known.sums.get(&save), path));
            if let Some(reason) = told(obstacle, self.overwrite) {
                return Err(Error::Dataset { file: path.display().to_string(), reason: reason.into() });
            }
        }
        Ok(())
    }

    fn known(&self) -> RunRecord {
        let path = place::run_record(self.out);
        let ours = results::is_ours(&path);
        let text = ours.then(|| std::fs::read(&path).ok()).flatten();
        text.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
    }

    /// Writes them, and says where they are. What cannot be written is said, too; true where all of it was.
    pub(super) fn write_run(&self, plan: &Plan, detector: &Detector, score: f32) -> bool {
        let chosen: Vec<Save> = FILES.into_iter().filter(|save| self.has(*save)).collect();
        if chosen.is_empty() {
            return true;
        }
        let done = self.done.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if done.is_empty() {
            return true;
        }
        let jobs: Vec<(usize, String)> = done.into_iter().collect();
        let mut good = true;
        for save in chosen {
            let Some((path, form)) = place::of_run(save, self.out) else { continue };
            match self.write_one(save, (&path, form), plan, &jobs, detector, score) {
                Ok(()) if jobs.len() == plan.jobs.len() => say!("{}: {}", save.name(), path.display()),
                Ok(()) => say!("{}: {}, of {} of {} images", save.name(), path.display(), jobs.len(), plan.jobs.len()),
                Err(e) => {
                    note!("error: {e}");
                    good = false;
                }
            }
        }
        self.tell_lost();
        good
    }

    fn write_one(
        &self,
        save: Save,
        (path, form): (&Path, Form),
        plan: &Plan,
        jobs: &[(usize, String)],
        detector: &Detector,
        score: f32,
    ) -> Result<()> {
        let classes = &detector.config().class_names;
        let kept = |(i, run): &(usize, String)| {
            let path = place::record(self.out, &plan.jobs[*i].stem);
            record::Record::read(&path, Some(run)).ok_or_else(|| {
                let reason = format!("{} was removed or changed while the run went on", path.display());
                io::Error::other(reason)
            })
        };
        let staged = Staged::new(path, form, "all", |out| match save {
            Save::Dataset => {
                let ids = ids(plan);
                let images = jobs.iter().map(|job| {
                    let r = kept(job)?;
                    Ok(DatasetImage {
                        id: ids[job.0],
                        file_name: r.file,
                        width: r.width,
                        height: r.height,
                        page: r.page,
                    })
                });
                let mut dataset = Dataset::new(out, classes, images)?;
                for job in jobs {
                    dataset.add(ids[job.0], &kept(job)?.results)?;
                }
                dataset.finish()
            }
            Save::Yolo => out.write_all(export::yolo_names(classes).as_bytes()),
            Save::Csv => {
                out.write_all(export::csv_header(self.args.pixel_size()).as_bytes())?;
                jobs.iter().try_for_each(|job| out.write_all(kept(job)?.rows.unwrap_or_default().as_bytes()))
            }
            _ => {
                let mut count = 0;
                for job in jobs {
                    count += kept(job)?.results.len();
                }
                let of = if jobs.len() < plan.jobs.len() { format!(" of {}", plan.jobs.len()) } else { String::new() };
                let about = format!(
                    "{}{of} images, {count} instances from a score of {score} on, by {} ({})",
                    jobs.len(),
                    detector.config().name,
                    detector.precision()
                );
                out.write_all(export::page_head("maskrcnn detect", &about).as_bytes())?;
                jobs.iter().try_for_each(|job| out.write_all(kept(job)?.entry.unwrap_or_default().as_bytes()))?;
                out.write_all(export::PAGE_END.as_bytes())
            }
        })?;
        let mut known = self.known();
        if form == Form::Plain {
            replace_sum(&mut known.sums, save, path, staged.sum);
            record::write(&place::run_record(self.out), "all", &known, self.overwrite)?;
        }
        staged.publish(path, |path| knows(known.sums.get(&save), path), self.overwrite)
    }
}

/// Numbers of images: their own where all have one, and else from 1 in their order.
fn ids(plan: &Plan) -> Vec<u64> {
    let own = plan.jobs.iter().map(|job| match job.id {
        ImageId::Number(id) => Some(id),
        ImageId::Name(_) => None,
    });
    own.collect::<Option<Vec<u64>>>().unwrap_or_else(|| (1..=plan.jobs.len() as u64).collect())
}
