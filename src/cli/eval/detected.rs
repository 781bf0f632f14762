//! What the detector finds in the annotations' images.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use maskrcnn::engine::eval::{Annotations, ImageInfo};
use maskrcnn::engine::vision::coco::{self, CocoResult};
use maskrcnn::{Detector, Error, Image, Result};

use super::Args;
use crate::cli::words::count;

/// Runs the detector on every image. Gives its name, and what it found by the annotations' ids.
pub(super) fn results(args: &Args, annotations: &Annotations, folder: &Path) -> Result<(String, Vec<CocoResult>)> {
    let places: Vec<PathBuf> =
        annotations.images.iter().map(|image| place(image, folder, &annotations.file)).collect::<Result<_>>()?;
    let detector = args.model.open(args.lowest)?;
    let name = format!("{} on {}, {}", detector.config().name, detector.device().name(), detector.precision());
    let classes = Classes::new(&detector, annotations);
    let (mut out, mut left) = (Vec::new(), BTreeMap::new());
    for (at, (image, path)) in annotations.images.iter().zip(&places).enumerate() {
        let picture = args.reading.open(path)?;
        check_size(image, &picture, path, &annotations.file)?;
        for mut result in coco::results(&detector.detect(&picture)?, image.id.clone()) {
            match classes.category(&result) {
                Some(id) => {
                    result.category_id = id;
                    out.push(result);
                }
                None => *left.entry(result.category_name).or_insert(0) += 1,
            }
        }
        if (at + 1) % 10 == 0 {
            note!("{} of {} done", at + 1, count(places.len(), "image"));
        }
    }
    args.reading.finish();
    if !left.is_empty() {
        let each: Vec<String> = left.iter().map(|(class, n)| format!("{n} × {class}")).collect();
        note!("note: of classes that {} does not have, and left out: {}", annotations.file, each.join(", "));
    }
    Ok((name, out))
}

/// Refuses a picture of another size than the annotations have it.
pub(in crate::cli) fn check_size(image: &ImageInfo, picture: &Image, path: &Path, annotations: &str) -> Result<()> {
    let (w, h) = (picture.width(), picture.height());
    match image.size.filter(|&known| known != [h, w]) {
        Some([height, width]) => {
            let reason = format!("is {w}×{h} pixels, and {width}×{height} by {annotations}");
            Err(Error::Image { name: path.display().to_string(), reason })
        }
        None => Ok(()),
    }
}

/// Where an image's file is.
pub(in crate::cli) fn place(image: &ImageInfo, folder: &Path, annotations: &str) -> Result<PathBuf> {
    let name = Path::new(&image.file_name);
    let alone = name.file_name().map(|n| folder.join(n));
    let there = [Some(folder.join(name)), alone].into_iter().flatten().find(|p| p.is_file());
    there.ok_or_else(|| {
        let reason = match image.file_name.is_empty() {
            true => format!("an image has no file_name (id {:?})", image.id),
            false => format!("its image {} is not in {}", image.file_name, folder.display()),
        };
        Error::Dataset { file: annotations.into(), reason }
    })
}

/// Which category of the annotations a class of the model is.
struct Classes<'a> {
    annotations: &'a Annotations,
    by_name: bool,
}

impl<'a> Classes<'a> {
    /// By their names, or by their numbers where no name is in both.
    fn new(detector: &Detector, annotations: &'a Annotations) -> Self {
        let names = detector.config().class_names.iter().skip(1);
        let known = |name: &String| annotations.categories.iter().any(|c| same(&c.name, name));
        let by_name = names.clone().any(known);
        if !by_name {
            note!(
                "note: no class of the model is a category of {} by name; they are taken for one another by their numbers",
                annotations.file
            );
        }
        Self { annotations, by_name }
    }

    fn category(&self, result: &CocoResult) -> Option<u32> {
        let mut all = self.annotations.categories.iter();
        let found = match self.by_name {
            true => all.find(|c| same(&c.name, &result.category_name)),
            false => all.find(|c| c.id == result.category_id),
        };
        found.map(|c| c.id)
    }
}

fn same(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b)
}
