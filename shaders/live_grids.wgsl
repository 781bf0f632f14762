// Grids for indirect dispatches: of the axis along which a launch's rows lie, the workgroups that have a live unit. CPU
// drivers run a dead workgroup with all lanes masked; one that is not launched costs nothing. A thread a launch.

struct Params { count: u32 }

@slot var<uniform> p: Params;
@slot var<storage, read> live: array<u32>; // [1]
@slot var<storage, read> table: array<u32>; // [n, 8]: units a row, units before, units a workgroup, axis, x, y, z
@slot var<storage, read_write> grids: array<u32>; // [n, 4]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= p.count { return; }
    let row = id.x * 8u;
    let units = live[0] * table[row];
    let needed = select((units - table[row + 1u] + table[row + 2u] - 1u) / table[row + 2u], 0u, units <= table[row + 1u]);
    for (var axis = 0u; axis < 3u; axis++) {
        let whole = table[row + 4u + axis];
        grids[id.x * 4u + axis] = select(whole, min(whole, needed), axis == table[row + 3u]);
    }
    grids[id.x * 4u + 3u] = 0u;
}
