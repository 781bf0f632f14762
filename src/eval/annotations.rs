//! COCO annotations: what there is to be found.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use serde::Deserialize;

use super::json::{check_box, fault, number, numbers, read};
use super::region::{Region, Segmentation};
use crate::error::Result;
use crate::vision::coco::ImageId;

/// A COCO file of annotations, read and checked.
#[derive(Clone, Debug)]
pub struct Annotations {
    /// The file's name.
    pub file: String,
    /// The images, by rising id: numbers before names.
    pub images: Vec<ImageInfo>,
    /// The classes, by rising id.
    pub categories: Vec<Category>,
    /// What is to be found, in the file's order.
    pub truths: Vec<Truth>,
    /// What was assumed or left out on the way, a sentence each.
    pub notes: Vec<String>,
}

/// An image of the annotations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageInfo {
    /// Its id.
    pub id: ImageId,
    /// Its file's name; empty where that is not told.
    pub file_name: String,
    /// Its height and width in pixels, where they are told.
    pub size: Option<[u32; 2]>,
}

/// A class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Category {
    /// Its id.
    pub id: u32,
    /// Its name.
    pub name: String,
}

/// An object, or a crowd of them, that an annotation marks.
#[derive(Clone, Debug, PartialEq)]
pub struct Truth {
    /// The annotation's id.
    pub id: u64,
    /// Its place in [`Annotations::images`].
    pub image: usize,
    /// Its place in [`Annotations::categories`].
    pub category: usize,
    /// x, y, width, height in pixels.
    pub bbox: [f64; 4],
    /// Pixels, as the file says: of the mask, wherever the file has one.
    pub area: f64,
    /// Whether it is a region of many objects, to be found any number of times or not at all.
    pub crowd: bool,
    /// The mask, where the file has one.
    pub mask: Option<Region>,
}

#[derive(Deserialize)]
struct File {
    images: Option<Vec<RawImage>>,
    categories: Option<Vec<RawCategory>>,
    annotations: Option<Vec<RawTruth>>,
}

#[derive(Deserialize)]
struct RawImage {
    id: Option<ImageId>,
    file_name: Option<String>,
    width: Option<u32>,
    height: Option<u32>,
}

#[derive(Deserialize)]
struct RawCategory {
    id: Option<u32>,
    name: Option<String>,
}

#[derive(Deserialize)]
struct RawTruth {
    id: Option<u64>,
    image_id: Option<ImageId>,
    category_id: Option<u32>,
    #[serde(default, deserialize_with = "numbers")]
    bbox: Option<[f64; 4]>,
    #[serde(default, deserialize_with = "number")]
    area: Option<f64>,
    iscrowd: Option<Flag>,
    segmentation: Option<Segmentation>,
}

/// COCO writes 0 and 1, others true and false.
#[derive(Clone, Copy, Deserialize)]
#[serde(untagged)]
enum Flag {
    Bool(bool),
    Number(u8),
}

/// What a file lacks in how many places.
#[derive(Default)]
struct Lacks {
    images: usize,
    categories: usize,
    boxes: usize,
    areas: usize,
    zero: bool,
}

impl Annotations {
    /// Reads a COCO file of annotations: polygons, run lengths compressed or not.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io), and [`Error::Dataset`](crate::Error::Dataset) where it is no such file, naming the
    /// annotation that is wrong.
    pub fn read(path: &Path) -> Result<Self> {
        let file = path.display().to_string();
        let raw: File = read(path, "COCO annotations", b'{')?;
        let lacks = |key: &str| fault(&file, format!("is no file of COCO annotations: it has no `{key}`"));
        let images = images(&file, raw.images.ok_or_else(|| lacks("images"))?)?;
        let categories = categories(&file, raw.categories.ok_or_else(|| lacks("categories"))?)?;
        let raw = raw.annotations.ok_or_else(|| lacks("annotations"))?;
        let mut out = Self { file, images, categories, truths: Vec::with_capacity(raw.len()), notes: Vec::new() };
        out.take(raw)?;
        Ok(out)
    }

    /// Whether there are objects, and all of them have masks.
    pub fn has_masks(&self) -> bool {
        !self.truths.is_empty() && self.truths.iter().all(|t| t.mask.is_some())
    }

    fn take(&mut self, raw: Vec<RawTruth>) -> Result<()> {
        let by_image: HashMap<ImageId, usize> =
            self.images.iter().enumerate().map(|(i, image)| (image.id.clone(), i)).collect();
        let by_category: HashMap<u32, usize> = self.categories.iter().enumerate().map(|(i, c)| (c.id, i)).collect();
        let (mut seen, mut lacks) = (HashSet::new(), Lacks::default());
        for (at, raw) in raw.into_iter().enumerate() {
            let id = raw.id.ok_or_else(|| fault(&self.file, format!("annotation {} of the list has no id", at + 1)))?;
            let wrong = |reason: String| fault(&self.file, format!("annotation {id}: {reason}"));
            if !seen.insert(id) {
                return Err(fault(&self.file, format!("two annotations have the id {id}")));
            }
            let image = raw.image_id.as_ref().ok_or_else(|| wrong("has no image_id".into()))?;
            let category = raw.category_id.ok_or_else(|| wrong("has no category_id".into()))?;
            let Some(&image) = by_image.get(image) else {
                lacks.images += 1;
                continue;
            };
            let Some(&category) = by_category.get(&category) else {
                lacks.categories += 1;
                continue;
            };
            lacks.zero |= id == 0;
            let truth = truth(raw, (id, image, category), self.images[image].size, &mut lacks).map_err(wrong)?;
            self.truths.push(truth);
        }
        self.tell(&lacks);
        Ok(())
    }

    fn tell(&mut self, lacks: &Lacks) {
        let mut tell = |n: usize, what: &str| {
            if n > 0 {
                self.notes.push(format!("{}: {n} annotation{} {what}", self.file, if n == 1 { "" } else { "s" }));
            }
        };
        tell(lacks.images, "left out, of images that the file does not list");
        tell(lacks.categories, "left out, of categories that the file does not list");
        tell(lacks.boxes, "without a bbox: taken from the mask");
        tell(lacks.areas, "without an area: taken from the mask, or the box where there is none");
        let zero = "with the id 0: as in pycocotools, what finds it counts as a false positive; number them from 1";
        tell(usize::from(lacks.zero), zero);
    }
}

fn images(file: &str, raw: Vec<RawImage>) -> Result<Vec<ImageInfo>> {
    let mut out = Vec::with_capacity(raw.len());
    for (at, raw) in raw.into_iter().enumerate() {
        let id = raw.id.ok_or_else(|| fault(file, format!("image {} of the list has no id", at + 1)))?;
        let size = raw.height.zip(raw.width).map(|(h, w)| [h, w]);
        if let Some([h, w]) = size.filter(|&[h, w]| u64::from(h) * u64::from(w) > u64::from(u32::MAX)) {
            return Err(fault(file, format!("image {}: {w}×{h} are more pixels than a mask can have", name(&id))));
        }
        out.push(ImageInfo { id, size, file_name: raw.file_name.unwrap_or_default() });
    }
    out.sort_by(|a, b| order(&a.id).cmp(&order(&b.id)));
    match out.windows(2).find(|pair| pair[0].id == pair[1].id) {
        Some(pair) => Err(fault(file, format!("two images have the id {}", name(&pair[0].id)))),
        None => Ok(out),
    }
}

fn categories(file: &str, raw: Vec<RawCategory>) -> Result<Vec<Category>> {
    let mut out = Vec::with_capacity(raw.len());
    for (at, raw) in raw.into_iter().enumerate() {
        let id = raw.id.ok_or_else(|| fault(file, format!("category {} of the list has no id", at + 1)))?;
        out.push(Category { name: raw.name.unwrap_or_else(|| format!("class {id}")), id });
    }
    out.sort_by_key(|c| c.id);
    match out.windows(2).find(|pair| pair[0].id == pair[1].id) {
        Some(pair) => Err(fault(file, format!("two categories have the id {}", pair[0].id))),
        None => Ok(out),
    }
}

fn truth(
    raw: RawTruth,
    (id, image, category): (u64, usize, usize),
    size: Option<[u32; 2]>,
    lacks: &mut Lacks,
) -> Result<Truth, String> {
    let mask = raw.segmentation.map(|s| s.region(size)).transpose()?;
    lacks.boxes += usize::from(raw.bbox.is_none());
    let bbox = raw.bbox.or_else(|| mask.as_ref().map(Region::bbox)).ok_or("has neither a bbox nor a mask")?;
    check_box(&bbox)?;
    lacks.areas += usize::from(raw.area.is_none());
    let area = raw.area.unwrap_or_else(|| mask.as_ref().map_or(bbox[2] * bbox[3], |m| m.area() as f64));
    if !area.is_finite() {
        return Err("its area is no number".into());
    }
    let crowd = matches!(raw.iscrowd, Some(Flag::Bool(true) | Flag::Number(1..)));
    Ok(Truth { id, image, category, bbox, area, crowd, mask })
}

/// Numbers by their size, then names.
fn order(id: &ImageId) -> (u64, &str) {
    match id {
        ImageId::Number(n) => (*n, ""),
        ImageId::Name(name) => (u64::MAX, name),
    }
}

/// An id as a file has it.
pub(super) fn name(id: &ImageId) -> String {
    match id {
        ImageId::Number(n) => n.to_string(),
        ImageId::Name(name) => format!("{name:?}"),
    }
}
