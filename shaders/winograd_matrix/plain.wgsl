// A tile and four rows of weights a thread, in f32, one half of the points after the other: it runs anywhere. Weights are [K/4, C, 16, 4].
var<private> points: array<vec4<f32>, 8>; // of a half: four rows of two columns

fn point(out: u32, row: u32, column: u32, value: vec4<f32>) { points[out + row * 2u + (column & 1u)] = value; }

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let tile = (wid.y * p.grid_x + wid.x) * 64u + t;
    if tile >= p.tiles { return; }
    let place = place_of(tile);
    if !is_live(place.n) { return; }
    let out = 0u;
    var sums: array<vec4<f32>, 4>; // of the tile's outputs
#repeat of 2
    {
        let half = ${of}u;
        let given = inputs_of(place, half);
        var products: array<vec4<f32>, 8>;
        for (var c = 0u; c < p.c / 4u; c++) {
#repeat r 4
#repeat s 3
            let d_${r}_${s} = select(vec4(0.0), x_at(given.at[${r}] + given.across[${s}] + c), (given.within >> (${r}u * 3u + ${s}u) & 1u) != 0u);
#end
#end
#paste winograd_matrix/points
            for (var e = 0u; e < 4u; e++) {
                let w = (wid.z * p.c + c * 4u + e) * 16u + half * 2u;
                for (var i = 0u; i < 8u; i++) {
                    products[i] += points[i][e] * w_at(w + i / 2u * 4u + i % 2u);
                }
            }
        }
        // A^T m, then (A^T m) A, of this half's columns: 0 and 1, or 2 and 3.
#repeat j 2
        let upper_${j} = products[${j}] + products[2 + ${j}] + products[4 + ${j}];
        let lower_${j} = products[2 + ${j}] - products[4 + ${j}] - products[6 + ${j}];
#end
        sums[0] += upper_0 + select(upper_1, vec4(0.0), half != 0u);
        sums[1] += select(upper_1, -upper_0 - upper_1, half != 0u);
        sums[2] += lower_0 + select(lower_1, vec4(0.0), half != 0u);
        sums[3] += select(lower_1, -lower_0 - lower_1, half != 0u);
    }
#end
    for (var i = 0u; i < 4u; i++) {
        put(place, i / 2u, i % 2u, wid.z, sums[i]);
    }
}
