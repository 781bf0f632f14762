// One byte of a picture whose bytes lie in words.
fn byte_at(at: u32) -> u32 { return (source[at >> 2u] >> ((at & 3u) * 8u)) & 255u; }
