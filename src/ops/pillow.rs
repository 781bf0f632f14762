//! The weights of Pillow's bilinear filter (`src/libImaging/Resample.c`): a triangle over all pixels that an output pixel
//! covers, twice as wide as these, in whole numbers of 2⁻²².

/// Bits after the point.
pub const BITS: u32 = 22;

/// Longest side of an image that is resized so: the first of a row of neighbours has 20 bits.
pub const PILLOW_LONGEST: u32 = (1 << 20) - 1;

/// Most pixels that one becomes: their number has 12 bits.
pub const MOST_RATIO: u32 = 1000;

/// Half of the triangle's width, in pixels of the image.
fn support(input: u32, output: u32) -> f64 {
    (f64::from(input) / f64::from(output)).max(1.0)
}

/// Most pixels that one of the output is made of.
pub(super) fn taps(input: u32, output: u32) -> usize {
    support(input, output).ceil() as usize * 2 + 1
}

/// Adds what output pixel `d` is made of: the first pixel, with the number of pixels from bit 20 on, and the weight of each.
pub(super) fn words(input: u32, output: u32, d: u32, out: &mut Vec<u32>) {
    let (step, support) = (f64::from(input) / f64::from(output), support(input, output));
    let centre = (f64::from(d) + 0.5) * step;
    // Conversions cut off towards zero, and what is negative becomes 0.
    let first = (centre - support + 0.5) as u32;
    let end = ((centre + support + 0.5) as u32).min(input);
    let at = |pixel: u32| ((f64::from(pixel - first) + f64::from(first) - centre + 0.5) * (1.0 / support)).abs();
    let weights: Vec<f64> = (first..end).map(|pixel| (1.0 - at(pixel)).max(0.0)).collect();
    // In this order, as each sum is rounded.
    let sum: f64 = weights.iter().sum();
    out.push(first | (end - first) << 20);
    out.extend(weights.iter().map(|weight| (0.5 + weight / sum * f64::from(1u32 << BITS)) as u32));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(input: u32, output: u32, d: u32) -> (u32, Vec<u32>) {
        let mut out = Vec::new();
        words(input, output, d, &mut out);
        assert_eq!((out[0] >> 20) as usize, out.len() - 1);
        assert!(out.len() - 1 <= taps(input, output));
        (out[0] & 0xf_ffff, out.split_off(1))
    }

    #[test]
    fn weights_by_hand() {
        let one = 1 << BITS;
        assert_eq!(of(5, 5, 3), (3, vec![one, 0]), "the same size");
        // Doubled: three quarters and one.
        assert_eq!(of(4, 8, 1), (0, vec![one / 4 * 3, one / 4]));
        assert_eq!(of(4, 8, 2), (0, vec![one / 4, one / 4 * 3]));
        // At the border there is one pixel.
        assert_eq!(of(4, 8, 0), (0, vec![one]));
        // Halved: 1 3 3 1 of eight, and of the border 3 3 1 of seven.
        assert_eq!(of(8, 4, 1), (1, [1, 3, 3, 1].map(|n| one / 8 * n).to_vec()));
        assert_eq!(of(8, 4, 0), (0, [3, 3, 1].map(|n| (f64::from(one * n) / 7.0).round() as u32).to_vec()));
    }

    #[test]
    fn sums_are_one_and_pixels_lie_within() {
        for (input, output) in [(1, 9), (9, 1), (640, 800), (4000, 801), (1333, 97), (100_000, 100)] {
            for d in 0..output {
                let (first, weights) = of(input, output, d);
                assert!(first + weights.len() as u32 <= input, "{input} {output} {d}");
                let off = weights.iter().sum::<u32>().abs_diff(1 << BITS);
                assert!(off as usize <= weights.len(), "{input} {output} {d}: {off}");
            }
        }
    }
}
