// The mean of binary cross-entropies with logits. One workgroup.

struct Params { total: u32, size: u32, rows_per_image: u32, images: u32 }

@slot var<uniform> p: Params;
@slot var<storage, read> logits: array<f32>; // [R, size]
@slot var<storage, read> targets: array<f32>; // [R, size]
@slot var<storage, read> live: array<u32>; // [B]
@slot var<storage, read_write> loss: array<f32>; // [1]

#import shared/sum
#import shared/log_one_more

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) t: u32) {
    var sum = 0.0;
    for (var i = t; i < p.total; i += 256u) {
        if counts(i / p.size) {
            let x = logits[i];
            sum += max(x, 0.0) - x * targets[i] + log_one_more(exp(-abs(x)));
        }
    }
    let all = summed(sum, t);
    if t == 0u { loss[0] = all / f32(max(counted() * p.size, 1u)); }
}
