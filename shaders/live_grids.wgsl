// Grids for indirect dispatches: of the axis along which a launch's rows lie, the workgroups up to the last that has a
// live unit. CPU drivers run a dead workgroup with all lanes masked; one that is not launched costs nothing. A thread a
// launch.

struct Params { count: u32, batches: u32 }

@slot var<uniform> p: Params;
@slot var<storage, read> live: array<u32>; // [B]
// [n, 8]: units a row, units before, units a workgroup, axis, x, y, z, rows a batch (0: each batch has the whole axis)
@slot var<storage, read> table: array<u32>;
@slot var<storage, read_write> grids: array<u32>; // [n, 4]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= p.count { return; }
    let row = id.x * 8u;
    let units = table[row];
    let first = table[row + 1u];
    let block = table[row + 2u];
    let axis = table[row + 3u];
    let rows = table[row + 7u];
    let most = table[row + 4u + axis];
    var needed = 0u;
    for (var b = 0u; b < p.batches; b++) {
        let begin = b * rows * units;
        let end = begin + select(min(live[b], rows), live[b], rows == 0u) * units;
        if end > max(begin, first) && begin < first + most * block {
            needed = max(needed, min(most, (end - first + block - 1u) / block));
        }
    }
    for (var i = 0u; i < 3u; i++) {
        grids[id.x * 4u + i] = select(table[row + 4u + i], needed, i == axis);
    }
    grids[id.x * 4u + 3u] = 0u;
}
