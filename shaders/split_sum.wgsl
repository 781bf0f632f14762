// y[n,…,k] = act(bias[k] + residual[n,…,k] + sum over the parts of x[part,n,…,k]), the parts in order.

struct Params {
    // All but the parts by four with QUADS.
    count: u32, // elements of y
    k: u32,
    row: u32,   // elements of y that one n has
    y_offset: u32,     // elements of what y is a part of: before the first one written …
    y_row_stride: u32, // … and from one n to the next
    parts: u32,
    images_per_batch: u32,
    relu: u32,
    grid_x: u32,
}

@slot var<uniform> p: Params;
#import shared/element
@slot var<storage, read> x: array<T>; // [S, N, …, K]
@slot var<storage, read> bias: array<T>; // [K]
#ifdef RESIDUAL
@slot var<storage, read> residual: array<R>; // as y
#endif
#ifdef LIVE
@slot var<storage, read> live: array<u32>; // [B]
#endif
@slot var<storage, read_write> y: array<Y>; // [N, …, K], or a part of something larger

#import shared/live
#import shared/activation

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let i = (wid.y * p.grid_x + wid.x) * WG + t;
    let n = i / p.row;
    if i >= p.count || !is_live(n) { return; }
    var sum = x[i];
    for (var part = 1u; part < p.parts; part++) {
        sum += x[part * p.count + i];
    }
    sum += bias[i % p.k];
#ifdef RESIDUAL
    sum += T(residual[i]);
#endif
    y[p.y_offset + n * p.y_row_stride + i - n * p.row] = stored(activated(sum));
}
