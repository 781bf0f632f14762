//! The default model on one image: `cargo run --release --example minimal -- assets/demo.png`.

use maskrcnn::{Detector, Image, Result};

fn main() -> Result<()> {
    let path = std::env::args().nth(1).unwrap_or_else(|| "assets/demo.png".into());
    let detector = Detector::embedded()?;
    for found in &detector.detect(&Image::open(path)?)?.above(0.5) {
        let [x1, y1, x2, y2] = found.bbox;
        println!("{:.2} at {x1:.0},{y1:.0} to {x2:.0},{y2:.0}, {} pixels", found.score, found.mask.area());
    }
    Ok(())
}
