//! The published models' names as weights.

use std::path::{Path, PathBuf};

use crate::Result;

/// The names of the models that projects publish and this library reads, each of which stands for its weights; none without
/// the feature `pull`.
pub fn published() -> impl Iterator<Item = &'static str> {
    #[cfg(feature = "pull")]
    let names = super::pull::PUBLISHED.iter().map(|p| p.name);
    #[cfg(not(feature = "pull"))]
    let names = std::iter::empty();
    names
}

/// The file that `weights` stands for: itself or, where there is none, the published model of that name in the user's
/// cache folder.
///
/// # Errors
/// [`crate::Error::Weights`] where that was not pulled yet, [`crate::Error::Config`] where there is no such folder.
pub fn locate(weights: &Path) -> Result<PathBuf> {
    #[cfg(feature = "pull")]
    if let Some(p) = weights.to_str().and_then(super::pull::Published::find).filter(|_| !weights.exists()) {
        return super::pull::cached(p, &super::pull::cache_dir()?).ok_or_else(|| not_here(p));
    }
    Ok(weights.into())
}

/// That a published model was not pulled yet.
#[cfg(feature = "pull")]
pub fn not_here(p: &super::pull::Published) -> crate::Error {
    let reason = format!("not here yet: `maskrcnn weights pull {}` brings it, {}", p.name, p.size());
    crate::Error::Weights { file: p.name.into(), reason }
}
