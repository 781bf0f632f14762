// Greedy non-maximum suppression within each group, boxes by falling score: a box falls where its IoU with a kept one
// before it exceeds the threshold. A workgroup a group; 32 boxes at a time are settled among themselves, and what is
// kept of them is held against all that follow.

#import shared/order
#import shared/boxes

struct Params { k: u32, threshold: f32, any_corners: u32 }

@slot var<uniform> p: Params;
@slot var<storage, read> boxes: array<vec4<f32>>; // [G, k]
@slot var<storage, read> scores: array<f32>; // [G, k]; NONE: not there
@slot var<storage, read> counts: array<u32>; // [G]: nothing from there on
@slot var<storage, read_write> kept: array<f32>; // [G, k]: the score, or NONE

const THREADS: u32 = 256u;
const CHUNK: u32 = 32u;

var<workgroup> chunk: array<vec4<f32>, CHUNK>;
var<workgroup> beats: array<u32, CHUNK>; // which later ones of the chunk each would suppress
var<workgroup> present: array<u32, CHUNK>;
var<workgroup> alive: u32; // bits of the chunk

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let first = wid.x * p.k;
    let n = min(counts[wid.x], p.k);
    for (var i = t; i < p.k; i += THREADS) {
        kept[first + i] = select(NONE, scores[first + i], i < n);
    }
    storageBarrier();
    workgroupBarrier();
    for (var base = 0u; base < n; base += CHUNK) {
        let mine = first + min(base + t, n - 1u);
        if t < CHUNK {
            chunk[t] = compared(boxes[mine], p.any_corners != 0u);
            present[t] = select(0u, 1u, base + t < n && kept[mine] > NONE);
        }
        workgroupBarrier();
        if t < CHUNK {
            var bits = 0u;
            for (var j = t + 1u; j < CHUNK; j++) {
                if iou(chunk[t], chunk[j]) > p.threshold { bits |= 1u << j; }
            }
            beats[t] = bits;
        }
        workgroupBarrier();
        if t == 0u {
            var bits = 0u;
            for (var i = 0u; i < CHUNK; i++) { bits |= present[i] << i; }
            for (var i = 0u; i < CHUNK; i++) {
                if (bits >> i & 1u) != 0u { bits &= ~beats[i]; }
            }
            alive = bits;
        }
        workgroupBarrier();
        let bits = alive;
        if t < CHUNK && base + t < n && (bits >> t & 1u) == 0u { kept[mine] = NONE; }
        // As many turns for every thread, because of the barriers around.
        for (var later = base + CHUNK; later < n; later += THREADS) {
            let j = later + t;
            if j < n && kept[first + j] > NONE {
                let box = compared(boxes[first + j], p.any_corners != 0u);
                var left = bits;
                while left != 0u {
                    let i = countTrailingZeros(left);
                    left &= left - 1u;
                    if iou(chunk[i], box) > p.threshold {
                        kept[first + j] = NONE;
                        left = 0u;
                    }
                }
            }
        }
        storageBarrier();
        workgroupBarrier();
    }
}
