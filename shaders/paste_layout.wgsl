// Where each mask will lie: boxes go back to the original image, are enlarged by the border that pasting adds, and
// truncated to whole pixels (torchvision, roi_heads.py: expand_boxes, paste_mask_in_image); the part inside the image
// is the mask's rectangle, and a scan over the rectangles' words gives the offsets. A workgroup an image.
// SAMPLED: boxes are clipped to the image, and the rectangle is of the pixels that they touch, and one more on each side
// (detectron2, postprocessing.py, mask_ops.py).
// WHOLE: boxes are shares of the resized image's sides less a pixel, and rounded to whole pixels of the image, which their
// masks fill (matterport, unmold_detections).

#import shared/frame

struct Params { n: u32, mask_side: u32, spare_0: u32, spare_1: u32 }

@slot var<uniform> p: Params;
@slot var<storage, read> rois: array<vec4<f32>>; // [B, n], resized pixels
@slot var<storage, read> live: array<u32>; // [B]
@slot var<storage, read> frames: array<Frame>; // [B]
@slot var<storage, read_write> boxes: array<vec4<f32>>; // [B, n], original pixels
@slot var<storage, read_write> places: array<vec4<u32>>; // [B, n, 2]: x, y, w, h | offset, x and y of the pasted box, -
@slot var<storage, read_write> header: array<u32>; // [B, 2]: detections, words

const THREADS: u32 = 256u;

var<workgroup> sums: array<u32, THREADS>;

// Thousands of masks of a large image can pass 2^32 words; the header then says 2^32 - 1, and no mask is pasted twice.
fn add(a: u32, b: u32) -> u32 {
    return a + min(b, 0xffffffffu - a);
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let b = wid.x;
    let f = frames[b];
    let n = min(live[b], p.n);
    let span = (p.n + THREADS - 1u) / THREADS;
    let from_i = min(t * span, n);
    let to_i = min(from_i + span, n);
    let grow = f32(p.mask_side + 2u) / f32(p.mask_side);
    let back = vec4(f.back_x, f.back_y, f.back_x, f.back_y);
    let bound = vec2(i32(f.in_w), i32(f.in_h));

    var mine = 0u;
    for (var i = from_i; i < to_i; i++) {
        let roi = rois[b * p.n + i] - vec4(f32(f.left), f32(f.top), f32(f.left), f32(f.top));
#ifdef WHOLE
        // WGSL rounds halves to the even.
        let share = roi / vec4<f32>(vec4(max(vec2(f.out_w, f.out_h), vec2(2u)), max(vec2(f.out_w, f.out_h), vec2(2u))) - 1u);
        let box = round(share * vec4<f32>(vec4(bound, bound) - 1) + vec4(0.0, 0.0, 1.0, 1.0));
        let low = vec2<i32>(box.xy);
        let size = max(vec2<i32>(box.zw) - low, vec2(1));
        let empty = box.z <= box.x || box.w <= box.y;
        let x0 = clamp(low, vec2(0), bound);
        let x1 = select(clamp(vec2<i32>(box.zw), vec2(0), bound), x0, vec2(empty));
#else
#ifdef SAMPLED
        let far = vec2<f32>(bound);
        let box = clamp(roi * back, vec4(0.0), vec4(far, far));
        let low = vec2(0);
        let size = vec2(0);
        let x0 = max(vec2<i32>(floor(box.xy)) - 1, vec2(0));
        let x1 = select(x0, min(vec2<i32>(ceil(box.zw)) + 1, bound), vec2(box.z > box.x && box.w > box.y));
#else
        let box = roi * back;
        let half = (box.zw - box.xy) * 0.5 * grow;
        let centre = (box.zw + box.xy) * 0.5;
        let low = vec2<i32>(centre - half);
        let high = vec2<i32>(centre + half);
        let size = max(high - low + 1, vec2(1));
        let x0 = max(low, vec2(0));
        // torchvision copies up to high + 1, which is past the resized mask where high < low.
        let x1 = min(min(high + 1, low + size), bound);
#endif
#endif
        let inside = vec2<u32>(max(x1 - x0, vec2(0)));
        boxes[b * p.n + i] = box;
        let at = 2u * (b * p.n + i);
        places[at] = vec4(vec2<u32>(max(x0, vec2(0))), inside);
        places[at + 1u] = vec4(mine, bitcast<u32>(low.x), bitcast<u32>(low.y), (u32(size.x) & 0xffffu) | (u32(size.y) << 16u));
        mine = add(mine, (inside.x + 31u) / 32u * inside.y);
    }
    sums[t] = mine;
    workgroupBarrier();
    var before = 0u;
    var all = 0u;
    for (var i = 0u; i < THREADS; i++) {
        before = add(before, select(0u, sums[i], i < t));
        all = add(all, sums[i]);
    }
    for (var i = from_i; i < to_i; i++) {
        let at = 2u * (b * p.n + i) + 1u;
        places[at].x = add(places[at].x, before);
    }
    if t == 0u {
        header[2u * b] = n;
        header[2u * b + 1u] = all;
    }
}
