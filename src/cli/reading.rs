//! The options that say how pictures are read, and the lines that say what was assumed.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use maskrcnn::engine::vision::{About, Normalize, Note, ReadOptions};
use maskrcnn::{Image, Result};

/// How pictures are read.
#[derive(clap::Args)]
pub(super) struct Reading {
    /// What becomes black and what white. `auto`: 8-bit pictures as they are; of deeper ones the bits that are in use,
    /// since cameras write 10, 12 or 14 bits into 16-bit files. `full`: the whole range of the file's numbers.
    /// `minmax`: the least and greatest value of the picture. `1%,99%`: these percentiles. `0,4095`: these values.
    #[arg(long, value_name = "HOW", default_value = "auto", value_parser = normalize, allow_hyphen_values = true)]
    normalize: Normalize,
    /// The page of a TIFF, or the frame of an animation, to look at; counted from 1. Default: the first of full
    /// resolution.
    #[arg(long, value_name = "N", value_parser = position)]
    page: Option<usize>,
    /// The channel to look at, counted from 1, where they are not colours. Default: the first.
    #[arg(long, value_name = "N", value_parser = position)]
    channel: Option<usize>,
    #[arg(skip)]
    told: Mutex<BTreeMap<&'static str, usize>>,
}

impl Reading {
    /// Reads a picture. The first note of each kind is printed, the others are counted.
    pub(super) fn open(&self, path: &Path) -> Result<Image> {
        let mut options = ReadOptions::default();
        options.normalize = self.normalize;
        options.page = self.page;
        options.channel = self.channel;
        let reading = options.open(path)?;
        for note in &reading.notes {
            self.tell(path, note);
        }
        Ok(reading.image)
    }

    fn tell(&self, path: &Path, note: &Note) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let times = told.entry(kind(note.about).0).or_default();
        *times += 1;
        if *times == 1 {
            let hint = kind(note.about).1;
            note!("note: {}: {note}{hint}", path.display());
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
        About::Page => ("pages", " (--page N takes another)"),
        About::Channel => ("channels", " (--channel N takes another)"),
        _ => ("damage", ""),
    }
}

fn position(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(n) if n > 0 => Ok(n),
        _ => Err("is not a number from 1 on".into()),
    }
}

fn normalize(text: &str) -> Result<Normalize, String> {
    match text {
        "auto" => return Ok(Normalize::Auto),
        "full" => return Ok(Normalize::Full),
        "minmax" => return Ok(Normalize::MinMax),
        _ => {}
    }
    let wrong = || "give auto, full, minmax, two percentiles as in 1%,99%, or two values as in 0,4095".to_string();
    let (low, high) = text.split_once(',').ok_or_else(wrong)?;
    let (low, high) = (low.trim(), high.trim());
    let number = |t: &str| t.parse::<f64>().ok().filter(|v| v.is_finite()).ok_or_else(wrong);
    let ordered = |low: f64, high: f64| {
        if low < high { Ok((low, high)) } else { Err("the first is to be black, and less than the second".to_string()) }
    };
    match (low.strip_suffix('%'), high.strip_suffix('%')) {
        (Some(low), Some(high)) => {
            let (low, high) = ordered(number(low)?, number(high)?)?;
            if low < 0.0 || high > 100.0 {
                return Err("percentiles are between 0% and 100%".into());
            }
            Ok(Normalize::Percentiles(low, high))
        }
        (None, None) => ordered(number(low)?, number(high)?).map(|(low, high)| Normalize::Range(low, high)),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_to_normalize_are_read() {
        assert_eq!(normalize("auto"), Ok(Normalize::Auto));
        assert_eq!(normalize("full"), Ok(Normalize::Full));
        assert_eq!(normalize("minmax"), Ok(Normalize::MinMax));
        assert_eq!(normalize("1%,99%"), Ok(Normalize::Percentiles(1.0, 99.0)));
        assert_eq!(normalize("0.5%, 99.5%"), Ok(Normalize::Percentiles(0.5, 99.5)));
        assert_eq!(normalize("-3,4095"), Ok(Normalize::Range(-3.0, 4095.0)));
        for bad in ["", "x", "1", "1,", "1%,2", "5,5", "9,1", "nan,1", "-1%,5%", "0%,101%", "1,2,3", "inf,inf"] {
            assert!(normalize(bad).is_err(), "{bad}");
        }
    }
}
