// Depthwise convolution: y[n,oh,ow,c] = act(bias[c] + sum over r,s of x[n,ih,iw,c] * w[c,r,s]), ih = oh * stride - pad +
// r * dilation, zero outside the image. A thread makes four channels of TP outputs side by side. Of a row of x it reads the
// COLUMNS that these reach once, for all taps of the row: S, STRIDE (along rows) and DILATION are in the text, so that
// which tap meets which column is known when compiling. With PIXELS_FIRST threads side by side make pixels of the same
// channels, and read the same weights; else channels of the same pixels, which lie side by side.

struct Params {
    total: u32, // threads with something to do; with PIXELS_FIRST of each four of channels
    h: u32, w: u32, c: u32, // c by four
    oh: u32, ow: u32,
    tiles: u32, // TPs of a row of y
    r: u32,
    stride_h: u32, pad_h: u32, pad_w: u32, dilation_h: u32,
    relu: u32,
    grid_x: u32,
}

@slot var<uniform> p: Params;
#import shared/element
#import shared/input
@slot var<storage, read> weight: array<vec4<f32>>; // [R, S, C/4]
@slot var<storage, read> bias: array<vec4<f32>>; // [C/4]
@slot var<storage, read_write> y: array<Y>; // [N, OH, OW, C/4]

#import shared/divide
#import shared/activation

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let i = (wid.y * p.grid_x + wid.x) * 64u + t;
    if i >= p.total { return; }
#ifdef PIXELS_FIRST
    let tile = i;
    let c = wid.z;
#else
    // A map may have more pixels than `quotient` counts.
    let tile = i / p.c;
    let c = i - tile * p.c;
#endif
    let line = quotient(tile, p.tiles);
    let n = quotient(line, p.oh);
    let row = line - n * p.oh;
    let first = (tile - line * p.tiles) * TP;
    let ih = i32(row * p.stride_h) - i32(p.pad_h);
    let iw = i32(first * STRIDE) - i32(p.pad_w);
#repeat i TP
    var acc_${i} = vec4(0.0);
#end
    for (var r = 0u; r < p.r; r++) {
        let at = ih + i32(r * p.dilation_h);
        let in_row = at >= 0 && at < i32(p.h);
        let base = (n * p.h + u32(max(at, 0))) * p.w;
        var v: array<vec4<f32>, COLUMNS>;
#repeat j COLUMNS
        {
            let column = iw + ${j};
            let within = in_row && column >= 0 && column < i32(p.w);
            v[${j}] = select(vec4(0.0), x_at(select(0u, (base + u32(column)) * p.c + c, within)), within);
        }
#end
#repeat s S
        {
            let w = weight[(r * S + ${s}u) * p.c + c];
#repeat i TP
            acc_${i} += v[${i}u * STRIDE + ${s}u * DILATION] * w;
#end
        }
#end
    }
    let b = bias[c];
    let to = (line * p.ow + first) * p.c + c;
#repeat i TP
    if first + ${i}u < p.ow { y[to + ${i}u * p.c] = stored(activated(acc_${i} + b)); }
#end
}
