// RoIAlign of the truths' masks, which are brought to the network's size by nearest neighbour on the way. A thread a bin.

#import shared/frame
#import shared/matches

struct Params { total: u32, k: u32, truths: u32, side: u32, grid_x: u32 }

// The rectangle of a mask in the image, and its first word.
struct Place { x: u32, y: u32, w: u32, h: u32, word: u32, unused: u32 }

@slot var<uniform> p: Params;
@slot var<storage, read> places: array<Place>; // [B, G]
@slot var<storage, read> bits: array<u32>;
@slot var<storage, read> rois: array<vec4<f32>>; // [B, k]
@slot var<storage, read> matches: array<u32>; // [B, k]
@slot var<storage, read> live: array<u32>; // [B]
@slot var<storage, read> frames: array<Frame>; // [B]
@slot var<storage, read_write> y: array<f32>; // [B, k, side, side]

// The mask at a pixel of the resized image.
fn pixel(place: Place, f: Frame, row: u32, column: u32) -> f32 {
    let r = min(u32(floor(f32(row) * f.back_y)), f.in_h - 1u);
    let c = min(u32(floor(f32(column) * f.back_x)), f.in_w - 1u);
    if r < place.y || c < place.x || r - place.y >= place.h || c - place.x >= place.w { return 0.0; }
    let at = c - place.x;
    let word = bits[place.word + (r - place.y) * ((place.w + 31u) / 32u) + at / 32u];
    return f32(word >> (at % 32u) & 1u);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let i = (wid.y * p.grid_x + wid.x) * 64u + t;
    if i >= p.total { return; }
    let n = i / (p.side * p.side);
    let b = n / p.k;
    if n % p.k >= live[b] { return; }
    let to = matches[n];
    if to < FIRST_TRUTH {
        y[i] = 0.0;
        return;
    }
    let place = places[b * p.truths + min(to - FIRST_TRUTH, p.truths - 1u)];
    let f = frames[b];
    let roi = rois[n];
    let q = i % (p.side * p.side);
    let bin_side = max(roi.zw - roi.xy, vec2(1.0)) / f32(p.side);
    let first = roi.xy + vec2(f32(q % p.side), f32(q / p.side)) * bin_side;
    let steps = vec2<u32>(ceil(bin_side));
    var sum = 0.0;
    for (var iy = 0u; iy < steps.y; iy++) {
        for (var ix = 0u; ix < steps.x; ix++) {
            let at = first + (vec2(f32(ix), f32(iy)) + 0.5) * bin_side / vec2<f32>(steps);
            let inside = at.y >= -1.0 && at.y <= f32(f.out_h) && at.x >= -1.0 && at.x <= f32(f.out_w);
            if inside {
                let corner = max(at, vec2(0.0));
                let y0 = min(u32(corner.y), f.out_h - 1u);
                let x0 = min(u32(corner.x), f.out_w - 1u);
                let y1 = min(y0 + 1u, f.out_h - 1u);
                let x1 = min(x0 + 1u, f.out_w - 1u);
                // Past the last row both taps are that row, whatever the weights.
                let ly = select(corner.y - f32(y0), 0.0, y0 == y1);
                let lx = select(corner.x - f32(x0), 0.0, x0 == x1);
                let upper = (1.0 - lx) * pixel(place, f, y0, x0) + lx * pixel(place, f, y0, x1);
                let lower = (1.0 - lx) * pixel(place, f, y1, x0) + lx * pixel(place, f, y1, x1);
                sum += (1.0 - ly) * upper + ly * lower;
            }
        }
    }
    y[i] = sum / f32(steps.x * steps.y);
}
