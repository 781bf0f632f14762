// What each box is matched with: a truth, the background, or nothing. A thread a box.

#import shared/overlap
#import shared/matches

struct Params { total: u32, boxes: u32, truths: u32, high: f32, low: f32, grid_x: u32 }

@slot var<uniform> p: Params;
@slot var<storage, read> truths: array<vec4<f32>>; // [B, G]
@slot var<storage, read> counts: array<u32>; // [B]
@slot var<storage, read> boxes: array<vec4<f32>>; // [B, n]
#ifdef LIVE
@slot var<storage, read> live: array<u32>; // [B]
#endif
#ifdef BEST
@slot var<storage, read> best: array<f32>; // [B, G]: of the truths that are there
#endif
@slot var<storage, read_write> matches: array<u32>; // [B, n]

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let i = (wid.y * p.grid_x + wid.x) * 64u + t;
    if i >= p.total { return; }
    let b = i / p.boxes;
#ifdef LIVE
    if i % p.boxes >= live[b] {
        matches[i] = IGNORED;
        return;
    }
#endif
    let box = boxes[i];
    var most = -1.0;
    var own = 0u;
    var is_best = false;
    for (var g = 0u; g < min(counts[b], p.truths); g++) {
        let v = overlap(truths[b * p.truths + g], box);
        if v > most {
            most = v;
            own = g;
        }
#ifdef BEST
        is_best = is_best || v >= best[b * p.truths + g];
#endif
    }
    var to = select(BACKGROUND, IGNORED, most >= p.low);
    if most >= p.high || is_best { to = FIRST_TRUTH + own; }
    matches[i] = to;
}
