// Convolution: y[n,oh,ow,k] = act(bias[k] + residual[n,oh,ow,k] + sum over r,s,c of x[n,ih,iw,c] * w[k,r,s,c]),
// ih = oh * stride - pad + r * dilation, zero outside the image (with LEVELS, outside the map: see shared/spot). Variants
// share the bindings and the epilogue.

#import shared/conv_params

@slot var<uniform> p: Params;
#import shared/element
#ifdef PLAIN
@slot var<storage, read> x: array<f32>; // [N, H, W, C]
@slot var<storage, read> weight: array<f32>; // [K, R, S, C / groups]
#else
#import shared/operands
#endif
@slot var<storage, read> bias: array<T>; // [K]
#ifdef RESIDUAL
@slot var<storage, read> residual: array<R>; // as y, or with ENLARGED [N, top_h, top_w, K]; with OPTIONAL, none where top_h is 0
#endif
#ifdef LIVE
@slot var<storage, read> live: array<u32>; // [B]: how many rows of n count, of each images_per_batch
#endif
@slot var<storage, read_write> y: array<Y>; // [N, OH, OW, K], or a part of something larger

#import shared/live
#import shared/divide
#import shared/activation

#ifdef RESIDUAL
// Where the residual of the pixel lies that `place` was asked for last: for all of a tile's stores once.
var<private> residual_from: u32;
#endif

fn place(n: u32, q: u32, k: u32) -> u32 {
#ifdef RESIDUAL
#ifdef ENLARGED
    // A pixel alone (POINTWISE) is an image of its own in n and q.
    let px = n * p.oh * p.ow + q;
    let image = quotient(px, p.map_h * p.map_w);
    let row = quotient(px - image * p.map_h * p.map_w, p.map_w);
    let column = px - (image * p.map_h + row) * p.map_w;
    residual_from = ((image * p.top_h + quotient(row * p.top_h, p.map_h)) * p.top_w + quotient(column * p.top_w, p.map_w)) * p.k;
#else
    residual_from = (n * p.oh * p.ow + q) * p.k;
#endif
#endif
    return p.y_offset + n * p.y_image_stride + q * p.k + k;
}

fn store(at: u32, n: u32, q: u32, k: u32, sum: T) {
    var v = sum + bias[k];
#ifdef RESIDUAL
#ifdef OPTIONAL
    if p.top_h != 0u { v += T(residual[residual_from / 4u + k]); }
#else
#ifdef QUADS
    v += T(residual[residual_from / 4u + k]);
#else
    v += T(residual[residual_from + k]);
#endif
#endif
#endif
    y[at] = stored(activated(v));
}

#ifdef PLAIN
#import conv2d/plain
#else
#import shared/core
#endif
