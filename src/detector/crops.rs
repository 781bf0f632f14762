//! R-CNN: each proposal by itself through the whole network.

use std::ops::ControlFlow;
use std::time::Instant;

use super::results::ImageResult;
use super::{Detector, Plans, internal};
use crate::Result;
use crate::compiled::{CompiledCrops, CropPredictions, CropSource};
use crate::model::{CropCapacity, Crops, Window, check_box, room_for_boxes};
use crate::vision::{Detections, Mask, Pixels};

impl Detector {
    /// R-CNN: instances in an image, made of these proposals (x1, y1, x2, y2 in pixels of the image). The crop of each, with
    /// context around it and warped to a square whatever its shape, goes through the whole body, as many passes as there are
    /// proposals; the box head sees all of what comes out, and its deltas are of the crop's window. Class NMS is as in
    /// [`Detector::detect`]. There are no masks, and a Mask or Faster R-CNN's weights serve as they are.
    ///
    /// `watch` hears after each submit how many proposals are done, and of how many; where it breaks, there is no result.
    ///
    /// # Errors
    /// As [`Detector::detect_proposals`]; [`Error::Config`](crate::Error::Config) for crops that cannot be;
    /// [`Error::Limit`](crate::Error::Limit) for an image whose bytes pass a binding of the device.
    pub fn detect_crops<'a>(
        &self,
        image: impl Into<Pixels<'a>>,
        proposals: &[[f32; 4]],
        crops: &Crops,
        watch: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
    ) -> Result<Option<Detections>> {
        crops.validate()?;
        let image = image.into();
        let size = (image.width(), image.height());
        check(proposals, size)?;
        let windows: Vec<Window> = proposals.iter().map(|&bbox| Window::new(crops, bbox, size)).collect();
        if windows.is_empty() {
            return Ok(Some(Detections::new(size.0, size.1, self.classes.clone(), Vec::new())));
        }
        let rgb = image.rgb();
        let mut plans = self.lock();
        self.settle(&mut plans);
        // Taken out, so that a run that fails leaves none behind.
        let mut compiled = self.compiled_crops(&mut plans, CropCapacity::for_image(*crops, size))?;
        let begin = Instant::now();
        let mut predictions = CropPredictions::default();
        for (i, some) in windows.chunks(crops.batch).enumerate() {
            let source = CropSource { rgb: &rgb, size, is_new: i == 0 };
            compiled.run(&source, some, &mut predictions)?;
            if watch(i * crops.batch + some.len(), windows.len()).is_break() {
                plans.crops = Some(compiled);
                return Ok(None);
            }
        }
        let place = (&self.device, &plans.pool.clone());
        let how = (&self.target, &self.tuning);
        let values = compiled.results(&self.config, how, place, (&windows, &predictions), size)?;
        plans.busy += begin.elapsed();
        plans.crops = Some(compiled);
        let masks = values.found().into_iter().map(|n| vec![Mask::default(); n]).collect();
        let found = ImageResult::of(&values, masks, windows.len()).pop().ok_or_else(|| internal("is of no image"))?;
        Ok(Some(self.detections(size.0, size.1, found)))
    }

    /// Seconds of each stage of one batch of [`Detector::detect_crops`].
    ///
    /// # Errors
    /// As there.
    ///
    /// **Unstable**, as all of the [`engine`](crate::engine).
    pub fn crop_stages<'a>(
        &self,
        image: impl Into<Pixels<'a>>,
        proposals: &[[f32; 4]],
        crops: &Crops,
    ) -> Result<Vec<(&'static str, f64)>> {
        crops.validate()?;
        let image = image.into();
        let size = (image.width(), image.height());
        check(proposals, size)?;
        let windows: Vec<Window> = proposals.iter().take(crops.batch).map(|&b| Window::new(crops, b, size)).collect();
        let mut plans = self.lock();
        self.settle(&mut plans);
        let mut compiled = self.compiled_crops(&mut plans, CropCapacity::for_image(*crops, size))?;
        let source = CropSource { rgb: &image.rgb(), size, is_new: true };
        let stages = compiled.stages(&source, &windows, self.device.clock())?;
        plans.crops = Some(compiled);
        Ok(stages)
    }

    fn compiled_crops(&self, plans: &mut Plans, capacity: CropCapacity) -> Result<CompiledCrops> {
        if let Some(compiled) = plans.crops.take().filter(|compiled| *compiled.capacity() == capacity) {
            return Ok(compiled);
        }
        plans.networks.iter_mut().for_each(|n| n.runner().forget_bindings());
        let (how, place) = ((&self.target, &self.tuning), (&self.device, &plans.pool));
        let mut compiled = CompiledCrops::new(&self.config, &self.weights, capacity, how, place)?;
        self.slice.iter().for_each(|&within| compiled.runner().slice(within));
        Ok(compiled)
    }
}

/// Refuses proposals that are none.
fn check(proposals: &[[f32; 4]], (width, height): (u32, u32)) -> Result<()> {
    room_for_boxes(proposals.len())?;
    proposals.iter().enumerate().try_for_each(|(i, bbox)| check_box(i, bbox, (width, height)))
}
