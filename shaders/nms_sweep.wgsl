// Non-maximum suppression, second part: what `nms_pairs` found, box by box in order. A workgroup a group; 32 boxes at a time
// are settled by their own words, and what is kept of them strikes out what falls by it.

#import shared/order

struct Params { k: u32, words: u32 }

@slot var<uniform> p: Params;
@slot var<storage, read> pairs: array<u32>; // [G, k, words], see nms_pairs
@slot var<storage, read> scores: array<f32>; // [G, k]; NONE: not there
@slot var<storage, read> counts: array<u32>; // [G]: nothing from there on
@slot var<storage, read_write> kept: array<f32>; // [G, k]: the score, or NONE

const MOST_WORDS: u32 = 1024u;

var<workgroup> struck: array<atomic<u32>, MOST_WORDS>; // bits of the boxes that are not there, or fell
var<workgroup> own: array<u32, 32>; // of each of 32 boxes, which others of them fall by it

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let first = wid.x * p.k;
    let n = min(counts[wid.x], p.k);
    for (var w = t; w < p.words; w += THREADS) {
        var absent = 0u;
        for (var b = 0u; b < 32u; b++) {
            let i = w * 32u + b;
            if i >= n || !(scores[first + min(i, p.k - 1u)] > NONE) { absent |= 1u << b; }
        }
        atomicStore(&struck[w], absent);
    }
    for (var i = n + t; i < p.k; i += THREADS) { kept[first + i] = NONE; }
    let words = (n + 31u) / 32u;
    // Under way while the words before are settled.
    var next = 0u;
    if t < min(n, 32u) { next = pairs[(first + t) * p.words]; }
    for (var word = 0u; word < words; word++) {
        if t < 32u { own[t] = next; }
        let ahead = (word + 1u) * 32u + t;
        if t < 32u && ahead < n { next = pairs[(first + ahead) * p.words + word + 1u]; }
        workgroupBarrier();
        // By every thread for itself: one of them would keep the others waiting at a further barrier.
        var left = ~atomicLoad(&struck[word]);
#repeat b 32
        let own_${b} = own[${b}u];
#end
#repeat b 32
        left &= ~select(0u, own_${b}, (left >> ${b}u & 1u) != 0u);
#end
        let mine = word * 32u + t;
        if t < 32u && mine < n { kept[first + mine] = select(NONE, scores[first + mine], (left >> t & 1u) != 0u); }
        // Eight threads a word, of four boxes each.
        for (var begin = word + 1u; begin < words; begin += THREADS / 8u) {
            let w = begin + t / 8u;
            var bits = 0u;
#repeat b 4
            let box_${b} = t % 8u * 4u + ${b}u;
            let falls_${b} = w < words && (left >> box_${b} & 1u) != 0u;
            if falls_${b} { bits |= pairs[(first + word * 32u + box_${b}) * p.words + w]; }
#end
            if bits != 0u { atomicOr(&struck[w], bits); }
        }
        workgroupBarrier();
    }
}
