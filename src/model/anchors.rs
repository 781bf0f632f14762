//! The anchors of each level (torchvision, `anchor_utils.py`; detectron2, `modeling/anchor_generator.py`;
//! matterport, `utils.py: generate_anchors`).

use crate::config::{AnchorRule, BoxRule, Config};
use crate::tensor::Value;

/// One level of the pyramid, as far as its anchors depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Level {
    /// Rows and columns of the feature map.
    pub map: (usize, usize),
    /// Rows and columns of the padded network input.
    pub input: (usize, usize),
    /// Input pixels from one of the map's pixels to the next.
    pub stride: usize,
    /// The level's first anchor among those of all levels.
    pub first: usize,
}

/// Cell anchors of a level of such sizes, of so many input pixels a pixel, as the boxes of this network are.
pub(crate) fn cells_of(config: &Config, sizes: &[f32], stride: usize) -> Vec<[f32; 4]> {
    let cells = config.anchor_rule.cells(sizes, &config.anchor_ratios, stride);
    match config.box_rule {
        BoxRule::Corners => cells,
        BoxRule::Normalized => cells.into_iter().map(|[x1, y1, x2, y2]| [x1, y1, x2 - 1.0, y2 - 1.0]).collect(),
    }
}

/// The table `[levels, 4 + 4A]` that [`crate::ops::rpn_decode::RpnDecode`] reads: first anchor, columns, stride x,
/// stride y, cell anchors. torchvision's stride is padded input over feature map in whole pixels, so P6's of 800 rows is 61.
///
/// Where the last pixel belongs to an anchor, anchors are widened by the configuration's extent: then all are as wide as their
/// corners are apart.
pub(super) fn table(levels: &[Level], config: &Config) -> Value {
    let (rule, extent) = (config.anchor_rule, config.extent());
    let mut data = Vec::new();
    for (level, sizes) in levels.iter().zip(&config.anchor_sizes) {
        let stride = |input: usize, map: usize| match rule {
            AnchorRule::Rounded => (input / map) as f32,
            _ => level.stride as f32,
        };
        data.extend([level.first as f32, level.map.1 as f32]);
        data.extend([stride(level.input.1, level.map.1), stride(level.input.0, level.map.0)]);
        let cells = cells_of(config, sizes, level.stride);
        data.extend(cells.into_iter().flat_map(|[x1, y1, x2, y2]| [x1, y1, x2 + extent, y2 + extent]));
    }
    Value::f32([levels.len(), data.len() / levels.len()], data)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Extents;

    fn cells(sizes: &[f32], ratios: &[f32], rule: AnchorRule, stride: usize) -> Vec<[f32; 4]> {
        rule.cells(sizes, ratios, stride)
    }

    fn of(sizes: &[&[f32]], ratios: &[f32], anchor_rule: AnchorRule) -> Config {
        let anchor_sizes = sizes.iter().map(|sizes| sizes.to_vec()).collect();
        Config { anchor_sizes, anchor_ratios: ratios.to_vec(), anchor_rule, ..Config::default() }
    }

    #[test]
    fn half_extents_of_the_published_models() {
        let half = |size: f32| {
            cells(&[size], &[0.5, 1.0, 2.0], AnchorRule::Rounded, 16).iter().map(|c| (c[2], c[3])).collect::<Vec<_>>()
        };
        assert_eq!(half(32.0), [(23.0, 11.0), (16.0, 16.0), (11.0, 23.0)]);
        assert_eq!(half(64.0), [(45.0, 23.0), (32.0, 32.0), (23.0, 45.0)]);
        assert_eq!(half(128.0), [(91.0, 45.0), (64.0, 64.0), (45.0, 91.0)]);
        assert_eq!(half(256.0), [(181.0, 91.0), (128.0, 128.0), (91.0, 181.0)]);
        assert_eq!(half(512.0), [(362.0, 181.0), (256.0, 256.0), (181.0, 362.0)]);
    }

    /// Anchors lie round the origin; ratios outer, sizes inner.
    #[test]
    fn corners_are_on_both_sides() {
        let want = [
            [-23.0, -11.0, 23.0, 11.0],
            [-45.0, -23.0, 45.0, 23.0],
            [-16.0, -16.0, 16.0, 16.0],
            [-32.0, -32.0, 32.0, 32.0],
        ];
        assert_eq!(cells(&[32.0, 64.0], &[0.5, 1.0], AnchorRule::Rounded, 16), want);
    }

    /// As detectron2's documentation has them of sizes 32 and 64: areas are kept, nothing is rounded, sizes outer.
    #[test]
    fn exact_anchors_keep_their_areas() {
        let anchors = cells(&[32.0, 64.0], &[0.5, 1.0, 2.0], AnchorRule::Exact, 16);
        assert_eq!(anchors[0], [-22.627417, -11.313708, 22.627417, 11.313708]);
        assert_eq!(anchors[2], [-11.313708, -22.627417, 11.313708, 22.627417]);
        assert_eq!((anchors[1], anchors[4]), ([-16.0, -16.0, 16.0, 16.0], [-32.0, -32.0, 32.0, 32.0]));
        for (i, &[x1, y1, x2, y2]) in anchors.iter().enumerate() {
            let (w, h, side) = (x2 - x1, y2 - y1, if i < 3 { 32.0 } else { 64.0 });
            assert!((w * h - side * side).abs() < 1e-2 && (h / w - [0.5, 1.0, 2.0][i % 3]).abs() < 1e-5);
        }
        // The same in another order.
        let by_ratio = cells(&[32.0, 64.0], &[0.5, 1.0, 2.0], AnchorRule::ExactByRatio, 16);
        assert_eq!(by_ratio, [0, 3, 1, 4, 2, 5].map(|i| anchors[i]));
        // And their steps are the level's stride, whatever the padded input is.
        let level = Level { map: (13, 17), input: (800, 1088), stride: 64, first: 9 };
        for rule in [AnchorRule::Exact, AnchorRule::ExactByRatio] {
            let config = of(&[&[512.0]], &[1.0], rule);
            assert_eq!(table(&[level], &config).floats()[..4], [9.0, 17.0, 64.0, 64.0]);
            // Where boxes end with their last pixel, so do anchors.
            let last = Config { box_rule: BoxRule::Normalized, ..config };
            assert_eq!(cells_of(&last, &[512.0], 64), [[-256.0, -256.0, 255.0, 255.0]]);
        }
    }

    #[test]
    fn each_level_has_a_row() {
        let levels = [(0, (20, 24)), (960, (10, 12)), (1200, (5, 6))].map(|(first, map)| Level {
            map,
            input: (160, 192),
            stride: 9,
            first,
        });
        let table = table(&levels, &of(&[&[32.0], &[64.0], &[128.0]], &[1.0, 2.0], AnchorRule::Rounded));
        assert_eq!(table.shape.dims(), [3, 12]);
        assert_eq!(table.floats()[12..20], [960.0, 12.0, 16.0, 16.0, -32.0, -32.0, 32.0, 32.0]);
    }

    #[test]
    fn the_coarsest_stride_is_not_64() {
        let level = Level { map: (13, 17), input: (800, 1088), stride: 64, first: 9 };
        let table = table(&[level], &of(&[&[512.0]], &[1.0], AnchorRule::Rounded));
        assert_eq!(table.floats()[..4], [9.0, 17.0, 64.0, 61.0]);
    }

    /// As Detectron's and maskrcnn-benchmark's published models have them.
    #[test]
    fn strided_anchors_have_whole_sides() {
        for (stride, sides) in [
            (4, [(48.0, 24.0), (32.0, 32.0), (24.0, 48.0)]),
            (8, [(88.0, 48.0), (64.0, 64.0), (48.0, 96.0)]),
            (16, [(184.0, 96.0), (128.0, 128.0), (88.0, 176.0)]),
            (32, [(360.0, 176.0), (256.0, 256.0), (184.0, 368.0)]),
            (64, [(728.0, 368.0), (512.0, 512.0), (360.0, 720.0)]),
        ] {
            let anchors = cells(&[8.0 * stride as f32], &[0.5, 1.0, 2.0], AnchorRule::Strided, stride);
            let of = |[x1, y1, x2, y2]: &[f32; 4]| (x2 - x1 + 1.0, y2 - y1 + 1.0);
            assert_eq!(anchors.iter().map(of).collect::<Vec<_>>(), sides);
            assert!(anchors.iter().all(|[x1, y1, x2, y2]| [x1 + x2, y1 + y2] == [stride as f32 - 1.0; 2]));
        }
        // Of one level, with several sizes.
        let anchors = cells(&[32.0, 64.0], &[0.5, 1.0], AnchorRule::Strided, 16);
        assert_eq!(anchors[..2], [[-15.0, -4.0, 30.0, 19.0], [-38.0, -16.0, 53.0, 31.0]]);
        // Widened in the table.
        let level = Level { map: (13, 17), input: (800, 1088), stride: 4, first: 9 };
        let config = Config { extents: Extents::Inclusive, ..of(&[&[32.0]], &[1.0], AnchorRule::Strided) };
        let table = table(&[level], &config);
        assert_eq!(table.floats(), [9.0, 17.0, 4.0, 4.0, -14.0, -14.0, 18.0, 18.0]);
    }
}
