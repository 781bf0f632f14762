// Winograd's convolution, third part: the 36 points m of a tile become its 4x4 outputs A^T m A
// (src/kernels/winograd.rs has the matrices), with bias, residual and ReLU. A thread four channels of one tile, or, with TWOS, two: the 36
// points of four are more registers than some GPUs have.

#ifdef TWOS
alias V = vec2<f32>;
#else
alias V = vec4<f32>;
#endif

struct Params {
    levels: array<vec4<u32>, 5>, // src/kernels/levels.rs
    total: u32, // tiles * K/V
    k: u32, // by four or two
    h: u32, w: u32,  // of y
    y_offset: u32,   // places in y by V: before the first one written …
    y_image_stride: u32, // … and from one image to the next
    columns: u32,   // of tiles
    per_image: u32, // tiles
    first: u32,     // tile of the piece
    capacity: u32,  // tiles between two points in m
    images_per_batch: u32,
    relu: u32,
    grid_x: u32,
}

@slot var<uniform> p: Params;
@slot var<storage, read> m: array<V>; // [36, capacity, K/V]
@slot var<storage, read> bias: array<V>; // [K/V]
#ifdef RESIDUAL
@slot var<storage, read> residual: array<V>; // as y
#endif
#ifdef LIVE
@slot var<storage, read> live: array<u32>; // [B]
#endif
@slot var<storage, read_write> y: array<V>; // [N, H, W, K/V], or a part of something larger

#import shared/live
#import shared/divide

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let i = (wid.y * p.grid_x + wid.x) * 64u + t;
    if i >= p.total { return; }
    let tile = quotient(i, p.k);
    let k = i - tile * p.k;
#paste shared/winograd_place
    let y0 = row * 4u;
    let x0 = column * 4u;

    // A^T m: each column's six points to four.
    let step = p.capacity * p.k;
#repeat s 6
#repeat r 6
    let m_${r}_${s} = m[i + (${r}u * 6u + ${s}u) * step];
#end
    let a_${s} = m_1_${s} + m_2_${s};
    let b_${s} = m_1_${s} - m_2_${s};
    let c_${s} = m_3_${s} + m_4_${s};
    let d_${s} = m_3_${s} - m_4_${s};
    let t_0_${s} = m_0_${s} + a_${s} + c_${s};
    let t_1_${s} = 0.75 * b_${s} + 1.5 * d_${s};
    let t_2_${s} = 0.5625 * a_${s} + 2.25 * c_${s};
    let t_3_${s} = 0.421875 * b_${s} + 3.375 * d_${s} + m_5_${s};
#end

    // (A^T m) A: the same along the rows.
    // No branch where a select does: a CPU driver compiles each of 16.
    let add = bias[k];
#repeat r 4
    let e_${r} = t_${r}_1 + t_${r}_2;
    let f_${r} = t_${r}_1 - t_${r}_2;
    let g_${r} = t_${r}_3 + t_${r}_4;
    let h_${r} = t_${r}_3 - t_${r}_4;
    let o_${r}_0 = t_${r}_0 + e_${r} + g_${r};
    let o_${r}_1 = 0.75 * f_${r} + 1.5 * h_${r};
    let o_${r}_2 = 0.5625 * e_${r} + 2.25 * g_${r};
    let o_${r}_3 = 0.421875 * f_${r} + 3.375 * h_${r} + t_${r}_5;
    let at_${r} = (map_first + (y0 + ${r}u) * w + x0) * p.k + k;
#repeat s 4
    if (y0 + ${r}u < h) & (x0 + ${s}u < w) {
        var v = o_${r}_${s} + add;
#ifdef RESIDUAL
        v += residual[n * p.h * p.w * p.k + at_${r} + ${s}u * p.k];
#endif
        v = select(v, max(v, V(0.0)), p.relu != 0u);
        y[p.y_offset + n * p.y_image_stride + at_${r} + ${s}u * p.k] = v;
    }
#end
#end
}
