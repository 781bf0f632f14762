// The mean over a map's pixels. A thread a channel of a map, or four (QUADS), or LANES threads, of which each takes every
// LANES-th pixel: theirs are added in a fixed order.

struct Params { total: u32, pixels: u32, c: u32, images_per_batch: u32, grid_x: u32 } // total, c in units of T

#import shared/element

@slot var<uniform> p: Params;
@slot var<storage, read> x: array<X>; // [N, H, W, C]
#ifdef LIVE
@slot var<storage, read> live: array<u32>; // [B]
#endif
@slot var<storage, read_write> y: array<T>; // [N, C]

#import shared/live

#ifdef LANES
var<workgroup> sums: array<T, 64>;
#endif

// Mesa 22.3 cuts loops of more than 65,536 turns.
const TURNS: u32 = 16384u;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) t: u32) {
#ifdef LANES
    // Threads side by side read channels that lie side by side.
    const OWN = 64u / LANES;
    let i = (wid.y * p.grid_x + wid.x) * OWN + t % OWN;
    let lane = t / OWN;
    let step = LANES;
#else
    let i = (wid.y * p.grid_x + wid.x) * 64u + t;
    let lane = 0u;
    let step = 1u;
#endif
    let n = quotient(i, p.c);
    let counts = i < p.total && is_live(n);
    let first = n * p.pixels * p.c + (i - n * p.c);
    var sum = T(0.0);
    if counts {
        for (var begin = lane; begin < p.pixels; begin += TURNS * step) {
            let end = min(p.pixels, begin + TURNS * step);
            for (var pixel = begin; pixel < end; pixel += step) {
                sum += T(x[first + pixel * p.c]);
            }
        }
    }
#ifdef LANES
    sums[t] = sum;
    workgroupBarrier();
    if lane > 0u { return; }
    for (var other = 1u; other < LANES; other++) {
        sum += sums[other * OWN + t];
    }
#endif
    if !counts { return; }
    y[i] = sum / f32(p.pixels);
}
