// What a box is matched with (src/ops/matching.rs).
const IGNORED: u32 = 0u;
const BACKGROUND: u32 = 1u;
const FIRST_TRUTH: u32 = 2u; // and the truth's number
