// Where a tile of SIDE by SIDE outputs lies: image n, row and column of tiles in a map of h by w pixels, with map_first pixels of
// the image before it. It expects tile, a number in the piece; threads of dead images leave, but for those of a WHOLE convolution,
// which have barriers ahead.
#expects tile quotient is_live SIDE p
    let n = quotient(p.first + tile, p.per_image);
#ifndef WHOLE
    if !is_live(n) { return; }
#endif
#ifdef LEVELS
    var level = p.levels[0]; // pixels before it, rows, columns, tiles before it
    for (var l = 1u; l < LEVELS; l++) {
        level = select(level, p.levels[l], p.first + tile - n * p.per_image >= p.levels[l].w);
    }
    let map_first = level.x;
    let h = level.y;
    let w = level.z;
    let columns = (level.z + SIDE - 1u) / SIDE;
    let q = p.first + tile - n * p.per_image - level.w;
#else
    let map_first = 0u;
    let h = p.h;
    let w = p.w;
    let columns = p.columns;
    let q = p.first + tile - n * p.per_image;
#endif
    let row = quotient(q, columns);
    let column = q - row * columns;
