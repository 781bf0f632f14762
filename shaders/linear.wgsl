// Linear: y[n,k] = act(bias[k] + sum over c of x[n,c] * w[k,c]).

#import shared/conv_params

@slot var<uniform> p: Params;
#import shared/element
#ifdef PLAIN
@slot var<storage, read> x: array<f32>; // [N, C]
@slot var<storage, read> weight: array<f32>; // [K, C]
#else
#import shared/operands
#endif
@slot var<storage, read> bias: array<T>; // [K]
#ifdef LIVE
@slot var<storage, read> live: array<u32>; // [B]
#endif
@slot var<storage, read_write> y: array<Y>; // [N, K]

#import shared/live
#import shared/activation

fn place(n: u32, q: u32, k: u32) -> u32 { return n * p.k + k; }

fn store(at: u32, n: u32, q: u32, k: u32, sum: T) {
    let v = sum + bias[k];
    y[at] = stored(activated(v));
}

#import shared/rows
