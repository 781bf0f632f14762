// Radix select on 11 + 11 + 10 bits of order-preserving keys, by a workgroup of THREADS: 256 or more, a power of two.

const BINS: u32 = 2048u;
// Bins go by eight when they are counted from the top.
const GROUPS: u32 = BINS / 8u;
const COARSE: u32 = 16u;
// Threads whose counts are one coarse sum.
const SIDE: u32 = THREADS / COARSE;

// The histogram; free for other use afterwards.
var<workgroup> pool: array<atomic<u32>, BINS>;
var<workgroup> partial: array<u32, THREADS>;
var<workgroup> partial_equal: array<u32, THREADS>;
// Sums of what lies side by side in these, so that nobody adds all of them up.
var<workgroup> coarse: array<u32, COARSE>;
var<workgroup> coarse_equal: array<u32, COARSE>;
// The chosen digit, and how many are still wanted of that digit.
var<workgroup> chosen: u32;
var<workgroup> wanted: u32;

// The k-th largest key of x[begin .. begin + n]. With fewer than k valid ones, the search ends at the lowest bins, and
// everything valid is above or equal.
fn kth_key(begin: u32, n: u32, k: u32, t: u32) -> u32 {
    // `prefix` holds the digits found so far; a pass counts the next digit of the keys that share it.
    var prefix = 0u;
    var remaining = k;
    for (var pass_no = 0u; pass_no < 3u; pass_no++) {
        let shift = select(select(0u, 10u, pass_no == 1u), 21u, pass_no == 0u);
        let bits = select(11u, 10u, pass_no == 2u);
        for (var first = 0u; first < BINS; first += THREADS) { atomicStore(&pool[first + t], 0u); }
        workgroupBarrier();
        // As many turns for every thread: FXC (DX12) takes the barriers for divergent beside a loop of each thread's own.
        for (var first = 0u; first < n; first += THREADS) {
            let i = first + t;
            let key = select(0u, order_key(x[begin + min(i, n - 1u)]), i < n);
            // In the first pass there is no digit above; a shift by 32 would be undefined.
            let same = pass_no == 0u || (key >> (shift + bits)) == prefix;
            if key != 0u && same { atomicAdd(&pool[(key >> shift) & ((1u << bits) - 1u)], 1u); }
        }
        workgroupBarrier();
        if t < GROUPS {
            var sum = 0u;
            for (var b = 0u; b < 8u; b++) { sum += atomicLoad(&pool[BINS - 1u - (t * 8u + b)]); }
            partial[t] = sum;
        }
        workgroupBarrier();
        if t < COARSE {
            var sum = 0u;
            for (var i = 0u; i < GROUPS / COARSE; i++) { sum += partial[t * (GROUPS / COARSE) + i]; }
            coarse[t] = sum;
        }
        workgroupBarrier();
        if t == 0u {
            var above = 0u;
            var most = 0u;
            while most < COARSE - 1u && above + coarse[most] < remaining {
                above += coarse[most];
                most++;
            }
            var group = most * (GROUPS / COARSE);
            while group < most * (GROUPS / COARSE) + GROUPS / COARSE - 1u && above + partial[group] < remaining {
                above += partial[group];
                group++;
            }
            var bin = BINS - 1u - group * 8u;
            for (var b = 0u; b < 7u; b++) {
                let here = atomicLoad(&pool[bin]);
                if above + here >= remaining { break; }
                above += here;
                bin--;
            }
            chosen = bin;
            wanted = remaining - min(remaining, above);
        }
        workgroupBarrier();
        prefix = (prefix << bits) | chosen;
        remaining = wanted;
        workgroupBarrier();
    }
    return prefix;
}

// A thread's own elements, and how many greater than the k-th key and equal to it there are before them, and in all.
struct Range { from_i: u32, to_i: u32, greater_before: u32, equal_before: u32, greater_all: u32, equal_all: u32 }

// That of thread t: contiguous, so that counts give every taken element its place in index order.
fn own_range(begin: u32, n: u32, limit: u32, t: u32) -> Range {
    let span = (n + THREADS - 1u) / THREADS;
    let from_i = min(t * span, n);
    var r = Range(from_i, min(from_i + span, n), 0u, 0u, 0u, 0u);
    var greater = 0u;
    var equal = 0u;
    for (var i = r.from_i; i < r.to_i; i++) {
        let key = order_key(x[begin + i]);
        greater += select(0u, 1u, key > limit);
        equal += select(0u, 1u, key == limit && key != 0u);
    }
    partial[t] = greater;
    partial_equal[t] = equal;
    workgroupBarrier();
    if t < COARSE {
        var sum = 0u;
        var sum_equal = 0u;
        for (var i = t * SIDE; i < t * SIDE + SIDE; i++) {
            sum += partial[i];
            sum_equal += partial_equal[i];
        }
        coarse[t] = sum;
        coarse_equal[t] = sum_equal;
    }
    workgroupBarrier();
    let mine = t / SIDE;
    for (var i = 0u; i < COARSE; i++) {
        r.greater_before += select(0u, coarse[i], i < mine);
        r.equal_before += select(0u, coarse_equal[i], i < mine);
        r.greater_all += coarse[i];
        r.equal_all += coarse_equal[i];
    }
    for (var i = 0u; i < SIDE; i++) {
        r.greater_before += select(0u, partial[mine * SIDE + i], mine * SIDE + i < t);
        r.equal_before += select(0u, partial_equal[mine * SIDE + i], mine * SIDE + i < t);
    }
    return r;
}
