// GroupNorm: each group of channels of each map minus its mean, over its deviation, times scale, plus shift; then a residual
// and ReLU where said. A workgroup a group of a map: the mean first, and the squares about it, since the difference of
// large sums would say nothing.

struct Params {
    total: u32, // groups of all maps
    pixels: u32,
    c: u32, width: u32, // channels of a map and of a group, in units of T
    groups: u32,
    images_per_batch: u32,
    eps: f32,
    grid_x: u32,
}

#import shared/element

@slot var<uniform> p: Params;
@slot var<storage, read> x: array<T>; // [N, H, W, C]
@slot var<storage, read> scale: array<T>; // [C]
@slot var<storage, read> shift: array<T>; // [C]
#ifdef RESIDUAL
@slot var<storage, read> residual: array<T>; // [N, H, W, C]
#endif
#ifdef LIVE
@slot var<storage, read> live: array<u32>; // [B]
#endif
@slot var<storage, read_write> y: array<T>; // [N, H, W, C]

#import shared/live

const THREADS: u32 = 256u;
#ifdef QUADS
const LANES: f32 = 4.0;
fn sum_of(v: T) -> f32 { return v.x + v.y + v.z + v.w; }
#else
const LANES: f32 = 1.0;
fn sum_of(v: T) -> f32 { return v; }
#endif

var<workgroup> sums: array<f32, THREADS>;

// The sum of every thread's value, for all threads.
fn total_of(mine: f32, t: u32) -> f32 {
    sums[t] = mine;
    workgroupBarrier();
    for (var step = THREADS / 2u; step > 0u; step /= 2u) {
        if t < step { sums[t] += sums[t + step]; }
        workgroupBarrier();
    }
    let all = sums[0];
    workgroupBarrier();
    return all;
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    // Every thread of the workgroup has this one index.
    let i = wid.y * p.grid_x + wid.x;
    if i >= p.total { return; }
    let n = i / p.groups;
    if !is_live(n) { return; }
    let group = i - n * p.groups;
    let first = n * p.pixels * p.c + group * p.width;
    let elements = p.pixels * p.width;
    let count = f32(elements) * LANES;
    var sum = T(0.0);
    for (var e = t; e < elements; e += THREADS) {
        let pixel = quotient(e, p.width);
        sum += x[first + pixel * p.c + (e - pixel * p.width)];
    }
    let mean = total_of(sum_of(sum), t) / count;
    var squares = T(0.0);
    for (var e = t; e < elements; e += THREADS) {
        let pixel = quotient(e, p.width);
        let off = x[first + pixel * p.c + (e - pixel * p.width)] - mean;
        squares = fma(off, off, squares);
    }
    let over = inverseSqrt(total_of(sum_of(squares), t) / count + p.eps);
    for (var e = t; e < elements; e += THREADS) {
        let pixel = quotient(e, p.width);
        let c = e - pixel * p.width;
        let at = first + pixel * p.c + c;
        var out = (x[at] - mean) * over * scale[group * p.width + c] + shift[group * p.width + c];
#ifdef RESIDUAL
        out += residual[at];
#endif
#ifdef RELU
        out = max(out, T(0.0));
#endif
        y[at] = out;
    }
}
