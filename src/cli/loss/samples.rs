//! Which anchors and RoIs a loss is of, as a file that goes from program to program.

use std::fs;
use std::path::Path;

use maskrcnn::engine::eval::ImageInfo;
use maskrcnn::engine::vision::coco::ImageId;
use maskrcnn::engine::vision::results::{check_folder, is_ours, write_object};
use maskrcnn::{Error, Result, Sampled};
use serde::{Deserialize, Serialize};

/// Most bytes of a file that is read: those of some 20,000 images.
const MOST: u64 = 1 << 30;

/// The file.
#[derive(Deserialize)]
struct File {
    images: Vec<Entry>,
}

/// An image of it.
#[derive(Serialize, Deserialize)]
struct Entry {
    /// Its id in the annotations.
    image_id: ImageId,
    /// Anchors on truths, by their numbers.
    positive_anchors: Vec<u32>,
    /// Anchors on the background.
    negative_anchors: Vec<u32>,
    /// RoIs on truths: x1, y1, x2, y2 in pixels of the network's input.
    positive_rois: Vec<[f32; 4]>,
    /// RoIs on the background.
    negative_rois: Vec<[f32; 4]>,
}

/// What a file holds.
pub(super) struct Samples {
    file: String,
    images: Vec<Entry>,
}

impl Samples {
    pub(super) fn read(path: &Path) -> Result<Self> {
        let io = |source| Error::Io { path: path.into(), source };
        let file = path.display().to_string();
        let fault = |reason: String| Error::Dataset { file: file.clone(), reason };
        let bytes = fs::metadata(path).map_err(io)?.len();
        if bytes > MOST {
            return Err(fault(format!("has {bytes} bytes, and {MOST} are read: sample fewer images at a time")));
        }
        let read: File = serde_json::from_slice(&fs::read(path).map_err(io)?).map_err(|e| {
            fault(format!("is no file of sampled anchors and RoIs, as `loss --save-sampled` writes it: {e}"))
        })?;
        Ok(Self { file, images: read.images })
    }

    /// Those of an image.
    pub(super) fn of(&self, image: &ImageInfo) -> Result<Sampled> {
        let fault = |reason: String| Error::Dataset { file: self.file.clone(), reason };
        let mut found = self.images.iter().filter(|e| e.image_id == image.id);
        let entry = found.next().ok_or_else(|| fault(format!("has no samples of the image {:?}", image.id)))?;
        if found.next().is_some() {
            return Err(fault(format!("has samples of the image {:?} twice", image.id)));
        }
        Ok(Sampled {
            positive_anchors: entry.positive_anchors.clone(),
            negative_anchors: entry.negative_anchors.clone(),
            positive_rois: entry.positive_rois.clone(),
            negative_rois: entry.negative_rois.clone(),
        })
    }
}

/// Writes the samples of these images, an image a line.
pub(super) fn write<'a>(
    path: &Path,
    samples: impl Iterator<Item = (&'a ImageInfo, &'a Sampled)>,
    overwrite: bool,
) -> Result<()> {
    check(path, overwrite)?;
    let entry = |(image, sampled): (&ImageInfo, &Sampled)| {
        let Sampled { positive_anchors, negative_anchors, positive_rois, negative_rois } = sampled.clone();
        let image_id = image.id.clone();
        let entry = Entry { image_id, positive_anchors, negative_anchors, positive_rois, negative_rois };
        serde_json::to_string(&entry).map_err(|e| Error::Io { path: path.into(), source: e.into() })
    };
    let entries: Vec<String> = samples.map(entry).collect::<Result<_>>()?;
    write_object(path, &format!("{{\n\"images\":[\n{}\n]\n}}\n", entries.join(",\n")), overwrite)
}

/// Refuses a file that cannot be written or is somebody else's.
pub(super) fn check(path: &Path, overwrite: bool) -> Result<()> {
    let refuse = |reason: String| Err(Error::Dataset { file: path.display().to_string(), reason });
    let folder = path.parent().filter(|f| !f.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.is_dir() {
        return refuse(format!("there is no folder {}: make it first", folder.display()));
    }
    check_folder(folder)?;
    match path.metadata() {
        Ok(about) if about.is_dir() => refuse("is a folder: name a file with --save-sampled".into()),
        Ok(about) if about.is_file() && !overwrite && !is_ours(path) => refuse(
            "is there already, and was written or changed by somebody else; name another file with --save-sampled, or replace \
             it with --overwrite"
                .into(),
        ),
        _ => Ok(()),
    }
}
