// Chosen rows of each image. A thread an element, which may be of any kind.

struct Params { total: u32, n: u32, k: u32, words: u32, grid_x: u32 }

@slot var<uniform> p: Params;
@slot var<storage, read> x: array<u32>; // [B, n, words]
@slot var<storage, read> indices: array<u32>; // [B, k]
@slot var<storage, read> live: array<u32>; // [B]
@slot var<storage, read_write> y: array<u32>; // [B, k, words]

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let i = (wid.y * p.grid_x + wid.x) * 64u + t;
    if i >= p.total { return; }
    let row = i / p.words;
    let b = row / p.k;
    if row % p.k >= live[b] { return; }
    y[i] = x[(b * p.n + min(indices[row], p.n - 1u)) * p.words + i % p.words];
}
