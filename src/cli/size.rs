//! The size of an image, as options state it.

use std::fmt;
use std::str::FromStr;

/// Rows and columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Rows.
    pub height: u32,
    /// Columns.
    pub width: u32,
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refuse = || "is no size: write height x width in pixels, 1 to 65535 each, as in 800x1216".to_string();
        let (height, width) = text.split_once(['x', '×']).ok_or_else(refuse)?;
        let side = |s: &str| s.trim().parse().ok().filter(|n| (1..=65_535).contains(n)).ok_or_else(refuse);
        Ok(Self { height: side(height)?, width: side(width)? })
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.height, self.width)
    }
}
