// The roof of memory traffic: y = x. A thread copies EACH quads, a workgroup WG × EACH quads side by side.

struct Params { quads: u32, grid_x: u32 }

@slot var<uniform> p: Params;
@slot var<storage, read> x: array<vec4<f32>>; // [N / 4]
@slot var<storage, read_write> y: array<vec4<f32>>; // [N / 4]

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let first = (wid.y * p.grid_x + wid.x) * (WG * EACH) + t;
#repeat i EACH
    if first + ${i}u * WG < p.quads {
        y[first + ${i}u * WG] = x[first + ${i}u * WG];
    }
#end
}
