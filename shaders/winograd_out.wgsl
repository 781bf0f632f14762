// Winograd's convolution, third part: the 36 points m of a tile become its 4x4 outputs A^T m A
// (src/kernels/winograd.rs has the matrices), with bias, residual and ReLU. A thread four channels of one tile, or, with TWOS, two: the 36
// points of four are more registers than some GPUs have.

#ifdef TWOS
alias V = vec2<f32>;
#else
alias V = vec4<f32>;
#endif

struct Params {
    levels: array<vec4<u32>, 5>, // src/kernels/levels.rs
    total: u32, // tiles * K/V
    k: u32, // by four or two
    h: u32, w: u32,  // of y
    y_offset: u32,   // places in y by V: before the first one written …
    y_image_stride: u32, // … and from one image to the next
    columns: u32,   // of tiles
    per_image: u32, // tiles
    first: u32,     // tile of the piece
    capacity: u32,  // tiles between two points in m
    images_per_batch: u32,
    relu: u32,
    grid_x: u32,
}

@slot var<uniform> p: Params;
@slot var<storage, read> m: array<V>; // [36, capacity, K/V]
@slot var<storage, read> bias: array<V>; // [K/V]
#ifdef RESIDUAL
@slot var<storage, read> residual: array<V>; // as y
#endif
#ifdef LIVE
@slot var<storage, read> live: array<u32>; // [B]
#endif
@slot var<storage, read_write> y: array<V>; // [N, H, W, K/V], or a part of something larger

#import shared/live
#import shared/divide

fn m_at(i: u32, point: u32) -> V { return m[i + point * (p.capacity * p.k)]; }

const SIDE = 4u; // of a tile's outputs

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let i = (wid.y * p.grid_x + wid.x) * 64u + t;
    if i >= p.total { return; }
    let tile = quotient(i, p.k);
    let k = i - tile * p.k;
#paste shared/winograd_place
#paste shared/winograd_outputs
}
