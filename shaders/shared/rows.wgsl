// The product of rows of x and rows of weights, by one thread an output element or by a core. It asks of the kernel that
// imports it what shared/tiled does; a row is an image of one pixel.
#ifdef PLAIN
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let i = (wid.y * p.grid_x + wid.x) * 64u + t;
    let n = i / p.k;
    let k = i % p.k;
    if n >= p.pixels || !is_live(n) { return; }
    var sum = 0.0;
    for (var c = 0u; c < p.c; c++) {
        sum += x[n * p.c + c] * weight[k * p.c + c];
    }
    store(place(n, 0u, k), n, 0u, k, sum);
}
#else
#import shared/core
#endif
