// The core of convolution, linear and transposed convolution for matrix units: blocks of pixels by rows of weights pass
// through workgroup memory as in shared/blocked, here as f16, and cooperative matrices of SIZE by SIZE multiply them with
// f32 sums. A block is SP by SK shares, each of MP by MK such sums, which a subgroup holds. It asks of the kernel that
// imports it what shared/tiled does, and knows PARTS as shared/blocked does.
#expects p place store is_live x_at w_at
enable wgpu_cooperative_matrix;
#import shared/spot

alias MatrixA = coop_mat${SIZE}x${SIZE}<f16, A>;
alias MatrixB = coop_mat${SIZE}x${SIZE}<f16, B>;
alias MatrixC = coop_mat${SIZE}x${SIZE}<f32, C>;

const SHARES = SP * SK;
const BP = SP * MP * SIZE;
const BK = SK * MK * SIZE;
const BC = 4u * BC4;
// Rows are longer by 16 bytes than what they hold: those of a matrix then lie in different banks, and all matrices begin
// where a driver wants them, at multiples of 16 bytes.
const X_ROW = BC + 8u;
const W_ROW = BK + 8u;
const TILE = SIZE * SIZE;

var<workgroup> xs: array<f16, BP * X_ROW>; // [BP, BC]
var<workgroup> ws: array<f16, BC * W_ROW>; // [BC, BK]
// A cooperative matrix gives its elements to memory only: the sums pass through here, one of each share at a time.
var<workgroup> sums: array<f32, SHARES * TILE>;
var<workgroup> running: u32;

// What a workgroup is at: its first pixel, its first row of weights, and its part of the rows.
struct Block { first: u32, k0: u32, part: u32 }

// Hands over the sums of number (i, j) of the shares from `lowest` to before `past`.
fn hand_over(b: Block, t: u32, i: u32, j: u32, lowest: u32, past: u32) {
    let image = p.oh * p.ow;
    for (var f = lowest * (TILE / 4u) + t; f < past * (TILE / 4u); f += WG) {
        let share = f / (TILE / 4u);
        let row = f % (TILE / 4u) / (SIZE / 4u);
        let px = b.first + (share / SK * MP + i) * SIZE + row;
        let k = (share % SK * MK + j) * SIZE + f % (SIZE / 4u) * 4u;
        let n = px / image;
        if px < p.pixels && b.k0 + k < p.k && is_live(n) {
#ifdef PARTS
            let at = place(b.part * (p.pixels / image) + n, px % image, b.k0) + k;
#else
            let at = place(n, px % image, b.k0) + k;
#endif
#ifdef QUADS
            let sum = vec4(sums[f * 4u], sums[f * 4u + 1u], sums[f * 4u + 2u], sums[f * 4u + 3u]);
            store(at / 4u, n, px % image, (b.k0 + k) / 4u, sum);
#else
#repeat e 4
            if b.k0 + k + ${e}u < p.k { store(at + ${e}u, n, px % image, b.k0 + k + ${e}u, sums[f * 4u + ${e}u]); }
#end
#endif
        }
    }
}

@compute @workgroup_size(WG)
fn main(
    @builtin(workgroup_id) wid: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(num_subgroups) subgroups: u32,
) {
    let first = (wid.y * p.grid_x + wid.x) * BP;
    // The whole workgroup leaves, or none of it: barriers follow.
    if first >= p.pixels { return; }
    let image = p.oh * p.ow;
    let dead = are_dead(first / image, min(first + BP - 1u, p.pixels - 1u) / image);

    let c4 = p.c / 4u;
    let length = p.r * p.s * c4;
#ifdef PARTS
    let block = Block(first, wid.z / PARTS * BK, wid.z % PARTS);
    // The parts are those of shared/blocked, whose steps are of four fours.
    let part = ((length + PARTS - 1u) / PARTS + 3u) / 4u * 4u;
    let begin = min(block.part * part, length);
    let end = min(begin + part, length);
#else
    let block = Block(first, wid.z * BK, 0u);
    let begin = 0u;
    let end = length;
#endif
    let wi = block.k0 * length;
    // Of the pixels that this thread loads: the four channels of a step, and every WG / BC4th pixel from `pq` on.
    let cq = t % BC4;
    let pq = t / BC4;
#repeat e XL
    let px_${e} = min(first + pq + ${e}u * (WG / BC4), p.pixels - 1u);
    let spot_${e} = spot(px_${e} % image);
    let map_${e} = px_${e} / image * p.h * p.w + spot_${e}.first;
    let ih_${e} = i32(spot_${e}.row * p.stride_h) - i32(p.pad_h);
    let iw_${e} = i32(spot_${e}.column * p.stride_w) - i32(p.pad_w);
#end
    if t == 0u { running = subgroups; }
    let at_once = workgroupUniformLoad(&running);
    // Once, where there is a subgroup for each share: a device may make fewer and larger ones than was foreseen. No
    // branch stands around what a subgroup does as one: naga cannot see that all go the same way, but loops it accepts.
    for (var lowest = select(0u, SHARES, dead); lowest < SHARES; lowest += at_once) {
        let past = min(lowest + at_once, SHARES);
        let share = min(lowest + subgroup, SHARES - 1u);
        let p0 = share / SK * MP * SIZE;
        let k0 = share % SK * MK * SIZE;
        for (var i = t; i < TILE; i += WG) { sums[i] = 0.0; }
        workgroupBarrier();
#repeat i MP
#repeat j MK
        var c_${i}_${j} = coopLoadT<MatrixC>(&sums[0], SIZE);
#end
#end
#import shared/matrix_step
#repeat i MP
#repeat j MK
        workgroupBarrier();
        for (var mine = lowest + subgroup; mine < past; mine += SHARES) {
            coopStoreT(c_${i}_${j}, &sums[mine * TILE], SIZE);
        }
        workgroupBarrier();
        hand_over(block, t, ${i}u, ${j}u, lowest, past);
#end
#end
        workgroupBarrier();
    }
}
