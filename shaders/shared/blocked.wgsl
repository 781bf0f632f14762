// The core of convolution, linear and transposed convolution for GPUs: blocks of pixels by rows of weights, through
// workgroup memory, with the taps and channels of a pixel as one row (implicit GEMM: K by CRS times CRS by NPQ). It asks
// of the kernel that imports it what shared/tiled does. With PARTS, each row is cut in so many, and `place` gets part * N
// + n for n.
#expects p place store is_live x_at w_at
#import shared/block
#import shared/spot

@compute @workgroup_size(LP * LK)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let first = (wid.y * p.grid_x + wid.x) * BP;
    // The whole workgroup leaves, or none of it: barriers follow.
    if first >= p.pixels { return; }
    let image = p.oh * p.ow;
    if are_dead(first / image, min(first + BP - 1u, p.pixels - 1u) / image) { return; }

    let c4 = p.c / 4u;
    let length = p.r * p.s * c4;
#ifdef PARTS
    let block = wid.z / PARTS;
    let part = wid.z % PARTS;
    let share = ((length + PARTS - 1u) / PARTS + BC4 - 1u) / BC4 * BC4;
    let begin = min(part * share, length);
    let end = min(begin + share, length);
#else
    let block = wid.z;
    let begin = 0u;
    let end = length;
#endif
    let tx = t % LK;
    let ty = t / LK;
    // Of the pixels that this thread loads: which four, and which four channels of a step.
    let pq = t / BC4;
    let cq = t % BC4;
#repeat e 4
    let px_${e} = min(first + pq * 4u + ${e}u, p.pixels - 1u);
    let spot_${e} = spot(px_${e} % image);
    let map_${e} = px_${e} / image * p.h * p.w + spot_${e}.first;
    let ih_${e} = i32(spot_${e}.row * p.stride_h) - i32(p.pad_h);
    let iw_${e} = i32(spot_${e}.column * p.stride_w) - i32(p.pad_w);
#end
#repeat g TG
#repeat e 4
#repeat h TH
    var acc_${g}_${e}_${h} = vec4(0.0);
#end
#end
#end
    // The tap and the channels that are next.
    var r = 0u;
    var s = 0u;
    var c = begin + cq;
    let wi = block * length * BK;
    for (var l = begin; l < end + BC4; l += BC4) {
        while c >= c4 {
            c -= c4;
            s += 1u;
            if s == p.s {
                s = 0u;
                r += 1u;
            }
        }
#repeat e 4
        var r_${e} = vec4(0.0);
#end
        if t < X_THREADS {
#repeat e 4
            let y_${e} = ih_${e} + i32(r * p.dilation_h);
            let x_${e} = iw_${e} + i32(s * p.dilation_w);
            let in_${e} = l + cq < end && y_${e} >= 0 && y_${e} < i32(spot_${e}.h) && x_${e} >= 0 && x_${e} < i32(spot_${e}.w);
            let xi_${e} = (map_${e} + u32(y_${e}) * spot_${e}.w + u32(x_${e})) * c4 + c;
            r_${e} = select(vec4(0.0), x_at(select(0u, xi_${e}, in_${e})), in_${e});
#end
        }
        c += BC4;
#paste shared/block_step
    }

    let k0 = block * BK;
#repeat g TG
#repeat e 4
    {
        let px = first + (${g}u * LP + ty) * 4u + ${e}u;
        let n = px / image;
        if px < p.pixels && is_live(n) {
#ifdef PARTS
            let at = place(part * (p.pixels / image) + n, px % image, k0);
#else
            let at = place(n, px % image, k0);
#endif
#repeat h TH
            let k_${h} = (${h}u * LK + tx) * 4u;
#ifdef QUADS
            if k0 + k_${h} < p.k {
                store((at + k_${h}) / 4u, n, px % image, (k0 + k_${h}) / 4u, acc_${g}_${e}_${h});
            }
#else
#repeat i 4
            if k0 + k_${h} + ${i}u < p.k {
                store(at + k_${h} + ${i}u, n, px % image, k0 + k_${h} + ${i}u, acc_${g}_${e}_${h}[${i}]);
            }
#end
#endif
#end
        }
    }
#end
#end
}
