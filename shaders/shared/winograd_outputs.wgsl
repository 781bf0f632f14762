// The 36 points of a tile, as `m_at` gives them, become its 4x4 outputs A^T m A (src/kernels/winograd.rs has the matrices), with
// bias, residual and ReLU. It expects where the tile lies (see shared/winograd_place), k (the rows of weights) and i (for `m_at`).
#expects row column n map_first h w k i m_at bias y V p
    let y0 = row * 4u;
    let x0 = column * 4u;

    // A^T m: each column's six points to four.
#repeat s 6
#repeat r 6
    let m_${r}_${s} = m_at(i, ${r}u * 6u + ${s}u);
#end
    let a_${s} = m_1_${s} + m_2_${s};
    let b_${s} = m_1_${s} - m_2_${s};
    let c_${s} = m_3_${s} + m_4_${s};
    let d_${s} = m_3_${s} - m_4_${s};
    let t_0_${s} = m_0_${s} + a_${s} + c_${s};
    let t_1_${s} = 0.75 * b_${s} + 1.5 * d_${s};
    let t_2_${s} = 0.5625 * a_${s} + 2.25 * c_${s};
    let t_3_${s} = 0.421875 * b_${s} + 3.375 * d_${s} + m_5_${s};
#end

    // (A^T m) A: the same along the rows.
    // No branch where a select does: a CPU driver compiles each of 16.
    let add = bias[k];
#repeat r 4
    let e_${r} = t_${r}_1 + t_${r}_2;
    let f_${r} = t_${r}_1 - t_${r}_2;
    let g_${r} = t_${r}_3 + t_${r}_4;
    let h_${r} = t_${r}_3 - t_${r}_4;
    let o_${r}_0 = t_${r}_0 + e_${r} + g_${r};
    let o_${r}_1 = 0.75 * f_${r} + 1.5 * h_${r};
    let o_${r}_2 = 0.5625 * e_${r} + 2.25 * g_${r};
    let o_${r}_3 = 0.421875 * f_${r} + 3.375 * h_${r} + t_${r}_5;
    let at_${r} = (map_first + (y0 + ${r}u) * w + x0) * p.k + k;
#repeat s 4
    if (y0 + ${r}u < h) & (x0 + ${s}u < w) {
        var v = o_${r}_${s} + add;
#ifdef RESIDUAL
        v += residual[n * p.h * p.w * p.k + at_${r} + ${s}u * p.k];
#endif
        v = select(v, max(v, V(0.0)), p.relu != 0u);
        y[p.y_offset + n * p.y_image_stride + at_${r} + ${s}u * p.k] = v;
    }
#end
#end
