// RoIAlign over the levels of an FPN: each RoI reads the level that its area calls for. A thread four channels of one
// bin. Feature pixel i lies at coordinate i here (aligned = 0), or at i + 0.5 (aligned = 1).

struct Params {
    heights: vec4<u32>, widths: vec4<u32>, // of the levels
    firsts: vec4<u32>,  // pixels of an image before each level …
    cells: vec4<u32>,   // … and those of an image, in the input that holds the level …
    holders: vec4<u32>, // … which is this one
    scales: vec4<f32>, // level pixels a resized pixel
    areas: vec4<f32>,  // the least area of levels 1, 2 and 3
    c: u32, // channels by four
    pooled: u32,
    sampling: u32,      // samples a bin along each axis; 0: as many as the bin has pixels
    aligned: u32,
    capacity: u32,      // RoIs an image
}

@slot var<uniform> p: Params;
#import shared/roi_levels

// Four taps of a sample and their weights; a sample outside the map weighs nothing.
struct Taps { at: vec4<u32>, weight: vec4<f32> }

fn taps(level: Level, at: vec2<f32>) -> Taps {
    let h = level.h;
    let w = level.w;
    let corner = max(at, vec2(0.0));
    let y0 = min(u32(corner.y), h - 1u);
    let x0 = min(u32(corner.x), w - 1u);
    let y1 = min(y0 + 1u, h - 1u);
    let x1 = min(x0 + 1u, w - 1u);
    // Past the last row both taps are that row, whatever the weights.
    let ly = select(corner.y - f32(y0), 0.0, y0 == y1);
    let lx = select(corner.x - f32(x0), 0.0, x0 == x1);
    let outside = at.y < -1.0 || at.y > f32(h) || at.x < -1.0 || at.x > f32(w);
    let weight = vec4((1.0 - ly) * (1.0 - lx), (1.0 - ly) * lx, ly * (1.0 - lx), ly * lx);
    let rows = vec4(y0, y0, y1, y1) * w + vec4(x0, x1, x0, x1);
    return Taps(level.first + rows * p.c, select(weight, vec4(0.0), outside));
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let work = work_of(wid, t);
    if work.none { return; }
    let roi = rois[work.n];
    let level = level_at(work, roi);
    let bin = vec2<f32>(work.bin);

    let offset = select(0.0, 0.5, p.aligned != 0u);
    let start = roi.xy * p.scales[level.index] - offset;
    var side = roi.zw * p.scales[level.index] - offset - start;
    if p.aligned == 0u { side = max(side, vec2(1.0)); }
    let bin_side = side / f32(p.pooled);
    var steps = vec2(p.sampling);
    if p.sampling == 0u { steps = vec2<u32>(max(ceil(bin_side), vec2(0.0))); }

    var sum = vec4(0.0);
#ifdef MAX
    sum = vec4(-3.40282347e38);
#endif
    // The choice of the input stands outside the loops: a CPU driver runs through every branch, and through a loop
    // that nobody takes only once.
#repeat m INPUTS
#ifdef SEVERAL
    if p.holders[level.index] == ${m}u
#endif
    {
        for (var iy = 0u; iy < steps.y; iy++) {
            for (var ix = 0u; ix < steps.x; ix++) {
                let inner = (vec2(f32(ix), f32(iy)) + 0.5) * bin_side / vec2<f32>(steps);
                let s = taps(level, start + bin * bin_side + inner);
                let v = s.weight.x * at_${m}(s.at.x) + s.weight.y * at_${m}(s.at.y)
                    + s.weight.z * at_${m}(s.at.z) + s.weight.w * at_${m}(s.at.w);
#ifdef MAX
                sum = max(sum, v);
#else
                sum += v;
#endif
            }
        }
    }
#end
    let count = steps.x * steps.y;
#ifdef MAX
    y[work.y] = stored(select(sum, vec4(0.0), count == 0u));
#else
    y[work.y] = stored(sum / f32(max(count, 1u)));
#endif
}
