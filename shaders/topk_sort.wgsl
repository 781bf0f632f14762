// Pairs of (key, index) sorted by falling key, ties by rising index, in runs of CHUNK. A workgroup a run; a bitonic
// sort in workgroup memory.

#import shared/order

struct Params { room: u32 }

@slot var<uniform> p: Params;
@slot var<storage, read> pairs: array<vec2<u32>>; // [G, room]
@slot var<storage, read> counts: array<u32>; // [G]
@slot var<storage, read_write> sorted: array<vec2<u32>>; // [G, room]; runs past the count are not written

const THREADS: u32 = 256u;
const CHUNK: u32 = 1024u;

var<workgroup> keys: array<u32, CHUNK>;
var<workgroup> places: array<u32, CHUNK>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let base = wid.x * CHUNK;
    let n = counts[wid.y];
    if base >= n { return; }
    let first = wid.y * p.room + base;
    for (var i = t; i < CHUNK; i += THREADS) {
        let pair = select(vec2(0u, 0xffffffffu), pairs[first + i], base + i < n);
        keys[i] = pair.x;
        places[i] = pair.y;
    }
    workgroupBarrier();
    for (var size = 2u; size <= CHUNK; size *= 2u) {
        for (var step = size / 2u; step > 0u; step /= 2u) {
            for (var half = 0u; half < CHUNK / 2u; half += THREADS) {
                let pair = half + t;
                let a = pair / step * step * 2u + pair % step;
                let b = a + step;
                let ka = keys[a];
                let kb = keys[b];
                let ia = places[a];
                let ib = places[b];
                if after(ka, ia, kb, ib) == ((a & size) == 0u) {
                    keys[a] = kb;
                    keys[b] = ka;
                    places[a] = ib;
                    places[b] = ia;
                }
            }
            workgroupBarrier();
        }
    }
    for (var i = t; i < CHUNK; i += THREADS) {
        sorted[first + i] = vec2(keys[i], places[i]);
    }
}
