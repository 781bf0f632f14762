// The k largest of each segment, sorted by falling value, ties by rising index: the same set on every device. A workgroup a
// (segment, image).

struct Params { length: u32, segments: u32, k: u32 }

@slot var<uniform> p: Params;
@slot var<storage, read> x: array<f32>; // [B, L]
@slot var<storage, read> segments: array<vec2<u32>>; // [S]: begin and length within L
@slot var<storage, read_write> values: array<f32>; // [B, S, k]
@slot var<storage, read_write> indices: array<u32>; // [B, S, k], within the segment
@slot var<storage, read_write> counts: array<u32>; // [B, S]

#import shared/topk

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let segment = segments[wid.x];
    let begin = wid.y * p.length + segment.x;
    let count = sort_largest(begin, segment.y, p.k, t);
    let row = wid.y * p.segments + wid.x;
    for (var i = t; i < p.k; i += THREADS) {
        let taken = atomicLoad(&pool[i]) != 0u;
        let index = select(0u, atomicLoad(&pool[BINS / 2u + i]), taken);
        values[row * p.k + i] = NONE;
        if taken { values[row * p.k + i] = x[begin + index]; }
        indices[row * p.k + i] = index;
    }
    if t == 0u { counts[row] = count; }
}
