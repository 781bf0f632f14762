// Loads step l of a product by cooperative matrices into registers: pixels into v_e, zero past the end and outside the map,
// and weights into w_e, past the end any, since they meet zeros. It expects end (of the rows, by four), l (the step's first
// four channels), wi (where the block's weights begin), t, cq, in_e and at_e (the pixels that this thread loads, see
// shared/matrix_tap), c (the channels that are next) and base (the first of these in the workgroup).
#expects l end wi t cq c base
#repeat e XL
#ifdef PARTS
// A part ends within a tap.
let v_${e} = select(Loaded(), x_loaded(at_${e} + c), in_${e} && l + cq < end);
#else
let v_${e} = select(Loaded(), x_loaded(at_${e} + c), in_${e});
#endif
#end
#repeat e WL
let w_${e} = weight[wi + min(l * BK + t + ${e}u * WG, end * BK - 1u)];
#end
c += BC4;
base += BC4;
