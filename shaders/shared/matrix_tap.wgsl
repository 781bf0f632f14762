// Moves on to the tap of step l, where a thread's channels have left theirs: in_e and at_e say whether it lies in the map, and
// where its first channels do. It expects c4, spot_e, map_e, ih_e and iw_e (the pixels that this thread loads), r, s and c (the
// tap and the channels that are next) and base (the first of these in the workgroup).
#expects c4 r s c base
while base >= c4 { base -= c4; }
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
