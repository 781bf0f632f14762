//! What had to be assumed of a network, since its file does not tell, in words.

use maskrcnn::engine::config::{BodyKind, BoxRule, Colours, Extents, PasteRule, Resize};
use maskrcnn::engine::weights::{Doubt, Origin, Settings};
use maskrcnn::{Config, Neck, RoiPooling};

/// A line about BatchNorm's epsilon, if it is a guess.
pub(super) fn epsilon(file: &str, settings: &Settings) -> Option<String> {
    let Doubt { other, channels, changed, most } = settings.epsilon.doubt?;
    let eps = settings.config.backbone.eps_text();
    let other = maskrcnn::engine::config::Backbone { bn_eps: other, ..settings.config.backbone.clone() }.eps_text();
    let because = &settings.epsilon.because;
    let assumed = format!("{file} does not tell BatchNorm's epsilon; {eps} is assumed, as {because}");
    if changed == 0 {
        return Some(format!(
            "note: {assumed} (here {other} would change next to nothing; `--bn-eps {other}` takes it)"
        ));
    }
    // Channels that died in training have any factor, and it does not matter.
    let most = if most < 1.0 { format!(" (at most {:.0} %)", 100.0 * most) } else { String::new() };
    Some(format!(
        "warning: {assumed}. If it was trained with {other}, then {changed} of {channels} channels are scaled wrongly by more \
         than 1 %{most}, and instances are missed or misplaced: say `--bn-eps {other}` in that case, and `--bn-eps {eps}` if \
         this one is right"
    ))
}

/// A line about all other settings that tensors cannot tell, if the file does not carry them.
pub(super) fn settings(file: &str, settings: &Settings) -> Option<String> {
    if settings.stated {
        return None;
    }
    let assumed = |name: &&str| settings.origin(name) == Some(Origin::Assumed);
    let groups: Vec<String> = groups(&settings.config)
        .into_iter()
        .filter(|(names, _)| names.iter().any(assumed))
        .map(|(_, text)| text)
        .collect();
    (!groups.is_empty()).then(|| {
        format!(
            "note: {file} does not carry its settings; assumed, as {} has them: {}. If it was trained with others, \
             little or nothing is found: state those with `--config FILE.toml` (`maskrcnn weights inspect {file}` prints \
             all of them in that form)",
            settings.family,
            groups.join("; ")
        )
    })
}

/// Settings that decide what is found, by what they are for.
fn groups(config: &Config) -> Vec<(Vec<&'static str>, String)> {
    let numbers = |values: &[f32]| values.iter().map(f32::to_string).collect::<Vec<_>>().join(", ");
    let (head, transform) = (&config.box_head, &config.transform);
    let masks = config.mask.as_ref().map_or(String::new(), |m| format!(", mask {}", m.threshold));
    let samples = match config.mask.as_ref().map(|m| m.sampling_ratio).filter(|&n| n != head.sampling_ratio) {
        None => head.sampling_ratio.to_string(),
        Some(mask) => format!("{} (masks: {mask})", head.sampling_ratio),
    };
    let range = match transform.image_range {
        1.0 => String::new(),
        range => format!(" of values 0..{range}"),
    };
    let first = if transform.colours == Colours::Bgr {
        "colours in the file with blue first, of red, green and blue "
    } else {
        ""
    };
    let body = &config.backbone;
    let norms = (body.group_norm.max(config.group_norm) > 0).then(|| {
        let text =
            format!("GroupNorms of {} groups, epsilon {}", body.group_norm.max(config.group_norm), body.eps_text());
        (vec!["backbone.group_norm", "group_norm"], text)
    });
    let dilated = (config.neck == Neck::Dc5).then(|| {
        let first = if body.dilate_first { "dilated" } else { "not dilated" };
        (vec!["backbone.dilate_first"], format!("the last stage dilated by 2, its first block {first}"))
    });
    let mobile = (body.kind == BodyKind::MobilenetV3Large).then(|| {
        let text = format!(
            "proposals from a score of {}, and sizes as of torchvision's larger model, whose tensors are as those of its \
             smaller one (`--config tv-mobilenet-320`)",
            config.rpn.score_thresh
        );
        (vec!["rpn.score_thresh", "transform.min_size"], text)
    });
    // What other projects than torchvision do in another way, and the first thing that goes wrong.
    let of_matterport = (config.box_rule == BoxRule::Normalized).then(|| {
        let text = format!(
            "boxes, levels, RoIs and masks as matterport has them, proposals of all levels together, at most {}, a RoI's best class \
             alone, at most {} detections",
            config.rpn.post_nms_top_n, head.detections_per_img
        );
        (vec!["transform.resize", "box_rule", "roi_levels", "paste", "rpn.joint", "box.best_class"], text)
    });
    let resized = match transform.resize {
        Resize::Bilinear | Resize::Square | Resize::Pad64 | Resize::None => None,
        Resize::Pillow | Resize::PillowFloor => Some("Pillow"),
        Resize::Opencv => Some("OpenCV"),
    };
    let rules = resized.map(|resized| {
        let stride = if body.stride_in_1x1 { "first" } else { "3×3" };
        let anchors = match config.extents {
            Extents::Exclusive => "anchors not rounded",
            _ => "anchors of whole pixels, boxes with their last pixel",
        };
        let masks = if config.paste == PasteRule::Sampled { "sampled at pixels" } else { "enlarged to whole pixels" };
        let text = format!(
            "images resized as {resized} does, {anchors}, levels of RoIs by their strides, masks {masks}; \
             strides in the {stride} convolutions of blocks"
        );
        (vec!["transform.resize", "anchor_rule", "roi_levels", "paste", "backbone.stride_in_1x1"], text)
    });
    let sizes = match config.transform.resize {
        Resize::Square => format!(
            "images enlarged to {} at least, scaled to fit {}, in a black square of that",
            transform.min_size, transform.max_size
        ),
        Resize::Pad64 => format!(
            "images enlarged by {} and to {} at least, with black up to multiples of {}",
            transform.min_scale.max(1.0),
            transform.min_size,
            transform.size_divisible
        ),
        Resize::None => format!("images as they are, with black up to multiples of {}", transform.size_divisible),
        Resize::Bilinear | Resize::Pillow | Resize::PillowFloor | Resize::Opencv => {
            format!("images scaled to {}, at most {} pixels", transform.min_size, transform.max_size)
        }
    };
    let of_all = vec![
        (
            vec!["anchor_sizes", "anchor_ratios"],
            format!(
                "anchors of {} pixels, ratios {}",
                numbers(&config.anchor_sizes.concat()),
                numbers(&config.anchor_ratios)
            ),
        ),
        (
            vec!["transform.colours", "transform.image_range", "transform.image_mean", "transform.image_std"],
            format!("{first}mean {} and std {}{range}", numbers(&transform.image_mean), numbers(&transform.image_std)),
        ),
        (vec!["box.reg_weights"], format!("box coder weights {}", numbers(&head.reg_weights))),
        (
            vec!["box.pooling", "mask.pooling", "box.sampling_ratio", "mask.sampling_ratio", "roi_aligned"],
            match [Some(head.pooling), config.mask.as_ref().map(|m| m.pooling)] {
                [Some(RoiPooling::Align), None | Some(RoiPooling::Align)] => format!(
                    "RoIAlign sampling ratio {samples}, {}",
                    if config.roi_aligned { "aligned" } else { "not aligned" }
                ),
                poolings => {
                    let names: Vec<&str> = poolings.into_iter().flatten().map(RoiPooling::name).collect();
                    format!("RoIs pooled by {}, sampling ratio {samples}", names.join(", masks: "))
                }
            },
        ),
        (
            vec!["box.score_thresh", "box.nms_thresh", "rpn.nms_thresh", "mask.threshold"],
            format!(
                "thresholds (score {}, NMS {}, of proposals {}{masks})",
                head.score_thresh, head.nms_thresh, config.rpn.nms_thresh
            ),
        ),
        (vec!["transform.min_size", "transform.max_size", "transform.min_scale"], sizes),
    ];
    of_all.into_iter().chain(mobile).chain(norms).chain(dilated).chain(rules).chain(of_matterport).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the tensors of other bodies leave open is said, and of no other network.
    #[test]
    fn what_bodies_leave_open_is_said() {
        let mut config = Config::default();
        let said = |config: &Config| groups(config).into_iter().map(|(_, text)| text).collect::<Vec<_>>().join("; ");
        assert!(!said(&config).contains("GroupNorm") && !said(&config).contains("dilated"));
        (config.neck, config.group_norm) = (Neck::Dc5, 32);
        let text = said(&config);
        assert!(text.contains("GroupNorms of 32 groups, epsilon 1e-5") && text.contains("not dilated"), "{text}");
        assert!(!text.contains("Pillow"));
        config.transform.resize = Resize::Pillow;
        assert!(said(&config).contains("as Pillow does") && said(&config).contains("strides in the 3×3"));
        config.transform.resize = Resize::Opencv;
        assert!(said(&config).contains("as OpenCV does"));
    }
}
