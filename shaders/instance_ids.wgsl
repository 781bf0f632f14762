// Which instance each pixel belongs to: 0, or 1 + its number. Detections come by falling score, so the first that has a
// pixel keeps it. A workgroup 64 pixels of a row: each of its threads looks whether one detection of 64 comes near them, then
// all look at those that do.

struct Params { n: u32, width: u32, strips: u32, per_row: u32, capacity: u32, above: f32, grid_x: u32 }

@slot var<uniform> p: Params;
@slot var<storage, read> places: array<vec4<u32>>; // [n, 2]: x, y, w, h | offset of the bits, …
@slot var<storage, read> bits: array<u32>; // [capacity]
@slot var<storage, read> scores: array<f32>; // [n]
@slot var<storage, read> header: array<u32>; // detections, words
@slot var<storage, read_write> ids: array<u32>; // [rows, 64 * per_row]

var<workgroup> near: array<u32, 64>;

// Whether a detection's mask may have pixels among the 64 from (x, y) on.
fn comes_near(i: u32, x: u32, y: u32) -> bool {
    if !(scores[i] >= p.above) { return false; }
    let rect = places[2u * i];
    let at = places[2u * i + 1u].x;
    let words = (rect.z + 31u) / 32u * rect.w;
    // No sum of the two: places go up to 2^32. What found no room has no bits.
    if words > p.capacity || at > p.capacity - words { return false; }
    return y >= rect.y && y - rect.y < rect.w && x < rect.x + rect.z && rect.x < x + 64u;
}

fn has(i: u32, x: u32, y: u32) -> bool {
    let rect = places[2u * i];
    if x < rect.x || x >= rect.x + rect.z { return false; }
    let column = x - rect.x;
    let word = places[2u * i + 1u].x + (y - rect.y) * ((rect.z + 31u) / 32u) + column / 32u;
    return ((bits[word] >> (column % 32u)) & 1u) == 1u;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let strip = wid.y * p.grid_x + wid.x;
    if strip >= p.strips { return; }
    let y = strip / p.per_row;
    let x = strip % p.per_row * 64u;
    let n = min(header[0], p.n);
    var id = 0u;
    for (var first = 0u; first < n; first += 64u) {
        let mine = first + t;
        var flag = 0u;
        if mine < n {
            flag = select(0u, 1u, comes_near(mine, x, y));
        }
        near[t] = flag;
        workgroupBarrier();
        for (var k = 0u; k < 64u; k++) {
            if near[k] == 1u && id == 0u && x + t < p.width {
                id = select(0u, first + k + 1u, has(first + k, x + t, y));
            }
        }
        workgroupBarrier();
    }
    ids[strip * 64u + t] = id;
}
