// The mask head's last two layers as one: a transposed convolution whose kernel is its stride, with ReLU, and of the 1x1
// convolution after it the row of the label: y[n,oh,ow] = sigmoid(last_bias[label] + sum over k of last[label,k] *
// max(0, bias[k] + sum over c of x[n,ih,iw,c] * w[k,r,s,c])). What lies between the layers, the largest tensor of a
// network, is never written.

struct Params {
    pixels: u32, // of x, over all images
    h: u32, w: u32, c: u32,
    k: u32,
    side: u32, // rows and columns of the kernel
    classes: u32,
    images_per_batch: u32,
    grid_x: u32,
}

@slot var<uniform> p: Params;
#ifdef PLAIN
@slot var<storage, read> x: array<f32>; // [N, H, W, C]
@slot var<storage, read> weight: array<f32>; // [K, R, S, C]
#else
// Its rows are (r, s, k).
#import shared/operands
#endif
@slot var<storage, read> bias: array<f32>; // [K]
#ifdef LAST_TEXTURE
@slot var last: texture_storage_2d<rgba32float, read>; // [classes, K/4]
fn last_at(i: u32) -> vec4<f32> { return textureLoad(last, texel(i)); }
#else
@slot var<storage, read> last: array<vec4<f32>>; // [classes, K/4]
fn last_at(i: u32) -> vec4<f32> { return last[i]; }
#endif
@slot var<storage, read> last_bias: array<f32>; // [classes]
@slot var<storage, read> labels: array<u32>; // [N]
@slot var<storage, read> live: array<u32>; // [B]
@slot var<storage, read_write> y: array<f32>; // [N, H*R, W*S]

#import shared/live
#import shared/divide

fn label_of(n: u32) -> u32 { return min(labels[n], p.classes - 1u); }

// The place in y that tap (r, s) of pixel q of image n goes to.
fn place(n: u32, q: u32, tap: u32) -> u32 {
    let row = quotient(q, p.w);
    let r = tap / p.side;
    return (n * p.h * p.side + row * p.side + r) * (p.w * p.side) + (q - row * p.w) * p.side + tap - r * p.side;
}

fn sigmoid(logit: f32) -> f32 { return 1.0 / (1.0 + exp(-logit)); }

#ifdef PLAIN
// A thread a tap of a pixel.
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let i = (wid.y * p.grid_x + wid.x) * 64u + t;
    let taps = p.side * p.side;
    let px = i / taps;
    let tap = i % taps;
    if px >= p.pixels { return; }
    let n = px / (p.h * p.w);
    if !is_live(n) { return; }
    let label = label_of(n);
    var logit = last_bias[label];
    for (var k = 0u; k < p.k; k++) {
        var sum = bias[k];
        for (var c = 0u; c < p.c; c++) {
            sum += x[px * p.c + c] * weight[(k * taps + tap) * p.c + c];
        }
        logit += max(sum, 0.0) * last_at((label * p.k + k) / 4u)[k % 4u];
    }
    y[place(n, px % (p.h * p.w), tap)] = sigmoid(logit);
}
#else
// The tiled core of convolution (shared/tiled), for all rows of a tap one block after the other.
@compute @workgroup_size(WG)
fn main(
    @builtin(workgroup_id) wid: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
#ifdef SUBGROUPS
    @builtin(subgroup_invocation_id) lane: u32,
#endif
) {
    let first = (wid.y * p.grid_x + wid.x) * (WG * TP);
    if first >= p.pixels { return; }
    let image = p.h * p.w;
    if are_dead(first / image, min(first + WG * TP - 1u, p.pixels - 1u) / image) { return; }

    let tap = wid.z;
    let c4 = p.c / 4u;
#repeat i TP
    let px_${i} = min(first + ${i}u * WG + t, p.pixels - 1u);
    let n_${i} = quotient(px_${i}, image);
    let in_${i} = true;
    let xi_${i} = px_${i} * c4;
    let label_${i} = label_of(n_${i});
    let row_${i} = label_${i} * (p.k / 4u);
    var logit_${i} = last_bias[label_${i}];
#end
    var wi = tap * p.k * c4;
    for (var k0 = 0u; k0 < p.k; k0 += TJ * TL) {
#repeat i TP
#repeat j TJ
#repeat h TL/4
#repeat e 4
        var acc_${i}_${j}_${h}_${e} = bias[k0 + ${j}u * TL + ${h}u * 4u + ${e}u];
#end
#end
#end
#end
        for (var c = 0u; c < c4; c += STEP) {
#paste shared/gemm
            wi += TJ * TL * STEP;
        }
#repeat i TP
#repeat j TJ
#repeat h TL/4
        logit_${i} += dot(
            max(vec4(acc_${i}_${j}_${h}_0, acc_${i}_${j}_${h}_1, acc_${i}_${j}_${h}_2, acc_${i}_${j}_${h}_3), vec4(0.0)),
            last_at(row_${i} + (k0 + ${j}u * TL) / 4u + ${h}u));
#end
#end
#end
    }
#repeat i TP
    if first + ${i}u * WG + t < p.pixels && is_live(n_${i}) {
        y[place(n_${i}, px_${i} - n_${i} * image, tap)] = sigmoid(logit_${i});
    }
#end
}
#endif
