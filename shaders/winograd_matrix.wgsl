// A whole 3x3 convolution by Winograd's products F(2x2, 3x3) on matrix units (src/kernels/winograd_matrix.rs): a workgroup turns the 4x4
// inputs of TILES tiles to their 16 points, 16 channels a step, which meet those of BK rows of weights as matrices of f16 with
// f32 sums, and turns the sums to the tiles' 2x2 outputs. All points are sums and differences of four inputs: they are made in f32
// and rounded once.

struct Params {
    levels: array<vec4<u32>, 5>, // src/kernels/levels.rs
    tiles: u32,
    c: u32, k: u32,
    cells: u32,     // pixels of an image, of x and of y
    h: u32, w: u32,
    y_offset: u32,       // elements of y before the first one written …
    y_image_stride: u32, // … and from one image to the next
    columns: u32,   // of tiles
    per_image: u32, // tiles
    first: u32,     // tile: 0
    images_per_batch: u32,
    relu: u32,
    grid_x: u32,
}

@slot var<uniform> p: Params;
#import shared/element
#import shared/operands
@slot var<storage, read> bias: array<T>; // [K]
#ifdef RESIDUAL
@slot var<storage, read> residual: array<R>; // as y
#endif
#ifdef LIVE
@slot var<storage, read> live: array<u32>; // [B]
#endif
@slot var<storage, read_write> y: array<Y>; // [N, H, W, K], or a part of something larger

#import shared/live
#import shared/divide

const SIDE = 2u;

// Where a tile lies, see shared/winograd_place.
struct Place { n: u32, row: u32, column: u32, h: u32, w: u32, map_first: u32 }

fn place_of(tile: u32) -> Place {
#paste shared/winograd_place
    return Place(n, row, column, h, w, map_first);
}

// One output of a tile, four rows of weights: row i and column j of it.
fn put(place: Place, i: u32, j: u32, k: u32, sum: T) {
    let row = place.row * SIDE + i;
    let column = place.column * SIDE + j;
    if row >= place.h || column >= place.w { return; }
    let px = place.map_first + row * place.w + column;
    var v = sum + bias[k];
#ifdef RESIDUAL
    v += T(residual[(place.n * p.cells + px) * (p.k / 4u) + k]);
#endif
    v = select(v, max(v, T(0.0)), p.relu != 0u);
    y[(p.y_offset + place.n * p.y_image_stride + px * p.k) / 4u + k] = stored(v);
}

// Of the 4x4 inputs of a tile, those that half of its points are made of: points of the first two columns of columns 0 to 2, of the
// last two of 1 to 3. `at` is where rows begin, `across` where columns lie in them, and the bits of `within` say which are in
// the map: zeros are around it.
struct Inputs { at: vec4<u32>, across: vec3<u32>, within: u32 }

fn inputs_of(place: Place, half: u32) -> Inputs {
    let rows = vec4<i32>(i32(place.row * SIDE)) + vec4(-1, 0, 1, 2);
    let columns = vec3<i32>(i32(place.column * SIDE + half)) + vec3(-1, 0, 1);
    let in_rows = (rows >= vec4(0)) & (rows < vec4(i32(place.h)));
    let in_columns = (columns >= vec3(0)) & (columns < vec3(i32(place.w)));
    let first = place.n * p.cells + place.map_first;
    let c4 = p.c / 4u;
    let at = (vec4(first) + vec4<u32>(clamp(rows, vec4(0), vec4(i32(place.h) - 1))) * place.w) * c4;
    let across = vec3<u32>(clamp(columns, vec3(0), vec3(i32(place.w) - 1))) * c4;
    var within = 0u;
#repeat r 4
#repeat s 3
    within |= select(0u, 1u << (${r}u * 3u + ${s}u), in_rows[${r}] && in_columns[${s}]);
#end
#end
    return Inputs(at, across, within);
}

#ifdef HALVES
#import winograd_matrix/units
#else
#import winograd_matrix/plain
#endif
