// What is read and written at once: four elements with QUADS, else one. In memory they are f16 where X_F16 (the input),
// R_F16 (a residual) or Y_F16 (the output) say so.
#ifdef QUADS
alias T = vec4<f32>;
#else
alias T = f32;
#endif
#ifdef X_F16
enable f16;
#ifdef QUADS
alias X = vec4<f16>;
#else
alias X = f16;
#endif
#else
alias X = T;
#endif
#ifdef R_F16
enable f16;
#ifdef QUADS
alias R = vec4<f16>;
#else
alias R = f16;
#endif
#else
alias R = T;
#endif
#ifdef Y_F16
enable f16;
#ifdef QUADS
alias Y = vec4<f16>;
#else
alias Y = f16;
#endif
// What f16 cannot hold becomes the largest that it can, since infinities would make NaN of a sum.
fn stored(v: T) -> Y { return Y(clamp(v, T(-65504.0), T(65504.0))); }
#else
alias Y = T;
fn stored(v: T) -> Y { return v; }
#endif
