// What a layer ends with: a hard swish or a hard sigmoid where the text is for one, else a ReLU where the parameters say so.
#expects T p
fn activated(v: T) -> T {
#ifdef HARD_SWISH
    return v * (clamp(v + T(3.0), T(0.0), T(6.0)) / 6.0);
#else
#ifdef HARD_SIGMOID
    return clamp(v + T(3.0), T(0.0), T(6.0)) / 6.0;
#else
    return select(v, max(v, T(0.0)), p.relu != 0u);
#endif
#endif
}
