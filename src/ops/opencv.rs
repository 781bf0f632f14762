//! OpenCV's bilinear resize of bytes (`imgproc/src/resize.cpp`): the two nearest pixels of each axis, with weights in whole
//! numbers of 2⁻¹¹.

/// What the weights of a pair add up to, but for rounding.
const ONE: f32 = 2048.0;

/// The neighbours of output pixel `d`, the share of the upper one, and the weights of both, the upper one's in the higher half
/// of a word.
///
/// Past the centre of the first or the last pixel, a column is that pixel; a row is so in two parts, each rounded.
pub(super) fn pair(input: u32, output: u32, d: u32, rows: bool) -> ([u32; 2], f32, u32) {
    // The ratio is inverted twice on the way.
    let step = 1.0 / (f64::from(output) / f64::from(input));
    let at = ((f64::from(d) + 0.5) * step - 0.5) as f32;
    let last = input as i32 - 1;
    let before = at.floor() as i32;
    let share = if rows || (0..last).contains(&before) { at - at.floor() } else { 0.0 };
    let pixel = |n: i32| n.clamp(0, last) as u32;
    let [low, high] = [1.0 - share, share].map(|share| (share * ONE).round_ties_even() as u32);
    ([pixel(before), pixel(before + 1)], share, low | high << 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_by_hand() {
        let of = |input, output, d, rows| {
            let ([low, high], _, weights) = pair(input, output, d, rows);
            (low, high, weights & 0xffff, weights >> 16)
        };
        for rows in [false, true] {
            // The same size, doubled, halved.
            assert_eq!(of(5, 5, 3, rows), (3, 4, 2048, 0));
            assert_eq!((of(4, 8, 1, rows), of(4, 8, 2, rows)), ((0, 1, 1536, 512), (0, 1, 512, 1536)));
            assert_eq!(of(8, 4, 1, rows), (2, 3, 1024, 1024));
            // A sixth of a pixel: 341.3 of 2048.
            assert_eq!(of(4, 3, 0, rows), (0, 1, 1707, 341));
        }
        // Both borders.
        assert_eq!((of(4, 8, 0, false), of(4, 8, 7, false)), ((0, 0, 2048, 0), (3, 3, 2048, 0)));
        assert_eq!((of(4, 8, 0, true), of(4, 8, 7, true)), ((0, 0, 512, 1536), (3, 3, 1536, 512)));
    }
}
