// What changes from image to image (src/kernels/frame.rs).
struct Frame {
    in_h: u32, in_w: u32,   // the image as it came
    out_h: u32, out_w: u32, // resized, not padded
    ratio_y: f32, ratio_x: f32, // in / out
    back_y: f32, back_x: f32,   // in / out, for boxes
    first_word: u32,
    spare_0: u32, spare_1: u32, spare_2: u32,
}
