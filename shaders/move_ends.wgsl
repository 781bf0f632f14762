// Boxes with their far corners moved: where the last pixel belongs to a box, its corner lies a pixel before the end. A thread a
// box.

#import shared/frame

struct Params { total: u32, n: u32, by: f32, in_image: u32, grid_x: u32 }

@slot var<uniform> p: Params;
@slot var<storage, read> boxes: array<vec4<f32>>; // [B, n], whatever the n are arranged in
@slot var<storage, read> frames: array<Frame>; // [B]
@slot var<storage, read_write> moved: array<vec4<f32>>; // [B, n]

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let i = (wid.y * p.grid_x + wid.x) * 64u + t;
    if i >= p.total { return; }
    let f = frames[i / p.n];
    let by = select(vec2(p.by), p.by / vec2(f.back_x, f.back_y), p.in_image != 0u);
    moved[i] = boxes[i] + vec4(vec2(0.0), by);
}
