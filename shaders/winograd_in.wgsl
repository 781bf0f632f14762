// Winograd's convolution, first part: the 6x6 inputs d of a tile become the 36 points B^T d B (src/kernels/winograd.rs
// has the matrices). A thread four channels of one tile, or, with TWOS, two: the 36
// points of four are more registers than some GPUs have.

#ifdef TWOS
alias V = vec2<f32>;
#else
alias V = vec4<f32>;
#endif

struct Params {
    levels: array<vec4<u32>, 5>, // src/kernels/levels.rs
    total: u32, // tiles * C/V
    h: u32, w: u32, // of x
    cells: u32,     // pixels of an image of x
    c: u32,         // by four
    pad_h: u32, pad_w: u32,
    columns: u32,   // of tiles
    per_image: u32, // tiles
    first: u32,     // tile of the piece
    capacity: u32,  // tiles between two points in v
    images_per_batch: u32,
    grid_x: u32,
}

@slot var<uniform> p: Params;
#import shared/input
#ifdef LIVE
@slot var<storage, read> live: array<u32>; // [B]
#endif
@slot var<storage, read_write> v: array<V>; // [36, capacity, C/V]

#import shared/live
#import shared/divide

fn put(out: u32, point: u32, value: V) { v[out + point * (p.capacity * p.c)] = value; }

const SIDE = 4u; // of a tile's outputs

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let i = (wid.y * p.grid_x + wid.x) * 64u + t;
    if i >= p.total { return; }
    let tile = quotient(i, p.c);
    let c = i - tile * p.c;
#paste shared/winograd_place
    let out = tile * p.c + c;
#paste shared/winograd_points
}
