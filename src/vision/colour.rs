//! Colours that tell instances apart: hues by the golden angle, all equally light.

/// 8-bit sRGB.
pub(crate) type Colour = [u8; 3];

/// Turned by this, in degrees, a hue never comes near an earlier one for long.
const GOLDEN: f32 = 137.507_77;

/// Lightness and chroma of instances' colours, and of classes'.
const INSTANCE: (f32, f32) = (0.78, 0.16);
const CLASS: (f32, f32) = (0.74, 0.16);

/// Neighbours nearer than this in hue, in degrees, are hard to tell apart.
#[cfg(feature = "draw")]
const APART: f32 = 50.0;

/// A colour for each box `[x1, y1, x2, y2]`, unlike those of the boxes within `reach` of it.
#[cfg(feature = "draw")]
pub(super) fn choose(boxes: &[[f32; 4]], reach: f32) -> Vec<Colour> {
    let mut hues: Vec<f32> = Vec::with_capacity(boxes.len());
    for (i, a) in boxes.iter().enumerate() {
        let near =
            |b: &[f32; 4]| a[0] < b[2] + reach && b[0] < a[2] + reach && a[1] < b[3] + reach && b[1] < a[3] + reach;
        let taken: Vec<f32> = boxes.iter().zip(&hues).filter(|(b, _)| near(b)).map(|(_, &hue)| hue).collect();
        let clear = |hue: f32| taken.iter().map(|t| apart(hue, *t)).fold(360.0, f32::min);
        // Its own turn first, then those that follow; the best of them where none is clear.
        let (mut best, mut best_clear) = (0.0, -1.0);
        for k in 0..12 {
            let hue = turned(i + k);
            if clear(hue) > best_clear {
                (best, best_clear) = (hue, clear(hue));
            }
            if best_clear >= APART {
                break;
            }
        }
        hues.push(best);
    }
    hues.into_iter().map(|hue| from_oklch(INSTANCE.0, INSTANCE.1, hue)).collect()
}

/// The colour of a class, 8-bit sRGB: the same wherever it is shown.
pub fn class_colour(label: u32) -> Colour {
    from_oklch(CLASS.0, CLASS.1, turned(label.saturating_sub(1) as usize))
}

/// The colour that the `i`-th instance is given where its neighbours' are not looked at, 8-bit sRGB.
pub(crate) fn instance_colour(i: usize) -> Colour {
    from_oklch(INSTANCE.0, INSTANCE.1, turned(i))
}

/// The hue of the `i`-th, in degrees.
fn turned(i: usize) -> f32 {
    (i as f32 * GOLDEN + 200.0) % 360.0
}

#[cfg(feature = "draw")]
fn apart(a: f32, b: f32) -> f32 {
    let d = (a - b).abs() % 360.0;
    d.min(360.0 - d)
}

/// A colour of Björn Ottosson's OKLCH space (lightness 0 to 1, chroma, hue in degrees), with the chroma lowered until
/// sRGB can show it: equal lightness looks equally light there, which HSV's yellow and blue do not.
fn from_oklch(lightness: f32, chroma: f32, hue: f32) -> Colour {
    let (sin, cos) = hue.to_radians().sin_cos();
    let mut chroma = chroma;
    loop {
        let (a, b) = (chroma * cos, chroma * sin);
        let l = (lightness + 0.396_337_78 * a + 0.215_803_76 * b).powi(3);
        let m = (lightness - 0.105_561_346 * a - 0.063_854_17 * b).powi(3);
        let s = (lightness - 0.089_484_18 * a - 1.291_485_5 * b).powi(3);
        let linear = [
            4.076_741_7 * l - 3.307_711_6 * m + 0.230_969_94 * s,
            -1.268_438 * l + 2.609_757_4 * m - 0.341_319_4 * s,
            -0.004_196_086_3 * l - 0.703_418_6 * m + 1.707_614_7 * s,
        ];
        if chroma < 0.01 || linear.iter().all(|v| (-0.001..=1.001).contains(v)) {
            return linear.map(|v| (255.0 * gamma(v.clamp(0.0, 1.0))).round() as u8);
        }
        chroma *= 0.95;
    }
}

fn gamma(linear: f32) -> f32 {
    if linear <= 0.003_130_8 { 12.92 * linear } else { 1.055 * linear.powf(1.0 / 2.4) - 0.055 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oklch_ends_are_black_and_white() {
        assert_eq!([from_oklch(0.0, 0.0, 0.0), from_oklch(1.0, 0.0, 0.0)], [[0; 3], [255; 3]]);
        let [r, g, b] = from_oklch(0.627_96, 0.257_68, 29.234);
        assert!(r > 252 && g < 12 && b < 12, "sRGB's red: {r} {g} {b}");
    }

    #[test]
    #[cfg(feature = "draw")]
    fn neighbours_differ() {
        let boxes: Vec<[f32; 4]> = (0..100)
            .map(|i| ((i % 10) as f32 * 10.0, (i / 10) as f32 * 10.0))
            .map(|(x, y)| [x, y, x + 9.0, y + 9.0])
            .collect();
        let colours = choose(&boxes, 0.5);
        for (i, a) in colours.iter().enumerate() {
            for j in [i + 1, i + 10].into_iter().filter(|&j| j < 100 && (j != i + 1 || j % 10 != 0)) {
                let far: i32 = a.iter().zip(colours[j]).map(|(&p, q)| (i32::from(p) - i32::from(q)).abs()).sum();
                assert!(far > 40, "{i} and {j}: {a:?} {:?}", colours[j]);
            }
        }
        assert!(choose(&[], 1.0).is_empty());
    }

    #[test]
    #[cfg(feature = "draw")]
    fn hues_go_round() {
        for (a, b, want) in
            [(10.0, 350.0, 20.0), (350.0, 10.0, 20.0), (0.0, 180.0, 180.0), (5.0, 200.0, 165.0), (7.0, 7.0, 0.0)]
        {
            assert_eq!(apart(a, b), want, "{a} and {b}");
        }
        let hues = [0, 1, 3, 5].map(turned);
        for (got, want) in hues.iter().zip([200.0, 337.507_77, 252.523_3, 167.538_85]) {
            assert!((got - want).abs() < 1e-3, "{hues:?}");
        }
    }

    /// By Ottosson's matrices in double precision, worked out apart.
    #[test]
    fn classes_keep_their_colours() {
        assert_eq!([1, 2, 3, 90].map(class_colour), [[18, 194, 201], [233, 128, 206], [168, 182, 31], [18, 194, 199]]);
        assert_eq!([0, 7].map(instance_colour), [[21, 208, 216], [233, 172, 4]]);
    }

    /// The sixth instance's hue is too near to the first one's, which counts where their boxes are near on both axes.
    #[test]
    #[cfg(feature = "draw")]
    fn hues_are_changed_for_neighbours_alone() {
        let mut boxes: Vec<[f32; 4]> =
            (0..5).map(|i| [1000.0 * i as f32, 0.0, 1000.0 * i as f32 + 20.0, 20.0]).collect();
        for (x, y, near) in [
            (24.0, 0.0, true),
            (26.0, 0.0, false),
            (-24.0, 0.0, true),
            (-26.0, 0.0, false),
            (0.0, 24.0, true),
            (0.0, 26.0, false),
            (0.0, -24.0, true),
            (0.0, -26.0, false),
            (24.0, 24.0, true),
            (24.0, 40.0, false),
        ] {
            boxes.truncate(5);
            boxes.push([x, y, x + 20.0, y + 20.0]);
            let colours = choose(&boxes, 5.0);
            assert_eq!(colours[..5], [0, 1, 2, 3, 4].map(instance_colour));
            // The next turn's hue is clear of the first.
            assert_eq!(colours[5], instance_colour(if near { 6 } else { 5 }), "{x}, {y}");
        }
    }
}
