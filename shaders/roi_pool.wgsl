// RoIPool over the levels of an FPN: the maximum of each bin's pixels. A thread four channels of one bin.

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
}

@slot var<uniform> p: Params;
#import shared/roi_levels
#import shared/divide

// Far outside of any map, and still an integer.
const FAR: f32 = 1048576.0;
// Pixels that a RoI may have along a side.
const MOST: f32 = 65536.0;

#ifdef DOWN
// The pixels of bin q on an axis where the RoI lies from low to high: the first, and the one after the last. Everything is
// rounded down.
fn bin_of(q: u32, low: f32, high: f32) -> vec2<i32> {
    let first = i32(clamp(floor(low), -FAR, FAR));
    let n = u32(clamp(floor(high - low), 1.0, MOST));
    let size = max(quotient(n, p.pooled), 1u);
    let before = select(quotient(q * n, p.pooled), q * size, n >= p.pooled);
    return first + vec2(i32(before), i32(before + size));
}
#else
// To the nearest, halves away from zero. Differences of f32 to their floor are exact, sums with a half are not.
fn nearest(v: f32) -> f32 {
    let a = min(abs(v), FAR);
    let down = floor(a);
    return sign(v) * select(down, down + 1.0, a - down >= 0.5);
}

// n / P as f32 has it, to the last bit, whatever the device's own division gives: a bin may end at a whole pixel, and one bit
// more would be a pixel more. n is less than 2^17, P at most 64.
fn share(n: u32) -> f32 {
    // n · 2^up / P has the 24 bits of a quotient.
    var up = firstLeadingBit(p.pooled << 23u) + 1u - firstLeadingBit(n);
    if (n << up) >= (p.pooled << 24u) { up -= 1u; }
    let whole = n << up;
    let bits = whole / p.pooled;
    let rest = 2u * (whole - bits * p.pooled);
    // Never halfway: what has that many bits at most is a quotient without rest.
    return f32(select(bits, bits + 1u, rest > p.pooled)) * bitcast<f32>((127u - up) << 23u);
}

// The pixels of bin q on an axis where the RoI lies from low to high: the first, and the one after the last.
fn bin_of(q: u32, low: f32, high: f32) -> vec2<i32> {
    let first = i32(nearest(low));
    let n = u32(clamp(i32(nearest(high)) - first + 1, 1, i32(MOST)));
    let size = share(n);
    return first + vec2(i32(floor(f32(q) * size)), i32(ceil(f32(q + 1u) * size)));
}
#endif

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let work = work_of(wid, t);
    if work.none { return; }
    let roi = rois[work.n];
    let level = level_at(work, roi);
    let scaled = roi * p.scales[level.index];
    let columns = clamp(bin_of(work.bin.x, scaled.x, scaled.z), vec2(0), vec2(i32(level.w)));
    let rows = clamp(bin_of(work.bin.y, scaled.y, scaled.w), vec2(0), vec2(i32(level.h)));

    var most = vec4(-3.40282347e38);
#repeat m INPUTS
#ifdef SEVERAL
    if p.holders[level.index] == ${m}u
#endif
    {
        for (var y0 = rows.x; y0 < rows.y; y0++) {
            for (var x0 = columns.x; x0 < columns.y; x0++) {
                most = max(most, at_${m}(level.first + u32(y0 * i32(level.w) + x0) * p.c));
            }
        }
    }
#end
    let empty = rows.x >= rows.y || columns.x >= columns.y;
    y[work.y] = stored(select(most, vec4(0.0), empty));
}
