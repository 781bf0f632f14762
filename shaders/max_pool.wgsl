// Max-pooling; taps outside the image do not count. A thread one output element, or four channels (QUADS).

struct Params {
    total: u32, // outputs, in units of T
    h: u32, w: u32, c: u32, // c in units of T
    oh: u32, ow: u32,
    kernel: u32, stride: u32, pad: u32,
    grid_x: u32,
}

#import shared/element

@slot var<uniform> p: Params;
@slot var<storage, read> x: array<X>; // [N, H, W, C]
@slot var<storage, read_write> y: array<Y>; // [N, OH, OW, C]

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let i = (wid.y * p.grid_x + wid.x) * 64u + t;
    if i >= p.total { return; }
    let c = i % p.c;
    let ow = i / p.c % p.ow;
    let oh = i / (p.c * p.ow) % p.oh;
    let n = i / (p.c * p.ow * p.oh);
    // The window cut to the image, in padded coordinates.
    let y0 = max(oh * p.stride, p.pad);
    let y1 = min(oh * p.stride + p.kernel, p.h + p.pad);
    let x0 = max(ow * p.stride, p.pad);
    let x1 = min(ow * p.stride + p.kernel, p.w + p.pad);
    var best = T(x[((n * p.h + y0 - p.pad) * p.w + x0 - p.pad) * p.c + c]);
    for (var ih = y0; ih < y1; ih++) {
        for (var iw = x0; iw < x1; iw++) {
            best = max(best, T(x[((n * p.h + ih - p.pad) * p.w + iw - p.pad) * p.c + c]));
        }
    }
    y[i] = stored(best);
}
