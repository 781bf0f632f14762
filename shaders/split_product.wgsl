// A part of a convolution's sums, or a fully connected layer's, for products too small to fill a device otherwise:
// y[part,n,oh,ow,k] is the sum of x[n,ih,iw,c] * w[k,r,s,c] over the part of (r, s, c). See shared/blocked and shared/matrix.

#import shared/conv_params

@slot var<uniform> p: Params;
#import shared/element
#import shared/operands
#ifdef LIVE
@slot var<storage, read> live: array<u32>; // [B]
#endif
@slot var<storage, read_write> y: array<T>; // [PARTS, N, OH, OW, K]

#import shared/live

fn place(n: u32, q: u32, k: u32) -> u32 { return (n * p.oh * p.ow + q) * p.k + k; }

fn store(at: u32, n: u32, q: u32, k: u32, sum: T) { y[at] = sum; }

#ifdef MATRIX
#import shared/matrix
#else
#import shared/blocked
#endif
