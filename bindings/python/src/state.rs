//! Detections as they are pickled: bytes, little-endian, of which nothing is believed.

use maskrcnn::{Detection, Detections as Found, Mask, SoftMask};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::detections::Detections;

/// The version of what is pickled.
const VERSION: u32 = 1;

/// Version; width, height and the cell count of a soft mask's side; names of classes; boxes, scores and labels (24 bytes an
/// instance); places of masks (16 bytes each); their bits; soft masks; scores that were left out; whether it was crowded, and
/// whether the model gives masks; notes.
#[derive(FromPyObject, IntoPyObject)]
pub(crate) struct State(
    u32,
    (u32, u32, usize),
    Vec<String>,
    (Bytes, Bytes, Bytes, Bytes, Bytes),
    (bool, bool),
    Vec<String>,
);

/// Bytes of Python's.
pub(crate) struct Bytes(Vec<u8>);

impl<'py> IntoPyObject<'py> for Bytes {
    type Target = PyBytes;
    type Output = Bound<'py, PyBytes>;
    type Error = std::convert::Infallible;

    fn into_pyobject(self, py: Python<'py>) -> Result<Self::Output, Self::Error> {
        Ok(PyBytes::new(py, &self.0))
    }
}

impl<'a, 'py> FromPyObject<'a, 'py> for Bytes {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        Ok(Self(object.cast::<PyBytes>()?.as_bytes().to_vec()))
    }
}

/// What is kept of detections.
pub(crate) fn of(_py: Python, all: &Detections) -> State {
    let found = &all.found;
    let (mut items, mut places, mut bits, mut soft) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let side = found.items.first().and_then(|d| d.soft.as_ref()).map_or(0, |soft| soft.side);
    for d in found.iter() {
        items.extend(d.bbox.iter().chain([&d.score]).flat_map(|v| v.to_le_bytes()));
        items.extend(d.label.to_le_bytes());
        let Mask { x, y, w, h, bits: words } = &d.mask;
        places.extend([x, y, w, h].iter().flat_map(|v| v.to_le_bytes()));
        bits.extend(words.iter().flat_map(|v| v.to_le_bytes()));
        soft.extend(d.soft.iter().flat_map(|soft| &soft.values).flat_map(|v| v.to_le_bytes()));
    }
    let left = found.left_out.iter().flat_map(|v| v.to_le_bytes()).collect();
    State(
        VERSION,
        (found.width, found.height, side),
        found.classes.to_vec(),
        (Bytes(items), Bytes(places), Bytes(bits), Bytes(soft), Bytes(left)),
        (found.crowded, all.masked),
        all.notes.clone(),
    )
}

/// The detections, or what is wrong.
pub(crate) fn restore(state: State) -> Result<Detections, String> {
    let State(version, (width, height, side), classes, (items, places, bits, soft, left), (crowded, masked), notes) =
        state;
    if version != VERSION {
        return Err(format!("they are of version {version}, and this package reads {VERSION}: pickle them anew"));
    }
    let floats = |bytes: &[u8]| words(bytes).map(f32::from_bits).collect::<Vec<f32>>();
    let (n, rest) = (items.0.len() / 24, items.0.len() % 24);
    let cells = side.checked_mul(side).ok_or("their soft masks are too large")?;
    let softened = side > 0;
    // Pixels of an image are counted in 32 bits.
    let fits = rest == 0
        && u64::from(width) * u64::from(height) <= u64::from(u32::MAX)
        && places.0.len() == 16 * n
        && bits.0.len().is_multiple_of(4)
        && left.0.len().is_multiple_of(4)
        && soft.0.len() as u128 == 4 * cells as u128 * n as u128;
    if !fits {
        return Err("their parts do not fit each other".into());
    }
    let mut bits = words(&bits.0);
    let mut soft = floats(&soft.0).into_iter();
    let mut found = Vec::with_capacity(n);
    for (item, place) in items.0.chunks_exact(24).zip(places.0.chunks_exact(16)) {
        let values = floats(item);
        let &[x1, y1, x2, y2, score, _] = values.as_slice() else { return Err("an instance is cut short".into()) };
        let label = words(item).nth(5).unwrap_or(0);
        let place: Vec<u32> = words(place).collect();
        let &[x, y, w, h] = place.as_slice() else { return Err("a mask's place is cut short".into()) };
        let need = w.div_ceil(32) as usize * h as usize;
        let own: Vec<u32> = bits.by_ref().take(need).collect();
        let mask = Mask::from_bits(x, y, w, h, own).map_err(|e| e.to_string())?;
        let within = mask.is_empty()
            || (u64::from(x) + u64::from(w) <= width.into() && u64::from(y) + u64::from(h) <= height.into());
        if !within {
            return Err("a mask leaves the image".into());
        }
        let soft = softened.then(|| SoftMask { side, values: soft.by_ref().take(cells).collect() });
        found.push(Detection { bbox: [x1, y1, x2, y2], score, label, mask, soft });
    }
    if bits.next().is_some() {
        return Err("there are more bits than masks".into());
    }
    let found = Found { width, height, classes: classes.into(), items: found, left_out: floats(&left.0), crowded };
    Ok(Detections::new(found, notes, masked))
}

/// Words of four bytes.
fn words(bytes: &[u8]) -> impl Iterator<Item = u32> {
    bytes.chunks_exact(4).map(|b| b.iter().rev().fold(0, |word, &byte| word << 8 | u32::from(byte)))
}
