// Candidates of each class: box deltas applied to the RoI, clipped; a score where it exceeds the threshold and no side
// is too small, NONE elsewhere. BEST: a score where the class is the RoI's best, and reaches the threshold. A thread a
// (class, RoI); background (class 0) is left out.

#import shared/frame
#import shared/order
#import shared/boxes

struct Params {
    weights: vec4<f32>, // of the box coder: deltas are divided by them
    total: u32, n: u32, classes: u32,
    threshold: f32, min_size: f32, log_limit: f32,
    grid_x: u32,
    sets: u32, // of deltas of a RoI: one for each class, or one for all
    log_least: f32,
    short: f32, // of the image's border, right and below
    extent: f32,   // how much more than the difference of its corners a RoI's side is …
    in_image: u32, // … in pixels of the image before its resize
}

@slot var<uniform> p: Params;
@slot var<storage, read> probabilities: array<f32>; // [B * n, K]
@slot var<storage, read> deltas: array<vec4<f32>>; // [B * n, sets]
@slot var<storage, read> rois: array<vec4<f32>>; // [B, n]
@slot var<storage, read> live: array<u32>; // [B]
@slot var<storage, read> frames: array<Frame>; // [B]
@slot var<storage, read_write> boxes: array<vec4<f32>>; // [B, K - 1, n]
@slot var<storage, read_write> scores: array<f32>; // [B, K - 1, n]

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let i = (wid.y * p.grid_x + wid.x) * 64u + t;
    if i >= p.total { return; }
    let r = i % p.n;
    let label = i / p.n % (p.classes - 1u) + 1u;
    let b = i / (p.n * (p.classes - 1u));
    if r >= live[b] {
        boxes[i] = vec4(0.0);
        scores[i] = NONE;
        return;
    }
    let row = b * p.n + r;
    let f = frames[b];
    let delta = deltas[row * p.sets + min(label, p.sets - 1u)] / p.weights;
    let extent = select(vec2(p.extent), p.extent / vec2(f.back_x, f.back_y), p.in_image != 0u);
    let from_box = rois[row] + vec4(vec2(0.0), extent);
    let low = vec2(f32(f.left), f32(f.top));
    let high = low + (vec2(f32(f.out_w), f32(f.out_h)) - p.short);
    let box = clip(decode(from_box, delta, p.log_least, p.log_limit), low, high, extent);
    let score = probabilities[row * p.classes + label];
    boxes[i] = box;
    let large = box.z - box.x >= p.min_size && box.w - box.y >= p.min_size;
#ifdef BEST
    // Of equal ones the first.
    var best = score >= p.threshold;
    for (var other = 0u; other < p.classes; other++) {
        let of_other = probabilities[row * p.classes + other];
        best = best && (of_other < score || (of_other == score && other >= label));
    }
    scores[i] = select(NONE, score, large && best);
#else
    scores[i] = select(NONE, score, large && score > p.threshold);
#endif
}
