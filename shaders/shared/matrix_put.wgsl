// Leaves what shared/matrix_load loaded in workgroup memory, from into_x and into_w on.
#expects into_x into_w t pq cq
#repeat e XL
let u_${e} = x_held(v_${e});
let xo_${e} = into_x + (pq + ${e}u * (WG / BC4)) * ROW + cq * FOUR;
#end
#repeat e WL
let wo_${e} = into_w + (t + ${e}u * WG) % BK * ROW + (t + ${e}u * WG) / BK * FOUR;
#end
#ifdef SCALARS
#repeat i 4
#repeat e XL
xs[xo_${e} + ${i}u] = u_${e}[${i}];
#end
#repeat e WL
ws[wo_${e} + ${i}u] = w_${e}[${i}];
#end
#end
#else
#repeat e XL
xs[xo_${e}] = u_${e};
#end
#repeat e WL
ws[wo_${e}] = w_${e};
#end
#endif
