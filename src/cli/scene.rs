//! `maskrcnn scene`

use std::path::{Path, PathBuf};

use maskrcnn::engine::vision::results::{is_ours, save_png_atomic};
use maskrcnn::engine::vision::scene;
use maskrcnn::{Error, Result};

/// The options of `scene`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Where to write it: a PNG.
    #[arg(value_name = "OUT.png")]
    out: PathBuf,
    /// Replace a file that this program did not write, or that was changed since.
    #[arg(long)]
    overwrite: bool,
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
pub(super) fn run(args: &Args) -> Result<()> {
    check(&args.out, args.overwrite)?;
    let scene = scene::nuclei(args.width, args.height, args.seed, args.count)?;
    let (w, h) = (scene.image.width(), scene.image.height());
    let picture = image::RgbImage::from_raw(w, h, scene.image.into_rgb())
        .ok_or_else(|| Error::Image { name: "scene".into(), reason: "has no pixels".into() })?;
    save_png_atomic(&args.out, &picture)?;
    say!("{}: {w}×{h}, {} nuclei", args.out.display(), scene.nuclei.len());
    Ok(())
}

/// Refuses a name that says something else than PNG, and somebody else's file.
fn check(out: &Path, overwrite: bool) -> Result<()> {
    let refuse = |reason: &str| Err(Error::Image { name: out.display().to_string(), reason: reason.into() });
    let named = out.extension().is_some_and(|e| e.eq_ignore_ascii_case("png"));
    match out.metadata() {
        // A device or a pipe has whatever name it has, and a folder is refused where it is written.
        Ok(about) if !about.is_file() => Ok(()),
        _ if !named => refuse("is to be written as PNG: give it the ending .png"),
        Ok(_) if !overwrite && !is_ours(out) => refuse(
            "is there already, and was written or changed by somebody else; name another file, or replace it with \
             --overwrite",
        ),
        _ => Ok(()),
    }
}
