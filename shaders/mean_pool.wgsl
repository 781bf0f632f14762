// The mean over a map's pixels. A thread a channel of a map, or four (QUADS).

struct Params { total: u32, pixels: u32, c: u32, images_per_batch: u32, grid_x: u32 } // total, c in units of T

#import shared/element

@slot var<uniform> p: Params;
@slot var<storage, read> x: array<X>; // [N, H, W, C]
#ifdef LIVE
@slot var<storage, read> live: array<u32>; // [B]
#endif
@slot var<storage, read_write> y: array<T>; // [N, C]

#import shared/live

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let i = (wid.y * p.grid_x + wid.x) * 64u + t;
    if i >= p.total { return; }
    let n = quotient(i, p.c);
    if !is_live(n) { return; }
    let first = n * p.pixels * p.c + (i - n * p.c);
    var sum = T(0.0);
    for (var pixel = 0u; pixel < p.pixels; pixel++) {
        sum += T(x[first + pixel * p.c]);
    }
    y[i] = sum / f32(p.pixels);
}
