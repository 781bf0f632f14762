//! A window that plays pictures through the detector and draws masks in the same frame, on a device of the app's own. It keeps
//! drawing while a detection runs, on however slow a GPU.
//!
//! ```sh
//! cargo run --release --example live                    # a made-up scene of moving nuclei
//! cargo run --release --example live -- FOLDER          # the pictures of a folder, by name, over and over
//! ```
//!
//! What is seen is the picture that was detected last, with its masks: none lies on a picture that it does not belong to. What is
//! being played meanwhile is in the corner. Each frame of the window records one part of the detection that is under way,
//! `--slice` milliseconds of the device's time, so that a frame takes no longer than its own drawing and that.
//!
//! | file | what is in it |
//! |---|---|
//! | `detection` | **the engine's side**: frames in parts, what they took, how many instances there are |
//! | `app` | the window's events, and what happens in a frame |
//! | `screen` | the app's own device and drawing |
//! | `source`, `scene` | pictures |
//! | `text` | a line of text |
//! | `report` | gaps between frames |

mod app;
mod detection;
mod report;
mod scene;
mod screen;
mod source;
mod text;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

/// Why the window was closed, where that is not by the user.
pub(crate) type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// Plays pictures through the detector, in a window.
#[derive(Clone, Parser)]
pub(crate) struct Args {
    /// A folder of images; a made-up scene otherwise.
    folder: Option<PathBuf>,
    /// Pixels of a picture; those of a folder are fitted into it.
    #[arg(long, value_name = "WxH", default_value = "384x256", value_parser = size)]
    size: (u32, u32),
    /// How many pixels of the window a pixel of a picture has at first.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=8))]
    zoom: u32,
    /// The shorter side that a picture is scaled to for the network; the model's own otherwise. Smaller is faster.
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(32..=2048))]
    short_side: Option<u32>,
    /// For how long a frame of the window may have the device at a detection, in milliseconds; 8 otherwise, and 16 where the device is
    /// a CPU: the system takes its cores away for as long as 10.
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u32).range(1..=1000))]
    slice: Option<u32>,
    /// Pictures a second; 30 of the scene and 2 of a folder otherwise.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=240))]
    rate: Option<u32>,
    /// A part of the GPU's name.
    #[arg(long, value_name = "NAME")]
    device: Option<String>,
    /// Ends by itself so long after all is warm.
    #[arg(long, value_name = "N")]
    seconds: Option<u32>,
    /// Where what the window showed last goes, as a PNG.
    #[arg(long, value_name = "FILE")]
    screenshot: Option<PathBuf>,
    /// Prints at the end, as JSON, how many frames were drawn and how far they lay apart.
    #[arg(long)]
    report: bool,
}

impl Args {
    /// What a frame may have of the device.
    pub(crate) fn slice(&self, is_cpu: bool) -> Duration {
        let usual = if is_cpu { 16 } else { 8 };
        Duration::from_millis(self.slice.unwrap_or(usual).into())
    }
}

fn size(text: &str) -> Result<(u32, u32), String> {
    let sides = text.split_once('x').and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)));
    match sides {
        Some((w, h)) if (64..=4096).contains(&w) && (64..=4096).contains(&h) => Ok((w, h)),
        _ => Err("is not like 384x256, of sides from 64 to 4096".into()),
    }
}

fn main() -> ExitCode {
    match app::run(Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("error: {e}");
            ExitCode::FAILURE
        }
    }
}
