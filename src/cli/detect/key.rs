//! What results were made of what by: a word that stands in their marks ([`Pair::of_run`]).
//!
//! [`Pair::of_run`]: maskrcnn::engine::vision::results::Pair::of_run

use std::fmt::Write as _;

use maskrcnn::{Detector, Result};
use sha2::{Digest as _, Sha256};

use super::names::Page;

/// Everything but the picture that results depend on: the program's version, the weights, every setting, the precision,
/// and how pictures are read. The device is not among it: results differ from one to another by rounding.
pub(super) struct RunKey(Sha256);

impl RunKey {
    /// Of these weights, by their checksum; `reading` says how pictures are read, `score` what is left out.
    ///
    /// # Errors
    /// [`maskrcnn::Error::Config`] for settings that cannot be written.
    pub(super) fn new(weights: u32, detector: &Detector, reading: &str, score: f32) -> Result<Self> {
        let (version, config) = (env!("CARGO_PKG_VERSION"), detector.config().to_json()?);
        let precision = detector.precision();
        let text = format!("{version}\n{weights:08x}\n{config}\n{precision}\n{reading}\nscore {score}\n");
        Ok(Self(Sha256::new_with_prefix(text)))
    }

    /// The word for the results of a picture, by its file's bytes.
    pub(super) fn of(&self, bytes: &[u8], page: Option<Page>) -> String {
        self.of_sum(crc32fast::hash(bytes), bytes.len(), page)
    }

    /// The same by the bytes' CRC-32 and length.
    pub(super) fn of_sum(&self, crc: u32, len: usize, page: Option<Page>) -> String {
        let page = page.map_or(0, |page| page.number);
        let text = format!("{crc:08x} {len} {page}");
        let sum = self.0.clone().chain_update(text).finalize();
        sum.iter().take(8).fold(String::new(), |mut out, byte| {
            let _ = write!(out, "{byte:02x}");
            out
        })
    }
}
