// Convolution: y[n,oh,ow,k] = act(bias[k] + residual[n,oh,ow,k] + sum over r,s,c of x[n,ih,iw,c] * w[k,r,s,c]),
// ih = oh * stride - pad + r * dilation, zero outside the image. Variants share the bindings and the epilogue.

#import shared/conv_params

@slot var<uniform> p: Params;
#ifdef PLAIN
@slot var<storage, read> x: array<f32>; // [N, H, W, C]
@slot var<storage, read> weight: array<f32>; // [K, R, S, C / groups]
#else
@slot var<storage, read> x: array<vec4<f32>>; // [N, H, W, C/4]
@slot var<storage, read> weight: array<vec4<f32>>; // [K/TK, R, S, C/4, TK], zero past K
#endif
@slot var<storage, read> bias: array<f32>; // [K]
#ifdef RESIDUAL
@slot var<storage, read> residual: array<f32>; // as y
#endif
#ifdef LIVE
@slot var<storage, read> live: array<u32>; // [B]: how many rows of n count, of each images_per_batch
#endif
@slot var<storage, read_write> y: array<f32>; // [N, OH, OW, K], or a part of something larger

#import shared/live

fn place(n: u32, q: u32, k: u32) -> u32 {
    return p.y_offset + n * p.y_image_stride + q * p.k + k;
}

fn store(at: u32, n: u32, q: u32, k: u32, sum: f32) {
    var v = sum + bias[k];
#ifdef RESIDUAL
    v += residual[(n * p.oh * p.ow + q) * p.k + k];
#endif
    y[at] = select(v, max(v, 0.0), p.relu != 0u);
}

#ifdef PLAIN
#import conv2d/plain
#else
#import shared/tiled
#endif
