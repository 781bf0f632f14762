// The core of convolution, linear and transposed convolution for matrix units: blocks of pixels by rows of weights pass
// through workgroup memory as in shared/blocked, with HALVES as f16, and cooperative matrices of SIZE by SIZE multiply them with
// f32 sums. A block is SP by SK shares, each of MP by MK such sums, which a subgroup holds. It asks of the kernel that
// imports it what shared/tiled does, and knows PARTS as shared/blocked does.
#expects p place store is_live x_loaded
enable wgpu_cooperative_matrix;
#import shared/spot

#ifdef HALVES
alias Factor = f16;
#else
alias Factor = f32;
#endif
alias MatrixA = coop_mat${SIZE}x${SIZE}<Factor, A>;
alias MatrixB = coop_mat${SIZE}x${SIZE}<Factor, B>;
alias MatrixC = coop_mat${SIZE}x${SIZE}<f32, C>;

const SHARES = SP * SK;
const BP = SP * MP * SIZE;
const BK = SK * MK * SIZE;
const BC = 4u * BC4;
// Both operands lie with the channels of a row side by side, as matrix units take them: a lane then reads fours. With
// SCALARS, where a driver's language loads matrices from single elements alone, they are declared as such.
#ifdef SCALARS
alias Factors = Factor;
alias Sums = f32;
const FOUR = 4u;
#else
alias Factors = vec4<Factor>;
alias Sums = vec4<f32>;
const FOUR = 1u;
#endif
// Rows are longer by 16 bytes than what they hold: those of a matrix then lie in different banks, and all matrices begin
// where a driver wants them, at multiples of 16 bytes.
#ifdef HALVES
const ROW = (BC4 + 2u) * FOUR;
#else
const ROW = (BC4 + 1u) * FOUR;
#endif
const TILE = SIZE * SIZE / 4u;

// With two BUFFERS, a step is loaded into one while the other is multiplied.
var<workgroup> xs: array<Factors, BUFFERS * BP * ROW>; // [BP, BC]
var<workgroup> ws: array<Factors, BUFFERS * BK * ROW>; // [BK, BC]
// A cooperative matrix gives its elements to memory only: the sums pass through here, HELD matrices of each share at a
// time, which lie side by side.
var<workgroup> sums: array<Sums, SHARES * HELD * TILE * FOUR>; // [SHARES, SIZE, HELD, SIZE]

// What a workgroup is at: its first pixel, as such and as one of an image, its first row of weights, and its part of the
// rows.
struct Block { first: u32, n: u32, q: u32, k0: u32, part: u32 }

// Hands over the sums of HELD matrices from (i, j) on, of the shares from `lowest` to before `past`.
fn hand_over(b: Block, t: u32, i: u32, j: u32, lowest: u32, past: u32) {
    let image = p.oh * p.ow;
    for (var f = lowest * (HELD * TILE) + t; f < past * (HELD * TILE); f += WG) {
        let share = f / (HELD * TILE);
        let ahead = (share / SK * MP + i) * SIZE + f % (HELD * TILE) / (HELD * (SIZE / 4u));
        let k = b.k0 + (share % SK * MK + j) * SIZE + f % (HELD * (SIZE / 4u)) * 4u;
#ifdef POINTWISE
        let n = b.n + ahead;
        let q = 0u;
#else
        let passed = quotient(b.q + ahead, image);
        let n = b.n + passed;
        let q = b.q + ahead - passed * image;
#endif
        if b.first + ahead < p.pixels && k < p.k && is_live(n) {
#ifdef PARTS
            let at = place(b.part * (p.pixels / image) + n, q, b.k0) + k - b.k0;
#else
            let at = place(n, q, b.k0) + k - b.k0;
#endif
#ifdef SCALARS
            let sum = vec4(sums[f * 4u], sums[f * 4u + 1u], sums[f * 4u + 2u], sums[f * 4u + 3u]);
#else
            let sum = sums[f];
#endif
#ifdef QUADS
            store(at / 4u, n, q, k / 4u, sum);
#else
#repeat e 4
            if k + ${e}u < p.k { store(at + ${e}u, n, q, k + ${e}u, sum[${e}]); }
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
    let block = Block(first, first / image, first % image, wid.z / PARTS * BK, wid.z % PARTS);
    // The parts are those of shared/blocked, whose steps are of four fours.
    let part = ((length + PARTS - 1u) / PARTS + 3u) / 4u * 4u;
    let begin = min(block.part * part, length);
    let end = min(begin + part, length);
#else
    let block = Block(first, first / image, first % image, wid.z * BK, 0u);
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
    // Whether the tap that is next lies in the map, and where its first channels do.
    var in_${e} = false;
    var at_${e} = 0u;
#end
    if t == 0u { sums[0] = Sums(f32(subgroups)); }
#ifdef SCALARS
    let at_once = u32(workgroupUniformLoad(&sums[0]));
#else
    let at_once = u32(workgroupUniformLoad(&sums[0]).x);
#endif
    // Once, where there is a subgroup for each share: a device may make fewer and larger ones than was foreseen. No
    // branch stands around what a subgroup does as one: naga cannot see that all go the same way, but loops it accepts.
    for (var lowest = select(0u, SHARES, dead); lowest < SHARES; lowest += at_once) {
        let past = min(lowest + at_once, SHARES);
        let share = min(lowest + subgroup, SHARES - 1u);
        let p0 = share / SK * MP * SIZE;
        let k0 = share % SK * MK * SIZE;
#repeat i MP
#repeat g MK/HELD
#repeat h HELD
        var c_${i}_${g}_${h} = MatrixC();
#end
#end
#end
#import shared/matrix_steps
#repeat i MP
#repeat g MK/HELD
#repeat h HELD
        for (var mine = lowest + subgroup; mine < past; mine += SHARES) {
            coopStoreT(c_${i}_${g}_${h}, &sums[(mine * HELD * TILE + ${h}u * (SIZE / 4u)) * FOUR], HELD * (SIZE / 4u) * FOUR);
        }
#end
        workgroupBarrier();
        hand_over(block, t, ${i}u, ${g}u * HELD, lowest, past);
        workgroupBarrier();
#end
#end
    }
}
