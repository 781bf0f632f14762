// The 6x6 inputs d of a tile become the 36 points B^T d B (src/kernels/winograd.rs has the matrices), which `put` takes with the
// number of each. It expects where the tile lies (see shared/winograd_place), c (the channels) and out (for `put`).
#expects row column n map_first h w c out x_at put V p
    let y0 = i32(row * 4u) - i32(p.pad_h);
    let x0 = i32(column * 4u) - i32(p.pad_w);

    // Where columns begin in a row, and whether they are in it.
#repeat s 6
    let x_${s} = x0 + ${s};
    let within_${s} = (x_${s} >= 0) & (x_${s} < i32(w));
    let across_${s} = u32(clamp(x_${s}, 0, i32(w) - 1)) * p.c;
#end
    // d, then d B: each row's six inputs to six points.
#repeat r 6
    let y_${r} = y0 + ${r};
    let in_${r} = (y_${r} >= 0) & (y_${r} < i32(h));
    let at_${r} = (n * p.cells + map_first + u32(clamp(y_${r}, 0, i32(h) - 1)) * w) * p.c + c;
#repeat s 6
    let d_${r}_${s} = select(V(0.0), x_at(at_${r} + across_${s}), in_${r} & within_${s});
#end
    let a_${r} = d_${r}_4 - 2.25 * d_${r}_2;
    let b_${r} = 0.75 * d_${r}_3 - 1.6875 * d_${r}_1;
    let e_${r} = d_${r}_4 - 0.5625 * d_${r}_2;
    let f_${r} = 1.5 * d_${r}_3 - 0.84375 * d_${r}_1;
    let t_${r}_0 = 1.265625 * d_${r}_0 - 2.8125 * d_${r}_2 + d_${r}_4;
    let t_${r}_1 = a_${r} + b_${r};
    let t_${r}_2 = a_${r} - b_${r};
    let t_${r}_3 = e_${r} + f_${r};
    let t_${r}_4 = e_${r} - f_${r};
    let t_${r}_5 = 1.265625 * d_${r}_1 - 2.8125 * d_${r}_3 + d_${r}_5;
#end

    // B^T (d B): the same along the columns.
#repeat s 6
    let g_${s} = t_4_${s} - 2.25 * t_2_${s};
    let h_${s} = 0.75 * t_3_${s} - 1.6875 * t_1_${s};
    let k_${s} = t_4_${s} - 0.5625 * t_2_${s};
    let l_${s} = 1.5 * t_3_${s} - 0.84375 * t_1_${s};
    put(out, ${s}u, 1.265625 * t_0_${s} - 2.8125 * t_2_${s} + t_4_${s});
    put(out, 6u + ${s}u, g_${s} + h_${s});
    put(out, 12u + ${s}u, g_${s} - h_${s});
    put(out, 18u + ${s}u, k_${s} + l_${s});
    put(out, 24u + ${s}u, k_${s} - l_${s});
    put(out, 30u + ${s}u, 1.265625 * t_1_${s} - 2.8125 * t_3_${s} + t_5_${s});
#end
