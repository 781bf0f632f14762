// What stands between layers where nothing fused it with one: a bias, a sum, an activation, a factor a channel, a map enlarged by nearest
// neighbour. A thread one element, or four channels (QUADS).

struct Params {
    total: u32, // elements of y, in units of T
    k: u32,     // innermost extent, in units of T
    h: u32, w: u32, oh: u32, ow: u32,
    grid_x: u32,
}

#import shared/element

@slot var<uniform> p: Params;
@slot var<storage, read> x: array<T>; // […, K], [N, H, W, K] with ENLARGE
#ifdef BIAS
@slot var<storage, read> bias: array<T>; // [K]
#endif
#ifdef SCALE
@slot var<storage, read> factors: array<T>; // [N, K]
#endif
#ifdef ADD
@slot var<storage, read> other: array<T>; // as x
#endif
@slot var<storage, read_write> y: array<T>; // as x, [N, OH, OW, K] with ENLARGE

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let i = (wid.y * p.grid_x + wid.x) * 64u + t;
    if i >= p.total { return; }
#ifdef BIAS
    y[i] = x[i] + bias[i % p.k];
#endif
#ifdef ADD
    y[i] = x[i] + other[i];
#endif
#ifdef SCALE
    y[i] = x[i] * factors[i / (p.k * p.h * p.w) * p.k + i % p.k];
#endif
#ifdef HARD_SWISH
    y[i] = x[i] * (clamp(x[i] + T(3.0), T(0.0), T(6.0)) / 6.0);
#endif
#ifdef HARD_SIGMOID
    y[i] = clamp(x[i] + T(3.0), T(0.0), T(6.0)) / 6.0;
#endif
#ifdef RELU
    y[i] = max(x[i], T(0.0));
#endif
#ifdef ENLARGE
    let column = i / p.k % p.ow;
    let row = i / (p.k * p.ow) % p.oh;
    let n = i / (p.k * p.ow * p.oh);
    y[i] = x[((n * p.h + row * p.h / p.oh) * p.w + column * p.w / p.ow) * p.k + i % p.k];
#endif
}
