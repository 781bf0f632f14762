// What a head's last layers say of each row, as one product: sums[n,k] = bias[k] + sum over c of x[n,c] * w[k,c], of which
// the first rows of weights make logits, and the others deltas.

struct Params {
    pixels: u32, // rows of x: each is an image of one pixel to the core
    h: u32, w: u32, c: u32,
    k: u32, r: u32, s: u32,
    oh: u32, ow: u32,
    stride_h: u32, stride_w: u32,
    pad_h: u32, pad_w: u32,
    dilation_h: u32, dilation_w: u32,
    images_per_batch: u32, // rows of x that share one live count
    grid_x: u32,
    rows: u32,          // of x, an image of the outputs
    logits_k: u32,      // rows of weights that make logits
    logits_offset: u32, // elements before the first one written …
    logits_gap: u32,    // … and those left out between an image's last one and the next image's first one
    deltas_offset: u32,
    deltas_gap: u32,
}

@slot var<uniform> p: Params;
#import shared/element
#ifdef PLAIN
@slot var<storage, read> x: array<f32>; // [N, C]
@slot var<storage, read> weight: array<f32>; // [K, C]
#else
#import shared/operands
#endif
@slot var<storage, read> bias: array<T>; // [K]
#ifdef LIVE
@slot var<storage, read> live: array<u32>; // [B]
#endif
@slot var<storage, read_write> logits: array<T>; // [images, rows, logits_k], or a part of something larger
@slot var<storage, read_write> deltas: array<T>; // [images, rows, k - logits_k], or a part of something larger

#import shared/live
#import shared/divide

#ifdef QUADS
const EACH = 4u;
#else
const EACH = 1u;
#endif

// Of two places, `at` can be neither: it brings the image of row n, so that a tile divides once.
fn place(n: u32, q: u32, k: u32) -> u32 { return quotient(n, p.rows) * EACH + k; }

fn store(at: u32, n: u32, q: u32, k: u32, sum: T) {
    let v = sum + bias[k];
    let image = at - k;
#ifdef LOGITS
    let deltas_from = LOGITS / EACH; // as p.logits_k
#else
    let deltas_from = p.logits_k / EACH;
#endif
    if k < deltas_from {
        logits[(p.logits_offset + n * p.logits_k + image * p.logits_gap) / EACH + k] = v;
    } else {
        let deltas_k = p.k - p.logits_k;
        deltas[(p.deltas_offset + n * deltas_k + image * p.deltas_gap) / EACH + k - deltas_from] = v;
    }
}

#import shared/rows
