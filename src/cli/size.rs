//! The size of an image, as options state it.

use std::str::FromStr;

/// Rows and columns, each at least 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    /// Rows.
    pub height: u32,
    /// Columns.
    pub width: u32,
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let side = |t: &str| t.parse::<u32>().ok().filter(|&n| n > 0);
        let sides = text.split_once(['x', 'X', '×']).and_then(|(h, w)| Some((side(h)?, side(w)?)));
        let (height, width) = sides.ok_or("is not rows x columns, each 1 or more, as in 800x1216")?;
        Ok(Self { height, width })
    }
}

#[cfg(test)]
mod tests {
    use super::Size;

    #[test]
    fn sizes_are_rows_by_columns() {
        assert_eq!("800x1216".parse(), Ok(Size { height: 800, width: 1216 }));
        assert_eq!("1×4294967295".parse(), Ok(Size { height: 1, width: u32::MAX }));
        for wrong in ["", "x", "0x5", "5x0", "axb", "640", "5x", "-5x5", "5x5x5", "4294967296x1", "5 x 5"] {
            assert!(wrong.parse::<Size>().is_err(), "{wrong}");
        }
    }
}
