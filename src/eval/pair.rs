//! Results brought together with the annotations that they are judged by.

use std::collections::HashMap;
use std::path::Path;

use super::annotations::{Annotations, name};
use super::region::Region;
use super::results::{Entry, Results};
use crate::error::Result;
use crate::vision::coco::ImageId;

/// Annotations with what was found for them.
#[derive(Clone, Debug)]
pub struct Paired {
    /// What there is to be found.
    pub annotations: Annotations,
    /// What was found, in the results' order.
    pub predictions: Vec<Prediction>,
    /// Whether there are masks on both sides.
    pub has_masks: bool,
    /// What was assumed on the way, a sentence each.
    pub notes: Vec<String>,
}

/// A result that goes with the annotations.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// Its image's place in [`Annotations::images`].
    pub image: usize,
    /// Its class's place in [`Annotations::categories`].
    pub category: usize,
    /// x, y, width, height in pixels; the mask's where the results have no boxes.
    pub bbox: [f64; 4],
    /// By which it is small, medium or large, in pixels.
    pub area: f64,
    /// The confidence.
    pub score: f64,
    /// The mask, where any result has one.
    pub mask: Option<Region>,
}

impl Paired {
    /// Finds the image and the class of each result. Images are named by their ids, or all by their files' stems, as
    /// `maskrcnn detect` names them.
    ///
    /// The size of a result is that of its box, and of its mask only where the first has no box, as in pycocotools;
    /// `by_pixels` takes masks' wherever there are some.
    ///
    /// # Errors
    /// [`Error::Dataset`](crate::Error::Dataset), naming the result whose image or class is unknown, or whose mask is
    /// wrong or of another size than its image.
    pub fn new(annotations: Annotations, mut results: Results, by_pixels: bool) -> Result<Self> {
        let mut notes = Vec::new();
        let images = images(&annotations, &results, &mut notes)?;
        let categories: HashMap<u32, usize> =
            annotations.categories.iter().enumerate().map(|(i, c)| (c.id, i)).collect();
        let count = results.entries.len();
        let with_boxes = results.entries.first().is_some_and(|e| e.bbox.is_some());
        let with_masks = results.entries.iter().filter(|e| e.segmentation.is_some()).count();
        let mut predictions = Vec::with_capacity(count);
        for (at, image) in images.into_iter().enumerate() {
            let mask = results.entries[at].segmentation.take();
            let (entry, wrong) = (&results.entries[at], |reason: String| results.fault(at, reason));
            let unknown = || wrong(unknown_category(entry.category_id, &annotations));
            let category = *categories.get(&entry.category_id).ok_or_else(unknown)?;
            let mask = mask.map(|m| m.region(annotations.images[image].size)).transpose().map_err(wrong)?;
            let (bbox, area) = extent(entry.bbox, mask.as_ref(), (with_boxes, by_pixels)).map_err(wrong)?;
            predictions.push(Prediction { image, category, bbox, area, score: entry.score, mask });
        }
        if with_masks > 0 && with_masks < count {
            notes.push(format!(
                "{} of {count} results have no mask: where masks are judged, their boxes stand for them, as in pycocotools",
                count - with_masks
            ));
            for p in predictions.iter_mut().filter(|p| p.mask.is_none()) {
                p.mask = annotations.images[p.image].size.map(|size| Region::of_box(&p.bbox, size));
            }
        }
        let lacking = match (annotations.has_masks(), with_masks > 0 || count == 0) {
            (false, _) => Some("annotations"),
            (_, false) => Some("results"),
            _ if predictions.iter().any(|p| p.mask.is_none()) => Some("images' sizes"),
            _ => None,
        };
        notes.extend(lacking.map(|what| format!("masks are not judged, as they are not in all of the {what}")));
        Ok(Self { annotations, predictions, has_masks: lacking.is_none(), notes })
    }
}

/// A result's box and area.
fn extent(
    bbox: Option<[f64; 4]>,
    mask: Option<&Region>,
    (with_boxes, by_pixels): (bool, bool),
) -> Result<([f64; 4], f64), String> {
    if bbox.is_none() && with_boxes {
        return Err("has no bbox, where the first result has one".into());
    }
    let bbox = bbox.or_else(|| mask.map(Region::bbox)).ok_or("has neither a bbox nor a mask")?;
    let of_box = bbox[2] * bbox[3];
    let of_mask = mask.map_or(of_box, |m| m.area() as f64);
    Ok((bbox, if with_boxes && !by_pixels { of_box } else { of_mask }))
}

/// The place of each result's image.
fn images(annotations: &Annotations, results: &Results, notes: &mut Vec<String>) -> Result<Vec<usize>> {
    let all = annotations.images.iter().enumerate();
    let by_id: HashMap<&ImageId, usize> = all.clone().map(|(i, image)| (&image.id, i)).collect();
    let mut by_stem: HashMap<ImageId, usize> = HashMap::new();
    for (i, image) in all {
        for id in stems(&image.file_name) {
            by_stem.entry(id).or_insert(i);
        }
    }
    let ids: Option<Vec<usize>> = results.entries.iter().map(|e| by_id.get(&e.image_id).copied()).collect();
    let stems: Option<Vec<usize>> = results.entries.iter().map(|e| by_stem.get(&e.image_id).copied()).collect();
    match (ids, stems) {
        (Some(ids), Some(stems)) if ids != stems => {
            notes.push(format!(
                "the results' image ids are ids of {0}, and would be names of other images' files, too; they are taken for \
                 ids (where `maskrcnn detect` wrote them, let `eval --images` run it instead)",
                annotations.file
            ));
            Ok(ids)
        }
        (Some(ids), _) => Ok(ids),
        (None, Some(stems)) => Ok(stems),
        (None, None) => {
            let known = |e: &Entry| by_id.contains_key(&e.image_id);
            let known_stem = |e: &Entry| by_stem.contains_key(&e.image_id);
            // Whichever way more are known is how they are meant.
            let count = |known: &dyn Fn(&Entry) -> bool| results.entries.iter().filter(|e| known(e)).count();
            let by_stem = count(&known_stem) > count(&known);
            let unknown = |e: &Entry| if by_stem { !known_stem(e) } else { !known(e) };
            let at = results.entries.iter().position(unknown).unwrap_or(0);
            let id = name(&results.entries[at].image_id);
            Err(results.fault(at, format!("its image_id {id} is none of the images of {}", annotations.file)))
        }
    }
}

/// What `maskrcnn detect` may call an image: its stem, as a number where that is all digits.
fn stems(file_name: &str) -> Vec<ImageId> {
    let stem = Path::new(file_name).file_stem().map(|s| s.to_string_lossy()).unwrap_or_default();
    if stem.is_empty() { Vec::new() } else { vec![ImageId::from(&*stem), ImageId::Name(stem.into_owned())] }
}

fn unknown_category(id: u32, annotations: &Annotations) -> String {
    let known = annotations.categories.iter().map(|c| format!("{} {}", c.id, c.name));
    let some: Vec<String> = known.take(12).collect();
    let more = if annotations.categories.len() > some.len() { ", …" } else { "" };
    format!("its category_id {id} is none of the categories of {} ({}{more})", annotations.file, some.join(", "))
}
