// RoIs, and the levels of a pyramid that they are pooled from; at_0(i), at_1(i) … are four channels of the inputs that hold
// levels, LEVELS of them in INPUTS tensors.
#expects p

#import shared/element
@slot var<storage, read> rois: array<vec4<f32>>; // [B, n]
@slot var<storage, read> live: array<u32>; // [B]
#import shared/texels
#repeat m INPUTS
#ifdef TEXELS
@slot var maps_${m}: texture_storage_2d<rgba32float, read>; // [B, H, W, C/4], or [B, cells, C/4] of several levels
fn at_${m}(i: u32) -> vec4<f32> { return textureLoad(maps_${m}, texel(i)); }
#else
#ifdef MAPS_${m}_F16
enable f16;
@slot var<storage, read> maps_${m}: array<vec4<f16>>; // [B, H, W, C/4], or [B, cells, C/4] of several levels
#else
@slot var<storage, read> maps_${m}: array<vec4<f32>>; // [B, H, W, C/4], or [B, cells, C/4] of several levels
#endif
fn at_${m}(i: u32) -> vec4<f32> { return vec4<f32>(maps_${m}[i]); }
#endif
#end
@slot var<storage, read_write> y: array<Y>; // [B * n, P, P, C/4]

// The level that a RoI's area calls for.
fn level_of(roi: vec4<f32>) -> u32 {
    // The last is what a side counts as more.
    let roi_area = (roi.z - roi.x + p.areas.w) * (roi.w - roi.y + p.areas.w);
    let over = vec3<u32>(vec3(roi_area) >= p.areas.xyz);
    return min(over.x + over.y + over.z, LEVELS - 1u);
}

// What a thread computes: four channels of one bin of a RoI. A grid has a row of workgroups a RoI, so that the RoI's number needs no
// division.
struct Work {
    none: bool,  // nothing: the RoI is dead (a CPU driver runs on with every lane masked), or the thread past its last bin
    b: u32,      // image
    n: u32,      // RoI among all
    c: u32,      // channels
    bin: vec2<u32>, // column and row
    y: u32,      // place in the output
}

fn work_of(wid: vec3<u32>, t: u32) -> Work {
    let each = p.c * p.pooled * p.pooled;
    let j = wid.x * 256u + t;
    let q = j / p.c;
    let n = wid.z * p.capacity + wid.y;
    return Work(wid.y >= live[wid.z] || j >= each, wid.z, n, j - q * p.c, vec2(q % p.pooled, q / p.pooled), n * each + j);
}

// The level that a RoI lies on.
struct Level { index: u32, h: u32, w: u32, first: u32 }

fn level_at(work: Work, roi: vec4<f32>) -> Level {
    let l = level_of(roi);
    return Level(l, p.heights[l], p.widths[l], (work.b * p.cells[l] + p.firsts[l]) * p.c + work.c);
}
