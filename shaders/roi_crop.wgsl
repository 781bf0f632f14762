// TensorFlow's crop_and_resize over the levels of an FPN: one bilinear sample a bin, those of the outermost bins on the RoI's
// border, 0 outside of the map. A thread four channels of one bin. The input's first and last pixels are each level's.

struct Params {
    heights: vec4<u32>, widths: vec4<u32>, // of the levels
    firsts: vec4<u32>,  // pixels of an image before each level …
    cells: vec4<u32>,   // … and those of an image, in the input that holds the level …
    holders: vec4<u32>, // … which is this one
    scales: vec4<f32>, // level pixels a resized pixel
    areas: vec4<f32>,  // the least area of levels 1, 2 and 3
    c: u32, // channels by four
    pooled: u32,
    capacity: u32,      // RoIs an image
    slack: f32,         // so far outside of the map a sample counts as on its border
    input: vec2<f32>,   // columns and rows of the input, less one
}

@slot var<uniform> p: Params;
#import shared/roi_levels

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let work = work_of(wid, t);
    if work.none { return; }
    let roi = rois[work.n];
    let level = level_at(work, roi);

    let last = vec2(f32(level.w - 1u), f32(level.h - 1u));
    let start = roi.xy * last / p.input;
    let side = (roi.zw - roi.xy) * last / p.input;
    let at = start + vec2<f32>(work.bin) * side / f32(p.pooled - 1u);
    let outside = any(at < vec2(-p.slack)) || any(at > last + p.slack);
    let inner = clamp(at, vec2(0.0), last);
    let low = vec2<u32>(inner);
    let high = min(low + 1u, vec2(level.w, level.h) - 1u);
    let l = inner - vec2<f32>(low);
    let rows = vec2(low.y, high.y) * level.w;

    var value = vec4(0.0);
#repeat m INPUTS
#ifdef SEVERAL
    if p.holders[level.index] == ${m}u
#endif
    {
        let above = (1.0 - l.x) * at_${m}(level.first + (rows.x + low.x) * p.c) + l.x * at_${m}(level.first + (rows.x + high.x) * p.c);
        let below = (1.0 - l.x) * at_${m}(level.first + (rows.y + low.x) * p.c) + l.x * at_${m}(level.first + (rows.y + high.x) * p.c);
        value = (1.0 - l.y) * above + l.y * below;
    }
#end
    y[work.y] = stored(select(value, vec4(0.0), outside));
}
