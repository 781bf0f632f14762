// Whether row n counts: with live counts [B], each batch of p.images_per_batch rows computes its first ones only.
fn is_live(n: u32) -> bool {
#ifdef LIVE
    return n % p.images_per_batch < live[n / p.images_per_batch];
#else
    return true;
#endif
}
