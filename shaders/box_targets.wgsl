// The deltas that would turn boxes into their truths; zeros where there is none. A thread a box.

#import shared/matches

struct Params { weights: vec4<f32>, total: u32, k: u32, truths: u32, grid_x: u32 }

@slot var<uniform> p: Params;
@slot var<storage, read> boxes: array<vec4<f32>>; // [B, k]
@slot var<storage, read> matches: array<u32>; // [B, k]
@slot var<storage, read> truths: array<vec4<f32>>; // [B, G]
@slot var<storage, read> live: array<u32>; // [B]
@slot var<storage, read_write> deltas: array<vec4<f32>>; // [B, k]

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let i = (wid.y * p.grid_x + wid.x) * 64u + t;
    if i >= p.total { return; }
    let b = i / p.k;
    if i % p.k >= live[b] { return; }
    let to = matches[i];
    if to < FIRST_TRUTH {
        deltas[i] = vec4(0.0);
        return;
    }
    let box = boxes[i];
    let truth = truths[b * p.truths + min(to - FIRST_TRUTH, p.truths - 1u)];
    let side = box.zw - box.xy;
    let true_side = truth.zw - truth.xy;
    let shift = truth.xy + 0.5 * true_side - (box.xy + 0.5 * side);
    deltas[i] = p.weights * vec4(shift / side, log(true_side / side));
}
