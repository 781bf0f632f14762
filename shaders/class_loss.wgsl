// The mean of cross-entropies of rows of logits. One workgroup, a thread a row.

struct Params { rows: u32, classes: u32, rows_per_image: u32, images: u32 }

@slot var<uniform> p: Params;
@slot var<storage, read> logits: array<f32>; // [R, K]
@slot var<storage, read> labels: array<u32>; // [R]
@slot var<storage, read> live: array<u32>; // [B]
@slot var<storage, read_write> loss: array<f32>; // [1]

#import shared/sum
#import shared/log_one_more

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) t: u32) {
    var sum = 0.0;
    for (var row = t; row < p.rows; row += 256u) {
        if counts(row) {
            let first = row * p.classes;
            var best = 0u;
            for (var k = 1u; k < p.classes; k++) { best = select(best, k, logits[first + k] > logits[first + best]); }
            // All but the largest, so that they keep their digits where that one is nearly certain.
            let top = logits[first + best];
            var others = 0.0;
            for (var k = 0u; k < p.classes; k++) { others += select(exp(logits[first + k] - top), 0.0, k == best); }
            let label = min(labels[row], p.classes - 1u);
            sum += top - logits[first + label] + log_one_more(others);
        }
    }
    let all = summed(sum, t);
    if t == 0u { loss[0] = all / f32(max(counted(), 1u)); }
}
