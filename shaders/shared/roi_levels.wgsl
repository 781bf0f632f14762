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
