// Where a tile lies: image n, row and column of tiles. It expects tile, a number in the piece; threads of dead images
// leave.
    let n = quotient(p.first + tile, p.per_image);
    if !is_live(n) { return; }
    let q = (p.first + tile) - n * p.per_image;
    let row = quotient(q, p.columns);
    let column = q - row * p.columns;
