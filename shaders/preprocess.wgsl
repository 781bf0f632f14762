// Image bytes to the network's input: normalise, resize bilinearly (half-pixel centres, no antialias), pad with zeros
// right and below. A thread an output pixel. Normalising is a table of 3 x 256 floats made by the host, so that every
// device starts from the same numbers; so are the neighbours, which also let the host send only what is read.
// AREA: bytes are resized as Pillow does, in whole numbers: all pixels that the output pixel covers, along rows and then
// along columns, each rounded to bytes; then they are normalised.
// FIXED: bytes are resized as OpenCV does, in whole numbers: the two nearest of each axis, along rows and then along columns;
// then they are normalised.
// CUT: bytes are resized as scikit-image does, by two neighbours along each axis and black around the image, and cut off to
// bytes, in whole numbers; then comes black on all sides, and then they are normalised.

#import shared/element
#import shared/frame
#import shared/image_bytes

struct Params { pixels: u32, h: u32, w: u32, grid_x: u32, words: u32 }

@slot var<uniform> p: Params;
@slot var<storage, read> bytes: array<u32>; // RGB, 3 bytes a pixel, rows without padding
@slot var<storage, read> frames: array<Frame>; // [B]
#ifdef AREA
@slot var<storage, read> neighbours: array<u32>; // [B, H + W, words]: first pixel | count << 20, then a weight for each
#else
// FIXED: the weights of both neighbours, in halves; so with CUT, of 1 / (2 out).
@slot var<storage, read> neighbours: array<vec2<u32>>; // [B, H + W]: lower | upper << 16 neighbour, and the upper one's weight
#endif
@slot var<storage, read> table: array<f32>; // [3, 256]
@slot var<storage, read_write> y: array<Y>; // [B, H, W, 4]: R, G, B, 0

#ifdef AREA
const BITS: u32 = 22u;

fn rounded(sum: vec3<u32>) -> vec3<u32> {
    return min((sum + vec3(1u << (BITS - 1u))) >> vec3(BITS), vec3(255u));
}
#endif

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let i = (wid.y * p.grid_x + wid.x) * 64u + t;
    if i >= p.pixels { return; }
    let b = i / (p.h * p.w);
    let f = frames[b];
#ifdef CUT
    // Before the image, these are beyond any size.
    let oy = i / p.w % p.h - f.top;
    let ox = i % p.w - f.left;
    if oy >= f.out_h || ox >= f.out_w {
        y[i] = stored(vec4(of_table(vec3(0u)), 0.0));
        return;
    }
    let near_y = neighbours[b * (p.h + p.w) + oy];
    let near_x = neighbours[b * (p.h + p.w) + p.h + ox];
    let y0 = (near_y.x & 0xffffu) * f.sent_w;
    let y1 = (near_y.x >> 16u) * f.sent_w;
    let x0 = near_x.x & 0xffffu;
    let x1 = near_x.x >> 16u;
    let wy = vec2(near_y.y & 0xffffu, near_y.y >> 16u);
    let wx = vec2(near_x.y & 0xffffu, near_x.y >> 16u);
    let above = wx.x * texel(f.first_word, y0 + x0) + wx.y * texel(f.first_word, y0 + x1);
    let below = wx.x * texel(f.first_word, y1 + x0) + wx.y * texel(f.first_word, y1 + x1);
    // The nearest whole number by f32, and then what is left over, which is small, and so right although its terms pass 32
    // bits: where it is negative, the number cut off is one less.
    let whole = 4u * f.out_h * f.out_w;
    let sum = vec3<f32>(above) * f32(wy.x) + vec3<f32>(below) * f32(wy.y);
    let near = vec3<u32>(sum / f32(whole) + 0.5);
    let rest = bitcast<vec3<i32>>(above * wy.x + below * wy.y - near * whole);
    let bits = select(near, near - 1u, rest < vec3(0));
    y[i] = stored(vec4(of_table(clamp(bits, vec3(f.least), vec3(255u))), 0.0));
#else
    let oy = i / p.w % p.h;
    let ox = i % p.w;
    if oy >= f.out_h || ox >= f.out_w {
        y[i] = stored(vec4(0.0));
        return;
    }
#ifdef AREA
    let rows = (b * (p.h + p.w) + oy) * p.words;
    let columns = (b * (p.h + p.w) + p.h + ox) * p.words;
    let y0 = neighbours[rows] & 0xfffffu;
    let x0 = neighbours[columns] & 0xfffffu;
    let high = neighbours[rows] >> 20u;
    let wide = neighbours[columns] >> 20u;
    var sum = vec3(0u);
    for (var row = 0u; row < high; row++) {
        let first = (y0 + row) * f.sent_w + x0;
        var across = vec3(0u);
        for (var column = 0u; column < wide; column++) {
            across += neighbours[columns + 1u + column] * texel(f.first_word, first + column);
        }
        sum += neighbours[rows + 1u + row] * rounded(across);
    }
    y[i] = stored(vec4(of_table(rounded(sum)), 0.0));
#else
    let near_y = neighbours[b * (p.h + p.w) + oy];
    let near_x = neighbours[b * (p.h + p.w) + p.h + ox];
    let y0 = (near_y.x & 0xffffu) * f.sent_w;
    let y1 = (near_y.x >> 16u) * f.sent_w;
    let x0 = near_x.x & 0xffffu;
    let x1 = near_x.x >> 16u;
#ifdef FIXED
    // Weights have 11 bits, what is between has 15 after the shift, and the last two are rounded.
    let wx = vec2(near_x.y & 0xffffu, near_x.y >> 16u);
    let wy = vec2(near_y.y & 0xffffu, near_y.y >> 16u);
    let above = (wx.x * texel(f.first_word, y0 + x0) + wx.y * texel(f.first_word, y0 + x1)) >> vec3(4u);
    let below = (wx.x * texel(f.first_word, y1 + x0) + wx.y * texel(f.first_word, y1 + x1)) >> vec3(4u);
    let quarters = ((wy.x * above) >> vec3(16u)) + ((wy.y * below) >> vec3(16u));
    y[i] = stored(vec4(of_table(min((quarters + vec3(2u)) >> vec3(2u), vec3(255u))), 0.0));
#else
    let ly = bitcast<f32>(near_y.y);
    let lx = bitcast<f32>(near_x.y);
    let top = (1.0 - lx) * value(f.first_word, y0 + x0) + lx * value(f.first_word, y0 + x1);
    let bottom = (1.0 - lx) * value(f.first_word, y1 + x0) + lx * value(f.first_word, y1 + x1);
    y[i] = stored(vec4((1.0 - ly) * top + ly * bottom, 0.0));
#endif
#endif
#endif
}
