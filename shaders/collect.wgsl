// The boxes of the chosen candidates, and which group (level or class) each came from.

struct Params { total: u32, k: u32, candidates: u32, group: u32, grid_x: u32 }

@slot var<uniform> p: Params;
@slot var<storage, read> indices: array<u32>; // [B, k] among an image's candidates
@slot var<storage, read> boxes: array<vec4<f32>>; // [B, candidates]
@slot var<storage, read_write> chosen: array<vec4<f32>>; // [B, k]
@slot var<storage, read_write> labels: array<u32>; // [B, k]: 1 + group

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let i = (wid.y * p.grid_x + wid.x) * 64u + t;
    if i >= p.total { return; }
    let index = indices[i];
    chosen[i] = boxes[i / p.k * p.candidates + index];
    labels[i] = 1u + index / p.group;
}
