// What is read and written at once: four elements with QUADS, else one.
#ifdef QUADS
alias T = vec4<f32>;
#else
alias T = f32;
#endif
