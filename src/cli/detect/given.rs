//! Boxes from a file: proposals in place of the RPN's (`--proposals`), or boxes whose masks are wanted (`--boxes`).

use std::collections::HashMap;
use std::path::PathBuf;

use maskrcnn::engine::vision::coco::ImageId;
use maskrcnn::{Config, Detections, Detector, Error, Image, KnownBox, Result};
use serde::Deserialize;
use serde_json::Value;

use super::plan::Job;

/// Where boxes come from.
#[derive(clap::Args)]
pub(super) struct GivenArgs {
    /// Fast R-CNN: take the proposals of this file and not the RPN's. COCO results (`bbox` as x, y, width, height; `score`
    /// and `category_id` may be left away), an object of lists of boxes by image (x1, y1, x2, y2), or, for one image, such
    /// a list. Images go by their names, with or without endings, or by their ids.
    #[arg(long, value_name = "FILE.json", conflicts_with = "boxes")]
    proposals: Option<PathBuf>,
    /// Make the masks of the boxes of this file, and look for nothing else. Such a file as for --proposals, or a COCO
    /// dataset; where a model has several classes, boxes have a `category_id`.
    #[arg(long, value_name = "FILE.json")]
    boxes: Option<PathBuf>,
}

/// What such a file holds.
pub(super) struct Given {
    file: PathBuf,
    /// By the image's id or name; what belongs to the only image has none.
    boxes: HashMap<Option<String>, Vec<GivenBox>>,
    /// Whether they are proposals.
    proposals: bool,
    /// Of the file's text.
    checksum: u32,
}

#[derive(Clone, Copy)]
struct GivenBox {
    bbox: [f32; 4],
    score: Option<f32>,
    label: Option<u32>,
}

/// An entry of a COCO file, as far as it matters here.
#[derive(Deserialize)]
struct Entry {
    image_id: ImageId,
    bbox: [f32; 4],
    #[serde(default)]
    score: Option<f32>,
    #[serde(default)]
    category_id: Option<u32>,
}

/// An image of a COCO dataset.
#[derive(Deserialize)]
struct Named {
    id: ImageId,
    file_name: String,
}

impl GivenArgs {
    /// The option that names a file.
    pub(super) fn option(&self) -> Option<&'static str> {
        let proposals = self.proposals.as_ref().map(|_| "--proposals");
        proposals.or(self.boxes.as_ref().map(|_| "--boxes"))
    }

    /// Reads the file, where there is one.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be read, [`Error::Dataset`] where it is no such file.
    pub(super) fn read(&self) -> Result<Option<Given>> {
        let (file, proposals) = match (&self.proposals, &self.boxes) {
            (Some(file), _) => (file, true),
            (None, Some(file)) => (file, false),
            (None, None) => return Ok(None),
        };
        let text = std::fs::read(file).map_err(|source| Error::Io { path: file.into(), source })?;
        let boxes = parse(&text).map_err(|reason| Error::Dataset { file: file.display().to_string(), reason })?;
        Ok(Some(Given { file: file.clone(), boxes, proposals, checksum: crc32fast::hash(&text) }))
    }
}

fn key(id: &ImageId) -> String {
    match id {
        ImageId::Number(n) => n.to_string(),
        ImageId::Name(name) => name.clone(),
    }
}

fn parse(text: &[u8]) -> Result<HashMap<Option<String>, Vec<GivenBox>>, String> {
    let value: Value = serde_json::from_slice(text).map_err(|e| format!("is not JSON ({e})"))?;
    let bare = |bbox| GivenBox { bbox, score: None, label: None };
    let list = |name: &str, value: Value| -> Result<Vec<GivenBox>, String> {
        let boxes: Vec<[f32; 4]> =
            serde_json::from_value(value).map_err(|e| format!("{name} are not lists of x1, y1, x2, y2 ({e})"))?;
        Ok(boxes.into_iter().map(bare).collect())
    };
    match value {
        Value::Array(all) if all.first().is_some_and(Value::is_object) => entries(all, &HashMap::new()),
        Value::Array(all) => Ok(HashMap::from([(None, list("its boxes", Value::Array(all))?)])),
        Value::Object(mut parts) => match (parts.remove("annotations"), parts.remove("images")) {
            (Some(Value::Array(all)), Some(images)) => {
                let images: Vec<Named> =
                    serde_json::from_value(images).map_err(|e| format!("has an image without id or name ({e})"))?;
                entries(all, &images.into_iter().map(|i| (key(&i.id), i.file_name)).collect())
            }
            (None, None) => {
                let by_name = parts.into_iter().map(|(name, value)| {
                    let boxes = list(&format!("its boxes of {name}"), value)?;
                    Ok((Some(name), boxes))
                });
                by_name.collect()
            }
            _ => Err("has annotations without images, or images without annotations".into()),
        },
        _ => Err("holds neither COCO entries nor boxes by image".into()),
    }
}

/// COCO entries by image: by the name that `names` has for an id, or by the id.
fn entries(all: Vec<Value>, names: &HashMap<String, String>) -> Result<HashMap<Option<String>, Vec<GivenBox>>, String> {
    let mut out: HashMap<Option<String>, Vec<GivenBox>> = HashMap::new();
    for (i, value) in all.into_iter().enumerate() {
        let Entry { image_id, bbox: [x, y, w, h], score, category_id } =
            serde_json::from_value(value).map_err(|e| format!("entry {i} is no box of an image ({e})"))?;
        let id = key(&image_id);
        let image = names.get(&id).cloned().unwrap_or(id);
        out.entry(Some(image)).or_default().push(GivenBox { bbox: [x, y, x + w, y + h], score, label: category_id });
    }
    Ok(out)
}

impl Given {
    /// Whether what is given are the results' boxes, none of which is left out.
    pub(super) fn are_boxes(&self) -> bool {
        !self.proposals
    }

    /// What tells results by this file from others.
    pub(super) fn settings(&self) -> String {
        let what = if self.proposals { "proposals" } else { "boxes" };
        format!("{what} {:08x}\n", self.checksum)
    }

    /// What the file has for a picture.
    fn of(&self, job: &Job, jobs: usize) -> Option<&Vec<GivenBox>> {
        let path = job.source.path();
        let names =
            [path.file_name(), path.file_stem()].into_iter().flatten().map(|n| n.to_string_lossy().into_owned());
        let page = job.page.is_none();
        // A page is not its file.
        let mut names = names.filter(|_| page).chain([key(&job.id), path.display().to_string()]);
        let named = names.find_map(|name| self.boxes.get(&Some(name)));
        named.or_else(|| self.boxes.get(&None).filter(|_| jobs == 1))
    }

    /// What the detector makes of a picture by the boxes that the file has for it; `jobs` pictures are done.
    ///
    /// # Errors
    /// As [`Detector::detect_proposals`] and [`Detector::masks_of_boxes`], naming the file.
    pub(super) fn detect(&self, detector: &Detector, image: &Image, job: &Job, jobs: usize) -> Result<Detections> {
        let found = if self.proposals {
            detector.detect_proposals(image, &self.proposals(job, jobs))
        } else {
            let boxes = self.boxes(job, jobs);
            self.known(&boxes, detector.config(), job).and_then(|known| detector.masks_of_boxes(image, &known))
        };
        found.map_err(|e| self.named(job, e))
    }

    /// The proposals that the file has for a picture, as many as there is room for; `jobs` pictures are done.
    pub(super) fn proposals(&self, job: &Job, jobs: usize) -> Vec<[f32; 4]> {
        self.boxes(job, jobs).iter().map(|b| b.bbox).collect()
    }

    fn boxes(&self, job: &Job, jobs: usize) -> Vec<GivenBox> {
        let none = Vec::new();
        let all = self.of(job, jobs).unwrap_or(&none);
        if all.is_empty() {
            let more = if self.boxes.contains_key(&None) { ": a list of boxes alone is for one image" } else { "" };
            note!("note: {} has no boxes for {}{more}", self.file.display(), job.name());
        }
        self.best(all, job)
    }

    /// An error that is of one of the boxes, as one of the file.
    pub(super) fn named(&self, job: &Job, e: Error) -> Error {
        match e {
            Error::GivenBox { index, reason } => {
                self.refuse(job, format!("box {index} (from 0) of {} {reason}", self.file.display()))
            }
            other => other,
        }
    }

    fn refuse(&self, job: &Job, reason: String) -> Error {
        Error::Image { name: job.name(), reason }
    }

    /// As many as there is room for: those that score best, in the file's order.
    fn best(&self, all: &[GivenBox], job: &Job) -> Vec<GivenBox> {
        let most = Config::MOST_DETECTIONS;
        if all.len() <= most {
            return all.to_vec();
        }
        let by = if all.iter().any(|b| b.score.is_some()) { "those that score best" } else { "the first" };
        note!("note: {} has {} boxes for {}: {most} are used, {by}", self.file.display(), all.len(), job.name());
        let mut order: Vec<usize> = (0..all.len()).collect();
        let score = |i: usize| all[i].score.unwrap_or(f32::NEG_INFINITY);
        order.sort_by(|&a, &b| score(b).total_cmp(&score(a)));
        order.truncate(most);
        order.sort_unstable();
        order.into_iter().map(|i| all[i]).collect()
    }

    /// With a label each: the file's, or the only one that there is.
    fn known(&self, boxes: &[GivenBox], config: &Config, job: &Job) -> Result<Vec<KnownBox>> {
        let only = (config.num_classes == 2).then_some(1);
        let label = |(i, b): (usize, &GivenBox)| {
            let label = b.label.or(only).ok_or_else(|| {
                let file = self.file.display();
                self.refuse(
                    job,
                    format!("box {i} (from 0) of {file} has no `category_id`, and the model has several classes"),
                )
            })?;
            Ok(KnownBox { bbox: b.bbox, label, score: b.score.unwrap_or(1.0) })
        };
        boxes.iter().enumerate().map(label).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_every_form_are_read() {
        let one = |text: &str, name: Option<&str>| {
            let all = parse(text.as_bytes()).unwrap();
            let boxes = &all[&name.map(String::from)];
            (boxes[0].bbox, boxes[0].score, boxes[0].label)
        };
        let corners = [1.0, 2.0, 11.0, 22.0];
        let coco = r#"[{"image_id": 7, "bbox": [1, 2, 10, 20], "score": 0.5, "category_id": 3, "segmentation": {}}]"#;
        assert_eq!(one(coco, Some("7")), (corners, Some(0.5), Some(3)));
        assert_eq!(one(r#"[{"image_id": "a", "bbox": [1, 2, 10, 20]}]"#, Some("a")), (corners, None, None));
        assert_eq!(one("[[1, 2, 11, 22]]", None), (corners, None, None));
        assert_eq!(one(r#"{"a.png": [[1, 2, 11, 22]]}"#, Some("a.png")), (corners, None, None));
        let dataset = r#"{"images": [{"id": 9, "file_name": "b.png"}], "categories": [],
            "annotations": [{"id": 1, "image_id": 9, "bbox": [1, 2, 10, 20], "category_id": 2}]}"#;
        assert_eq!(one(dataset, Some("b.png")), (corners, None, Some(2)));
        assert!(parse(b"[]").unwrap()[&None].is_empty());
    }

    #[test]
    fn what_is_no_such_file_is_told() {
        for (text, part) in [
            ("{", "not JSON"),
            ("7", "neither"),
            ("[[1, 2, 3]]", "x1, y1, x2, y2"),
            (r#"{"a.png": [1, 2, 3, 4]}"#, "a.png"),
            (r#"[{"image_id": 1, "bbox": [1, 2, 3, 4]}, {"bbox": [1, 2, 3, 4]}]"#, "entry 1"),
            (r#"[{"image_id": 1, "bbox": "wide"}]"#, "entry 0"),
            (r#"{"annotations": []}"#, "without images"),
        ] {
            let told = parse(text.as_bytes()).err().unwrap_or_default();
            assert!(told.contains(part), "{text}: {told}");
        }
    }
}
