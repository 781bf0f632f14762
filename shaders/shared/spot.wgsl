// What a pixel of y is made of: its row and column, and the map of x around it. That map is the whole image, or, with
// LEVELS, one of several that lie one after the other in every image of x and y alike (src/kernels/levels.rs).
#import shared/divide

struct Spot {
    row: u32, column: u32, // of y
    first: u32,            // pixels of the image before the map
    h: u32, w: u32,        // of the map
}

#ifdef LEVELS
// The level of pixel q of an image: pixels before it, rows, columns, Winograd's tiles before it.
fn level_at(q: u32) -> vec4<u32> {
    var level = p.levels[0];
    for (var l = 1u; l < LEVELS; l++) {
        level = select(level, p.levels[l], q >= p.levels[l].x);
    }
    return level;
}

fn spot(q: u32) -> Spot {
    let level = level_at(q);
    let row = quotient(q - level.x, level.z);
    return Spot(row, q - level.x - row * level.z, level.x, level.y, level.z);
}
#else
fn spot(q: u32) -> Spot {
    let row = quotient(q, p.ow);
    return Spot(row, q - row * p.ow, 0u, p.h, p.w);
}
#endif
