// Random keys of the boxes that are on truths, and of those on the background: Philox4x32-10. A thread a box.

#import shared/order
#import shared/matches

struct Params { total: u32, boxes: u32, stream: u32, grid_x: u32 }

@slot var<uniform> p: Params;
@slot var<storage, read> matches: array<u32>; // [B, n]
@slot var<storage, read> seeds: array<vec4<u32>>; // [B]
@slot var<storage, read_write> keys: array<f32>; // [B, 2, n]: on truths, on the background

// The high and the low word of a product.
fn product(a: u32, b: u32) -> vec2<u32> {
    let low = (a & 0xffffu) * (b & 0xffffu);
    let middle = (a >> 16u) * (b & 0xffffu) + (low >> 16u);
    let other = (a & 0xffffu) * (b >> 16u) + (middle & 0xffffu);
    return vec2((a >> 16u) * (b >> 16u) + (middle >> 16u) + (other >> 16u), a * b);
}

fn drawn(counter: vec4<u32>, key: vec2<u32>) -> u32 {
    var c = counter;
    var k = key;
    for (var turn = 0u; turn < 10u; turn++) {
        let first = product(0xd2511f53u, c.x);
        let second = product(0xcd9e8d57u, c.z);
        c = vec4(second.x ^ c.y ^ k.x, second.y, first.x ^ c.w ^ k.y, first.y);
        k += vec2(0x9e3779b9u, 0xbb67ae85u);
    }
    return c.x;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let i = (wid.y * p.grid_x + wid.x) * 64u + t;
    if i >= p.total { return; }
    let b = i / p.boxes;
    let seed = seeds[b];
    // Positive floats order as their bits do; these are far from the smallest and the largest.
    let key = bitcast<f32>(0x20000000u + (drawn(vec4(i % p.boxes, p.stream, seed.z, 0u), seed.xy) >> 2u));
    let at = i + b * p.boxes;
    keys[at] = select(NONE, key, matches[i] >= FIRST_TRUTH);
    keys[at + p.boxes] = select(NONE, key, matches[i] == BACKGROUND);
}
