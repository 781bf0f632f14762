// One step of a blocked product. It multiplies what the last step left in workgroup memory, then leaves there what this
// one loaded, so that loads are under way while sums are made. There is one step more than there is to load.
// It expects l (the step's first four channels, from begin to end), r_0 to r_3 (four channels of four pixels, in the first
// X_THREADS threads; zero past the end), wi (where the block's weights begin), and adds to acc_g_e_h.
#expects l r_0 r_3 wi t begin end w_at
if t >= X_THREADS && t < X_THREADS + W_THREADS {
#repeat e 4
    let w_${e} = l * BK + (t - X_THREADS) + ${e}u * W_THREADS;
    r_${e} = select(vec4(0.0), w_at(wi + select(0u, w_${e}, w_${e} < end * BK)), w_${e} < end * BK);
#end
}
if l > begin {
    for (var q = 0u; q < BC4; q++) {
#repeat g TG
        let at_${g} = held(${g}u * LP + ty, q);
#end
#repeat c 4
        {
#repeat g TG
            let a_${g} = wide(xs[(q * 4u + ${c}u) * (BP / 4u) + at_${g}]);
#end
#repeat h TH
            let b_${h} = wide(ws[(q * 4u + ${c}u) * (BK / 4u) + ${h}u * LK + tx]);
#repeat g TG
#repeat e 4
            acc_${g}_${e}_${h} = fma(vec4(a_${g}[${e}]), b_${h}, acc_${g}_${e}_${h});
#end
#end
#end
        }
#end
    }
}
workgroupBarrier();
if t < X_THREADS {
    let at = cq * BP + held(pq, cq);
#repeat c 4
    xs[at + ${c}u * (BP / 4u)] = rounded(vec4(r_0[${c}], r_1[${c}], r_2[${c}], r_3[${c}]));
#end
} else if t < X_THREADS + W_THREADS {
#repeat e 4
    ws[(t - X_THREADS) + ${e}u * W_THREADS] = rounded(r_${e});
#end
}
workgroupBarrier();
