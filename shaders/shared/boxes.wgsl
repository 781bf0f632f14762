// Boxes are (x1, y1, x2, y2).

fn area(b: vec4<f32>) -> f32 { return (b.z - b.x) * (b.w - b.y); }

fn iou(a: vec4<f32>, b: vec4<f32>) -> f32 {
    let w = max(min(a.z, b.z) - max(a.x, b.x), 0.0);
    let h = max(min(a.w, b.w) - max(a.y, b.y), 0.0);
    let both = w * h;
    return both / (area(a) + area(b) - both);
}

// A box as it is held against others: where corners may be any two that face each other, the box between them.
fn compared(b: vec4<f32>, any_corners: bool) -> vec4<f32> {
    return select(b, vec4(min(b.xy, b.zw), max(b.xy, b.zw)), any_corners);
}

// The inverse of the box coder (torchvision, _utils.py): deltas already divided by the coder's weights; log sizes are
// cut off below and above.
fn decode(from_box: vec4<f32>, deltas: vec4<f32>, log_least: f32, log_limit: f32) -> vec4<f32> {
    let size = from_box.zw - from_box.xy;
    let centre = from_box.xy + 0.5 * size;
    let c = deltas.xy * size + centre;
    let s = exp(min(max(deltas.zw, vec2(log_least)), vec2(log_limit))) * size;
    return vec4(c - 0.5 * s, c + 0.5 * s);
}

// Between two corners; sides are at least `extent`.
fn clip(b: vec4<f32>, low: vec2<f32>, high: vec2<f32>, extent: vec2<f32>) -> vec4<f32> {
    return clamp(b, vec4(low, low + extent), vec4(high - extent, high));
}
