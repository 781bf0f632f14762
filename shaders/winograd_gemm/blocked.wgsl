// Through workgroup memory, as in shared/blocked; a point is a product of its own.
#import shared/block

@compute @workgroup_size(LP * LK)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let first = (wid.y * p.grid_x + wid.x) * BP;
    if first >= p.tiles || is_dead(first, BP) { return; }

    let point = wid.z / p.blocks;
    let begin = 0u;
    let end = p.c;
    let tx = t % LK;
    let ty = t / LK;
    let pq = t / BC4;
    let cq = t % BC4;
#repeat e 4
    let xi_${e} = (point * p.capacity + min(first + pq * 4u + ${e}u, p.tiles - 1u)) * p.c + cq;
#end
#repeat g TG
#repeat e 4
#repeat h TH
    var acc_${g}_${e}_${h} = vec4(0.0);
#end
#end
#end
    let wi = wid.z * p.c * BK;
    for (var l = begin; l < end + BC4; l += BC4) {
#repeat e 4
        var r_${e} = vec4(0.0);
#end
        if t < X_THREADS && l + cq < end {
#repeat e 4
            r_${e} = x_at(xi_${e} + l);
#end
        }
#paste shared/block_step
    }

    let k0 = (wid.z - point * p.blocks) * BK;
#repeat g TG
#repeat e 4
    {
        let tile = first + (${g}u * LP + ty) * 4u + ${e}u;
        if tile < p.tiles && is_live((p.first + tile) / p.per_image) {
            let at = ((point * p.capacity + tile) * p.k + k0) / 4u;
#repeat h TH
            if k0 + (${h}u * LK + tx) * 4u < p.k { y[at + ${h}u * LK + tx] = acc_${g}_${e}_${h}; }
#end
        }
    }
#end
#end
}
