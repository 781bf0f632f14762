// The k largest of each segment of those of its tiles. Tiles are in order and each is sorted, ties by rising index, so that a
// tie here goes by rising index as well. A workgroup a (segment, image).

struct Params { segments: u32, k: u32, length: u32 }

@slot var<uniform> p: Params;
@slot var<storage, read> x: array<f32>; // [B, S, length]: the values of all tiles
@slot var<storage, read> places: array<u32>; // [B, S, length]: their indices within the segment
@slot var<storage, read_write> values: array<f32>; // [B, S, k]
@slot var<storage, read_write> indices: array<u32>; // [B, S, k], within the segment
@slot var<storage, read_write> counts: array<u32>; // [B, S]

#import shared/topk

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let row = wid.y * p.segments + wid.x;
    let begin = row * p.length;
    let count = sort_largest(begin, p.length, p.k, t);
    for (var i = t; i < p.k; i += THREADS) {
        let taken = atomicLoad(&pool[i]) != 0u;
        let at = begin + select(0u, atomicLoad(&pool[BINS / 2u + i]), taken);
        values[row * p.k + i] = NONE;
        indices[row * p.k + i] = 0u;
        if taken {
            values[row * p.k + i] = x[at];
            indices[row * p.k + i] = places[at];
        }
    }
    if t == 0u { counts[row] = count; }
}
