// One step of the product, in registers: a thread's TP pixels by TK = TJ * TL channels, STEP times four input channels.
// It expects xi_i (where pixel i's channels begin), in_i (whether the pixel is inside), c (the channels' number, by
// four), wi (where the step's weights begin) and t, and adds to acc_i_j_h_e.
// Lanes are pixels, so all of them need the same weights: without SUBGROUPS, every lane loads at the same address, which newer
// CPU drivers do once for all.
#expects xi_0 in_0 c wi t x_at w_at
#repeat u STEP
#repeat i TP
#ifdef HALVES
    let v_${u}_${i} = select(vec4(0.0), x_narrowed(xi_${i} + c + ${u}u), in_${i});
#else
    let v_${u}_${i} = select(vec4(0.0), x_at(xi_${i} + c + ${u}u), in_${i});
#endif
#end
#end
#repeat j TJ
#ifdef SUBGROUPS
    // Each lane of a subgroup loads one row of four weights. The others get it by a shuffle from a constant lane, which
    // CPU drivers turn into one move: lavapipe before Mesa 23.1, and after it where there are eight lanes.
#repeat u STEP
    let row_${u}_${j} = w_at(wi + (${u}u * TJ + ${j}u) * TL + lane % TL);
#end
#endif
#repeat h TL/4
#repeat e 4
    {
#repeat u STEP
#ifdef SUBGROUPS
        let m_${u} = subgroupShuffle(row_${u}_${j}, ${h}u * 4u + ${e}u);
#else
        let m_${u} = w_at(wi + (${u}u * TJ + ${j}u) * TL + ${h}u * 4u + ${e}u);
#endif
#end
#repeat i TP
#repeat u STEP
        acc_${i}_${j}_${h}_${e} += dot(v_${u}_${i}, m_${u});
#end
#end
    }
#end
#end
#end
