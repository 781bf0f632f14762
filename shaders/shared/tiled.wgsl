// The core of convolution, linear and transposed convolution. The kernel that imports it has `p`, the operands and
// shared/live, and declares `place(n, q, k0)` and `store(at, n, q, k, sum)`: the first says where in y row k0 of pixel q
// of image n lies, the others of its tile following it; the second gets that place and the sum of row k, or those of
// four rows with QUADS, place and row counted by four then.
#expects p place store is_live x_at w_at

#import shared/spot

// Whether row k of the weights is one, and not what fills up the last block of rows. Where constants can tell, compilers
// have no branch around each store to go through.
fn is_row(k: u32) -> bool {
#ifdef FULL
    return true;
#else
#ifdef ROWS
    return k < ROWS;
#else
    return k < p.k;
#endif
#endif
}

@compute @workgroup_size(WG)
fn main(
    @builtin(workgroup_id) wid: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
#ifdef SUBGROUPS
    @builtin(subgroup_invocation_id) lane: u32,
#endif
) {
    let first = (wid.y * p.grid_x + wid.x) * (WG * TP);
    if first >= p.pixels { return; }
#ifdef POINTWISE
    // Every pixel is an image of its own.
    let n_first = first;
    let n_last = min(first + WG * TP - 1u, p.pixels - 1u);
#else
    let image = p.oh * p.ow;
    let n_first = first / image;
    let n_last = min(first + WG * TP - 1u, p.pixels - 1u) / image;
#endif
    if are_dead(n_first, n_last) { return; }

    let c4 = p.c / 4u;
#repeat i TP
    let px_${i} = min(first + ${i}u * WG + t, p.pixels - 1u);
#ifdef POINTWISE
    let n_${i} = px_${i};
    let q_${i} = 0u;
    let in_${i} = true;
    let xi_${i} = px_${i} * c4;
#else
    let n_${i} = quotient(px_${i}, image);
    let q_${i} = px_${i} - n_${i} * image;
    let spot_${i} = spot(q_${i});
    let ih_${i} = i32(spot_${i}.row * p.stride_h) - i32(p.pad_h);
    let iw_${i} = i32(spot_${i}.column * p.stride_w) - i32(p.pad_w);
    let map_${i} = n_${i} * p.h * p.w + spot_${i}.first;
#endif
#repeat j TJ
#repeat h TL/4
#repeat e 4
    var acc_${i}_${j}_${h}_${e} = 0.0;
#end
#end
#end
#end

    var wi = wid.z * p.r * p.s * c4 * (TJ * TL);
#ifdef POINTWISE
    for (var c = 0u; c < c4; c += STEP) {
#paste shared/gemm
        wi += TJ * TL * STEP;
    }
#else
    for (var r = 0u; r < p.r; r++) {
#ifdef TAPS
        // Four channels in all: a row's taps are one turn of the loop.
        let c = 0u;
#repeat i TP
        let y_${i} = ih_${i} + i32(r * p.dilation_h);
        let from_${i} = map_${i} + u32(y_${i}) * spot_${i}.w;
#end
#repeat s TAPS
        {
#repeat i TP
            let x_${i} = iw_${i} + i32(${s}u * p.dilation_w);
            let in_${i} = (y_${i} >= 0) & (y_${i} < i32(spot_${i}.h)) & (x_${i} >= 0) & (x_${i} < i32(spot_${i}.w));
            let xi_${i} = select(0u, from_${i} + u32(x_${i}), in_${i});
#end
#paste shared/gemm
            wi += TJ * TL;
        }
#end
#else
        for (var s = 0u; s < p.s; s++) {
#repeat i TP
            let y_${i} = ih_${i} + i32(r * p.dilation_h);
            let x_${i} = iw_${i} + i32(s * p.dilation_w);
            let in_${i} = (y_${i} >= 0) & (y_${i} < i32(spot_${i}.h)) & (x_${i} >= 0) & (x_${i} < i32(spot_${i}.w));
            let xi_${i} = select(0u, (map_${i} + u32(y_${i}) * spot_${i}.w + u32(x_${i})) * c4, in_${i});
#end
            for (var c = 0u; c < c4; c += STEP) {
#paste shared/gemm
                wi += TJ * TL * STEP;
            }
        }
#endif
    }
#endif

#ifdef ROWS
    let k0 = 0u; // all rows are one block
#else
    let k0 = wid.z * (TJ * TL);
#endif
#repeat i TP
    if first + ${i}u * WG + t < p.pixels && is_live(n_${i}) {
        let at = place(n_${i}, q_${i}, k0);
#repeat j TJ
#repeat h TL/4
        let k_${j}_${h} = ${j}u * TL + ${h}u * 4u;
#ifdef QUADS
        if is_row(k0 + k_${j}_${h}) {
            let sum = vec4(acc_${i}_${j}_${h}_0, acc_${i}_${j}_${h}_1, acc_${i}_${j}_${h}_2, acc_${i}_${j}_${h}_3);
            store((at + k_${j}_${h}) / 4u, n_${i}, q_${i}, (k0 + k_${j}_${h}) / 4u, sum);
        }
#else
#repeat e 4
        if is_row(k0 + k_${j}_${h} + ${e}u) {
            store(at + k_${j}_${h} + ${e}u, n_${i}, q_${i}, k0 + k_${j}_${h} + ${e}u, acc_${i}_${j}_${h}_${e});
        }
#end
#endif
#end
#end
    }
#end
}
