// The largest IoU that each truth has with any box. A workgroup a truth.

#import shared/overlap

struct Params { truths: u32, boxes: u32 }

@slot var<uniform> p: Params;
@slot var<storage, read> truths: array<vec4<f32>>; // [B, G]
@slot var<storage, read> counts: array<u32>; // [B]
@slot var<storage, read> boxes: array<vec4<f32>>; // [B, n]
@slot var<storage, read_write> best: array<f32>; // [B, G]

var<workgroup> most: array<f32, 256>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    if wid.x >= counts[wid.y] { return; }
    let truth = truths[wid.y * p.truths + wid.x];
    var mine = 0.0;
    for (var i = t; i < p.boxes; i += 256u) {
        mine = max(mine, overlap(truth, boxes[wid.y * p.boxes + i]));
    }
    most[t] = mine;
    workgroupBarrier();
    for (var half = 128u; half > 0u; half /= 2u) {
        if t < half { most[t] = max(most[t], most[t + half]); }
        workgroupBarrier();
    }
    if t == 0u { best[wid.y * p.truths + wid.x] = most[0]; }
}
