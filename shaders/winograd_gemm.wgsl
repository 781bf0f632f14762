// Winograd's convolution, second part: at each of the 36 points, the tiles' channels times the points of the weights. It
// is the tiled core of convolution with a tile in the place of a pixel; wid.z counts points and blocks of rows.

struct Params {
    tiles: u32,
    c: u32, // by four
    k: u32,
    blocks: u32,    // of rows, a point
    per_image: u32, // tiles
    first: u32,     // tile of the piece
    capacity: u32,  // tiles between two points in x and y
    images_per_batch: u32,
    grid_x: u32,
}

@slot var<uniform> p: Params;
// x is [36, capacity, C/4]; weight is [36, K/TK, C/4, TK].
#import shared/operands
#ifdef LIVE
@slot var<storage, read> live: array<u32>; // [B]
#endif
@slot var<storage, read_write> y: array<vec4<f32>>; // [36, capacity, K/4]

#import shared/live

fn is_dead(first: u32, count: u32) -> bool {
    return are_dead((p.first + first) / p.per_image, (p.first + min(first + count, p.tiles) - 1u) / p.per_image);
}

#ifdef BLOCKED
#import winograd_gemm/blocked
#else
@compute @workgroup_size(WG)
fn main(
    @builtin(workgroup_id) wid: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
#ifdef SUBGROUPS
    @builtin(subgroup_invocation_id) lane: u32,
#endif
) {
    let first = (wid.y * p.grid_x + wid.x) * (WG * TP);
    if first >= p.tiles || is_dead(first, WG * TP) { return; }

    let point = wid.z / p.blocks;
    let k0 = (wid.z - point * p.blocks) * (TJ * TL);
#repeat i TP
    let tile_${i} = first + ${i}u * WG + t;
    let in_${i} = tile_${i} < p.tiles;
    let xi_${i} = (point * p.capacity + min(tile_${i}, p.tiles - 1u)) * p.c;
#repeat j TJ
#repeat h TL/4
#repeat e 4
    var acc_${i}_${j}_${h}_${e} = 0.0;
#end
#end
#end
#end

    var wi = wid.z * p.c * (TJ * TL);
    for (var c = 0u; c < p.c; c += STEP) {
#paste shared/gemm
        wi += TJ * TL * STEP;
    }

#repeat i TP
    if in_${i} && is_live((p.first + tile_${i}) / p.per_image) {
        let at = ((point * p.capacity + tile_${i}) * p.k + k0) / 4u;
#repeat j TJ
#repeat h TL/4
#ifdef FULL
        {
#else
        if k0 + ${j}u * TL + ${h}u * 4u < p.k {
#endif
            y[at + (${j}u * TL) / 4u + ${h}u] =
                vec4(acc_${i}_${j}_${h}_0, acc_${i}_${j}_${h}_1, acc_${i}_${j}_${h}_2, acc_${i}_${j}_${h}_3);
        }
#end
#end
    }
#end
}
#endif
