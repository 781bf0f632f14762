//! Anchors of sizes and ratios (torchvision, `anchor_utils.py`; detectron2, `modeling/anchor_generator.py`; MMDetection,
//! `anchor_generator.py`; Detectron, `modeling/generate_anchors.py`).

use super::AnchorRule;

impl AnchorRule {
    /// A pixel's anchors (x1, y1, x2, y2) round the origin, on a level of so many input pixels a pixel.
    pub(crate) fn cells(self, sizes: &[f32], ratios: &[f32], stride: usize) -> Vec<[f32; 4]> {
        match self {
            Self::Rounded => rounded(sizes, ratios),
            Self::Strided => strided(sizes, ratios, stride as f64),
            Self::RoundedCorners => rounded_corners(sizes, ratios, stride as f64),
            Self::Exact => sizes
                .iter()
                .flat_map(|&size| ratios.iter().map(move |&ratio| exact(size.into(), ratio.into())))
                .collect(),
            Self::ExactByRatio => ratios
                .iter()
                .flat_map(|&ratio| sizes.iter().map(move |&size| exact(size.into(), ratio.into())))
                .collect(),
        }
    }
}

/// With sides in f64.
fn exact(size: f64, ratio: f64) -> [f32; 4] {
    let w = (size * size / ratio).sqrt();
    let (x, y) = ((w / 2.0) as f32, (ratio * w / 2.0) as f32);
    [-x, -y, x, y]
}

/// Round the centre of a pixel of `stride` input pixels, counted from the centre of the first of these. Ratios outer, sizes
/// inner. The last pixel belongs to an anchor (Detectron, `modeling/generate_anchors.py`).
fn strided(sizes: &[f32], ratios: &[f32], stride: f64) -> Vec<[f32; 4]> {
    let centre = (stride - 1.0) / 2.0;
    let mut out = Vec::new();
    for &ratio in ratios {
        let w = (stride * stride / f64::from(ratio)).sqrt().round_ties_even();
        let h = (w * f64::from(ratio)).round_ties_even();
        for &size in sizes {
            let half = |side: f64| (side * (f64::from(size) / stride) - 1.0) / 2.0;
            let [x, y] = [half(w), half(h)];
            out.push([centre - x, centre - y, centre + x, centre + y].map(|v| v as f32));
        }
    }
    out
}

/// Ratios outer, sizes inner, half sides rounded half to even.
fn rounded(sizes: &[f32], ratios: &[f32]) -> Vec<[f32; 4]> {
    let mut out = Vec::new();
    for &ratio in ratios {
        let h = ratio.sqrt();
        let w = 1.0 / h;
        for &size in sizes {
            let half = |side: f32| (side * size / 2.0).round_ties_even();
            out.push([-half(w), -half(h), half(w), half(h)]);
        }
    }
    out
}

/// The same with the corners rounded instead of the sides.
fn rounded_corners(sizes: &[f32], ratios: &[f32], stride: f64) -> Vec<[f32; 4]> {
    let centre = (stride - 1.0) / 2.0;
    let mut out = Vec::new();
    for ratio in ratios.iter().map(|&ratio| f64::from(ratio).sqrt()) {
        for size in sizes.iter().map(|&size| f64::from(size)) {
            let [x, y] = [size / ratio, size * ratio].map(|side| (side - 1.0) / 2.0);
            out.push([centre - x, centre - y, centre + x, centre + y].map(|v| v.round_ties_even() as f32));
        }
    }
    out
}
