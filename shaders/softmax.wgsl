// Softmax of each row. A thread a row: rows are short (one logit a class) and there are a thousand of them.

struct Params { n: u32, k: u32, images_per_batch: u32, grid_x: u32 }

@slot var<uniform> p: Params;
@slot var<storage, read> x: array<f32>; // [N, K]
#ifdef LIVE
@slot var<storage, read> live: array<u32>; // [B]
#endif
@slot var<storage, read_write> y: array<f32>; // [N, K]

#import shared/live

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let n = (wid.y * p.grid_x + wid.x) * 64u + t;
    if n >= p.n || !is_live(n) { return; }
    var top = x[n * p.k];
    for (var k = 1u; k < p.k; k++) {
        top = max(top, x[n * p.k + k]);
    }
    var sum = 0.0;
    for (var k = 0u; k < p.k; k++) {
        sum += exp(x[n * p.k + k] - top);
    }
    for (var k = 0u; k < p.k; k++) {
        y[n * p.k + k] = exp(x[n * p.k + k] - top) / sum;
    }
}
