// Proposals of the chosen anchors: anchor + deltas -> box, clipped to the image; boxes with a side under min_size lose
// their score. A thread a chosen anchor. Of a segment of all levels, an index tells its level.

#import shared/frame
#import shared/order
#import shared/boxes

struct Params { total: u32, segments: u32, k: u32, anchors: u32, ratios: u32, min_size: f32, log_limit: f32, min_logit: f32, grid_x: u32, log_least: f32, rows: u32, far_x: f32, far_y: f32, extent: f32 }

@slot var<uniform> p: Params;
@slot var<storage, read> values: array<f32>; // [B, S, k] logits, NONE past the count
@slot var<storage, read> indices: array<u32>; // [B, S, k] within the level, in (H, W, A) order
@slot var<storage, read> deltas: array<vec4<f32>>; // [B, anchors]
@slot var<storage, read> levels: array<f32>; // [S, 4 + 4 A]: first anchor, W, stride x, stride y, then A cell anchors
@slot var<storage, read> frames: array<Frame>; // [B]
@slot var<storage, read_write> boxes: array<vec4<f32>>; // [B, S, k]
@slot var<storage, read_write> scores: array<f32>; // [B, S, k]

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let i = (wid.y * p.grid_x + wid.x) * 64u + t;
    if i >= p.total { return; }
    let b = i / (p.segments * p.k);
    let width_of_row = 4u + 4u * p.ratios;
    var row = i / p.k % p.segments * width_of_row;
    var index = indices[i];
    // More levels than segments: there is one segment.
    if p.rows > p.segments {
        for (var level = 1u; level < p.rows; level++) {
            if index >= u32(levels[level * width_of_row]) { row = level * width_of_row; }
        }
        index -= u32(levels[row]);
    }
    let cell = row + 4u + 4u * (index % p.ratios);
    let place = index / p.ratios;
    let width = u32(levels[row + 1u]);
    let shift = vec2(f32(place % width) * levels[row + 2u], f32(place / width) * levels[row + 3u]);
    let anchor = vec4(levels[cell], levels[cell + 1u], levels[cell + 2u], levels[cell + 3u]) + vec4(shift, shift);
    let f = frames[b];
    let d = deltas[b * p.anchors + u32(levels[row]) + index];
    var low = vec2(f32(f.left), f32(f.top));
    var high = low + vec2(f32(f.out_w), f32(f.out_h));
    // Where there is another border than the image's.
    if p.far_x > 0.0 {
        low = vec2(0.0);
        high = vec2(p.far_x, p.far_y);
    }
    let box = clip(decode(anchor, d, p.log_least, p.log_limit), low, high, vec2(p.extent));
    boxes[i] = box;
    let large = box.z - box.x >= p.min_size && box.w - box.y >= p.min_size;
    scores[i] = select(NONE, values[i], large && values[i] >= p.min_logit);
}
