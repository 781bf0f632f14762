// The labels of boxes, 0 on the background, and whether they are on a truth. A thread a box.

#import shared/matches

struct Params { total: u32, k: u32, truths: u32, grid_x: u32 }

@slot var<uniform> p: Params;
@slot var<storage, read> matches: array<u32>; // [B, k]
@slot var<storage, read> true_labels: array<u32>; // [B, G]
@slot var<storage, read> live: array<u32>; // [B]
@slot var<storage, read_write> labels: array<u32>; // [B, k]
@slot var<storage, read_write> objectness: array<f32>; // [B, k]: 1 or 0

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let i = (wid.y * p.grid_x + wid.x) * 64u + t;
    if i >= p.total { return; }
    let b = i / p.k;
    if i % p.k >= live[b] { return; }
    let to = matches[i];
    let on_truth = to >= FIRST_TRUTH;
    let truth = min(max(to, FIRST_TRUTH) - FIRST_TRUTH, p.truths - 1u);
    labels[i] = select(0u, true_labels[b * p.truths + truth], on_truth);
    objectness[i] = select(0.0, 1.0, on_truth);
}
