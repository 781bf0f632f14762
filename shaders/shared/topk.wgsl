// The k largest of a range, sorted by falling value, ties by rising index, by a workgroup of THREADS.
//
// Radix select on 11 + 11 + 10 bits of order-preserving keys finds the k-th largest key; each thread then owns a contiguous
// range, so that one scan of counts gives every taken element its place in index order; a bitonic sort in workgroup memory
// ends it.

#expects x SORT
#import shared/order
#import shared/select

// Leaves the k largest of x[begin .. begin + n] in `pool`, SORT keys and, from BINS / 2 on, their indices; gives how many there
// are.
fn sort_largest(begin: u32, n: u32, k: u32, t: u32) -> u32 {
    let limit = kth_key(begin, n, k, t);

    for (var b = t; b < BINS; b += THREADS) { atomicStore(&pool[b], select(0u, 0xffffffffu, b >= BINS / 2u)); }
    // Its barrier is the pool's as well.
    var r = own_range(begin, n, limit, t);
    let room = k - min(k, r.greater_all);
    for (var i = r.from_i; i < r.to_i; i++) {
        let key = order_key(x[begin + i]);
        var slot = BINS;
        if key > limit {
            slot = r.greater_before;
            r.greater_before++;
        } else if key == limit && key != 0u {
            if r.equal_before < room { slot = r.greater_all + r.equal_before; }
            r.equal_before++;
        }
        if slot < k {
            atomicStore(&pool[slot], key);
            atomicStore(&pool[BINS / 2u + slot], i);
        }
    }
    workgroupBarrier();

    for (var size = 2u; size <= SORT; size *= 2u) {
        for (var step = size / 2u; step > 0u; step /= 2u) {
            for (var first = 0u; first < SORT / 2u; first += THREADS) {
                let pair = first + t;
                let a = pair / step * step * 2u + pair % step;
                let b = a + step;
                if pair < SORT / 2u {
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
            }
            workgroupBarrier();
        }
    }
    return min(k, r.greater_all + r.equal_all);
}
