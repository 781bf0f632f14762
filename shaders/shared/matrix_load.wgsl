// Loads step l of a product by cooperative matrices into registers: pixels into v_e, zero past the end and outside the map,
// and weights into w_e, past the end any, since they meet zeros. It expects begin and end (of the rows, by four), l (the
// step's first four channels), c4, wi (where the block's weights begin), t, cq, spot_e, map_e, ih_e and iw_e (the pixels and
// channels that this thread loads), and r, s and c (the tap and the channels that are next). Where those leave a tap, it
// keeps in in_e and at_e whether the next lies in the map, and where: once a tap, which has many steps.
#expects l begin end c4 wi t cq r s c
if c >= c4 || l == begin {
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
    in_${e} = r < p.r && y_${e} >= 0 && y_${e} < i32(spot_${e}.h) && x_${e} >= 0 && x_${e} < i32(spot_${e}.w);
    at_${e} = select(0u, (map_${e} + u32(y_${e}) * spot_${e}.w + u32(x_${e})) * c4, in_${e});
#end
}
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
