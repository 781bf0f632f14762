// The steps of a product by cooperative matrices. As in shared/block_step, each multiplies what the last one left in
// workgroup memory, then leaves there what it loaded; the first multiplies nothing. It expects begin and end (of the
// rows, by four), c4, wi (where the block's weights begin), pq, cq, spot_e, map_e, ih_e and iw_e (the pixels and channels that
// this thread loads), p0 and k0 (where the share begins in the block), and adds to c_i_j.
// The tap and the channels that are next.
#expects begin end c4 wi pq cq p0 k0
var r = 0u;
var s = 0u;
var c = begin + cq;
for (var l = begin; l < end + BC4; l += BC4) {
    while c >= c4 {
        c -= c4;
        s += 1u;
        if s == p.s {
            s = 0u;
            r += 1u;
        }
    }
#repeat e XL
    let y_${e} = ih_${e} + i32(r * p.dilation_h);
    let x_${e} = iw_${e} + i32(s * p.dilation_w);
    let in_${e} = l + cq < end && y_${e} >= 0 && y_${e} < i32(spot_${e}.h) && x_${e} >= 0 && x_${e} < i32(spot_${e}.w);
    let xi_${e} = (map_${e} + u32(y_${e}) * spot_${e}.w + u32(x_${e})) * c4 + c;
    let v_${e} = select(vec4(0.0), x_at(select(0u, xi_${e}, in_${e})), in_${e});
#end
#repeat e WL
    let f_${e} = l * BK + t + ${e}u * WG;
    let w_${e} = select(Held(), weight[wi + select(0u, f_${e}, f_${e} < end * BK)], f_${e} < end * BK);
#end
    c += BC4;
    for (var q = select(0u, BC, l == begin); q < BC; q += SIZE) {
#repeat i MP
        let a_${i} = coopLoadT<MatrixA>(&xs[(p0 + ${i}u * SIZE) * X_ROW + q], X_ROW);
#end
#repeat j MK
        let b_${j} = coopLoadT<MatrixB>(&ws[q * W_ROW + k0 + ${j}u * SIZE], W_ROW);
#repeat i MP
        c_${i}_${j} = coopMultiplyAdd(a_${i}, b_${j}, c_${i}_${j});
#end
#end
    }
    workgroupBarrier();
#repeat e XL
    let u_${e} = rounded(v_${e});
#repeat i 4
    xs[(pq + ${e}u * (WG / BC4)) * X_ROW + cq * 4u + ${i}u] = u_${e}[${i}];
#end
#end
#repeat e WL
    let o_${e} = (t + ${e}u * WG) / (BK / 4u) * W_ROW + (t + ${e}u * WG) % (BK / 4u) * 4u;
#repeat i 4
    ws[o_${e} + ${i}u] = w_${e}[${i}];
#end
#end
    workgroupBarrier();
}
