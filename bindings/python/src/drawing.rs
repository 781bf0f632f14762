//! Pictures of what was found.

use maskrcnn::engine::vision::{Palette, Style, StyleParts, styled_overlay};
use maskrcnn::{Detections, Error};
use numpy::{PyArray1, PyArray3, PyArrayMethods};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::errors::work;
use crate::picture::{Order, source};

/// What is drawn, and how.
pub(crate) struct Drawing<'a> {
    pub style: &'a str,
    pub palette: &'a str,
    pub font_size: Option<f32>,
    pub line_width: Option<f32>,
    pub enlarged: bool,
}

impl Drawing<'_> {
    fn style(&self) -> PyResult<Style> {
        let wrong = |name: &str, text: String| PyValueError::new_err(format!("{name}: {text}"));
        let within = |name: &str, value: Option<f32>, (low, high): (f32, f32)| match value {
            Some(v) if !(low..=high).contains(&v) => Err(wrong(name, format!("is {low} to {high}, and not {v}"))),
            other => Ok(other),
        };
        Ok(Style {
            parts: self.style.parse::<StyleParts>().map_err(|e| wrong("style", e))?,
            palette: self.palette.parse::<Palette>().map_err(|e| wrong("palette", e))?,
            font_size: within("font_size", self.font_size, (6.0, 200.0))?,
            line_width: within("line_width", self.line_width, (0.5, 50.0))?,
            enlarged: self.enlarged,
        })
    }
}

/// The image with what was found in it.
pub(crate) fn draw<'py>(
    py: Python<'py>,
    found: &Detections,
    image: &Bound<'py, PyAny>,
    format: Option<&str>,
    drawing: Drawing,
) -> PyResult<Bound<'py, PyArray3<u8>>> {
    let style = drawing.style()?;
    let source = source(image, format.map(Order::parse).transpose()?, false)?;
    let (size, rgb) = work(py, || {
        let image = source.decode()?.into_image()?;
        let (w, h) = (image.width(), image.height());
        if (w, h) != (found.width, found.height) {
            let reason = format!(
                "has {w}x{h} pixels, and the detections are of {}x{}: draw onto the image that they were found in",
                found.width, found.height
            );
            return Err(Error::Image { name: "to draw onto".into(), reason });
        }
        let drawn = styled_overlay(&image, found, &style);
        Ok(([drawn.height() as usize, drawn.width() as usize, 3], drawn.into_raw()))
    })?;
    PyArray1::from_vec(py, rgb).reshape(size)
}
