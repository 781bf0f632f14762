// The smooth L1 distance of the deltas of rows on truths, over the number of all rows. One workgroup, a thread a row.

struct Params { rows: u32, rows_per_image: u32, images: u32, beta: f32 }

@slot var<uniform> p: Params;
@slot var<storage, read> deltas: array<vec4<f32>>; // [R]
@slot var<storage, read> targets: array<vec4<f32>>; // [R]
@slot var<storage, read> labels: array<u32>; // [R]
@slot var<storage, read> live: array<u32>; // [B]
@slot var<storage, read_write> loss: array<f32>; // [1]

#import shared/sum

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) t: u32) {
    var sum = 0.0;
    for (var row = t; row < p.rows; row += 256u) {
        if counts(row) && labels[row] > 0u {
            let d = abs(deltas[row] - targets[row]);
            let each = select(d - 0.5 * p.beta, 0.5 * d * d / p.beta, d < vec4(p.beta));
            sum += each.x + each.y + each.z + each.w;
        }
    }
    let all = summed(sum, t);
    if t == 0u { loss[0] = all / f32(max(counted(), 1u)); }
}
