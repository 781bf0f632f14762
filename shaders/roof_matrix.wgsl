// The roof of matrix units: sums of 16 by 16 go through the same chain of multiply-adds by two matrices that take
// turns. With cooperative matrices all operands stay in registers: TILES sums, or parts of SIZE by SIZE of them, which
// do not depend on each other, so that the units never wait for a result.

#ifdef SIZE
enable f16;
enable wgpu_cooperative_matrix;
#endif

struct Params { tiles: u32, steps: u32, odd: u32, grid_x: u32 }

@slot var<uniform> p: Params;
@slot var<storage, read> x: array<f32>; // [N, 16, 16]
@slot var<storage, read> factors: array<f32>; // [3, 16, 16]: A of even steps, A of odd steps, B
@slot var<storage, read_write> y: array<f32>; // [N, 16, 16]

#ifdef SIZE
#ifdef F16_SUMS
alias Sum = f16;
#else
alias Sum = f32;
#endif
alias MatrixA = coop_mat${SIZE}x${SIZE}<f16, A>;
alias MatrixB = coop_mat${SIZE}x${SIZE}<f16, B>;
alias MatrixC = coop_mat${SIZE}x${SIZE}<Sum, C>;

const ELEMENTS: u32 = SHARES * TILES * 256u;

// A cooperative matrix cannot be converted, so what differs in type from the buffers passes through here.
var<workgroup> halves: array<f16, 768>;
var<workgroup> sums: array<Sum, ELEMENTS>;

@compute @workgroup_size(WG)
fn main(
    @builtin(workgroup_id) wid: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(num_subgroups) subgroups: u32,
) {
    let first = (wid.y * p.grid_x + wid.x) * ELEMENTS;
    let last = p.tiles * 256u - 1u;
    for (var i = t; i < 768u; i += WG) {
        halves[i] = f16(factors[i]);
    }
    for (var i = t; i < ELEMENTS; i += WG) {
        sums[i] = Sum(x[min(first + i, last)]);
    }
    workgroupBarrier();
    // A device may make its subgroups larger or smaller than the SHARES are for.
    for (var share = subgroup; share < SHARES; share += subgroups) {
        let base = share * (TILES * 256u);
#repeat k BLOCKS
#repeat j BLOCKS
        let b_${k}_${j} = coopLoadT<MatrixB>(&halves[512u + ${k}u * SIZE * 16u + ${j}u * SIZE], 16u);
#end
#end
#repeat n TILES
#repeat i BLOCKS
#repeat j BLOCKS
        var c_${n}_${i}_${j} =
            coopLoadT<MatrixC>(&sums[base + ${n}u * 256u + ${i}u * SIZE * 16u + ${j}u * SIZE], 16u);
#end
#end
#end
#ifdef RELOAD
        // A CPU driver computes A B before it adds it, and would do so once for all steps. As p.odd is 1, these are the
        // same matrices by turns, but it cannot know that.
        for (var step = 0u; step < p.steps; step++) {
            let at = (step & p.odd) * 256u;
#repeat i BLOCKS
#repeat k BLOCKS
            let a_0_${i}_${k} = coopLoadT<MatrixA>(&halves[at + ${i}u * SIZE * 16u + ${k}u * SIZE], 16u);
#end
#end
#else
#repeat h 2
#repeat i BLOCKS
#repeat k BLOCKS
        let a_${h}_${i}_${k} =
            coopLoadT<MatrixA>(&halves[${h}u * 256u + ${i}u * SIZE * 16u + ${k}u * SIZE], 16u);
#end
#end
#end
        for (var step = 0u; step < p.steps; step += 2u * UNROLL) {
#endif
#repeat u UNROLL
#repeat h HELD
#repeat k BLOCKS
#repeat n TILES
#repeat i BLOCKS
#repeat j BLOCKS
            c_${n}_${i}_${j} = coopMultiplyAdd(a_${h}_${i}_${k}, b_${k}_${j}, c_${n}_${i}_${j});
#end
#end
#end
#end
#end
#end
        }
#repeat n TILES
#repeat i BLOCKS
#repeat j BLOCKS
        coopStoreT(c_${n}_${i}_${j}, &sums[base + ${n}u * 256u + ${i}u * SIZE * 16u + ${j}u * SIZE], 16u);
#end
#end
#end
    }
    workgroupBarrier();
    for (var i = t; i < ELEMENTS; i += WG) {
        if first + i <= last {
            y[first + i] = f32(sums[i]);
        }
    }
}
#else
@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let at = (wid.y * p.grid_x + wid.x) * WG + t;
    if at >= p.tiles * 256u {
        return;
    }
    let row = at / 16u % 16u;
    let column = at % 16u;
    var sum = x[at];
    for (var step = 0u; step < p.steps; step++) {
        let a = (step & p.odd) * 256u + row * 16u;
#repeat k 16
        sum = fma(factors[a + ${k}u], factors[512u + ${k}u * 16u + column], sum);
#end
    }
    y[at] = sum;
}
#endif
