// Scores that stand for "nothing here": the lowest finite float, since shaders may assume that infinities do not occur.
const NONE: f32 = -3.40282347e38;

// Unsigned keys that order as floats do; 0 for NONE and below.
fn order_key(v: f32) -> u32 {
    let bits = bitcast<u32>(v);
    let key = select(bits | 0x80000000u, ~bits, (bits & 0x80000000u) != 0u);
    return select(0u, key, v > NONE);
}

// The float of a key.
fn key_value(key: u32) -> f32 {
    return bitcast<f32>(select(~key, key & 0x7fffffffu, (key & 0x80000000u) != 0u));
}

// Whether element (ka, ia) comes after (kb, ib): by falling key, ties by rising index.
fn after(ka: u32, ia: u32, kb: u32, ib: u32) -> bool {
    return ka < kb || (ka == kb && ia > ib);
}
