//! How large a pixel is.

use std::str::FromStr;

/// The side of a pixel, and its unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PixelSize {
    /// Above 0, in `unit`.
    pub side: f64,
    /// `um`, `nm`, `mm`, `cm` or `px`.
    pub unit: &'static str,
}

impl Default for PixelSize {
    /// Lengths in pixels.
    fn default() -> Self {
        Self { side: 1.0, unit: "px" }
    }
}

impl PixelSize {
    /// Whether lengths are in pixels.
    pub fn is_pixels(&self) -> bool {
        self.unit == "px"
    }
}

impl std::fmt::Display for PixelSize {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", self.side, self.unit)
    }
}

impl FromStr for PixelSize {
    type Err = String;

    /// Reads `0.25um`, `250 nm`.
    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let at = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
        let (number, unit) = (&text[..at], text[at..].trim());
        let unit = match unit {
            "um" | "µm" | "μm" | "micron" | "microns" => "um",
            "nm" => "nm",
            "mm" => "mm",
            "cm" => "cm",
            "px" => "px",
            "" => return Err("the unit is missing: 0.25um, 250nm, 0.001mm".into()),
            other => return Err(format!("`{other}` is none of the units um, nm, mm, cm and px, as in 0.25um")),
        };
        match number.parse::<f64>() {
            Ok(side) if side.is_finite() && side > 0.0 => Ok(Self { side, unit }),
            _ => Err(format!("`{number}` is no size above 0, as in 0.25um")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_a_number_and_a_unit() {
        for (text, side, unit) in [
            ("0.25um", 0.25, "um"),
            ("250 nm", 250.0, "nm"),
            (" .5µm", 0.5, "um"),
            ("1mm", 1.0, "mm"),
            ("2px", 2.0, "px"),
        ] {
            assert_eq!(text.parse(), Ok(PixelSize { side, unit }), "{text}");
        }
        for (text, word) in [
            ("0.25", "unit is missing"),
            ("um", "no size"),
            ("0um", "no size"),
            ("-1um", "units"),
            ("1e9um", "`e9um`"),
            ("1..2um", "no size"),
            ("3 inch", "`inch`"),
            ("", "unit is missing"),
        ] {
            let error = text.parse::<PixelSize>().unwrap_err();
            assert!(error.contains(word), "{text}: {error}");
        }
        assert_eq!(PixelSize { side: 0.25, unit: "um" }.to_string().parse(), Ok(PixelSize { side: 0.25, unit: "um" }));
        assert!(PixelSize::default().is_pixels());
    }
}
