//! Images that come with RoIs: proposals from elsewhere, or boxes whose masks are wanted.

use super::batch::SizedImage;
use super::results::ImageResult;
use super::{Detector, Options, internal};
use crate::model::{Given, KnownBox};
use crate::vision::{Detection, Detections, Pixels};
use crate::{Error, Result};

impl Detector {
    /// Fast R-CNN: instances in an image, made of these proposals (x1, y1, x2, y2 in pixels of the image) and not of the RPN's.
    /// The body runs once, the box head on each of them; class NMS, masks and all else are as in [`Detector::detect`], and the
    /// weights of a Mask or Faster R-CNN serve as they are. Of a box over the image's border, what is inside counts.
    ///
    /// # Errors
    /// [`Error::GivenBox`] for a box that is empty, not a number, or outside of the image; [`Error::Limit`] for more than
    /// [`Config::MOST_DETECTIONS`](crate::Config::MOST_DETECTIONS); others as [`Detector::detect`].
    pub fn detect_proposals<'a>(&self, image: impl Into<Pixels<'a>>, proposals: &[[f32; 4]]) -> Result<Detections> {
        let image = SizedImage::new(&self.config, image.into())?;
        let rois = Given::proposals(proposals, &image.size)?;
        let image = image.with(rois);
        let found = match proposals {
            [] => ImageResult::default(),
            _ => self.with_rois(&image, Options::default())?,
        };
        Ok(self.found_in(&image, found))
    }

    /// The masks of boxes that are known, in their order, with the labels and scores that they came with: the body, and the
    /// mask head on each of them. Each detection's box is the one that was given.
    ///
    /// # Errors
    /// As [`Detector::detect_proposals`]; [`Error::GivenBox`] for a label that is no class; [`Error::Config`] where the network
    /// has no mask head.
    pub fn masks_of_boxes<'a>(&self, image: impl Into<Pixels<'a>>, boxes: &[KnownBox]) -> Result<Detections> {
        self.masks_of_boxes_with(image, boxes, &Options::default())
    }

    /// As [`Detector::masks_of_boxes`], with what else is wanted.
    ///
    /// # Errors
    /// As there.
    pub fn masks_of_boxes_with<'a>(
        &self,
        image: impl Into<Pixels<'a>>,
        boxes: &[KnownBox],
        options: &Options,
    ) -> Result<Detections> {
        if self.config.mask.is_none() {
            let reason = format!("{} has no mask head, so boxes get no masks: use a Mask R-CNN", self.config.name);
            return Err(Error::Config { setting: "mask".into(), reason });
        }
        let image = SizedImage::new(&self.config, image.into())?;
        let (width, height) = (image.width, image.height);
        let rois = Given::boxes(boxes, &image.size, self.config.num_classes)?;
        let found = match boxes {
            [] => ImageResult::default(),
            _ => self.with_rois(&image.with(rois), *options)?,
        };
        // In the order in which they came, and not brought to the network's size and back.
        let items = found.items.into_iter().zip(boxes).map(|(item, known)| Detection { bbox: known.bbox, ..item });
        let none = Detections::new(width, height, self.classes.clone(), Vec::new());
        Ok(Detections { items: items.collect(), ..none })
    }

    fn with_rois(&self, image: &SizedImage, options: Options) -> Result<ImageResult> {
        let found = self.run(&mut self.lock(), image.capacity, &[image], options)?;
        found.into_iter().next().ok_or_else(|| internal("is of no image"))
    }
}
