#import shared/divide

// Whether row n counts: with live counts [B], each batch of p.images_per_batch rows computes its first ones only.
fn is_live(n: u32) -> bool {
#ifdef LIVE
    let batch = quotient(n, p.images_per_batch);
    return n - batch * p.images_per_batch < live[batch];
#else
    return true;
#endif
}

// Whether no row from n_first to n_last counts. Live rows come first in each batch, so where both ends are dead rows of
// one batch, all are.
fn are_dead(n_first: u32, n_last: u32) -> bool {
    return !is_live(n_first) && !is_live(n_last)
        && quotient(n_first, p.images_per_batch) == quotient(n_last, p.images_per_batch);
}
