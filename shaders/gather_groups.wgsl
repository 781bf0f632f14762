// Boxes of each group in the order of the group's own indices.

struct Params { total: u32, k: u32, n: u32, grid_x: u32 }

@slot var<uniform> p: Params;
@slot var<storage, read> indices: array<u32>; // [B, G, k], within the group
@slot var<storage, read> boxes: array<vec4<f32>>; // [B, G, n]
@slot var<storage, read_write> y: array<vec4<f32>>; // [B, G, k]

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let i = (wid.y * p.grid_x + wid.x) * 64u + t;
    if i >= p.total { return; }
    y[i] = boxes[i / p.k * p.n + indices[i]];
}
