// Soft masks to bits of the original image: each mask, with a border of zeros, is enlarged bilinearly to its box and
// compared with the threshold; a thread makes 32 pixels of a row. Masks that find no room are left out: the header says
// how much is needed, and the paste is run again, with more room or from a later word on.
// SAMPLED: each mask is spread over its box as it is and read at the pixels' centres.
// WHOLE: each mask is enlarged without its border, which counts all the same, but makes nothing less than the mask's least.

struct Params { n: u32, side: u32, capacity: u32, first: u32, blocks: u32, threshold: f32, grid_x: u32, batch: u32 }

@slot var<uniform> p: Params;
@slot var<storage, read> masks: array<f32>; // [B * n, M, M]
@slot var<storage, read> places: array<vec4<u32>>; // [B, n, 2]
@slot var<storage, read> live: array<u32>; // [B]
#ifdef SAMPLED
@slot var<storage, read> boxes: array<vec4<f32>>; // [B, n], original pixels
#endif
@slot var<storage, read_write> bits: array<u32>; // [B, capacity]

fn soft(mask: u32, y: u32, x: u32) -> f32 {
    // Coordinates count the border: 0 and side + 1 lie in it.
    if x == 0u || y == 0u || x > p.side || y > p.side { return 0.0; }
    return masks[(mask * p.side + y - 1u) * p.side + x - 1u];
}

#ifdef WHOLE
var<workgroup> leasts: array<f32, 64>;
#endif

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let block = wid.y * p.grid_x + wid.x;
    let mask = block / p.blocks;
    let b = mask / p.n;
#ifdef WHOLE
    var least = 3.40282347e38;
    for (var i = t; i < p.side * p.side; i += 64u) {
        least = min(least, masks[min(mask, p.n * p.batch - 1u) * p.side * p.side + i]);
    }
    leasts[t] = least;
    workgroupBarrier();
    for (var i = 0u; i < 64u; i++) { least = min(least, leasts[i]); }
#endif
    if mask % p.n >= live[b] { return; }
    let rect = places[2u * mask];
    let place = places[2u * mask + 1u];
    let row_words = (rect.z + 31u) / 32u;
    let words = row_words * rect.w;
    // No sum of the two: places go up to 2^32.
    if place.x < p.first || words > p.capacity || place.x - p.first > p.capacity - words { return; }

#ifdef SAMPLED
    let box = boxes[mask];
    let side = f32(p.side);
#else
    let low = vec2(bitcast<i32>(place.y), bitcast<i32>(place.z));
#ifdef WHOLE
    let padded = f32(p.side);
#else
    let padded = f32(p.side + 2u);
#endif
    let ratio = vec2(padded) / vec2(f32(place.w & 0xffffu), f32(place.w >> 16u));
#endif
    let last = p.side + 1u;
    for (var word = (block % p.blocks) * 64u + t; word < words; word += p.blocks * 64u) {
        let row = word / row_words;
#ifdef SAMPLED
        let sy = clamp((f32(rect.y + row) + 0.5 - box.y) / (box.w - box.y) * side + 0.5, 0.0, side + 1.0);
#else
#ifdef WHOLE
        let sy = (f32(i32(rect.y + row) - low.y) + 0.5) * ratio.y + 0.5;
#else
        let sy = max((f32(i32(rect.y + row) - low.y) + 0.5) * ratio.y - 0.5, 0.0);
#endif
#endif
        let y0 = min(u32(sy), last);
        let y1 = min(y0 + 1u, last);
        let ly = sy - f32(y0);
        let first = word % row_words * 32u;
        var out = 0u;
        for (var i = 0u; i < min(32u, rect.z - first); i++) {
#ifdef SAMPLED
            let sx = clamp((f32(rect.x + first + i) + 0.5 - box.x) / (box.z - box.x) * side + 0.5, 0.0, side + 1.0);
#else
#ifdef WHOLE
            let sx = (f32(i32(rect.x + first + i) - low.x) + 0.5) * ratio.x + 0.5;
#else
            let sx = max((f32(i32(rect.x + first + i) - low.x) + 0.5) * ratio.x - 0.5, 0.0);
#endif
#endif
            let x0 = min(u32(sx), last);
            let x1 = min(x0 + 1u, last);
            let lx = sx - f32(x0);
            let top = (1.0 - lx) * soft(mask, y0, x0) + lx * soft(mask, y0, x1);
            let bottom = (1.0 - lx) * soft(mask, y1, x0) + lx * soft(mask, y1, x1);
            let v = (1.0 - ly) * top + ly * bottom;
#ifdef SAMPLED
            out |= select(0u, 1u << i, v >= p.threshold);
#else
#ifdef WHOLE
            out |= select(0u, 1u << i, max(v, least) >= p.threshold);
#else
            out |= select(0u, 1u << i, v > p.threshold);
#endif
#endif
        }
        bits[b * p.capacity + place.x - p.first + word] = out;
    }
}
