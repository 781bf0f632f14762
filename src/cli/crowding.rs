//! What the settings of a network had no room for, and the option that makes some.

use maskrcnn::{Config, Detections};

/// What to add to a picture's line; nothing where everything had room.
pub(super) fn told(found: &Detections, config: &Config) -> String {
    let (n, more, most) = (found.len(), found.left_out.len(), config.box_head.detections_per_img);
    let option = |wanted: usize| {
        let wanted = wanted.next_multiple_of(100).min(Config::MOST_DETECTIONS);
        let all = [most, config.rpn.pre_nms_top_n, config.rpn.post_nms_top_n].contains(&Config::MOST_DETECTIONS);
        if wanted <= most || all { "cut it into pieces".into() } else { format!("--detections {wanted}") }
    };
    // Objects have several likely anchors and proposals each: of 60 pictures of nuclei, 9 had some cut and lacked nothing,
    // as twice the room showed; 7 of these had filled less than half of it.
    match (more, found.crowded && 2 * (n + more) >= most) {
        (0, false) => String::new(),
        (0, true) => format!(" (there may be more; to look closer: {})", option(2 * most.max(n))),
        (_, false) => format!(" (the most that is allowed; {more} more were found: {})", option(most + more)),
        (_, true) => {
            let option = option(2 * (most + more));
            format!(" (the most that is allowed; {more} more were found, and there may be others: {option})")
        }
    }
}

#[cfg(test)]
mod tests {
    use maskrcnn::{Detection, Mask};

    use super::*;

    #[test]
    fn what_is_cut_is_told_with_the_option_that_helps() {
        let mut config = Config::default();
        let one = Detection { bbox: [0.0; 4], score: 0.9, label: 1, mask: Mask::default(), soft: None };
        let with = |n: usize, left_out: usize, crowded: bool, config: &Config| {
            let found = Detections::new(9, 9, [].into(), vec![one.clone(); n]);
            super::told(&Detections { left_out: vec![0.9; left_out], crowded, ..found }, config)
        };
        let told = |left_out: usize, crowded: bool, config: &Config| with(0, left_out, crowded, config);
        assert_eq!(told(0, false, &config), "");
        assert_eq!(with(49, 0, true, &config), "", "half of the room is free");
        assert!(with(50, 0, true, &config).ends_with("--detections 200)"));
        assert!(told(250, false, &config).contains("250 more were found: --detections 400)"));
        assert!(told(250, true, &config).ends_with("others: --detections 700)"));
        config.rpn.pre_nms_top_n = Config::MOST_DETECTIONS;
        assert!(told(1, true, &config).ends_with("cut it into pieces)"));
    }
}
