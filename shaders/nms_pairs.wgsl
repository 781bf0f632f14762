// Non-maximum suppression, first part: which boxes of a group would suppress which later ones, all pairs at once. A
// workgroup 64 boxes against 32 later ones, a thread a box: a word of bits. Nothing is written for what lies before a box, nor
// past the group's end.
// MASKED: of a driver that goes through both ways of a branch, and loads what threads have in common once outside of them alone:
// there is none.

#import shared/boxes

struct Params { k: u32, words: u32, threshold: f32, any_corners: u32 }

@slot var<uniform> p: Params;
@slot var<storage, read> boxes: array<vec4<f32>>; // [G, k]
@slot var<storage, read> counts: array<u32>; // [G]: nothing from there on
@slot var<storage, read_write> pairs: array<u32>; // [G, k, words]: of box i, in bit j % 32 of word j / 32, whether j > i falls by it

const THREADS: u32 = 64u;

var<workgroup> later: array<vec4<f32>, 32>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let first = wid.z * p.k;
    let n = min(counts[wid.z], p.k);
    let word = wid.y;
#ifdef MASKED
    let last = max(n, 1u) - 1u;
    if t < 32u { later[t] = compared(boxes[first + min(word * 32u + t, last)], p.any_corners != 0u); }
    workgroupBarrier();
    let i = wid.x * THREADS + t;
    let box = compared(boxes[first + min(i, last)], p.any_corners != 0u);
    var bits = 0u;
#repeat b 32
    bits |= select(0u, 1u << ${b}u, iou(box, later[${b}u]) > p.threshold);
#end
    // Of these, the boxes from `begin` on, and before `end`.
    let begin = clamp(i + 1u, word * 32u, word * 32u + 32u) - word * 32u;
    let end = clamp(n, word * 32u, word * 32u + 32u) - word * 32u;
    bits = insertBits(insertBits(bits, 0u, 0u, begin), 0u, end, 32u - end);
    if i < n && word * 32u < n && i / 32u <= word { pairs[(first + i) * p.words + word] = bits; }
#else
    // The whole workgroup leaves, or none of it.
    if wid.x * THREADS >= n || word * 32u >= n || (word + 1u) * 32u <= wid.x * THREADS { return; }
    if t < 32u { later[t] = compared(boxes[first + min(word * 32u + t, n - 1u)], p.any_corners != 0u); }
    workgroupBarrier();
    let i = wid.x * THREADS + t;
    if i >= n || i / 32u > word { return; }
    let box = compared(boxes[first + i], p.any_corners != 0u);
    var bits = 0u;
    for (var b = 0u; b < 32u; b++) {
        let j = word * 32u + b;
        if j > i && j < n && iou(box, later[b]) > p.threshold { bits |= 1u << b; }
    }
    pairs[(first + i) * p.words + word] = bits;
#endif
}
