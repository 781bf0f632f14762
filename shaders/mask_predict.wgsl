// The last layer of the mask head for the class that was found and no other: sigmoid(bias + sum over c of x * weight)
// with the label's row of weights. A thread a mask pixel.

struct Params { total: u32, pixels: u32, c: u32, classes: u32, images_per_batch: u32, grid_x: u32 }

#import shared/element

@slot var<uniform> p: Params;
@slot var<storage, read> x: array<X>; // [N, M, M, C]
@slot var<storage, read> weight: array<T>; // [K, C]
@slot var<storage, read> bias: array<f32>; // [K]
@slot var<storage, read> labels: array<u32>; // [N]
@slot var<storage, read> live: array<u32>; // [B]
@slot var<storage, read_write> y: array<f32>; // [N, M, M]

#import shared/divide

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let i = (wid.y * p.grid_x + wid.x) * 64u + t;
    if i >= p.total { return; }
    let n = quotient(i, p.pixels);
    if n % p.images_per_batch >= live[n / p.images_per_batch] { return; }
    let label = min(labels[n], p.classes - 1u);
    var sum = T(0.0);
    for (var c = 0u; c < p.c; c++) {
        sum = fma(T(x[i * p.c + c]), weight[label * p.c + c], sum);
    }
#ifdef QUADS
    let logit = bias[label] + sum.x + sum.y + sum.z + sum.w;
#else
    let logit = bias[label] + sum;
#endif
    y[i] = 1.0 / (1.0 + exp(-logit));
}
