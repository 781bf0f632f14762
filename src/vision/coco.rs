//! Detections as COCO results: a JSON array that pycocotools' `loadRes` reads.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::atomic;
use crate::error::{Error, Result};
use crate::vision::detections::Detections;
use crate::vision::rle::Rle;

/// One entry of a COCO results file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CocoResult {
    /// The image that it was found in.
    pub image_id: ImageId,
    /// The label.
    pub category_id: u32,
    /// The label's name, which COCO's own tools pass over.
    pub category_name: String,
    /// `[x, y, width, height]` in pixels of the original image.
    pub bbox: [f32; 4],
    /// The confidence, 0 to 1.
    pub score: f32,
    /// The mask; absent where the model gives boxes only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segmentation: Option<Rle>,
}

/// How an image is named in a results file.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ImageId {
    /// COCO's own kind: `000000123456.jpg` is 123456.
    Number(u64),
    /// Any other file stem.
    Name(String),
}

impl From<&str> for ImageId {
    fn from(stem: &str) -> Self {
        // Digits alone: `parse` would also take a plus sign.
        let digits = stem.bytes().all(|b| b.is_ascii_digit());
        match stem.parse() {
            Ok(number) if digits => Self::Number(number),
            _ => Self::Name(stem.to_string()),
        }
    }
}

/// The entries of one image, by falling score. `image_id` is an id or a file stem: a number where that is all digits.
pub fn results(dets: &Detections, image_id: impl Into<ImageId>) -> Vec<CocoResult> {
    let image_id = image_id.into();
    // Told for all together: a model with masks may give an instance an empty one, which pycocotools still wants.
    let masks = dets.has_masks();
    dets.iter()
        .map(|d| {
            let [x1, y1, x2, y2] = d.bbox;
            CocoResult {
                image_id: image_id.clone(),
                category_id: d.label,
                category_name: dets.name(d.label).into_owned(),
                bbox: [x1, y1, x2 - x1, y2 - y1],
                score: d.score,
                segmentation: masks.then(|| d.mask.to_rle(dets.width, dets.height)),
            }
        })
        .collect()
}

/// Writes the entries of any number of images as JSON, one a line. The file is whole or as it was before.
///
/// # Errors
/// [`Error::Io`] where it cannot be written.
pub fn write_results(path: impl AsRef<Path>, results: &[CocoResult]) -> Result<()> {
    let text = text(results).map_err(|source| Error::Io { path: path.as_ref().into(), source })?;
    atomic::write(path.as_ref(), |out| out.write_all(&text))
}

/// The text of such a file.
pub(crate) fn text(results: &[CocoResult]) -> std::io::Result<Vec<u8>> {
    let mut out = b"[".to_vec();
    for (i, result) in results.iter().enumerate() {
        out.extend(if i == 0 { &b"\n"[..] } else { b",\n" });
        serde_json::to_writer(&mut out, result)?;
    }
    out.extend(b"\n]\n");
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vision::detections::Detection;
    use crate::vision::mask::Mask;

    fn found(mask: Mask) -> Detections {
        let d = Detection { bbox: [1.5, 2.0, 4.0, 6.0], score: 0.75, label: 1, mask, soft: None };
        Detections::new(7, 5, ["", "nucleus"].map(String::from).into(), vec![d])
    }

    #[test]
    fn an_entry_is_what_coco_wants() {
        let json = |d, id| serde_json::to_string(&results(&d, id)).unwrap();
        assert_eq!(
            json(found(Mask::from_fn(0, 0, 1, 1, |_, _| true)), "000000000042"),
            r#"[{"image_id":42,"category_id":1,"category_name":"nucleus","bbox":[1.5,2.0,2.5,4.0],"score":0.75,"#
                .to_string()
                + r#""segmentation":{"size":[5,7],"counts":"01R1"}}]"#
        );
        assert_eq!(
            json(found(Mask::default()), "a+1"),
            r#"[{"image_id":"a+1","category_id":1,"category_name":"nucleus","bbox":[1.5,2.0,2.5,4.0],"score":0.75}]"#
        );
    }

    #[test]
    fn image_ids() {
        assert_eq!(ImageId::from("007"), ImageId::Number(7));
        for name in ["+7", "", "7a", "-1", "99999999999999999999999"] {
            assert_eq!(ImageId::from(name), ImageId::Name(name.into()));
        }
    }

    #[test]
    fn files_are_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("r.json");
        let mut all = results(&found(Mask::from_fn(2, 1, 3, 2, |_, _| true)), "a");
        all.extend(results(&found(Mask::default()), "12"));
        for some in [&all[..], &all[..1], &[]] {
            write_results(&path, some).unwrap();
            let back: Vec<CocoResult> = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            assert_eq!(back, some);
        }
        assert!(write_results(dir.path(), &all).is_err());
    }
}
