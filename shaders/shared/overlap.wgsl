// The IoU of a truth and a box, rounded the same wherever it is computed: kernels compare it with what another one found.
// Were a product fused with the sum that it goes into, here and not there, equal boxes would differ; through `min`, none is.

const LARGEST: f32 = 3.0e38;

fn product(a: f32, b: f32) -> f32 { return min(a * b, LARGEST); }

fn overlap(a: vec4<f32>, b: vec4<f32>) -> f32 {
    let both = product(max(min(a.z, b.z) - max(a.x, b.x), 0.0), max(min(a.w, b.w) - max(a.y, b.y), 0.0));
    return both / (product(a.z - a.x, a.w - a.y) + product(b.z - b.x, b.w - b.y) - both);
}
