// The two operands of a product, read by four channels: from storage buffers, or from textures where those are faster.
#import shared/input

#ifdef W_TEXTURE
@slot var weight: texture_storage_2d<rgba32float, read>; // [K/TK, R, S, C/4, TK], zero past K
fn w_at(i: u32) -> vec4<f32> { return textureLoad(weight, texel(i)); }
#else
@slot var<storage, read> weight: array<vec4<f32>>; // [K/TK, R, S, C/4, TK], zero past K
fn w_at(i: u32) -> vec4<f32> { return weight[i]; }
#endif
