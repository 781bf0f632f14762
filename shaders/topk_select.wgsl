// The k largest of each segment in the order of their indices: what shaders/topk_sort.wgsl sorts, where k is more than
// one workgroup can sort. A workgroup a (segment, image).

#import shared/order
#import shared/select

struct Params { length: u32, segments: u32, k: u32, room: u32 }

@slot var<uniform> p: Params;
@slot var<storage, read> x: array<f32>; // [B, L]
@slot var<storage, read> segments: array<vec2<u32>>; // [S]: begin and length within L
@slot var<storage, read_write> pairs: array<vec2<u32>>; // [B, S, room]: key, index within the segment
@slot var<storage, read_write> counts: array<u32>; // [B, S]

var<workgroup> greater: array<u32, THREADS>;
var<workgroup> equal: array<u32, THREADS>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let segment = segments[wid.x];
    let begin = wid.y * p.length + segment.x;
    let n = segment.y;
    let limit = kth_key(begin, n, p.k, t);

    // Each thread owns a contiguous range, so that counts give every taken element its place in index order.
    let span = (n + THREADS - 1u) / THREADS;
    let from_i = min(t * span, n);
    let to_i = min(from_i + span, n);
    var above = 0u;
    var same = 0u;
    for (var i = from_i; i < to_i; i++) {
        let key = order_key(x[begin + i]);
        above += select(0u, 1u, key > limit);
        same += select(0u, 1u, key == limit && key != 0u);
    }
    greater[t] = above;
    equal[t] = same;
    workgroupBarrier();
    var above_before = 0u;
    var same_before = 0u;
    var above_all = 0u;
    var same_all = 0u;
    for (var i = 0u; i < THREADS; i++) {
        above_before += select(0u, greater[i], i < t);
        same_before += select(0u, equal[i], i < t);
        above_all += greater[i];
        same_all += equal[i];
    }
    // Of those that equal the limit, the first ones are taken.
    let room = min(p.k - min(p.k, above_all), same_all);
    same_before = min(same_before, room);
    let row = wid.y * p.segments + wid.x;
    for (var i = from_i; i < to_i; i++) {
        let key = order_key(x[begin + i]);
        if key > limit || (key == limit && key != 0u && same_before < room) {
            pairs[row * p.room + above_before + same_before] = vec2(key, i);
        }
        if key > limit { above_before++; }
        if key == limit && key != 0u && same_before < room { same_before++; }
    }
    if t == 0u { counts[row] = above_all + room; }
}
