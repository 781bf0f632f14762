// The two operands of a product, read by four channels: from storage buffers, or from textures where those are faster.
#import shared/input

// What a factor is held as, `wide` when it is multiplied: as it is or, with HALVES, rounded to f16.
#ifdef HALVES
enable f16;
alias Held = vec4<f16>;
// By conversion, which rounds to the nearest: packing halves into a word rounds towards zero on some GPUs. What f16
// cannot hold becomes the largest that it can, since infinities would make NaN of a sum.
fn rounded(v: vec4<f32>) -> Held { return Held(clamp(v, vec4(-65504.0), vec4(65504.0))); }
// The same without leaving f32, by the bits that f16 lacks (all 13 of them even below its least normal number): Mesa 26
// takes a conversion there and back for nothing where no memory lies between.
fn narrowed(v: vec4<f32>) -> vec4<f32> {
    let bits = bitcast<vec4<u32>>(clamp(v, vec4(-65504.0), vec4(65504.0)));
    let even = (bits >> vec4(13u)) & vec4(1u);
    return bitcast<vec4<f32>>((bits + 0xfffu + even) & vec4(0xffffe000u));
}
#ifdef X_F16
// What is f16 in memory needs neither.
alias Loaded = Held;
fn x_loaded(i: u32) -> Loaded { return x[i]; }
fn x_held(v: Loaded) -> Held { return v; }
fn x_narrowed(i: u32) -> vec4<f32> { return x_at(i); }
#else
alias Loaded = vec4<f32>;
fn x_loaded(i: u32) -> Loaded { return x_at(i); }
fn x_held(v: Loaded) -> Held { return rounded(v); }
fn x_narrowed(i: u32) -> vec4<f32> { return narrowed(x_at(i)); }
#endif
#else
alias Held = vec4<f32>;
fn rounded(v: vec4<f32>) -> Held { return v; }
#ifdef MATRIX
alias Loaded = vec4<f32>;
fn x_loaded(i: u32) -> Loaded { return x_at(i); }
fn x_held(v: Loaded) -> Held { return v; }
#endif
#endif
fn wide(v: Held) -> vec4<f32> { return vec4<f32>(v); }

#ifdef HALVES
@slot var<storage, read> weight: array<vec4<f16>>; // as below
fn w_at(i: u32) -> vec4<f32> { return wide(weight[i]); }
#else
#ifdef W_TEXTURE
@slot var weight: texture_storage_2d<rgba32float, read>; // [K/TK, R, S, C/4, TK], zero past K
fn w_at(i: u32) -> vec4<f32> { return textureLoad(weight, texel(i)); }
#else
@slot var<storage, read> weight: array<vec4<f32>>; // [K/TK, R, S, C/4, TK], zero past K
fn w_at(i: u32) -> vec4<f32> { return weight[i]; }
#endif
#endif
