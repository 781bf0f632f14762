// ln(1 + v) for v of 0 and more: where 1 + v would lose the digits of v, by its series.
fn log_one_more(v: f32) -> f32 {
    return select(log(1.0 + v), v * (1.0 - v * (0.5 - v * (1.0 / 3.0 - 0.25 * v))), v < 0.03);
}
