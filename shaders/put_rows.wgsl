// Some rows of each image, put where they belong among all of them. A thread an element.

struct Params { total: u32, part: u32, whole: u32, first: u32, grid_x: u32 }

@slot var<uniform> p: Params;
@slot var<storage, read> x: array<f32>; // [B, part]
@slot var<storage, read_write> y: array<f32>; // [B, whole], from element `first` on

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let i = (wid.y * p.grid_x + wid.x) * 64u + t;
    if i >= p.total { return; }
    y[i / p.part * p.whole + p.first + i % p.part] = x[i];
}
