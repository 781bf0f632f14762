// The top-down step of the FPN: y = lateral + top, top enlarged to the lateral's size by nearest neighbour.

struct Params {
    total: u32, // in units of T
    h: u32, w: u32, c: u32, // lateral; c in units of T
    top_h: u32, top_w: u32,
    grid_x: u32,
}

#import shared/element

@slot var<uniform> p: Params;
@slot var<storage, read> lateral: array<T>; // [N, H, W, C]
@slot var<storage, read> top: array<T>; // [N, h, w, C]
@slot var<storage, read_write> y: array<T>; // [N, H, W, C]

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let i = (wid.y * p.grid_x + wid.x) * 64u + t;
    if i >= p.total { return; }
    let c = i % p.c;
    let ix = i / p.c % p.w * p.top_w / p.w;
    let iy = i / (p.c * p.w) % p.h * p.top_h / p.h;
    let n = i / (p.c * p.w * p.h);
    y[i] = lateral[i] + top[((n * p.top_h + iy) * p.top_w + ix) * p.c + c];
}
