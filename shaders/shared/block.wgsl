// What a workgroup of LP by LK threads holds of the operands of a product: BC channels of BP pixels and of BK rows of
// weights. A thread's part of the block is 4 * TG pixels by 4 * TH rows.
const BP = 4u * LP * TG;
const BK = 4u * LK * TH;
const BC = 4u * BC4;
// Threads that load pixels, four channels of four pixels each; and those after them that load weights, four fours each.
const X_THREADS = BP / 4u * BC4;
const W_THREADS = BK / 4u * BC4;

var<workgroup> xs: array<Held, BC * BP / 4u>; // [BC, BP/4], each four in its place by `held`
var<workgroup> ws: array<Held, BC * BK / 4u>; // [BC, BK/4]

// Where four pixels of four channels (number q) lie in their rows. The threads that store side by side are of different
// channels, at distances that are multiples of all banks: the swap sends them to different ones, as padded rows would,
// but takes no memory.
fn held(pixels: u32, q: u32) -> u32 { return pixels ^ (q * (8u / BC4)); }
