//! Decodes image files as `detect` does and writes the pixels that a network would see: one RGB PNG for each.
//!
//! ```sh
//! cargo run --release --example decode -- DIR FILE...
//! ```
//!
//! Prints a line for each file: its name, and `ok` with what was assumed, or the error.

use std::path::Path;
use std::process::ExitCode;

use maskrcnn::engine::vision::{ReadOptions, Reading};

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    let Some(folder) = args.next().filter(|_| args.len() > 0) else {
        eprintln!("usage: decode DIR FILE...");
        return ExitCode::FAILURE;
    };
    let mut failed = false;
    for file in args {
        let path = Path::new(&file);
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        match ReadOptions::default().open(path) {
            Ok(reading) => {
                let notes: Vec<String> = reading.notes.iter().map(ToString::to_string).collect();
                println!("{name}\tok\t{}", notes.join("; "));
                failed |= !save(reading, &Path::new(&folder).join(format!("{name}.png")));
            }
            Err(e) => {
                println!("{name}\terror\t{e}");
                failed = true;
            }
        }
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Writes a PNG.
fn save(reading: Reading, path: &Path) -> bool {
    let (w, h) = (reading.image.width(), reading.image.height());
    let saved = image::save_buffer(path, reading.image.rgb(), w, h, image::ExtendedColorType::Rgb8);
    if let Err(e) = &saved {
        eprintln!("{}: {e}", path.display());
    }
    saved.is_ok()
}
