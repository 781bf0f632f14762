// Half of a tile's points B^T d B of four channels, as point(out, row, column, value) takes them: of columns 0 and 1, or 3 and 2. It expects
// the inputs d_r_s in f32 (see Inputs), which half it is, and out (for point).
#expects half out point
#repeat r 4
    let e_${r} = d_${r}_0 - d_${r}_2;
    let f_${r} = d_${r}_1 + select(d_${r}_2, -d_${r}_0, half != 0u);
#end
    point(out, 0u, half * 3u, e_0 - e_2);
    point(out, 1u, half * 3u, e_1 + e_2);
    point(out, 2u, half * 3u, e_2 - e_1);
    point(out, 3u, half * 3u, e_1 - e_3);
    point(out, 0u, 1u + half, f_0 - f_2);
    point(out, 1u, 1u + half, f_1 + f_2);
    point(out, 2u, 1u + half, f_2 - f_1);
    point(out, 3u, 1u + half, f_1 - f_3);
