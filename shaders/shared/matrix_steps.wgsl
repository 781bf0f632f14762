// The steps of a product by cooperative matrices: while one is multiplied out of workgroup memory, the next is under way
// from the other. Taps are outside, their channels inside: where a tap lies is worked out once for all of its steps. It
// expects what shared/matrix_tap, shared/matrix_load and shared/matrix_put do, and p0 and k0 (where the share begins in the
// block); it adds to c_i_g_h (matrix (i, g * HELD + h) of the share).
#expects begin end p0 k0
// The tap and the channels that are next, and the first of these in the workgroup.
var r = 0u;
var s = 0u;
var c = begin + cq;
var base = begin;
// Where the buffer begins that is loaded into.
var into_x = 0u;
var into_w = 0u;
var l = begin;
{
#paste shared/matrix_tap
#paste shared/matrix_load
#paste shared/matrix_put
}
l += BC4;
workgroupBarrier();
while l < end + BC4 {
#paste shared/matrix_tap
    // Steps that lie within the tap, or one that reaches into the next.
    let stop = min(l + max((c4 - base) / BC4, 1u) * BC4, end + BC4);
    for (; l < stop; l += BC4) {
#paste shared/matrix_load
        let x_now = into_x + p0 * ROW;
        let w_now = into_w + k0 * ROW;
        for (var q = 0u; q < BC4; q += SIZE / 4u) {
#repeat i MP
            let a_${i} = coopLoadT<MatrixA>(&xs[x_now + ${i}u * SIZE * ROW + q * FOUR], ROW);
#end
#repeat g MK/HELD
#repeat h HELD
            let b_${g}_${h} = coopLoad<MatrixB>(&ws[w_now + (${g}u * HELD + ${h}u) * SIZE * ROW + q * FOUR], ROW);
#repeat i MP
            c_${i}_${g}_${h} = coopMultiplyAdd(a_${i}, b_${g}_${h}, c_${i}_${g}_${h});
#end
#end
#end
        }
#ifdef ONE_BUFFER
        workgroupBarrier();
#else
        into_x = BP * ROW - into_x;
        into_w = BK * ROW - into_w;
#endif
#paste shared/matrix_put
        workgroupBarrier();
    }
}
