// The k largest of a range, sorted by falling value, ties by rising index, by a workgroup of THREADS.
//
// Radix select on 11 + 11 + 10 bits of order-preserving keys finds the k-th largest key; each thread then owns a contiguous
// range, so that one scan of counts gives every taken element its place in index order; a bitonic sort in workgroup memory
// ends it.

#expects x SORT
#import shared/order
#import shared/select

// Once the k-th key is known, `pool` holds SORT keys and, from BINS / 2 on, their indices.
var<workgroup> partial_equal: array<u32, THREADS>;

// Whether element (ka, ia) comes after (kb, ib).
fn after(ka: u32, ia: u32, kb: u32, ib: u32) -> bool {
    return ka < kb || (ka == kb && ia > ib);
}

// Leaves in `pool` the k largest of x[begin .. begin + n], and gives how many there are.
fn sort_largest(begin: u32, n: u32, k: u32, t: u32) -> u32 {
    let limit = kth_key(begin, n, k, t);

    // Places in index order: each thread counts its own range.
    let span = (n + THREADS - 1u) / THREADS;
    let from_i = min(t * span, n);
    let to_i = min(from_i + span, n);
    var greater = 0u;
    var equal = 0u;
    for (var i = from_i; i < to_i; i++) {
        let key = order_key(x[begin + i]);
        greater += select(0u, 1u, key > limit);
        equal += select(0u, 1u, key == limit && key != 0u);
    }
    partial[t] = greater;
    partial_equal[t] = equal;
    for (var b = t; b < BINS; b += THREADS) { atomicStore(&pool[b], select(0u, 0xffffffffu, b >= BINS / 2u)); }
    workgroupBarrier();
    var greater_before = 0u;
    var equal_before = 0u;
    var greater_all = 0u;
    var equal_all = 0u;
    for (var i = 0u; i < THREADS; i++) {
        greater_before += select(0u, partial[i], i < t);
        equal_before += select(0u, partial_equal[i], i < t);
        greater_all += partial[i];
        equal_all += partial_equal[i];
    }
    let room = k - min(k, greater_all);
    for (var i = from_i; i < to_i; i++) {
        let key = order_key(x[begin + i]);
        var slot = BINS;
        if key > limit {
            slot = greater_before;
            greater_before++;
        } else if key == limit && key != 0u {
            if equal_before < room { slot = greater_all + equal_before; }
            equal_before++;
        }
        if slot < k {
            atomicStore(&pool[slot], key);
            atomicStore(&pool[BINS / 2u + slot], i);
        }
    }
    workgroupBarrier();

    for (var size = 2u; size <= SORT; size *= 2u) {
        for (var step = size / 2u; step > 0u; step /= 2u) {
            for (var pair = t; pair < SORT / 2u; pair += THREADS) {
                let a = pair / step * step * 2u + pair % step;
                let b = a + step;
                let ka = atomicLoad(&pool[a]);
                let kb = atomicLoad(&pool[b]);
                let ia = atomicLoad(&pool[BINS / 2u + a]);
                let ib = atomicLoad(&pool[BINS / 2u + b]);
                if after(ka, ia, kb, ib) == ((a & size) == 0u) {
                    atomicStore(&pool[a], kb);
                    atomicStore(&pool[b], ka);
                    atomicStore(&pool[BINS / 2u + a], ib);
                    atomicStore(&pool[BINS / 2u + b], ia);
                }
            }
            workgroupBarrier();
        }
    }
    return min(k, greater_all + equal_all);
}
