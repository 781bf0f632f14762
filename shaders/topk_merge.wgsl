// Sorted runs to one: a pair's place is its place in its own run and, by binary search, the number of pairs before it in
// each other. A thread a pair; no two are equal, since no two have one index.

#import shared/order

struct Params { total: u32, k: u32, room: u32, grid_x: u32 }

@slot var<uniform> p: Params;
@slot var<storage, read> pairs: array<vec2<u32>>; // [G, room]: key, index
@slot var<storage, read> counts: array<u32>; // [G]
@slot var<storage, read_write> values: array<f32>; // [G, k]
@slot var<storage, read_write> indices: array<u32>; // [G, k]

const CHUNK: u32 = 1024u;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let at = (wid.y * p.grid_x + wid.x) * 64u + t;
    if at >= p.total { return; }
    let group = at / p.room;
    let i = at % p.room;
    let n = min(counts[group], p.k);
    if i >= n {
        if i < p.k {
            values[group * p.k + i] = NONE;
            indices[group * p.k + i] = 0u;
        }
        return;
    }
    let pair = pairs[at];
    var place = i % CHUNK;
    for (var first = 0u; first < n; first += CHUNK) {
        if first == i - i % CHUNK { continue; }
        // How many of the run come before the pair.
        var low = 0u;
        var high = min(CHUNK, n - first);
        while low < high {
            let middle = (low + high) / 2u;
            let other = pairs[group * p.room + first + middle];
            if other.x > pair.x || (other.x == pair.x && other.y < pair.y) { low = middle + 1u; } else { high = middle; }
        }
        place += low;
    }
    values[group * p.k + place] = key_value(pair.x);
    indices[group * p.k + place] = pair.y;
}
