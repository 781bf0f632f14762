// Where texel i of a tensor lies that is read as a texture: rows of 4096 texels, four elements a texel.
fn texel(i: u32) -> vec2<u32> { return vec2(i & 4095u, i >> 12u); }
