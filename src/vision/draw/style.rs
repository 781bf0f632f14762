//! How what was found is drawn.

use std::str::FromStr;

use crate::vision::colour::{self, Colour, class_colour};
use crate::vision::detections::Detections;

/// Eight colours that the colour-blind tell apart, after Okabe and Ito (2008), without their black.
const OKABE_ITO: [Colour; 7] =
    [[230, 159, 0], [86, 180, 233], [0, 158, 115], [240, 228, 66], [0, 114, 178], [213, 94, 0], [204, 121, 167]];

/// What is drawn of each instance, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct Style {
    /// Which parts.
    pub parts: StyleParts,
    /// In which colours.
    pub palette: Palette,
    /// Height of text in pixels of the picture drawn, 6 to 200; without, by the picture's size.
    pub font_size: Option<f32>,
    /// Width of outlines and boxes in pixels of the picture drawn, 0.5 to 50; without, by the picture's size.
    pub line_width: Option<f32>,
    /// Whether small pictures are enlarged, so that text has room.
    pub enlarged: bool,
}

impl Default for Style {
    fn default() -> Self {
        let parts = StyleParts { fill: true, outline: true, boxes: true, labels: true };
        Self { parts, palette: Palette::Instances, font_size: None, line_width: None, enlarged: true }
    }
}

/// Parts of what is drawn: as text `fill`, `outline`, `box` and `label`, with commas between.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StyleParts {
    /// Masks are tinted.
    pub fill: bool,
    /// Masks have a line around them.
    pub outline: bool,
    /// Boxes are drawn.
    pub boxes: bool,
    /// Name, number and score are written.
    pub labels: bool,
}

impl FromStr for StyleParts {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut out = Self::default();
        for part in text.split(',').map(str::trim) {
            match part {
                "fill" => out.fill = true,
                "outline" => out.outline = true,
                "box" => out.boxes = true,
                "label" => out.labels = true,
                other => return Err(format!("`{other}` is none of fill, outline, box and label")),
            }
        }
        Ok(out)
    }
}

/// Colours of instances.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Palette {
    /// Each unlike its neighbours'.
    #[default]
    Instances,
    /// One a class: [`class_colour`].
    Classes,
    /// These in turn.
    Colours(Vec<Colour>),
}

impl FromStr for Palette {
    type Err = String;

    /// Reads `instance`, `class`, `okabe-ito`, or colours such as `#ff0000,#00ff00`.
    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim() {
            "instance" => Ok(Self::Instances),
            "class" => Ok(Self::Classes),
            "okabe-ito" => Ok(Self::Colours(OKABE_ITO.to_vec())),
            list => list.split(',').map(|c| hex(c.trim())).collect::<Result<_, _>>().map(Self::Colours),
        }
    }
}

fn hex(text: &str) -> Result<Colour, String> {
    let wrong = || format!("`{text}` is none of instance, class and okabe-ito, and no colour such as #ff8000");
    let digits = text.strip_prefix('#').filter(|d| d.len() == 6 && d.bytes().all(|b| b.is_ascii_hexdigit()));
    let value = digits.and_then(|d| u32::from_str_radix(d, 16).ok()).ok_or_else(wrong)?;
    Ok([value >> 16, value >> 8 & 255, value & 255].map(|v| v as u8))
}

impl Palette {
    /// A colour for each instance, whose boxes in the picture drawn are these.
    pub(super) fn choose(&self, dets: &Detections, boxes: &[[f32; 4]], reach: f32) -> Vec<Colour> {
        match self {
            Self::Colours(list) if !list.is_empty() => (0..boxes.len()).map(|i| list[i % list.len()]).collect(),
            Self::Classes => dets.iter().map(|d| class_colour(d.label)).collect(),
            _ => colour::choose(boxes, reach),
        }
    }
}

/// Text that can be read on a colour.
pub(super) fn ink(on: Colour) -> Colour {
    let [r, g, b] = on.map(f32::from);
    if 0.299 * r + 0.587 * g + 0.114 * b > 110.0 { [12, 12, 16] } else { [255; 3] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn styles_are_read() {
        let parts: StyleParts = "fill, label".parse().unwrap();
        assert_eq!(parts, StyleParts { fill: true, labels: true, ..StyleParts::default() });
        assert_eq!("fill,outline,box,label".parse(), Ok(Style::default().parts));
        assert!("fill,boxes".parse::<StyleParts>().unwrap_err().contains("`boxes`"));
        assert_eq!("class".parse(), Ok(Palette::Classes));
        assert_eq!("#ff8000,#0000ff".parse(), Ok(Palette::Colours(vec![[255, 128, 0], [0, 0, 255]])));
        for text in ["red", "#ff80", "#ggg000", "", "#ff8000,"] {
            assert!(text.parse::<Palette>().is_err(), "{text}");
        }
    }

    #[test]
    fn classes_have_colours_of_their_own() {
        let all: std::collections::HashSet<Colour> = (1..=90).map(class_colour).collect();
        assert!(all.len() > 80, "{}", all.len());
        // Dark from a brightness of 110 on, to which each colour adds its share.
        let (dark, light) = ([12, 12, 16], [255; 3]);
        for (on, want) in [
            ([255, 255, 0], dark),
            ([0, 0, 255], light),
            ([255, 0, 0], light),
            ([0, 150, 0], light),
            ([0, 200, 0], dark),
            ([200, 60, 200], dark),
            ([200, 60, 100], light),
        ] {
            assert_eq!(ink(on), want, "{on:?}");
        }
    }
}
