//! The text that a variant runs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::kernels::{self, Variant};
use crate::shader::{self, SNIPPETS};
use crate::{Error, Result};

/// Shaders as built in, or from a folder of the same layout, so that one can be edited without building anew.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    folder: Option<PathBuf>,
}

impl Sources {
    /// Those of `folder`, as far as it has them; the others as built in.
    ///
    /// # Errors
    /// [`Error::Io`] where there is no such folder.
    pub fn from_folder(folder: &Path) -> Result<Self> {
        let kind = std::fs::metadata(folder).map_err(|source| Error::Io { path: folder.into(), source })?;
        if !kind.is_dir() {
            let source = std::io::Error::new(std::io::ErrorKind::NotADirectory, "is not a folder of shaders");
            return Err(Error::Io { path: folder.into(), source });
        }
        Ok(Self { folder: Some(folder.into()) })
    }

    /// `variant` with its text: what these sources make of it, whatever a later build has.
    ///
    /// # Errors
    /// [`Error::Shader`] for a kernel that is not registered, or a text that the preprocessor refuses; [`Error::Io`] for
    /// a file that cannot be read.
    pub fn freeze(&self, kernel: &str, variant: &Variant) -> Result<Variant> {
        let refuse = |reason: String| Error::Shader { kernel: kernel.into(), reason };
        let entry = kernels::entry(kernel).ok_or_else(|| refuse("is not registered in `kernels!`".into()))?;
        let text = match &self.folder {
            None => shader::compile(entry, variant)?.text,
            Some(folder) => {
                let source = or_built_in(folder, kernel, entry.source)?;
                let mut snippets = Vec::new();
                for (name, text) in SNIPPETS {
                    snippets.push((*name, or_built_in(folder, name, text)?));
                }
                let snippets: Vec<(&str, &str)> = snippets.iter().map(|(n, t)| (*n, t.as_str())).collect();
                shader::preprocess(kernel, &source, &shader::defines(variant), &snippets).map_err(refuse)?.text
            }
        };
        Ok(Variant { text: Some(Arc::from(text)), ..variant.clone() })
    }
}

fn or_built_in(folder: &Path, name: &str, built_in: &str) -> Result<String> {
    let path = folder.join(format!("{name}.wgsl"));
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(text),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(built_in.into()),
        Err(source) => Err(Error::Io { path, source }),
    }
}
