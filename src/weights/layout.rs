//! The state dict of a network: every tensor that torchvision saves, by its present name.

use crate::config::BlockKind;
use crate::config::Config;

/// Names and torch shapes of a state dict; kept apart from the loader's own list, so that each can test the other.
pub(super) fn layout(config: &Config) -> Vec<(String, Vec<usize>)> {
    let mut list = Layout(Vec::new());
    let (backbone, f) = (&config.backbone, config.fpn_channels);
    list.conv_bn("backbone.body.conv1", "backbone.body.bn1", [backbone.base_width, 3, 7]);
    let mut inputs = backbone.base_width;
    for (stage, outputs) in backbone.stage_channels().into_iter().enumerate() {
        let width = backbone.base_width << stage;
        for block in 0..backbone.layers[stage] {
            let stem = format!("backbone.body.layer{}.{block}", stage + 1);
            let convs = match backbone.block {
                BlockKind::Basic => vec![[width, inputs, 3], [width, width, 3]],
                BlockKind::Bottleneck => vec![[width, inputs, 1], [width, width, 3], [outputs, width, 1]],
            };
            for (i, shape) in convs.into_iter().enumerate() {
                list.conv_bn(&format!("{stem}.conv{}", i + 1), &format!("{stem}.bn{}", i + 1), shape);
            }
            if block == 0 && (stage > 0 || inputs != outputs) {
                list.conv_bn(&format!("{stem}.downsample.0"), &format!("{stem}.downsample.1"), [outputs, inputs, 1]);
            }
            inputs = outputs;
        }
    }
    for (level, channels) in backbone.stage_channels().into_iter().enumerate() {
        list.block(&format!("backbone.fpn.inner_blocks.{level}"), config.fpn_norm, [f, channels, 1]);
    }
    for level in 0..backbone.layers.len() {
        list.block(&format!("backbone.fpn.layer_blocks.{level}"), config.fpn_norm, [f, f, 3]);
    }
    for depth in 0..config.rpn.conv_depth {
        list.block(&format!("rpn.head.conv.{depth}"), false, [f, f, 3]);
    }
    let anchors = config.anchors_per_cell();
    list.layer("rpn.head.cls_logits", &[anchors, f, 1, 1], anchors);
    list.layer("rpn.head.bbox_pred", &[4 * anchors, f, 1, 1], 4 * anchors);
    let (head, classes) = (&config.box_head, config.num_classes);
    let mut inputs = f;
    for (i, &outputs) in head.convs.iter().enumerate() {
        list.block(&format!("roi_heads.box_head.{i}"), true, [outputs, inputs, 3]);
        inputs = outputs;
    }
    let r = head.representation;
    let mut columns = inputs * head.roi_size * head.roi_size;
    for name in head.fc_names() {
        list.layer(&format!("roi_heads.box_head.{name}"), &[r, columns], r);
        columns = r;
    }
    list.layer("roi_heads.box_predictor.cls_score", &[classes, r], classes);
    list.layer("roi_heads.box_predictor.bbox_pred", &[4 * classes, r], 4 * classes);
    if let Some(mask) = &config.mask {
        let mut inputs = f;
        for (i, &outputs) in mask.layers.iter().enumerate() {
            list.block(&format!("roi_heads.mask_head.{i}"), mask.norm, [outputs, inputs, 3]);
            inputs = outputs;
        }
        let d = mask.dim_reduced;
        list.layer("roi_heads.mask_predictor.conv5_mask", &[inputs, d, 2, 2], d);
        list.layer("roi_heads.mask_predictor.mask_fcn_logits", &[classes, d, 1, 1], classes);
    }
    list.0
}

/// The list under construction.
struct Layout(Vec<(String, Vec<usize>)>);

impl Layout {
    /// A weight and its bias.
    fn layer(&mut self, stem: &str, weight: &[usize], outputs: usize) {
        self.0.push((format!("{stem}.weight"), weight.to_vec()));
        self.0.push((format!("{stem}.bias"), vec![outputs]));
    }

    /// torchvision's `Conv2dNormActivation`: a square convolution with BatchNorm or a bias.
    fn block(&mut self, block: &str, norm: bool, shape: [usize; 3]) {
        let [outputs, inputs, side] = shape;
        match norm {
            true => self.conv_bn(&format!("{block}.0"), &format!("{block}.1"), shape),
            false => self.layer(&format!("{block}.0"), &[outputs, inputs, side, side], outputs),
        }
    }

    /// A square convolution without bias (`shape`: outputs, inputs, side) and its BatchNorm.
    fn conv_bn(&mut self, conv: &str, bn: &str, shape: [usize; 3]) {
        let [outputs, inputs, side] = shape;
        self.0.push((format!("{conv}.weight"), vec![outputs, inputs, side, side]));
        for part in ["weight", "bias", "running_mean", "running_var"] {
            self.0.push((format!("{bn}.{part}"), vec![outputs]));
        }
    }
}

/// The present name of a tensor that older versions of torchvision named otherwise
/// (`_load_from_state_dict` of `rpn.py`, `mask_rcnn.py` and `ops/feature_pyramid_network.py`).
pub(super) fn present_name(name: &str) -> String {
    let parts: Vec<&str> = name.split('.').collect();
    match parts[..] {
        ["backbone", "fpn", blocks @ ("inner_blocks" | "layer_blocks"), level, end @ ("weight" | "bias")] => {
            format!("backbone.fpn.{blocks}.{level}.0.{end}")
        }
        ["rpn", "head", "conv", end @ ("weight" | "bias")] => format!("rpn.head.conv.0.0.{end}"),
        ["roi_heads", "mask_head", conv, end @ ("weight" | "bias")] => {
            match conv.strip_prefix("mask_fcn").and_then(|n| n.parse::<usize>().ok()) {
                Some(n) if n > 0 => format!("roi_heads.mask_head.{}.0.{end}", n - 1),
                _ => name.into(),
            }
        }
        _ => name.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn older_names_have_present_ones() {
        for (older, present) in [
            ("backbone.fpn.inner_blocks.2.weight", "backbone.fpn.inner_blocks.2.0.weight"),
            ("backbone.fpn.layer_blocks.0.bias", "backbone.fpn.layer_blocks.0.0.bias"),
            ("rpn.head.conv.weight", "rpn.head.conv.0.0.weight"),
            ("roi_heads.mask_head.mask_fcn1.weight", "roi_heads.mask_head.0.0.weight"),
            ("roi_heads.mask_head.mask_fcn4.bias", "roi_heads.mask_head.3.0.bias"),
        ] {
            assert_eq!(present_name(older), present);
        }
        // Those were counted from one.
        for other in
            ["roi_heads.mask_head.mask_fcn0.weight", "roi_heads.mask_head.0.0.weight", "rpn.head.conv.0.0.bias"]
        {
            assert_eq!(present_name(other), other);
        }
    }
}
