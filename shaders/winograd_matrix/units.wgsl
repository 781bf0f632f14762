// On matrix units. Each of 16/PS subgroups has PS points of the tiles and of the rows of weights, MP by MK matrices each. Points of the
// tiles pass through workgroup memory; weights, which no other subgroup needs, come from where they lie: [K/BK, C/16, 16, BK, 16].
enable wgpu_cooperative_matrix;

alias MatrixA = coop_mat${SIZE}x${SIZE}<f16, A>;
alias MatrixB = coop_mat${SIZE}x${SIZE}<f16, B>;
alias MatrixC = coop_mat${SIZE}x${SIZE}<f32, C>;

const SHARES = 16u / PS;
const TILES = MP * SIZE;
const BK = MK * SIZE;
const BC4 = 4u; // fours of channels of a step
// Rows are longer by 16 bytes than what they hold, as in shared/matrix.
const ROW = BC4 + 2u;
const SQUARE = SIZE * SIZE / 4u;
// What a step loads: half of the points of a tile, four channels.
const ITEMS = 2u * BC4 * TILES;

var<workgroup> xs: array<vec4<f16>, 16u * TILES * ROW>; // [16, TILES, 16 channels]
var<workgroup> ms: array<vec4<f32>, 16u * SQUARE>;      // [16, SIZE tiles, SIZE rows]

fn point(out: u32, row: u32, column: u32, value: vec4<f32>) {
    xs[out + (row * 4u + column) * (TILES * ROW)] = rounded(value);
}

// A row of a tile's outputs of four rows of weights: (A^T m) A. What lies at `at` is the first of its points.
fn sum_of(at: u32, i: u32, s: u32) -> vec4<f32> {
    let middle = ms[at + (4u + s) * SQUARE];
    let next = ms[at + (8u + s) * SQUARE];
    let end = ms[at + (select(0u, 12u, i == 1u) + s) * SQUARE];
    return select(end + middle + next, middle - next - end, i == 1u);
}

@compute @workgroup_size(WG)
fn main(
    @builtin(workgroup_id) wid: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(num_subgroups) subgroups: u32,
) {
    let first = (wid.y * p.grid_x + wid.x) * TILES;
    // The whole workgroup leaves, or none of it: barriers follow.
    if first >= p.tiles { return; }
    let dead = are_dead(first / p.per_image, min(first + TILES - 1u, p.tiles - 1u) / p.per_image);

    let c4 = p.c / 4u;
    let steps = p.c / 16u;
#repeat e XL
    let item_${e} = (t + ${e}u * WG) % ITEMS;
    let half_${e} = item_${e} / BC4 % 2u;
    let mine_${e} = item_${e} / (2u * BC4);
    let from_${e} = inputs_of(place_of(min(first + mine_${e}, p.tiles - 1u)), half_${e});
    let out_${e} = mine_${e} * ROW + item_${e} % BC4;
#end
    if t == 0u { ms[0] = vec4(f32(subgroups)); }
    let at_once = u32(workgroupUniformLoad(&ms[0]).x);
    // A device may make fewer and larger subgroups than was foreseen. Outputs need the sums of all points, which all subgroups together
    // then have of one matrix only: each of MP * MK rounds makes all products, and keeps one.
    let whole = at_once >= SHARES;
    let rounds = select(MP * MK, 1u, whole);
    // No branch stands around what a subgroup does as one: see shared/matrix.
    for (var round = select(0u, rounds, dead); round < rounds; round++) {
        for (var lowest = 0u; lowest < SHARES; lowest += at_once) {
            let past = min(lowest + at_once, SHARES);
            let share = min(lowest + subgroup, SHARES - 1u);
#repeat a PS
#repeat i MP
#repeat j MK
            var c_${a}_${i}_${j} = MatrixC();
#end
#end
#end
#repeat e XL
            var c_${e} = item_${e} % BC4;
#repeat r 4
#repeat s 3
            var v_${e}_${r}_${s} = select(Loaded(), x_loaded(from_${e}.at[${r}] + from_${e}.across[${s}] + c_${e}), (from_${e}.within >> (${r}u * 3u + ${s}u) & 1u) != 0u);
#end
#end
#end
            var wi = wid.z * steps * (16u * BK * BC4) + share * (PS * BK * BC4);
            for (var step = 0u; step < steps; step++) {
                workgroupBarrier();
#repeat e XL
                if t + ${e}u * WG < ITEMS {
                    let half = half_${e};
                    let out = out_${e};
#repeat r 4
#repeat s 3
                    let d_${r}_${s} = vec4<f32>(v_${e}_${r}_${s});
#end
#end
#paste winograd_matrix/points
                }
#end
                workgroupBarrier();
                // The next step is under way while this one is multiplied; after the last, any.
#repeat e XL
                c_${e} = min(c_${e} + BC4, c4 - BC4 + item_${e} % BC4);
#repeat r 4
#repeat s 3
                v_${e}_${r}_${s} = select(Loaded(), x_loaded(from_${e}.at[${r}] + from_${e}.across[${s}] + c_${e}), (from_${e}.within >> (${r}u * 3u + ${s}u) & 1u) != 0u);
#end
#end
#end
#repeat a PS
                for (var q = 0u; q < BC4; q += SIZE / 4u) {
#repeat i MP
                    let a_${i} = coopLoadT<MatrixA>(&xs[((share * PS + ${a}u) * TILES + ${i}u * SIZE) * ROW + q], ROW);
#end
#repeat j MK
                    let b_${j} = coopLoad<MatrixB>(&weight[wi + (${a}u * BK + ${j}u * SIZE) * BC4 + q], BC4);
#repeat i MP
                    c_${a}_${i}_${j} = coopMultiplyAdd(a_${i}, b_${j}, c_${a}_${i}_${j});
#end
#end
                }
#end
                wi += 16u * BK * BC4;
            }
#repeat i MP
#repeat j MK
            for (var turn = select(1u, 0u, whole || round == ${i}u * MK + ${j}u); turn < 1u; turn++) {
#repeat a PS
                for (var kept = lowest + subgroup; kept < past; kept += SHARES) {
                    coopStoreT(c_${a}_${i}_${j}, &ms[(kept * PS + ${a}u) * SQUARE], SIZE / 4u);
                }
#end
                workgroupBarrier();
                // Rows of outputs of SIZE tiles and SIZE rows of weights.
                for (var f = select(2u * SQUARE, t, past == SHARES); f < 2u * SQUARE; f += WG) {
                    let at = f % SQUARE;
                    let tile = first + ${i}u * SIZE + at / (SIZE / 4u);
                    let k = wid.z * (BK / 4u) + ${j}u * (SIZE / 4u) + at % (SIZE / 4u);
                    let place = place_of(min(tile, p.tiles - 1u));
                    if tile < p.tiles && k < p.k / 4u && is_live(place.n) {
                        let i = f / SQUARE;
                        let t_0 = sum_of(at, i, 0u);
                        let t_1 = sum_of(at, i, 1u);
                        let t_2 = sum_of(at, i, 2u);
                        let t_3 = sum_of(at, i, 3u);
                        put(place, i, 0u, k, t_0 + t_1 + t_2);
                        put(place, i, 1u, k, t_1 - t_2 - t_3);
                    }
                }
                workgroupBarrier();
            }
#end
#end
        }
    }
}
