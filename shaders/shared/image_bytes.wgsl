// A pixel of an image as it came, by `table` normalised: for texts that have `bytes` and `table`.

fn texel(first_word: u32, pixel: u32) -> vec3<f32> {
    // Three bytes from byte 3 * pixel on; they may straddle two words.
    let at = pixel * 3u;
    let word = first_word + (at >> 2u);
    let shift = (at & 3u) * 8u;
    var bits = bytes[word] >> shift;
    if shift > 8u {
        bits |= bytes[word + 1u] << (32u - shift);
    }
    return vec3(table[bits & 255u], table[256u + ((bits >> 8u) & 255u)], table[512u + ((bits >> 16u) & 255u)]);
}
