//! What is wrong with a file's content, before it is known how to call the file.

/// Worded so that [`Fault::of`] makes a sentence of it that follows the image's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// A kind of file that no decoder here reads: "a 12-bit JPEG".
    Kind(String),
    /// What is wrong with the data: "ends too early", "is damaged: …".
    State(String),
    /// A whole sentence that is said of the image: too large, no memory.
    Image(String),
}

impl Fault {
    pub(super) fn early() -> Self {
        Self::State("ends too early".into())
    }

    pub(super) fn corrupt(what: impl std::fmt::Display) -> Self {
        Self::State(format!("is corrupt ({what})"))
    }

    /// The sentence, of a file that is called a `format` file.
    pub(super) fn of(self, format: &str) -> String {
        match self {
            Self::Kind(kind) => format!("is {kind}, which is not supported; convert it to PNG"),
            Self::State(state) => format!("the {format} file {state}; copy or export it again"),
            Self::Image(sentence) => sentence,
        }
    }

    /// The same, said of a part of the file.
    pub(super) fn inside(self, place: &str) -> Self {
        match self {
            Self::Kind(kind) => Self::Kind(format!("a TIFF with {kind} inside")),
            Self::State(state) => Self::State(format!("{state}, in {place}")),
            other => other,
        }
    }
}

/// For memory that the system does not give.
pub(super) fn no_memory(bytes: u64) -> Fault {
    Fault::Image(format!(
        "needs {} MiB more memory than there is; close other programs or cut it",
        (bytes >> 20).max(1)
    ))
}

/// An empty vector with room for `len` values, or a fault where there is no memory for it.
pub(super) fn room<T>(len: usize) -> Result<Vec<T>, Fault> {
    let mut out = Vec::new();
    out.try_reserve_exact(len).map_err(|_| no_memory((len as u64).saturating_mul(size_of::<T>() as u64)))?;
    Ok(out)
}
