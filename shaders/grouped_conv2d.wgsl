// Grouped convolution: y[n,oh,ow,k] = act(bias[k] + residual[n,oh,ow,k] + sum over r,s,c of x[n,ih,iw,g,c] * w[k,r,s,c]),
// where g is the group of row k and c one of its channels, ih = oh * stride - pad + r * dilation, zero outside the image.
// A thread makes four rows of TP pixels: with PIXELS_FIRST threads side by side make pixels of the same rows, and read
// the same weights; else rows of the same pixels, and read weights that lie side by side.

struct Params {
    pixels: u32,
    h: u32, w: u32, c: u32, // c and k by four
    oh: u32, ow: u32, k: u32,
    r: u32, s: u32,
    stride_h: u32, stride_w: u32, pad_h: u32, pad_w: u32, dilation_h: u32, dilation_w: u32,
    group_c: u32, group_k: u32, // channels and rows of a group, by four
    relu: u32,
    images_per_batch: u32,
    grid_x: u32,
}

@slot var<uniform> p: Params;
#import shared/operands
@slot var<storage, read> bias: array<vec4<f32>>; // [K/4]
#ifdef RESIDUAL
@slot var<storage, read> residual: array<vec4<f32>>; // as y
#endif
#ifdef LIVE
@slot var<storage, read> live: array<u32>; // [B]
#endif
@slot var<storage, read_write> y: array<vec4<f32>>; // [N, OH, OW, K/4]

#import shared/live
#import shared/divide
alias T = vec4<f32>;
#import shared/activation

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let block = wid.y * p.grid_x + wid.x;
#ifdef PIXELS_FIRST
    let k = wid.z;
    let first = block * (64u * TP);
    if first >= p.pixels { return; }
    let image = p.oh * p.ow;
    if are_dead(first / image, min(first + 64u * TP - 1u, p.pixels - 1u) / image) { return; }
#repeat i TP
    let at_${i} = first + ${i}u * 64u + t;
#end
#else
    // A map may have more pixels than `quotient` counts.
    let of_rows = (block * 64u + t) / p.k;
    let k = block * 64u + t - of_rows * p.k;
    if of_rows * TP >= p.pixels { return; }
    let image = p.oh * p.ow;
#repeat i TP
    let at_${i} = of_rows * TP + ${i}u;
#end
#endif
#repeat i TP
    let px_${i} = min(at_${i}, p.pixels - 1u);
    let n_${i} = quotient(px_${i}, image);
    let row_${i} = quotient(px_${i} - n_${i} * image, p.ow);
    let column_${i} = px_${i} - n_${i} * image - row_${i} * p.ow;
    let ih_${i} = i32(row_${i} * p.stride_h) - i32(p.pad_h);
    let iw_${i} = i32(column_${i} * p.stride_w) - i32(p.pad_w);
    let from_${i} = n_${i} * p.h * p.w;
    var acc_${i} = vec4(0.0);
#end
    let c0 = k / p.group_k * p.group_c;
    var wi = k;
    for (var r = 0u; r < p.r; r++) {
        for (var s = 0u; s < p.s; s++) {
#repeat i TP
            let y_${i} = ih_${i} + i32(r * p.dilation_h);
            let x_${i} = iw_${i} + i32(s * p.dilation_w);
            let in_${i} = y_${i} >= 0 && y_${i} < i32(p.h) && x_${i} >= 0 && x_${i} < i32(p.w);
            let xi_${i} = select(0u, (from_${i} + u32(y_${i}) * p.w + u32(x_${i})) * p.c + c0, in_${i});
#end
#ifdef DEPTHWISE
            // A row's group is its own channel.
            let w = w_at(wi);
#repeat i TP
            acc_${i} += select(vec4(0.0), x_at(xi_${i}), in_${i}) * w;
#end
            wi += p.k;
#else
            for (var c = 0u; c < p.group_c; c++) {
                let w0 = w_at(4u * wi);
                let w1 = w_at(4u * wi + 1u);
                let w2 = w_at(4u * wi + 2u);
                let w3 = w_at(4u * wi + 3u);
#repeat i TP
                {
                    let v = select(vec4(0.0), x_at(xi_${i} + c), in_${i});
                    acc_${i} += vec4(dot(w0, v), dot(w1, v), dot(w2, v), dot(w3, v));
                }
#end
                wi += p.k;
            }
#endif
        }
    }
#repeat i TP
    if at_${i} < p.pixels && is_live(n_${i}) {
        var v = acc_${i} + bias[k];
#ifdef RESIDUAL
        v += residual[at_${i} * p.k + k];
#endif
        y[at_${i} * p.k + k] = activated(v);
    }
#end
}
