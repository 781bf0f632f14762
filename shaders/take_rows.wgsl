// Some rows of each image, and how many of them count. A thread an element, which may be of any kind.

struct Params { total: u32, batches: u32, n: u32, first: u32, rows: u32, words: u32, grid_x: u32 }

@slot var<uniform> p: Params;
@slot var<storage, read> x: array<u32>; // [B, n, words]
@slot var<storage, read> live: array<u32>; // [B]
@slot var<storage, read_write> y: array<u32>; // [B, rows, words]
@slot var<storage, read_write> live_rows: array<u32>; // [B]

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let i = (wid.y * p.grid_x + wid.x) * 64u + t;
    if i >= p.total { return; }
    let size = p.rows * p.words;
    y[i] = x[(i / size * p.n + p.first) * p.words + i % size];
    if i < p.batches { live_rows[i] = min(max(live[i], p.first) - p.first, p.rows); }
}
