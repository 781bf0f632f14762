// What changes from image to image (src/kernels/frame.rs).
struct Frame {
    in_h: u32, in_w: u32,     // the image as it came
    out_h: u32, out_w: u32,   // resized, not padded
    back_y: f32, back_x: f32, // in / out, for boxes
    first_word: u32,          // of its pixels
    sent_w: u32,              // pixels of a row there
    top: u32, left: u32,      // padding before the resized image
    least: u32,               // no byte that the resize makes is less
    spare: u32,
}
