//! Pictures that are played: the scene, or a folder's.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::time::Duration;

use maskrcnn::Image;

use crate::scene::Scene;
use crate::{Args, Outcome};

/// The scene's seed.
const SEED: u64 = 7;

/// What is played, and how far.
pub(crate) struct Source {
    pictures: Pictures,
    /// Pictures a second.
    rate: u32,
    tick: Option<u64>,
}

enum Pictures {
    Scene(Scene),
    /// The next ones, RGBA, decoded ahead.
    Folder(Receiver<Vec<u8>>),
}

impl Source {
    pub(crate) fn new(args: &Args) -> Outcome<Self> {
        let (w, h) = args.size;
        let (pictures, rate) = match &args.folder {
            None => (Pictures::Scene(Scene::new(w, h, SEED)), 30),
            Some(folder) => (Pictures::Folder(play(folder, args.size)?), 2),
        };
        Ok(Self { pictures, rate: args.rate.unwrap_or(rate), tick: None })
    }

    /// The tick of the picture that is being played, and its pixels where it is a new one. A picture that is not there in time
    /// comes late.
    pub(crate) fn at(&mut self, time: Duration) -> Outcome<(u64, Option<Vec<u8>>)> {
        let tick = (time.as_secs_f64() * f64::from(self.rate)) as u64;
        if self.tick == Some(tick) {
            return Ok((tick, None));
        }
        let picture = match &self.pictures {
            Pictures::Scene(scene) => Some(scene.picture(tick)),
            Pictures::Folder(next) => match next.try_recv() {
                Ok(picture) => Some(picture),
                Err(TryRecvError::Empty) => None,
                Err(TryRecvError::Disconnected) => return Err("the folder has no image that can be read".into()),
            },
        };
        if picture.is_some() {
            self.tick = Some(tick);
        }
        Ok((self.tick.unwrap_or(0), picture))
    }
}

/// Decodes a folder's images over and over, two ahead. What cannot be read is told, and left out from then on.
fn play(folder: &Path, size: (u32, u32)) -> Outcome<Receiver<Vec<u8>>> {
    let entries = std::fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file()).collect();
    files.sort();
    let (give, next) = sync_channel(2);
    std::thread::spawn(move || {
        while !files.is_empty() {
            let mut bad = BTreeSet::new();
            for file in &files {
                match Image::open(file) {
                    // It ends with the window, when nobody takes another.
                    Ok(image) if give.send(fitted(&image, size)).is_err() => return,
                    Ok(_) => (),
                    Err(e) => {
                        eprintln!("left out: {e}");
                        bad.insert(file.clone());
                    }
                }
            }
            files.retain(|file| !bad.contains(file));
        }
    });
    Ok(next)
}

/// RGBA of that size: the image as large as it fits, on black.
fn fitted(image: &Image, (w, h): (u32, u32)) -> Vec<u8> {
    let scale = (f64::from(w) / f64::from(image.width())).min(f64::from(h) / f64::from(image.height()));
    let side = |side: u32, most: u32| ((f64::from(side) * scale).round() as u32).clamp(1, most);
    let (fw, fh) = (side(image.width(), w), side(image.height(), h));
    let mut out = image::RgbaImage::from_pixel(w, h, image::Rgba([0, 0, 0, 255]));
    if let Some(rgb) = image::RgbImage::from_raw(image.width(), image.height(), image.rgb().to_vec()) {
        let small = image::imageops::resize(&rgb, fw, fh, image::imageops::FilterType::Triangle);
        let small = image::DynamicImage::ImageRgb8(small).into_rgba8();
        image::imageops::replace(&mut out, &small, i64::from((w - fw) / 2), i64::from((h - fh) / 2));
    }
    out.into_raw()
}
