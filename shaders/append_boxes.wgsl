// The boxes that are there, and right after them further ones. A thread a box.

struct Params { total: u32, boxes: u32, more: u32, grid_x: u32 }

@slot var<uniform> p: Params;
@slot var<storage, read> boxes: array<vec4<f32>>; // [B, boxes]
@slot var<storage, read> live: array<u32>; // [B]
@slot var<storage, read> more: array<vec4<f32>>; // [B, more]
@slot var<storage, read> more_live: array<u32>; // [B]
@slot var<storage, read_write> y: array<vec4<f32>>; // [B, boxes + more]
@slot var<storage, read_write> counts: array<u32>; // [B]

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let i = (wid.y * p.grid_x + wid.x) * 64u + t;
    if i >= p.total { return; }
    let b = i / (p.boxes + p.more);
    let row = i % (p.boxes + p.more);
    let first = min(live[b], p.boxes);
    let all = first + min(more_live[b], p.more);
    if row == 0u { counts[b] = all; }
    if row < first {
        y[i] = boxes[b * p.boxes + row];
    } else if row < all {
        y[i] = more[b * p.more + row - first];
    }
}
