// Of what a head says of each class, that of the row's label. A thread an element.

struct Params { total: u32, size: u32, classes: u32, inner: u32, rows_per_image: u32, grid_x: u32 }

@slot var<uniform> p: Params;
@slot var<storage, read> x: array<f32>; // [R, outer, K, inner]
@slot var<storage, read> labels: array<u32>; // [R]
@slot var<storage, read> live: array<u32>; // [B]
@slot var<storage, read_write> y: array<f32>; // [R, size], size = outer * inner

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let i = (wid.y * p.grid_x + wid.x) * 64u + t;
    if i >= p.total { return; }
    let row = i / p.size;
    if row % p.rows_per_image >= live[row / p.rows_per_image] { return; }
    let label = min(labels[row], p.classes - 1u);
    y[i] = x[(i / p.inner * p.classes + label) * p.inner + i % p.inner];
}
