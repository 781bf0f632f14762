//! What a video is.

use std::io::Read as _;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;

use super::{FILE, Running};

/// What ffprobe says of a file's first video stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct Probe {
    /// Frames, as its container counts them.
    pub frames: usize,
    /// Frames a second, as ffmpeg writes it: `30000/1001`.
    pub rate: String,
}

impl Probe {
    /// Asks ffprobe.
    ///
    /// # Errors
    /// In words, as a clause that goes on after the file's name: ffprobe is not there, or finds no video.
    pub(in crate::cli) fn of(path: &Path) -> Result<Self, String> {
        let args = [
            "-v",
            "error",
            "-select_streams",
            "v:0",
            "-count_packets",
            "-show_entries",
            "stream=nb_read_packets,avg_frame_rate,r_frame_rate",
            "-of",
            "json",
            FILE,
        ];
        let mut ffprobe = Running::start("ffprobe", &args, Some(path), Stdio::null())?;
        let mut said = Vec::new();
        ffprobe.stdout()?.read_to_end(&mut said).map_err(|e| format!("ffprobe: {e}"))?;
        ffprobe.finish().map_err(|reason| format!("cannot be read as a video ({reason})"))?;
        Self::read(&said)
    }

    /// Of ffprobe's answer.
    pub(super) fn read(said: &[u8]) -> Result<Self, String> {
        let json: Value = serde_json::from_slice(said).map_err(|e| format!("ffprobe's answer is no JSON: {e}"))?;
        let stream = &json["streams"][0];
        let frames = stream["nb_read_packets"].as_str().and_then(|n| n.parse().ok()).unwrap_or(0);
        if frames == 0 {
            return Err("has no video in it".into());
        }
        let rate = ["avg_frame_rate", "r_frame_rate"].into_iter().filter_map(|key| stream[key].as_str());
        let rate = rate.into_iter().find(|rate| is_rate(rate)).unwrap_or("25").to_string();
        Ok(Self { frames, rate })
    }
}

/// Whether a rate is one: two numbers, of which none is 0.
fn is_rate(text: &str) -> bool {
    let (over, under) = text.split_once('/').unwrap_or((text, "1"));
    [over, under].iter().all(|n| n.parse::<u32>().is_ok_and(|n| n > 0))
}
