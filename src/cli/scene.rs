//! `maskrcnn scene`

use std::path::PathBuf;

use maskrcnn::vision::{save_png_atomic, scene};
use maskrcnn::{Error, Result};

/// The options of `scene`.
#[derive(clap::Args)]
pub struct Args {
    /// Where to write the PNG.
    out: PathBuf,
    /// Columns.
    #[arg(long, default_value_t = 384)]
    width: u32,
    /// Rows.
    #[arg(long, default_value_t = 320)]
    height: u32,
    /// Nuclei to draw.
    #[arg(long, default_value_t = 45)]
    count: usize,
    /// Another scene for each number.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Draws and writes the scene.
pub fn run(args: &Args) -> Result<()> {
    let scene = scene::nuclei(args.width, args.height, args.seed, args.count)?;
    let (w, h) = (scene.image.width(), scene.image.height());
    let picture = image::RgbImage::from_raw(w, h, scene.image.into_rgb())
        .ok_or_else(|| Error::Image { name: "scene".into(), reason: "has no pixels".into() })?;
    save_png_atomic(&args.out, &picture)?;
    println!("{}: {w}×{h}, {} nuclei", args.out.display(), scene.nuclei.len());
    Ok(())
}
