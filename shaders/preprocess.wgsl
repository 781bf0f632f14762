// Image bytes to the network's input: normalise, resize bilinearly (half-pixel centres, no antialias), pad with zeros
// right and below. A thread an output pixel. Normalising is a table of 3 x 256 floats made by the host, so that every
// device starts from the same numbers.

#import shared/frame

struct Params { pixels: u32, h: u32, w: u32, grid_x: u32 }

@slot var<uniform> p: Params;
@slot var<storage, read> bytes: array<u32>; // RGB, 3 bytes a pixel, rows without padding
@slot var<storage, read> frames: array<Frame>; // [B]
@slot var<storage, read> table: array<f32>; // [3, 256]
@slot var<storage, read_write> y: array<vec4<f32>>; // [B, H, W, 4]: R, G, B, 0

fn texel(first_word: u32, pixel: u32) -> vec3<f32> {
    // Three bytes from byte 3 * pixel on; they may straddle two words.
    let at = pixel * 3u;
    let word = first_word + (at >> 2u);
    let shift = (at & 3u) * 8u;
    var bits = bytes[word] >> shift;
    if shift > 8u {
        bits |= bytes[word + 1u] << (32u - shift);
    }
    return vec3(table[bits & 255u], table[256u + ((bits >> 8u) & 255u)], table[512u + ((bits >> 16u) & 255u)]);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let i = (wid.y * p.grid_x + wid.x) * 64u + t;
    if i >= p.pixels { return; }
    let f = frames[i / (p.h * p.w)];
    let oy = i / p.w % p.h;
    let ox = i % p.w;
    if oy >= f.out_h || ox >= f.out_w {
        y[i] = vec4(0.0);
        return;
    }
    let sy = max(f.ratio_y * (f32(oy) + 0.5) - 0.5, 0.0);
    let sx = max(f.ratio_x * (f32(ox) + 0.5) - 0.5, 0.0);
    let y0 = min(u32(sy), f.in_h - 1u);
    let x0 = min(u32(sx), f.in_w - 1u);
    let y1 = min(y0 + 1u, f.in_h - 1u);
    let x1 = min(x0 + 1u, f.in_w - 1u);
    let ly = sy - f32(y0);
    let lx = sx - f32(x0);
    let top = (1.0 - lx) * texel(f.first_word, y0 * f.in_w + x0) + lx * texel(f.first_word, y0 * f.in_w + x1);
    let bottom = (1.0 - lx) * texel(f.first_word, y1 * f.in_w + x0) + lx * texel(f.first_word, y1 * f.in_w + x1);
    y[i] = vec4((1.0 - ly) * top + ly * bottom, 0.0);
}
