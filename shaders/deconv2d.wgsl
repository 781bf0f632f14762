// Transposed convolution: y[n, ih*stride + r - pad, iw*stride + s - pad, k] collects x[n,ih,iw,c] * w[k,r,s,c].

#import shared/conv_params

@slot var<uniform> p: Params;
#import shared/element
#ifdef PLAIN
@slot var<storage, read> x: array<f32>; // [N, H, W, C]
@slot var<storage, read> weight: array<f32>; // [K, R, S, C]
#else
// Its rows are (r, s, k).
#import shared/operands
#endif
@slot var<storage, read> bias: array<T>; // [K]; tiled: [R*S*K], once for each tap
#ifdef LIVE
@slot var<storage, read> live: array<u32>; // [B]
#endif
@slot var<storage, read_write> y: array<Y>; // [N, OH, OW, K]

#import shared/live
#import shared/divide

fn finish(v: T) -> T { return select(v, max(v, T(0.0)), p.relu != 0u); }

#ifdef PLAIN
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let i = (wid.y * p.grid_x + wid.x) * 64u + t;
    let k = i % p.k;
    let px = i / p.k;
    if px >= p.pixels { return; }
    let n = px / (p.oh * p.ow);
    if !is_live(n) { return; }
    let oh = px / p.ow % p.oh + p.pad_h;
    let ow = px % p.ow + p.pad_w;
    var sum = bias[k];
    for (var r = 0u; r < p.r; r++) {
        if r > oh || (oh - r) % p.stride_h != 0u || (oh - r) / p.stride_h >= p.h { continue; }
        for (var s = 0u; s < p.s; s++) {
            if s > ow || (ow - s) % p.stride_w != 0u || (ow - s) / p.stride_w >= p.w { continue; }
            let x0 = ((n * p.h + (oh - r) / p.stride_h) * p.w + (ow - s) / p.stride_w) * p.c;
            let w0 = ((k * p.r + r) * p.s + s) * p.c;
            for (var c = 0u; c < p.c; c++) {
                sum += x[x0 + c] * weight[w0 + c];
            }
        }
    }
    y[i] = stored(finish(sum));
}
#else
// Kernel = stride: outputs do not overlap, so this is a 1x1 convolution to R*S*K rows, each row going to its place.
// The core sees k = R*S*K, r = s = 1; groups holds K, and dilation the kernel's true extents. A tile's rows are of one
// tap, since its size divides K: one division a pixel then, and not one an element.
fn place(n: u32, q: u32, row: u32) -> u32 {
    let tap = quotient(row, p.groups);
    let y0 = quotient(q, p.w);
    let r = quotient(tap, p.dilation_w);
    let oh = y0 * p.dilation_h + r;
    let ow = (q - y0 * p.w) * p.dilation_w + tap - r * p.dilation_w;
    return ((n * p.h * p.dilation_h + oh) * (p.w * p.dilation_w) + ow) * p.groups + row - tap * p.groups;
}

fn store(at: u32, n: u32, q: u32, row: u32, sum: T) {
    y[at] = stored(finish(sum + bias[row]));
}
#import shared/core
#endif
