// One thread an output element; reads like the definition. Any stride, padding, dilation and number of groups.
#import shared/spot

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let i = (wid.y * p.grid_x + wid.x) * 64u + t;
    let px = i / p.k;
    let k = i % p.k;
    if px >= p.pixels { return; }
    let q = px % (p.oh * p.ow);
    let n = px / (p.oh * p.ow);
    if !is_live(n) { return; }
    let at = spot(q);

    let group_c = p.c / p.groups;
    let c0 = k / (p.k / p.groups) * group_c;
    var sum = 0.0;
    for (var r = 0u; r < p.r; r++) {
        let ih = i32(at.row * p.stride_h + r * p.dilation_h) - i32(p.pad_h);
        if ih < 0 || ih >= i32(at.h) { continue; }
        for (var s = 0u; s < p.s; s++) {
            let iw = i32(at.column * p.stride_w + s * p.dilation_w) - i32(p.pad_w);
            if iw < 0 || iw >= i32(at.w) { continue; }
            let x0 = (n * p.h * p.w + at.first + u32(ih) * at.w + u32(iw)) * p.c + c0;
            let w0 = ((k * p.r + r) * p.s + s) * group_c;
            for (var c = 0u; c < group_c; c++) {
                sum += x[x0 + c] * weight[w0 + c];
            }
        }
    }
    store(place(n, q, k), n, q, k, sum);
}
