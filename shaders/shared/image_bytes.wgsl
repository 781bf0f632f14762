// A pixel of an image as it came, and by `table` normalised: for texts that have `bytes` and `table`.

fn of_table(bits: vec3<u32>) -> vec3<f32> {
    return vec3(table[bits.x], table[256u + bits.y], table[512u + bits.z]);
}

fn texel(first_word: u32, pixel: u32) -> vec3<u32> {
    // Three bytes from byte 3 * pixel on; they may straddle two words.
    let at = pixel * 3u;
    let word = first_word + (at >> 2u);
    let shift = (at & 3u) * 8u;
    var bits = bytes[word] >> shift;
    if shift > 8u {
        bits |= bytes[word + 1u] << (32u - shift);
    }
    return vec3(bits, bits >> 8u, bits >> 16u) & vec3(255u);
}

fn value(first_word: u32, pixel: u32) -> vec3<f32> {
    return of_table(texel(first_word, pixel));
}
