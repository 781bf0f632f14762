// Crops of an image, each warped to the same square: normalise, interpolate bilinearly, zeros beyond the image. A thread an
// output pixel. Neighbours and weights of the square's rows and columns are the host's, so that every device starts from
// the same numbers.

#import shared/element
#import shared/image_bytes

struct Params { pixels: u32, side: u32, grid_x: u32 }

@slot var<uniform> p: Params;
@slot var<storage, read> bytes: array<u32>; // RGB, 3 bytes a pixel, rows without padding
@slot var<storage, read> places: array<vec4<u32>>; // [B, 2 S]: lower and upper neighbour in pixels, the upper one's weight, whether inside
@slot var<storage, read> table: array<f32>; // [3, 256]
@slot var<storage, read_write> y: array<Y>; // [B, S, S, 4]: R, G, B, 0

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let i = (wid.y * p.grid_x + wid.x) * 64u + t;
    if i >= p.pixels { return; }
    let first = i / (p.side * p.side) * 2u * p.side;
    let row = places[first + i / p.side % p.side];
    let column = places[first + p.side + i % p.side];
    if row.w == 0u || column.w == 0u {
        y[i] = stored(vec4(0.0));
        return;
    }
    let ly = bitcast<f32>(row.z);
    let lx = bitcast<f32>(column.z);
    let top = (1.0 - lx) * value(0u, row.x + column.x) + lx * value(0u, row.x + column.y);
    let bottom = (1.0 - lx) * value(0u, row.y + column.x) + lx * value(0u, row.y + column.y);
    y[i] = stored(vec4((1.0 - ly) * top + ly * bottom, 0.0));
}
