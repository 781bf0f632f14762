// Of those on truths as many as there are, up to a share; then of those on the background what is left. A thread a sample.

struct Params { total: u32, k: u32, positives: u32, grid_x: u32 }

@slot var<uniform> p: Params;
@slot var<storage, read> indices: array<u32>; // [B, 2, k]: on truths, on the background
@slot var<storage, read> counts: array<vec2<u32>>; // [B]
@slot var<storage, read_write> sampled: array<u32>; // [B, k]
@slot var<storage, read_write> live: array<u32>; // [B]
@slot var<storage, read_write> positives: array<u32>; // [B]

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let i = (wid.y * p.grid_x + wid.x) * 64u + t;
    if i >= p.total { return; }
    let b = i / p.k;
    let row = i % p.k;
    let on = min(min(counts[b].x, p.positives), p.k);
    let all = on + min(counts[b].y, p.k - on);
    var index = 0u;
    if row < on {
        index = indices[2u * b * p.k + row];
    } else if row < all {
        index = indices[(2u * b + 1u) * p.k + row - on];
    }
    sampled[i] = index;
    if row == 0u {
        live[b] = all;
        positives[b] = on;
    }
}
