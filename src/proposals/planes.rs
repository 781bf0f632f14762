//! A picture in a colour space: three channels of numbers from 0 to 255, as they are, smoothed, and their slopes.

/// A colour space of the fast setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Space {
    /// Hue, saturation, value.
    Hsv,
    /// CIE L*a*b* of sRGB under D65.
    Lab,
}

/// How far the picture is smoothed before it is cut into regions, in pixels: 0.8 in both papers.
const SIGMA: f32 = 0.8;

/// Three channels of a picture, row by row.
pub(super) struct Planes {
    pub width: usize,
    pub height: usize,
    /// Rounded to bytes, which also hides how libraries of mathematics differ in their last digits.
    pub bytes: [Vec<u8>; 3],
    /// Smoothed by a Gaussian of [`SIGMA`].
    pub smooth: [Vec<f32>; 3],
}

impl Planes {
    /// Those of an RGB picture of `width` pixels a row.
    pub(super) fn new(rgb: &[u8], width: usize, space: Space) -> Self {
        let bytes = match space {
            Space::Hsv => each(rgb, hsv),
            Space::Lab => {
                let tables = LabTables::new();
                each(rgb, |rgb| tables.lab(rgb))
            }
        };
        let smooth = [0, 1, 2].map(|c: usize| smoothed(&bytes[c], width));
        Self { width, height: bytes[0].len() / width, bytes, smooth }
    }

    /// Pixels.
    pub(super) fn len(&self) -> usize {
        self.bytes[0].len()
    }
}

fn each(rgb: &[u8], of: impl Fn([u8; 3]) -> [u8; 3]) -> [Vec<u8>; 3] {
    let mut out = [0; 3].map(|_: i32| Vec::with_capacity(rgb.len() / 3));
    for pixel in rgb.as_chunks::<3>().0 {
        out.iter_mut().zip(of(*pixel)).for_each(|(plane, value)| plane.push(value));
    }
    out
}

/// Hue from 0 to 255 for the whole circle, saturation and value.
fn hsv([r, g, b]: [u8; 3]) -> [u8; 3] {
    let value = r.max(g).max(b);
    let spread = f32::from(value - r.min(g).min(b));
    if spread == 0.0 {
        return [0, 0, value];
    }
    let part = |of: u8, from: u8| (f32::from(of) - f32::from(from)) / spread;
    let sixths = match value {
        _ if value == r => part(g, b),
        _ if value == g => 2.0 + part(b, r),
        _ => 4.0 + part(r, g),
    };
    let hue = sixths.rem_euclid(6.0) * (255.0 / 6.0);
    [hue.round() as u8, (255.0 * spread / f32::from(value)).round() as u8, value]
}

/// What L*a*b* takes long for.
struct LabTables {
    /// A byte of sRGB as light, 0 to 1.
    light: [f32; 256],
    /// The cube root with a straight beginning, of 0 to 1 in steps.
    root: Vec<f32>,
}

/// Steps of that table.
const ROOTS: usize = 4096;

impl LabTables {
    fn new() -> Self {
        let mut light = [0.0; 256];
        light.iter_mut().enumerate().for_each(|(byte, light)| {
            let s = byte as f32 / 255.0;
            *light = if s <= 0.04045 { s / 12.92 } else { ((s + 0.055) / 1.055).powf(2.4) };
        });
        let root = |i: usize| {
            let t = i as f32 / ROOTS as f32;
            if t > 216.0 / 24389.0 { t.cbrt() } else { t * (841.0 / 108.0) + 4.0 / 29.0 }
        };
        Self { light, root: (0..=ROOTS).map(root).collect() }
    }

    /// L* stretched to 0 to 255, a* and b* with 128 in the middle.
    fn lab(&self, rgb: [u8; 3]) -> [u8; 3] {
        let [r, g, b] = rgb.map(|byte| self.light[usize::from(byte)]);
        let root = |t: f32| self.root[((t * ROOTS as f32 + 0.5) as usize).min(ROOTS)];
        // Each row over its white, so that white is 1, 1, 1.
        let x = root(0.433_953 * r + 0.376_219 * g + 0.189_828 * b);
        let y = root(0.212_671 * r + 0.715_160 * g + 0.072_169 * b);
        let z = root(0.017_758 * r + 0.109_477 * g + 0.872_766 * b);
        let byte = |v: f32| v.round().clamp(0.0, 255.0) as u8;
        [byte((116.0 * y - 16.0) * 2.55), byte(500.0 * (x - y) + 128.0), byte(200.0 * (y - z) + 128.0)]
    }
}

/// A plane under a Gaussian of [`SIGMA`], in rows and then in columns. What lies outside is like the border.
fn smoothed(plane: &[u8], width: usize) -> Vec<f32> {
    let reach = (4.0 * SIGMA).ceil() as usize;
    let weight = |i: usize| (-0.5 * ((i as f32 - reach as f32) / SIGMA).powi(2)).exp();
    let mut kernel: Vec<f32> = (0..=2 * reach).map(weight).collect();
    let sum: f32 = kernel.iter().sum();
    kernel.iter_mut().for_each(|k| *k /= sum);

    let height = plane.len() / width;
    let mut rows = vec![0.0; plane.len()];
    let mut padded = vec![0.0; width + 2 * reach];
    for (row, out) in plane.chunks_exact(width).zip(rows.chunks_exact_mut(width)) {
        padded[..reach].fill(f32::from(row[0]));
        padded[reach + width..].fill(f32::from(row[width - 1]));
        padded[reach..].iter_mut().zip(row).for_each(|(to, from)| *to = f32::from(*from));
        for (i, k) in kernel.iter().enumerate() {
            out.iter_mut().zip(&padded[i..]).for_each(|(out, v)| *out += k * v);
        }
    }
    let mut out = vec![0.0; plane.len()];
    for (y, out) in out.chunks_exact_mut(width).enumerate() {
        for (i, k) in kernel.iter().enumerate() {
            let from = (y + i).saturating_sub(reach).min(height - 1) * width;
            out.iter_mut().zip(&rows[from..from + width]).for_each(|(out, v)| *out += k * v);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_where_their_spaces_have_them() {
        assert_eq!(hsv([0, 0, 0]), [0, 0, 0]);
        assert_eq!(hsv([255, 0, 0]), [0, 255, 255]);
        assert_eq!(hsv([0, 255, 0]), [85, 255, 255]);
        assert_eq!(hsv([0, 0, 200]), [170, 255, 200]);
        assert_eq!(hsv([100, 50, 50]), [0, 128, 100]);
        let lab = |rgb| LabTables::new().lab(rgb);
        assert_eq!(lab([0, 0, 0]), [0, 128, 128]);
        assert_eq!(lab([255, 255, 255]), [255, 128, 128]);
        // L*a*b* of sRGB's red: 53.24, 80.09, 67.20; of its blue: 32.30, 79.19, -107.86.
        assert_eq!(lab([255, 0, 0]), [136, 208, 195]);
        assert_eq!(lab([0, 0, 255]), [82, 207, 20]);
    }

    #[test]
    fn smoothing_keeps_what_is_even_and_spreads_what_is_not() {
        for (width, height) in [(1, 1), (1, 5), (6, 1), (7, 4)] {
            let even = smoothed(&vec![77; width * height], width);
            assert!(even.iter().all(|v| (v - 77.0).abs() < 1e-3), "{width}×{height}: {even:?}");
        }
        // A point of 200 in the middle: what is lost there is round it, by exp(-1 / (2 · 0.64)) a step.
        let mut point = vec![0; 21 * 21];
        point[10 * 21 + 10] = 200;
        let point = smoothed(&point, 21);
        let at = |x: usize, y: usize| point[y * 21 + x];
        assert!((point.iter().sum::<f32>() - 200.0).abs() < 0.01);
        for (x, y) in [(11, 10), (9, 10), (10, 11), (10, 9)] {
            assert!((at(x, y) / at(10, 10) - (-1.0f32 / 1.28).exp()).abs() < 1e-4);
        }
    }
}
