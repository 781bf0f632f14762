// Winograd's convolution, first part: the 6x6 inputs d of a tile become the 36 points B^T d B (src/kernels/winograd.rs
// has the matrices). A thread four channels of one tile, or, with TWOS, two: the 36
// points of four are more registers than some GPUs have.

#ifdef TWOS
alias V = vec2<f32>;
#else
alias V = vec4<f32>;
#endif

struct Params {
    levels: array<vec4<u32>, 5>, // src/kernels/levels.rs
    total: u32, // tiles * C/V
    h: u32, w: u32, // of x
    cells: u32,     // pixels of an image of x
    c: u32,         // by four
    pad_h: u32, pad_w: u32,
    columns: u32,   // of tiles
    per_image: u32, // tiles
    first: u32,     // tile of the piece
    capacity: u32,  // tiles between two points in v
    images_per_batch: u32,
    grid_x: u32,
}

@slot var<uniform> p: Params;
#import shared/input
#ifdef LIVE
@slot var<storage, read> live: array<u32>; // [B]
#endif
@slot var<storage, read_write> v: array<V>; // [36, capacity, C/V]

#import shared/live
#import shared/divide

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let i = (wid.y * p.grid_x + wid.x) * 64u + t;
    if i >= p.total { return; }
    let tile = quotient(i, p.c);
    let c = i - tile * p.c;
#paste shared/winograd_place
    let y0 = i32(row * 4u) - i32(p.pad_h);
    let x0 = i32(column * 4u) - i32(p.pad_w);

    // d, then d B: each row's six inputs to six points.
#repeat r 6
    let y_${r} = y0 + ${r};
    let in_${r} = (y_${r} >= 0) & (y_${r} < i32(h));
    let at_${r} = n * p.cells + map_first + u32(clamp(y_${r}, 0, i32(h) - 1)) * w;
#repeat s 6
    let x_${r}_${s} = x0 + ${s};
    let all_${r}_${s} = in_${r} & (x_${r}_${s} >= 0) & (x_${r}_${s} < i32(w));
    let from_${r}_${s} = (at_${r} + u32(clamp(x_${r}_${s}, 0, i32(w) - 1))) * p.c + c;
    let d_${r}_${s} = select(V(0.0), x_at(from_${r}_${s}), all_${r}_${s});
#end
    let a_${r} = d_${r}_4 - 2.25 * d_${r}_2;
    let b_${r} = 0.75 * d_${r}_3 - 1.6875 * d_${r}_1;
    let e_${r} = d_${r}_4 - 0.5625 * d_${r}_2;
    let f_${r} = 1.5 * d_${r}_3 - 0.84375 * d_${r}_1;
    let t_${r}_0 = 1.265625 * d_${r}_0 - 2.8125 * d_${r}_2 + d_${r}_4;
    let t_${r}_1 = a_${r} + b_${r};
    let t_${r}_2 = a_${r} - b_${r};
    let t_${r}_3 = e_${r} + f_${r};
    let t_${r}_4 = e_${r} - f_${r};
    let t_${r}_5 = 1.265625 * d_${r}_1 - 2.8125 * d_${r}_3 + d_${r}_5;
#end

    // B^T (d B): the same along the columns.
    let step = p.capacity * p.c;
    let out = tile * p.c + c;
#repeat s 6
    let g_${s} = t_4_${s} - 2.25 * t_2_${s};
    let h_${s} = 0.75 * t_3_${s} - 1.6875 * t_1_${s};
    let k_${s} = t_4_${s} - 0.5625 * t_2_${s};
    let l_${s} = 1.5 * t_3_${s} - 0.84375 * t_1_${s};
    v[out + ${s}u * step] = 1.265625 * t_0_${s} - 2.8125 * t_2_${s} + t_4_${s};
    v[out + (6u + ${s}u) * step] = g_${s} + h_${s};
    v[out + (12u + ${s}u) * step] = g_${s} - h_${s};
    v[out + (18u + ${s}u) * step] = k_${s} + l_${s};
    v[out + (24u + ${s}u) * step] = k_${s} - l_${s};
    v[out + (30u + ${s}u) * step] = 1.265625 * t_1_${s} - 2.8125 * t_3_${s} + t_5_${s};
#end
}
