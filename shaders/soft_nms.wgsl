// Soft non-maximum suppression within each group: the best box is taken, the scores of the others fall by how much they
// overlap it, and so on. A workgroup a group; each turn takes one box. What is still to be taken is kept as minus its score.

#import shared/order
#import shared/boxes

struct Params {
    k: u32,
    by: f32,    // the IoU above which scores fall (LINEAR), or sigma
    least: f32, // boxes that score no more are dropped
}

@slot var<uniform> p: Params;
@slot var<storage, read> boxes: array<vec4<f32>>; // [G, k]
@slot var<storage, read> scores: array<f32>; // [G, k]; NONE: not there
@slot var<storage, read> counts: array<u32>; // [G]: nothing from there on
@slot var<storage, read_write> kept: array<f32>; // [G, k]: the score when it was taken, or NONE

const THREADS: u32 = 256u;

var<workgroup> best_score: array<f32, THREADS>;
var<workgroup> best_at: array<u32, THREADS>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let first = wid.x * p.k;
    let n = min(counts[wid.x], p.k);
    for (var i = t; i < p.k; i += THREADS) {
        let score = scores[first + i];
        kept[first + i] = select(NONE, -score, i < n && score > NONE);
    }
    // As many turns for every thread, because of the barriers; once nothing is left, they change nothing.
    for (var turn = 0u; turn < n; turn++) {
        // A thread looks at what it alone writes.
        var score = 0.0;
        var at = t;
        for (var base = 0u; base < n; base += THREADS) {
            let i = base + t;
            if i < n {
                let v = kept[first + i];
                if v > NONE && -v > score {
                    score = -v;
                    at = i;
                }
            }
        }
        best_score[t] = score;
        best_at[t] = at;
        workgroupBarrier();
        for (var half = THREADS / 2u; half > 0u; half /= 2u) {
            if t < half {
                let other = t + half;
                let ahead = best_score[other] > best_score[t]
                    || (best_score[other] == best_score[t] && best_at[other] < best_at[t]);
                if ahead {
                    best_score[t] = best_score[other];
                    best_at[t] = best_at[other];
                }
            }
            workgroupBarrier();
        }
        let top = best_score[0];
        let taken = best_at[0];
        workgroupBarrier();
        if top > p.least {
            let box = boxes[first + taken];
            for (var base = 0u; base < n; base += THREADS) {
                let i = base + t;
                if i >= n { continue; }
                let v = kept[first + i];
                if i == taken {
                    kept[first + i] = top;
                } else if v > NONE && v < 0.0 {
                    let overlap = iou(box, boxes[first + i]);
#ifdef LINEAR
                    kept[first + i] = select(v, v * (1.0 - overlap), overlap > p.by);
#else
                    // Two boxes without area have no IoU.
                    kept[first + i] = select(v, v * exp(-overlap * overlap / p.by), overlap > 0.0);
#endif
                }
            }
        }
    }
    for (var i = t; i < n; i += THREADS) {
        let v = kept[first + i];
        kept[first + i] = select(NONE, v, v > 0.0);
    }
}
