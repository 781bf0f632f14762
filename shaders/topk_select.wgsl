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

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let segment = segments[wid.x];
    let begin = wid.y * p.length + segment.x;
    let n = segment.y;
    let limit = kth_key(begin, n, p.k, t);

    let r = own_range(begin, n, limit, t);
    // Of those that equal the limit, the first ones are taken.
    let room = min(p.k - min(p.k, r.greater_all), r.equal_all);
    var above_before = r.greater_before;
    var same_before = min(r.equal_before, room);
    let row = wid.y * p.segments + wid.x;
    for (var i = r.from_i; i < r.to_i; i++) {
        let key = order_key(x[begin + i]);
        if key > limit || (key == limit && key != 0u && same_before < room) {
            pairs[row * p.room + above_before + same_before] = vec2(key, i);
        }
        if key > limit { above_before++; }
        if key == limit && key != 0u && same_before < room { same_before++; }
    }
    if t == 0u { counts[row] = r.greater_all + room; }
}
