// a / b, exactly, for b > 0 and quotients below 2^20. Through f32: CPU drivers divide integers lane by lane.
fn quotient(a: u32, b: u32) -> u32 {
    // Off by one at most.
    let q = u32(f32(a) / f32(b));
    let rest = i32(a - q * b);
    return select(select(q, q + 1u, rest >= i32(b)), q - 1u, rest < 0);
}
