//! Pixels that somebody else holds.

use std::borrow::Cow;

use crate::error::{Error, Result};
use crate::vision::Image;

/// How the bytes of a pixel are ordered, 8 bits a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PixelFormat {
    /// Red, green, blue.
    Rgb,
    /// Red, green, blue, alpha. Alpha is dropped without compositing, as where an image file has it.
    Rgba,
    /// Blue, green, red, alpha: what cameras and windows give. Alpha is dropped likewise.
    Bgra,
    /// One sample, taken for red, green and blue.
    Grey,
}

impl PixelFormat {
    /// Bytes of a pixel.
    pub fn bytes(self) -> usize {
        match self {
            Self::Rgb => 3,
            Self::Rgba | Self::Bgra => 4,
            Self::Grey => 1,
        }
    }
}

/// An image whose pixels somebody else holds: row by row, each row beginning a stride after the one before. RGB without
/// gaps is read where it lies; else a copy is made of it.
///
/// ```no_run
/// use maskrcnn::{Detector, PixelFormat, Pixels};
///
/// # fn frame() -> (u32, u32, Vec<u8>) { (640, 480, vec![0; 640 * 480 * 4]) }
/// # fn main() -> maskrcnn::Result<()> {
/// let detector = Detector::open("model.pth")?;
/// let (width, height, bytes) = frame();
/// let found = detector.detect(Pixels::new(PixelFormat::Bgra, width, height, &bytes)?)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy)]
pub struct Pixels<'a> {
    format: PixelFormat,
    width: u32,
    height: u32,
    stride: usize,
    data: &'a [u8],
}

impl<'a> Pixels<'a> {
    /// Pixels without gaps between rows.
    ///
    /// # Errors
    /// [`Error::Image`] where a side is 0, the image is too large, or `data` is longer or shorter than its pixels.
    pub fn new(format: PixelFormat, width: u32, height: u32, data: &'a [u8]) -> Result<Self> {
        let row = width as usize * format.bytes();
        let pixels = Self::with_stride(format, width, height, row, data)?;
        let need = row as u64 * u64::from(height);
        if data.len() as u64 != need {
            return Err(refuse(format!(
                "{width}x{height} {format:?} pixels take {need} bytes, but {} were given; where rows have gaps between \
                 them, say their stride",
                data.len()
            )));
        }
        Ok(pixels)
    }

    /// Pixels of which each row begins `stride` bytes after the one before. What follows the last row's pixels is not
    /// looked at, and need not be there.
    ///
    /// # Errors
    /// [`Error::Image`] where a side is 0, the image is too large, a stride is shorter than a row, or `data` ends before
    /// the last pixel.
    pub fn with_stride(format: PixelFormat, width: u32, height: u32, stride: usize, data: &'a [u8]) -> Result<Self> {
        Image::check_size(width, height)?;
        let row = width as usize * format.bytes();
        if stride < row {
            return Err(refuse(format!(
                "a row of {width} {format:?} pixels takes {row} bytes, and the stride is {stride}"
            )));
        }
        let need = (stride as u64).checked_mul(u64::from(height) - 1).and_then(|n| n.checked_add(row as u64));
        if need.is_none_or(|need| (data.len() as u64) < need) {
            return Err(refuse(format!(
                "{height} rows of {width} {format:?} pixels, {stride} bytes apart, do not end within the {} bytes that were \
                 given",
                data.len()
            )));
        }
        Ok(Self { format, width, height, stride, data })
    }

    /// Width in pixels, at least 1.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Height in pixels, at least 1.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// A copy of them as an image.
    ///
    /// # Errors
    /// None that is known.
    pub fn to_image(&self) -> Result<Image> {
        Image::from_rgb8(self.width, self.height, self.rgb().into_owned())
    }

    /// RGB without gaps: these bytes themselves, where they are that.
    pub(crate) fn rgb(&self) -> Cow<'a, [u8]> {
        let (wide, high) = (self.width as usize, self.height as usize);
        let row = wide * self.format.bytes();
        if self.format == PixelFormat::Rgb && self.stride == row {
            return Cow::Borrowed(&self.data[..row * high]);
        }
        let mut out = Vec::with_capacity(3 * wide * high);
        for row in (0..high).map(|y| &self.data[y * self.stride..][..row]) {
            match self.format {
                PixelFormat::Rgb => out.extend_from_slice(row),
                PixelFormat::Rgba => out.extend(row.chunks_exact(4).flat_map(|p| [p[0], p[1], p[2]])),
                PixelFormat::Bgra => out.extend(row.chunks_exact(4).flat_map(|p| [p[2], p[1], p[0]])),
                PixelFormat::Grey => out.extend(row.iter().flat_map(|&v| [v; 3])),
            }
        }
        Cow::Owned(out)
    }
}

impl<'a> From<&'a Image> for Pixels<'a> {
    fn from(image: &'a Image) -> Self {
        let (width, height) = (image.width(), image.height());
        Self { format: PixelFormat::Rgb, width, height, stride: 3 * width as usize, data: image.rgb() }
    }
}

impl std::fmt::Debug for Pixels<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pixels({}x{} {:?}, stride {})", self.width, self.height, self.format, self.stride)
    }
}

fn refuse(reason: String) -> Error {
    Error::Image { name: "from pixels".into(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same two by two pixels in every order of bytes, with and without gaps.
    #[test]
    fn every_format_and_stride_shows_the_same() {
        let rgb = [[1, 2, 3], [4, 5, 6], [7, 8, 9], [10, 11, 12]];
        let image = Image::from_rgb8(2, 2, rgb.concat()).unwrap();
        for gap in [0, 5] {
            for format in [PixelFormat::Rgb, PixelFormat::Rgba, PixelFormat::Bgra] {
                let pixel = |[r, g, b]: [u8; 3]| match format {
                    PixelFormat::Rgb => vec![r, g, b],
                    PixelFormat::Rgba => vec![r, g, b, 99],
                    _ => vec![b, g, r, 99],
                };
                let row = |row: &[[u8; 3]]| row.iter().flat_map(|&p| pixel(p)).collect::<Vec<u8>>();
                let (first, second) = (row(&rgb[..2]), row(&rgb[2..]));
                let stride = first.len() + gap;
                let bytes = [first, vec![77; gap], second].concat();
                let pixels = Pixels::with_stride(format, 2, 2, stride, &bytes).unwrap();
                assert!(pixels.to_image().unwrap() == image, "{pixels:?}");
                let whole = matches!(pixels.rgb(), Cow::Borrowed(_));
                assert_eq!(whole, format == PixelFormat::Rgb && gap == 0, "{pixels:?}");
                assert_eq!(Pixels::new(format, 2, 2, &bytes).is_ok(), gap == 0, "{pixels:?}");
                // One byte less than there is.
                assert!(Pixels::with_stride(format, 2, 2, stride, &bytes[..bytes.len() - 1]).is_err());
                assert!(Pixels::with_stride(format, 2, 2, 2 * format.bytes() - 1, &bytes).is_err());
            }
        }
        let grey = Pixels::new(PixelFormat::Grey, 3, 1, &[1, 128, 255]).unwrap();
        assert_eq!(grey.rgb(), [1, 1, 1, 128, 128, 128, 255, 255, 255].as_slice());
        assert_eq!(Pixels::from(&image).rgb(), image.rgb());
    }

    #[test]
    fn what_is_no_image_is_refused_in_words() {
        let told = |w, h, stride, data: &[u8]| {
            Pixels::with_stride(PixelFormat::Rgba, w, h, stride, data).unwrap_err().to_string()
        };
        assert!(told(0, 1, 0, &[]).starts_with("image "));
        assert!(told(2, 2, 7, &[0; 99]).contains("takes 8 bytes, and the stride is 7"));
        assert!(told(2, 2, usize::MAX, &[0; 99]).contains("do not end within the 99 bytes"));
        assert!(told(2, 3, 8, &[0; 23]).contains("do not end within the 23 bytes"));
        let more = Pixels::new(PixelFormat::Rgb, 2, 2, &[0; 13]).unwrap_err().to_string();
        assert!(more.contains("take 12 bytes, but 13") && more.contains("stride"), "{more}");
    }
}
