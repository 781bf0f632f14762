// Softmax of each row. A thread a row, or where LANES is known so many threads a row, of whose loads those of neighbours lie side
// by side: a GPU is not filled by a thousand threads, each of which waits for one class after the other. They meet in workgroup
// memory, which every device has, whatever lanes run together on it.

struct Params { n: u32, k: u32, images_per_batch: u32, grid_x: u32 }

@slot var<uniform> p: Params;
@slot var<storage, read> x: array<f32>; // [N, K]
#ifdef LIVE
@slot var<storage, read> live: array<u32>; // [B]
#endif
@slot var<storage, read_write> y: array<f32>; // [N, K]

#import shared/live

#ifdef LANES
var<workgroup> parts: array<f32, 64>; // of each thread, what it has of its row
#endif

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) t: u32) {
#ifdef LANES
    let lane = t % LANES;
    let n = (wid.y * p.grid_x + wid.x) * (64u / LANES) + t / LANES;
    // All come to the barriers: past the last row, the last.
    let row = min(n, p.n - 1u) * p.k;
    var top = x[row];
    for (var k = lane; k < p.k; k += LANES) {
        top = max(top, x[row + k]);
    }
    parts[t] = top;
    workgroupBarrier();
    for (var i = 0u; i < LANES; i++) {
        top = max(top, parts[t - lane + i]);
    }
    var part = 0.0;
    for (var k = lane; k < p.k; k += LANES) {
        part += exp(x[row + k] - top);
    }
    workgroupBarrier();
    parts[t] = part;
    workgroupBarrier();
    var sum = 0.0;
    for (var i = 0u; i < LANES; i++) {
        sum += parts[t - lane + i];
    }
    if n < p.n && is_live(n) {
        for (var k = lane; k < p.k; k += LANES) {
            y[row + k] = exp(x[row + k] - top) / sum;
        }
    }
#else
    let n = (wid.y * p.grid_x + wid.x) * 64u + t;
    if n >= p.n || !is_live(n) { return; }
    var top = x[n * p.k];
    for (var k = 1u; k < p.k; k++) {
        top = max(top, x[n * p.k + k]);
    }
    var sum = 0.0;
    for (var k = 0u; k < p.k; k++) {
        sum += exp(x[n * p.k + k] - top);
    }
    for (var k = 0u; k < p.k; k++) {
        y[n * p.k + k] = exp(x[n * p.k + k] - top) / sum;
    }
#endif
}
