// The k largest of each tile of each segment: what `topk_join` makes the k largest of the segment of. A workgroup a (tile,
// segment, image); of a segment that has no such tile, nothing.

struct Params { length: u32, segments: u32, k: u32, tile: u32, tiles: u32 }

@slot var<uniform> p: Params;
@slot var<storage, read> x: array<f32>; // [B, L]
@slot var<storage, read> segments: array<vec2<u32>>; // [S]: begin and length within L
@slot var<storage, read_write> values: array<f32>; // [B, S, tiles, k]
@slot var<storage, read_write> indices: array<u32>; // [B, S, tiles, k], within the segment

#import shared/topk

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let segment = segments[wid.y];
    let before = min(wid.x * p.tile, segment.y);
    let begin = wid.z * p.length + segment.x + before;
    _ = sort_largest(begin, min(p.tile, segment.y - before), p.k, t);
    let row = (wid.z * p.segments + wid.y) * p.tiles + wid.x;
    for (var i = t; i < p.k; i += THREADS) {
        let taken = atomicLoad(&pool[i]) != 0u;
        let index = select(0u, atomicLoad(&pool[BINS / 2u + i]), taken);
        values[row * p.k + i] = NONE;
        if taken { values[row * p.k + i] = x[begin + index]; }
        indices[row * p.k + i] = select(0u, before + index, taken);
    }
}
