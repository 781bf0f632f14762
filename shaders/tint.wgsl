// Instances on their picture: tinted, with a line along their rims. A thread a pixel; whole numbers all the way, so that every
// device draws the same.

struct Params {
    total: u32, width: u32, height: u32, pitch: u32, // pixels
    offset: u32, stride: u32, pixel: u32, // bytes of the picture
    red: u32, green: u32, blue: u32,
    fill: u32, rim: u32, // of 256
    line: u32, colours: u32, by_class: u32, bgra: u32, picture: u32,
    grid_x: u32,
}

@slot var<uniform> p: Params;
@slot var<storage, read> ids: array<u32>; // [height, pitch]
@slot var<storage, read> source: array<u32>; // bytes in words
@slot var<storage, read> labels: array<u32>; // [n]
@slot var<storage, read> colours: array<u32>; // [colours]
@slot var<storage, read_write> y: array<u32>; // [height, pitch]

#import shared/pixels

fn is_rim(at: u32, row: u32, column: u32, id: u32) -> bool {
    var other = false;
    for (var far = 1u; far <= p.line; far++) {
        if column >= far { other = other || ids[at - far] != id; }
        if column + far < p.width { other = other || ids[at + far] != id; }
        if row >= far { other = other || ids[at - far * p.pitch] != id; }
        if row + far < p.height { other = other || ids[at + far * p.pitch] != id; }
    }
    return other;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let i = (wid.y * p.grid_x + wid.x) * 64u + t;
    if i >= p.total { return; }
    let row = i / p.pitch;
    let column = i % p.pitch;
    if column >= p.width {
        y[i] = 0u;
        return;
    }
    var colour = vec3(0u);
    var alpha = 0u;
    if p.picture == 1u {
        let at = p.offset + row * p.stride + column * p.pixel;
        colour = vec3(byte_at(at + p.red), byte_at(at + p.green), byte_at(at + p.blue));
        alpha = 255u;
    }
    let id = ids[i];
    if id > 0u {
        let share = select(p.fill, p.rim, is_rim(i, row, column, id));
        var key = id - 1u;
        if p.by_class == 1u { key = labels[key]; }
        let word = colours[key % p.colours];
        let full = vec3(word & 255u, (word >> 8u) & 255u, (word >> 16u) & 255u);
        if p.picture == 1u {
            colour = (colour * (256u - share) + full * share + 128u) / 256u;
        } else {
            colour = full;
            alpha = (share * 255u + 128u) / 256u;
        }
    }
    let ordered = select(colour, colour.zyx, p.bgra == 1u);
    y[i] = ordered.x | (ordered.y << 8u) | (ordered.z << 16u) | (alpha << 24u);
}
