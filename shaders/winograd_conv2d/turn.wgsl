// The 6x6 inputs d of a tile become the 36 points B^T d B (src/kernels/winograd.rs has the matrices) in two turns, each of a row or a
// column by a thread: all 36 in one are more registers than a GPU has beside the sums.

// A row of a tile's inputs: where the first two channels of the first lie in x; how many of the six are in the map or before it; and
// a number below that where the first is in it.
struct Row { at: u32, past: u32, first: u32 }

fn row_of(place: Place, r: u32) -> Row {
    // What is before the map wraps around, and is far behind it.
    let y = place.row * 4u + r - p.pad_h;
    let x0 = place.column * 4u - p.pad_w;
    let within = y < place.h;
    // Of a row outside the map any place will do; chosen so, since compilers would multiply anew for each column.
    let at = select(0u, (place.n * p.cells + place.map_first + y * place.w + x0) * (p.c / 2u), within);
    return Row(at, select(0u, place.w - x0, within), select(0xffffffffu, 0u, x0 < place.w));
}

// A point of two channels. The four lie in the order 0, 2, 1, 3, so that threads side by side, which have two each of 16 tiles, store in
// banks of their own.
fn put(out: u32, v: vec2<f32>) {
    xs[out] = v.x;
    xs[out + 2u * TILES] = v.y;
}

// d B: of a row's six inputs six points, of the two channels of number c; the first at `out`.
fn turn_row(row: Row, c: u32, out: u32) {
#repeat s 6
    let is_${s} = select(${s}u, row.first, ${s}u == 0u) < row.past;
    let d_${s} = select(vec2(0.0), vec2<f32>(x[select(0u, row.at + ${s}u * (p.c / 2u) + c, is_${s})]), is_${s});
#end
    let a = d_4 - 2.25 * d_2;
    let b = 0.75 * d_3 - 1.6875 * d_1;
    let e = d_4 - 0.5625 * d_2;
    let f = 1.5 * d_3 - 0.84375 * d_1;
    put(out, 1.265625 * d_0 - 2.8125 * d_2 + d_4);
    put(out + POINT, a + b);
    put(out + 2u * POINT, a - b);
    put(out + 3u * POINT, e + f);
    put(out + 4u * POINT, e - f);
    put(out + 5u * POINT, 1.265625 * d_1 - 2.8125 * d_3 + d_5);
}

// B^T (d B): the same of a column of them, in place.
fn turn_column(out: u32) {
#repeat r 6
    let t_${r} = xs[out + ${r}u * 6u * POINT];
#end
    let a = t_4 - 2.25 * t_2;
    let b = 0.75 * t_3 - 1.6875 * t_1;
    let e = t_4 - 0.5625 * t_2;
    let f = 1.5 * t_3 - 0.84375 * t_1;
    xs[out] = 1.265625 * t_0 - 2.8125 * t_2 + t_4;
    xs[out + 6u * POINT] = a + b;
    xs[out + 12u * POINT] = a - b;
    xs[out + 18u * POINT] = e + f;
    xs[out + 24u * POINT] = e - f;
    xs[out + 30u * POINT] = 1.265625 * t_1 - 2.8125 * t_3 + t_5;
}
