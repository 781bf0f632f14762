//! The options that say how pictures are read, and the lines that say what was assumed.

mod options;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use maskrcnn::engine::vision::{
    About, Channels, MAX_PIXELS, Normalize, Note, Pages, Piecewise, ReadOptions, read_file,
};
use maskrcnn::{Error, Image, Result};

use self::options::{Wanted, channels, normalize, wanted};

/// How pictures are read.
#[derive(clap::Args)]
pub(super) struct Reading {
    /// What becomes black and what white. `auto`: 8-bit pictures as they are; of deeper ones the bits that are in use,
    /// since cameras write 10, 12 or 14 bits into 16-bit files. `full`: the whole range of the file's numbers.
    /// `minmax`: the least and greatest value of the picture. `1%,99%`: these percentiles. `0,4095`: these values.
    #[arg(long, value_name = "HOW", default_value = "auto", value_parser = normalize, allow_hyphen_values = true)]
    normalize: Normalize,
    /// The pages of a TIFF, or the frames of an animation, to look at, counted from 1: `3`, `2-5`, `1,4-`, or `all` but
    /// masks and smaller versions. Without: the first of full resolution.
    #[arg(long, value_name = "all|N|A-B,...", value_parser = wanted)]
    pages: Option<Wanted>,
    /// The channels of the file that are red, green and blue, counted from 0, as in `2,0,1`; or one alone, in grey.
    /// Without: the file's colours, and of channels that are no colours the first.
    #[arg(long, value_name = "R,G,B|N", value_parser = channels)]
    channels: Option<Channels>,
    #[arg(skip)]
    told: Mutex<BTreeMap<&'static str, usize>>,
}

impl Reading {
    /// Reads a picture from a file, of a file with several the one that is asked for. The first note of each kind is
    /// printed, the others are counted.
    ///
    /// # Errors
    /// As [`ReadOptions::open`]; [`Error::Config`] where several pages are asked for.
    pub(super) fn open(&self, path: &Path) -> Result<Image> {
        let page = match &self.pages {
            None => None,
            Some(wanted) => Some(wanted.one().ok_or_else(|| Error::Config {
                setting: "--pages".into(),
                reason: "is one number here: one picture is looked at".into(),
            })?),
        };
        self.decode(&read_file(path)?, &path.display().to_string(), page)
    }

    /// Whether pages are asked for, so that they have to be counted.
    pub(super) fn wants_pages(&self) -> bool {
        self.pages.is_some()
    }

    /// The numbers of the pages that are asked for, of those in a file with several; and what to say of others. Of a file
    /// with one that is all there is.
    ///
    /// # Errors
    /// [`Error::Image`] for a file that has none of them, or is no image.
    pub(super) fn pages(&self, bytes: &[u8], name: &str) -> Result<(usize, Vec<usize>, Option<String>)> {
        let there = Pages::of(bytes, name)?;
        let wanted = self.pages.clone().unwrap_or(Wanted::All);
        let numbers = wanted.of(&there).map_err(|reason| Error::Image { name: name.into(), reason })?;
        Ok((there.count, numbers, wanted.told(&there).map(|text| format!("{name}: {text}"))))
    }

    /// The same of a video with so many frames, all where none are asked for.
    ///
    /// # Errors
    /// [`Error::Image`] where it has none of those that are asked for.
    pub(super) fn frames(&self, count: usize, name: &str) -> Result<(Vec<usize>, Option<String>)> {
        let there = Pages::alike(count);
        let wanted = self.pages.clone().unwrap_or(Wanted::All);
        let numbers = wanted.of(&there).map_err(|reason| Error::Image { name: name.into(), reason })?;
        Ok((numbers, wanted.told(&there).map(|text| format!("{name}: {text}"))))
    }

    /// Decodes a picture, or that page of it.
    ///
    /// # Errors
    /// As [`ReadOptions::decode`].
    pub(super) fn decode(&self, bytes: &[u8], name: &str, page: Option<usize>) -> Result<Image> {
        let reading = self.options(page).decode(bytes, name)?;
        reading.notes.iter().for_each(|note| self.tell(name, note));
        Ok(reading.image)
    }

    /// Opens a picture that is too large to be decoded at once, of a file or of bytes that are here; nothing for others.
    ///
    /// # Errors
    /// As [`Piecewise::open`].
    pub(super) fn open_pieces(
        &self,
        file: Result<&Path, Arc<Vec<u8>>>,
        name: &str,
        page: Option<usize>,
    ) -> Result<Option<Piecewise>> {
        let options = self.options(page);
        let opened = match file {
            Ok(path) => Piecewise::open(path, &options, MAX_PIXELS)?,
            Err(bytes) => Piecewise::of(bytes, name, &options, MAX_PIXELS)?,
        };
        let Some((pieces, notes)) = opened else { return Ok(None) };
        notes.iter().for_each(|note| self.tell(name, note));
        Ok(Some(pieces))
    }

    fn options(&self, page: Option<usize>) -> ReadOptions {
        let mut options = ReadOptions::default();
        options.normalize = self.normalize;
        options.page = page;
        options.channels = self.channels.unwrap_or_default();
        options
    }

    /// What results depend on beside the picture and its page.
    pub(super) fn settings(&self) -> String {
        format!("normalize {}, channels {}", options::of_normalize(self.normalize), options::of_channels(self.channels))
    }

    fn tell(&self, name: &str, note: &Note) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let times = told.entry(kind(note.about).0).or_default();
        *times += 1;
        if *times == 1 {
            let hint = kind(note.about).1;
            note!("note: {name}: {note}{hint}");
        }
    }

    /// Says of how many more pictures the notes hold.
    pub(super) fn finish(&self) {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        for (what, times) in told.iter().filter(|t| *t.1 > 1) {
            note!("note: the same note on {what} holds for {} more of the pictures", times - 1);
        }
    }
}

/// What a note is about in one word, and the option that changes it.
fn kind(about: About) -> (&'static str, &'static str) {
    match about {
        About::Range => ("brightness", " (--normalize changes this)"),
        About::Page => ("pages", " (--pages takes others)"),
        About::Channel => ("channels", " (--channels takes others)"),
        _ => ("damage", ""),
    }
}
