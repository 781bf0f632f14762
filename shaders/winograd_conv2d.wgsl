// A whole 3x3 convolution by Winograd's products (src/kernels/winograd.rs): a workgroup turns the 6x6 inputs of TILES tiles to
// their 36 points, multiplies these with those of BK rows of weights, four channels a step, and turns the sums to the tiles'
// 4x4 outputs. What winograd_in, winograd_gemm and winograd_out hand each other stays in its memory and registers.
// LP times LK threads do a point: 4 * TG tiles by 4 * TH rows each, as in shared/block.

struct Params {
    levels: array<vec4<u32>, 5>, // src/kernels/levels.rs
    tiles: u32,
    c: u32, k: u32,
    h: u32, w: u32, // of x and y
    cells: u32,     // pixels of an image of x
    pad_h: u32, pad_w: u32,
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
@slot var<storage, read> x: array<vec2<X>>;        // [N, H, W, C/2]
@slot var<storage, read> weight: array<vec4<f32>>; // [K/BK, C/4, 36, 4, BK/4], the four as in xs
@slot var<storage, read> bias: array<f32>;         // [K]
#ifdef RESIDUAL
@slot var<storage, read> residual: array<R>; // as y
#endif
#ifdef LIVE
@slot var<storage, read> live: array<u32>; // [B]
#endif
@slot var<storage, read_write> y: array<Y>; // [N, H, W, K], or a part of something larger

#import shared/live
#import shared/divide

const TILES = 4u * LP * TG;
const BK = 4u * LK * TH;
const THREADS = 36u * LP * LK;
// What a step turns: of each tile rows of six inputs by two channels, then columns of six points of four.
const ROWS = 12u * TILES;
const COLUMNS = 24u * TILES;
// A point's tiles of four channels; four points then begin in banks of their own.
const POINT = 4u * TILES + 8u;
// Fours of rows that are turned to outputs at a time: as many as the weights' place holds.
const ROUND = BK / TILES;
const SUMS = 4u * TILES * ROUND; // of a point

var<workgroup> xs: array<f32, 36u * POINT>;    // [36, 4, TILES], channels 0, 2, 1, 3, and what lies between points
var<workgroup> ws: array<vec4<f32>, 36u * BK>; // [36, 4, BK/4], in the same order, then sums: [36, TILES, ROUND]

// Where a tile lies, see shared/winograd_place.
struct Place { n: u32, row: u32, column: u32, h: u32, w: u32, map_first: u32 }

const SIDE = 4u; // of a tile's outputs

fn place_of(tile: u32) -> Place {
#paste shared/winograd_place
    return Place(n, row, column, h, w, map_first);
}

#import winograd_conv2d/turn

#import winograd_conv2d/turn_back

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let first = (wid.y * p.grid_x + wid.x) * TILES;
    // The whole workgroup leaves, or none of it: barriers follow.
    if first >= p.tiles { return; }
    if are_dead(first / p.per_image, min(first + TILES - 1u, p.tiles - 1u) / p.per_image) { return; }

#repeat e XL
    let six_${e} = (t + ${e}u * THREADS) % ROWS;
    let row_${e} = row_of(place_of(min(first + six_${e} / 2u % TILES, p.tiles - 1u)), six_${e} / (2u * TILES));
#end
#repeat g TG
#repeat e 4
#repeat h TH
    var acc_${g}_${e}_${h} = vec4(0.0);
#end
#end
#end
    var wi = wid.z * (p.c * 9u * BK) + t;
    for (var c = 0u; c < p.c; c += 4u) {
        workgroupBarrier();
#repeat e XL
        if t + ${e}u * THREADS < ROWS {
            let six = t + ${e}u * THREADS;
            turn_row(row_${e}, c / 2u + six % 2u, six % 2u * TILES + six / 2u % TILES + six / (2u * TILES) * 6u * POINT);
        }
#end
#repeat e WL
        if t + ${e}u * THREADS < 36u * BK { ws[t + ${e}u * THREADS] = weight[wi + ${e}u * THREADS]; }
#end
        wi += 36u * BK;
        workgroupBarrier();
#repeat e XC
        if t + ${e}u * THREADS < COLUMNS {
            let six = t + ${e}u * THREADS;
            turn_column(six % (4u * TILES) + six / (4u * TILES) * POINT);
        }
#end
        workgroupBarrier();
        for (var q = 0u; q < 4u; q++) {
            // Places are worked out anew wherever they are asked for: kept, they would take registers beside the sums.
            let point = t / (LP * LK);
            let tx = t % LK;
            let ty = t / LK % LP;
            let xa = point * POINT + q * TILES + ty * 4u;
            let wa = (point * 4u + q) * (BK / 4u) + tx;
#repeat h TH
            let b_${h} = ws[wa + ${h}u * LK];
#end
#repeat g TG
#repeat e 4
            let a_${g}_${e} = xs[xa + ${g}u * LP * 4u + ${e}u];
#repeat h TH
            acc_${g}_${e}_${h} = fma(vec4(a_${g}_${e}), b_${h}, acc_${g}_${e}_${h});
#end
#end
#end
        }
    }

    // A few rows of all tiles at a time.
#repeat h TH
    for (var j = 0u; j < LK / ROUND; j++) {
        workgroupBarrier();
        let point = t / (LP * LK);
        let tx = t % LK;
        let ty = t / LK % LP;
        if tx / ROUND == j {
#repeat g TG
#repeat e 4
            ws[(point * TILES + (${g}u * LP + ty) * 4u + ${e}u) * ROUND + tx % ROUND] = acc_${g}_${e}_${h};
#end
#end
        }
        workgroupBarrier();
#repeat e CL
        if t + ${e}u * THREADS < 6u * SUMS { column_back((t + ${e}u * THREADS) % SUMS, (t + ${e}u * THREADS) / SUMS); }
#end
        workgroupBarrier();
#repeat e RL
        if t + ${e}u * THREADS < 4u * SUMS {
            let at = (t + ${e}u * THREADS) % SUMS;
            let tile = first + at / (4u * ROUND);
            let k = wid.z * BK + (${h}u * LK + j * ROUND) * 4u + at % (4u * ROUND);
            if tile < p.tiles && k < p.k { row_back(tile, k, at, (t + ${e}u * THREADS) / SUMS); }
        }
#end
    }
#end
}
