//! A COCO dataset: images, categories and annotations in one file.

use std::io::{self, Write};

use serde_json::json;

use super::as_written;
use crate::vision::coco::CocoResult;

/// What a dataset says of an image.
#[derive(Clone, Debug, PartialEq)]
pub struct DatasetImage {
    /// Its number.
    pub id: u64,
    /// Its file.
    pub file_name: String,
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// Which page of the file it is, from 1.
    pub page: Option<usize>,
}

/// Writes a dataset image by image, without holding more than one. The images' list has to stand in one piece, as have the
/// annotations; so those of all images are given first, and then the annotations of each.
pub struct Dataset<'a> {
    out: &'a mut dyn Write,
    annotations: u64,
}

impl<'a> Dataset<'a> {
    /// Begins it with the images. `classes` are names by label, 0 being the background.
    ///
    /// # Errors
    /// Where `out` cannot be written to.
    pub fn new(
        out: &'a mut dyn Write,
        classes: &[String],
        images: impl Iterator<Item = io::Result<DatasetImage>>,
    ) -> io::Result<Self> {
        let about = json!({ "description": "instances found by maskrcnn", "version": env!("CARGO_PKG_VERSION") });
        write!(out, "{{\n\"info\": {about},\n\"licenses\": [],\n\"categories\": [")?;
        let named = classes.iter().enumerate().skip(1).filter(|(_, name)| !name.is_empty() && *name != "N/A");
        for (i, (label, name)) in named.enumerate() {
            let comma = if i == 0 { "" } else { "," };
            write!(out, "{comma}\n{}", json!({ "id": label, "name": name, "supercategory": "" }))?;
        }
        write!(out, "\n],\n\"images\": [")?;
        for (i, image) in images.enumerate() {
            let DatasetImage { id, file_name, width, height, page } = image?;
            let mut entry = json!({ "id": id, "file_name": file_name, "width": width, "height": height });
            if let Some(page) = page {
                entry["page"] = json!(page);
            }
            write!(out, "{}\n{entry}", if i == 0 { "" } else { "," })?;
        }
        write!(out, "\n],\n\"annotations\": [")?;
        Ok(Self { out, annotations: 0 })
    }

    /// The annotations of an image: masks as COCO's run lengths, as polygons have no holes. Boxes alone have an empty
    /// `segmentation`. `score` is kept, which COCO's tools pass over.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn add(&mut self, image: u64, results: &[CocoResult]) -> io::Result<()> {
        for result in results {
            let comma = if self.annotations == 0 { "" } else { "," };
            self.annotations += 1;
            let [_, _, w, h] = result.bbox.map(f64::from);
            let area = result.segmentation.as_ref().map_or(json!(w * h), |rle| json!(rle.area()));
            let segmentation = result.segmentation.as_ref().map_or(json!([]), |rle| json!(rle));
            let entry = json!({
                "id": self.annotations,
                "image_id": image,
                "category_id": result.category_id,
                "bbox": result.bbox.map(as_written),
                "area": area,
                "iscrowd": 0,
                "segmentation": segmentation,
                "score": as_written(result.score),
            });
            write!(self.out, "{comma}\n{entry}")?;
        }
        Ok(())
    }

    /// Ends it.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn finish(self) -> io::Result<()> {
        self.out.write_all(b"\n]\n}\n")
    }
}
