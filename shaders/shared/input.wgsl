// The input of a product or of what precedes one, read by four channels: from a storage buffer, or from a texture where
// that is faster; with TWOS by two.
#import shared/texels

#ifdef X_TEXTURE
@slot var x: texture_storage_2d<rgba32float, read>; // [N, H, W, C/4]
fn x_at(i: u32) -> vec4<f32> { return textureLoad(x, texel(i)); }
#else
#ifdef X_F16
enable f16;
@slot var<storage, read> x: array<vec4<f16>>; // [N, H, W, C/4]
fn x_at(i: u32) -> vec4<f32> { return vec4<f32>(x[i]); }
#else
#ifdef TWOS
@slot var<storage, read> x: array<vec2<f32>>; // [N, H, W, C/2]
fn x_at(i: u32) -> vec2<f32> { return x[i]; }
#else
@slot var<storage, read> x: array<vec4<f32>>; // [N, H, W, C/4]
fn x_at(i: u32) -> vec4<f32> { return x[i]; }
#endif
#endif
#endif
