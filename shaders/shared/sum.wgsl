// The sum of what 256 threads have, in a fixed order, and the rows that count.

var<workgroup> parts: array<f32, 256>;

// Thread 0 is given the sum.
fn summed(mine: f32, t: u32) -> f32 {
    parts[t] = mine;
    workgroupBarrier();
    for (var half = 128u; half > 0u; half /= 2u) {
        if t < half { parts[t] += parts[t + half]; }
        workgroupBarrier();
    }
    return parts[0];
}

fn counts(row: u32) -> bool {
    return row % p.rows_per_image < live[row / p.rows_per_image];
}

// Rows that count, of all images.
fn counted() -> u32 {
    var n = 0u;
    for (var b = 0u; b < p.images; b++) { n += min(live[b], p.rows_per_image); }
    return n;
}
