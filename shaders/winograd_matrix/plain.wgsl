// A tile and four rows of weights a thread, in f32: it runs anywhere. Weights are [K/4, C, 16, 4].
var<private> points: array<vec4<f32>, 16>;

fn point(out: u32, row: u32, column: u32, value: vec4<f32>) { points[out + row * 4u + column] = value; }

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let tile = (wid.y * p.grid_x + wid.x) * 64u + t;
    if tile >= p.tiles { return; }
    let place = place_of(tile);
    if !is_live(place.n) { return; }
    let out = 0u;
    var sums: array<vec4<f32>, 16>;
    for (var c = 0u; c < p.c / 4u; c++) {
        for (var half = 0u; half < 2u; half++) {
            let given = inputs_of(place, half);
#repeat r 4
#repeat s 3
            let d_${r}_${s} = select(vec4(0.0), x_at(given.at[${r}] + given.across[${s}] + c), (given.within >> (${r}u * 3u + ${s}u) & 1u) != 0u);
#end
#end
#paste winograd_matrix/points
        }
        for (var e = 0u; e < 4u; e++) {
            for (var i = 0u; i < 16u; i++) {
                sums[i] += points[i][e] * w_at((wid.z * p.c + c * 4u + e) * 16u + i);
            }
        }
    }
    for (var i = 0u; i < 2u; i++) {
        // A^T m, then (A^T m) A.
        var t_0 = sums[0u] + sums[4u] + sums[8u];
        var t_1 = sums[1u] + sums[5u] + sums[9u];
        var t_2 = sums[2u] + sums[6u] + sums[10u];
        var t_3 = sums[3u] + sums[7u] + sums[11u];
        if i == 1u {
            t_0 = sums[4u] - sums[8u] - sums[12u];
            t_1 = sums[5u] - sums[9u] - sums[13u];
            t_2 = sums[6u] - sums[10u] - sums[14u];
            t_3 = sums[7u] - sums[11u] - sums[15u];
        }
        put(place, i, 0u, wid.z, t_0 + t_1 + t_2);
        put(place, i, 1u, wid.z, t_1 - t_2 - t_3);
    }
}
