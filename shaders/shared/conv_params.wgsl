// Parameters of convolution and of what is computed like one.
struct Params {
    levels: array<vec4<u32>, 5>, // see shared/spot
    pixels: u32, // N * OH * OW
    h: u32, w: u32, c: u32,
    k: u32, r: u32, s: u32,
    oh: u32, ow: u32,
    stride_h: u32, stride_w: u32,
    pad_h: u32, pad_w: u32,
    dilation_h: u32, dilation_w: u32,
    groups: u32,
    relu: u32,
    y_offset: u32,         // elements before the first one written
    y_image_stride: u32,   // elements from one image of y to the next
    map_h: u32, map_w: u32, // of the output, where a residual is to be enlarged to it …
    top_h: u32, top_w: u32, // … and of that residual
    images_per_batch: u32, // rows of n that share one live count
    grid_x: u32,
}
