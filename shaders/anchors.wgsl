// Every anchor of an image, level after level. A thread an anchor.

struct Params { total: u32, count: u32, levels: u32, cells: u32, grid_x: u32 }

@slot var<uniform> p: Params;
@slot var<storage, read> levels: array<f32>; // [S, 4 + 4 A]: first anchor, W, stride x, stride y, then A cell anchors
@slot var<storage, read_write> anchors: array<vec4<f32>>; // [B, count]

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let i = (wid.y * p.grid_x + wid.x) * 64u + t;
    if i >= p.total { return; }
    let anchor = i % p.count;
    let width = 4u + 4u * p.cells;
    var row = 0u;
    for (var l = 1u; l < p.levels; l++) {
        row = select(row, l * width, anchor >= u32(levels[l * width]));
    }
    let index = anchor - u32(levels[row]);
    let cell = row + 4u + 4u * (index % p.cells);
    let place = index / p.cells;
    let columns = u32(levels[row + 1u]);
    let shift = vec2(f32(place % columns) * levels[row + 2u], f32(place / columns) * levels[row + 3u]);
    anchors[i] = vec4(levels[cell], levels[cell + 1u], levels[cell + 2u], levels[cell + 3u]) + vec4(shift, shift);
}
