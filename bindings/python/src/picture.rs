//! What a detector may be given: arrays, Pillow's images, files and the bytes of files.

use std::path::PathBuf;

use maskrcnn::engine::vision::{MAX_PIXELS, MAX_SIDE, ReadOptions};
use maskrcnn::{Error, Image, PixelFormat, Pixels, Result};
use numpy::{PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyMemoryView, PyString};

use crate::errors;

/// How the channels of an array are ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Rgb,
    Bgr,
    Rgba,
    Bgra,
    Grey,
}

impl Order {
    /// By its name.
    pub(crate) fn parse(text: &str) -> PyResult<Self> {
        match text {
            "rgb" => Ok(Self::Rgb),
            "bgr" => Ok(Self::Bgr),
            "rgba" => Ok(Self::Rgba),
            "bgra" => Ok(Self::Bgra),
            "grey" | "gray" => Ok(Self::Grey),
            _ => Err(PyValueError::new_err(format!("format {text:?} is none of rgb, bgr, rgba, bgra and grey"))),
        }
    }

    /// That of an array of so many channels where nothing was said.
    fn usual(channels: usize) -> Option<Self> {
        match channels {
            1 => Some(Self::Grey),
            3 => Some(Self::Rgb),
            4 => Some(Self::Rgba),
            _ => None,
        }
    }

    fn channels(self) -> usize {
        match self {
            Self::Grey => 1,
            Self::Rgb | Self::Bgr => 3,
            Self::Rgba | Self::Bgra => 4,
        }
    }

    /// Which channels are red, green and blue.
    fn colours(self) -> [usize; 3] {
        match self {
            Self::Grey => [0; 3],
            Self::Rgb | Self::Rgba => [0, 1, 2],
            Self::Bgr | Self::Bgra => [2, 1, 0],
        }
    }

    /// What the library calls it, where it has it.
    fn format(self) -> Option<PixelFormat> {
        match self {
            Self::Grey => Some(PixelFormat::Grey),
            Self::Rgb => Some(PixelFormat::Rgb),
            Self::Rgba => Some(PixelFormat::Rgba),
            Self::Bgra => Some(PixelFormat::Bgra),
            Self::Bgr => None,
        }
    }
}

/// A picture before it is decoded: nothing of Python's is needed to do that.
pub(crate) enum Source<'a> {
    /// A file.
    File(PathBuf),
    /// A file's bytes.
    Encoded(Vec<u8>),
    /// An array's pixels where they lie, in rows.
    Lent(Pixels<'a>),
    /// A copy of pixels.
    Own(Image),
}

/// A picture that is decoded.
pub(crate) enum Picture<'a> {
    Lent(Pixels<'a>),
    /// With what was assumed or left out on the way, and what that is about.
    Own(Image, Vec<String>),
}

impl<'a> Source<'a> {
    /// Reads and decodes it.
    pub(crate) fn decode(self) -> Result<Picture<'a>> {
        let options = ReadOptions::default();
        let reading = match self {
            Self::Lent(pixels) => return Ok(Picture::Lent(pixels)),
            Self::Own(image) => return Ok(Picture::Own(image, Vec::new())),
            Self::File(path) => options.open(path)?,
            Self::Encoded(bytes) => options.decode(&bytes, "from bytes")?,
        };
        Ok(Picture::Own(reading.image, reading.notes.iter().map(ToString::to_string).collect()))
    }
}

impl Picture<'_> {
    pub(crate) fn pixels(&self) -> Pixels<'_> {
        match self {
            Self::Lent(pixels) => *pixels,
            Self::Own(image, _) => image.into(),
        }
    }

    /// The image itself, copied where its pixels are lent.
    pub(crate) fn into_image(self) -> Result<Image> {
        match self {
            Self::Lent(pixels) => pixels.to_image(),
            Self::Own(image, _) => Ok(image),
        }
    }

    /// What was assumed or left out.
    pub(crate) fn notes(&self) -> &[String] {
        match self {
            Self::Lent(_) => &[],
            Self::Own(_, notes) => notes,
        }
    }
}

/// What `image` is. Pixels are read where they lie as long as it lives, so nobody may write to them meanwhile; `copied`, they are not.
pub(crate) fn source<'a>(image: &'a Bound<'_, PyAny>, format: Option<Order>, copied: bool) -> PyResult<Source<'a>> {
    let py = image.py();
    if let Ok(array) = image.cast::<PyUntypedArray>() {
        return of_array(array, format, copied);
    }
    if is_pillow(image)? {
        return no_format(format, "Pillow's images know").and_then(|()| of_pillow(image)).map(Source::Own);
    }
    if let Some(bytes) = bytes_of(image)? {
        return no_format(format, "files know").map(|()| Source::Encoded(bytes));
    }
    if image.is_instance_of::<PyString>() || image.hasattr("__fspath__")? {
        no_format(format, "files know")?;
        return Ok(Source::File(image.extract()?));
    }
    // Tensors on the CPU, for example. A class has the attribute as well.
    if image.hasattr("__array__")? && !image.is_instance_of::<pyo3::types::PyType>() {
        let array = py.import("numpy")?.call_method1("asarray", (image,))?;
        let array = array.cast::<PyUntypedArray>()?;
        let own = of_array(array, format, true)?;
        return match own {
            Source::Own(image) => Ok(Source::Own(image)),
            _ => Err(errors::new(py, "InternalError", "internal error: a copy is none; please report it".into())),
        };
    }
    Err(PyTypeError::new_err(format!(
        "an image is an array of numpy's (uint8, height x width x 3), an image of Pillow's, a path, or the bytes of a file, and \
         not {}",
        image.get_type().name()?
    )))
}

fn no_format(format: Option<Order>, who: &str) -> PyResult<()> {
    let told = || {
        PyValueError::new_err(format!("format is about an array's channels: {who} the order of theirs; leave it away"))
    };
    if format.is_some() { Err(told()) } else { Ok(()) }
}

fn bytes_of(image: &Bound<'_, PyAny>) -> PyResult<Option<Vec<u8>>> {
    if let Ok(bytes) = image.cast::<PyBytes>() {
        return Ok(Some(bytes.as_bytes().to_vec()));
    }
    if image.is_instance_of::<PyByteArray>() || image.is_instance_of::<PyMemoryView>() {
        let bytes = image.py().get_type::<PyBytes>().call1((image,))?;
        return Ok(Some(bytes.cast::<PyBytes>()?.as_bytes().to_vec()));
    }
    Ok(None)
}

/// Whether it is an image of Pillow's, which is not imported for the question.
fn is_pillow(image: &Bound<'_, PyAny>) -> PyResult<bool> {
    let modules = image.py().import("sys")?.getattr("modules")?;
    let pillow = modules.call_method1("get", ("PIL.Image",))?;
    if pillow.is_none() { Ok(false) } else { image.is_instance(&pillow.getattr("Image")?) }
}

/// Pixels of Pillow's as `convert("RGB")` has them. What an EXIF says of being turned is not looked at: the image is as it was given.
fn of_pillow(image: &Bound<'_, PyAny>) -> PyResult<Image> {
    let py = image.py();
    let (width, height): (usize, usize) = image.getattr("size")?.extract()?;
    let sides = sides(py, height, width)?;
    let mode: String = image.getattr("mode")?.extract()?;
    if mode == "F" || mode.starts_with('I') {
        let text = format!(
            "image of Pillow's mode {mode}: it has more than 8 bits, and `convert(\"RGB\")` would cut them off; give the file \
             itself, whose range is then found, or scale it to 8 bits first"
        );
        return Err(errors::new(py, "ImageError", text));
    }
    let rgb = if mode == "RGB" { image.clone() } else { image.call_method1("convert", ("RGB",))? };
    let bytes = rgb.call_method0("tobytes")?;
    let bytes = bytes.cast::<PyBytes>()?.as_bytes().to_vec();
    Image::from_rgb8(sides.1, sides.0, bytes).map_err(|e| errors::raise(py, &e))
}

/// Height and width, as an image may have them. Asked before memory is taken.
fn sides(py: Python, height: usize, width: usize) -> PyResult<(u32, u32)> {
    let side = |n: usize| u32::try_from(n).ok().filter(|n| (1..=MAX_SIDE).contains(n));
    if let (Some(h), Some(w)) = (side(height), side(width))
        && u64::from(h) * u64::from(w) <= MAX_PIXELS
    {
        return Ok((h, w));
    }
    let text = match height.min(width) {
        0 => format!("image of {width}x{height} pixels: it has none"),
        _ => format!(
            "image of {width}x{height} pixels: a side may have {MAX_SIDE} and an image {} Mi; scale it down or cut it",
            MAX_PIXELS >> 20
        ),
    };
    Err(errors::new(py, "ImageError", text))
}

fn of_array<'a>(array: &'a Bound<'_, PyUntypedArray>, format: Option<Order>, copied: bool) -> PyResult<Source<'a>> {
    let py = array.py();
    check_type(array)?;
    let (height, width, channels) = match *array.shape() {
        [h, w] => (h, w, 1),
        [h, w, c] => (h, w, c),
        ref shape => {
            return Err(PyValueError::new_err(format!(
                "an image has 2 dimensions (grey) or 3 (height, width, channels), and this array {}: its shape is {shape:?}; of a \
                 stack, give one image after the other",
                shape.len()
            )));
        }
    };
    let order = order(array.shape(), channels, format)?;
    let sides = sides(py, height, width)?;
    let strides = match *array.strides() {
        [y, x] => [y, x, 1],
        [y, x, c] => [y, x, c],
        _ => return Err(PyValueError::new_err("the array has other strides than dimensions")),
    };
    // SAFETY: it is an array, and lives.
    let start = unsafe { (*array.as_array_ptr()).fields.data }.cast::<u8>().cast_const();
    let row = width * channels;
    let apart = usize::try_from(strides[0]).ok().filter(|&apart| apart >= row || height == 1).map(|a| a.max(row));
    // Along sides of length 1, strides mean nothing.
    let in_rows = (channels == 1 || strides[2] == 1) && (width == 1 || strides[1] == channels as isize);
    if let (Some(apart), true, false, Some(format)) = (apart, in_rows, copied, order.format()) {
        let bytes = (height - 1) * apart + row;
        // SAFETY: rows of bytes side by side, `apart` from each other, are all within the array, which `'a` keeps.
        let data: &'a [u8] = unsafe { std::slice::from_raw_parts(start, bytes) };
        let pixels = Pixels::with_stride(format, sides.1, sides.0, apart, data);
        return pixels.map(Source::Lent).map_err(|e| errors::raise(py, &e));
    }
    let mut rgb = Vec::with_capacity(3 * width * height);
    for y in 0..height as isize {
        for x in 0..width as isize {
            // SAFETY: within the array's shape, whatever its strides are.
            let at = |c: usize| unsafe { *start.offset(y * strides[0] + x * strides[1] + c as isize * strides[2]) };
            rgb.extend(order.colours().map(at));
        }
    }
    Image::from_rgb8(sides.1, sides.0, rgb).map(Source::Own).map_err(|e| errors::raise(py, &e))
}

/// Refuses what is not of bytes, with the cure.
fn check_type(array: &Bound<'_, PyUntypedArray>) -> PyResult<()> {
    let kind = array.dtype();
    let (kind, name) = (kind.getattr("kind")?.extract::<String>()?, kind.getattr("name")?.extract::<String>()?);
    if name == "uint8" {
        return Ok(());
    }
    let cure = match kind.as_str() {
        "f" => "of values from 0 to 1, `(image * 255).round().astype(numpy.uint8)` makes it",
        "u" | "i" => {
            "scale its values to 0 to 255 and give `.astype(numpy.uint8)`; the path of a 16-bit file can be given as it is"
        }
        "b" => "`image.astype(numpy.uint8) * 255` makes it",
        _ => "give numbers",
    };
    Err(PyTypeError::new_err(format!("an image's array is of uint8, and this one of {name}: {cure}")))
}

fn order(shape: &[usize], channels: usize, format: Option<Order>) -> PyResult<Order> {
    let said = |text: String| Err(PyValueError::new_err(text));
    if shape.len() == 3 && !matches!(channels, 1 | 3 | 4) && matches!(shape[0], 1 | 3 | 4) {
        return said(format!(
            "the array's shape {shape:?} looks like channels first; an image is (height, width, channels): \
             `image.transpose(1, 2, 0)` turns it"
        ));
    }
    let Some(usual) = Order::usual(channels) else {
        return said(format!(
            "an image has 1, 3 or 4 channels, and the array's shape is {shape:?}: choose some of its {channels}"
        ));
    };
    match format {
        None => Ok(usual),
        Some(order) if order.channels() == channels => Ok(order),
        Some(order) => said(format!(
            "format {} is of {} channels, and the array has {channels} (its shape is {shape:?})",
            format!("{order:?}").to_lowercase(),
            order.channels()
        )),
    }
}

/// The same as an error of the library's, with another name in it.
pub(crate) fn named(e: Error, name: &str) -> Error {
    match e {
        Error::Image { name: old, reason }
            if old == "from pixels" || old == "from bytes" || old == "from RGB bytes" =>
        {
            Error::Image { name: name.into(), reason }
        }
        other => other,
    }
}
