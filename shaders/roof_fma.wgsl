// The roof of arithmetic: every element goes through the same chain of fused multiply-adds, in registers only. A
// thread keeps CHAINS quads, which do not depend on each other, so that the units never wait for a result. The steps
// are unrolled UNROLL times: a CPU driver pays for each turn of a loop.

struct Params { quads: u32, turns: u32, factor: f32, summand: f32, grid_x: u32 }

@slot var<uniform> p: Params;
@slot var<storage, read> x: array<vec4<f32>>; // [N / 4]
@slot var<storage, read_write> y: array<vec4<f32>>; // [N / 4]

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let first = (wid.y * p.grid_x + wid.x) * (WG * CHAINS) + t;
    let last = p.quads - 1u;
    let factor = vec4(p.factor);
    let summand = vec4(p.summand);
#repeat i CHAINS
    var v_${i} = x[min(first + ${i}u * WG, last)];
#end
    for (var turn = 0u; turn < p.turns; turn++) {
#repeat u UNROLL
#repeat i CHAINS
        v_${i} = fma(v_${i}, factor, summand);
#end
#end
    }
#repeat i CHAINS
    if first + ${i}u * WG <= last {
        y[first + ${i}u * WG] = v_${i};
    }
#end
}
