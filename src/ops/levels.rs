//! Maps of several sizes as one tensor: the levels of a pyramid, where they share weights.

use std::fmt;

use crate::tensor::{Shape, Value};

/// Rows and columns of maps that lie one after the other in every image of a tensor `[B,1,cells,C]`, each row by row. A
/// convolution of such a tensor is that of each map by itself, with zeros around each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Levels {
    extents: [(usize, usize); Levels::MOST],
    count: usize,
}

impl Levels {
    /// Most maps of one tensor.
    pub const MOST: usize = 5;

    /// Maps of so many rows and columns; none where there are none, more than [`Levels::MOST`], or empty ones.
    pub fn new(maps: &[(usize, usize)]) -> Option<Self> {
        let fits = (1..=Self::MOST).contains(&maps.len()) && maps.iter().all(|&(h, w)| h * w > 0);
        let extents = std::array::from_fn(|i| maps.get(i).copied().unwrap_or_default());
        fits.then_some(Self { extents, count: maps.len() })
    }

    /// Rows and columns of each.
    pub fn maps(&self) -> &[(usize, usize)] {
        &self.extents[..self.count]
    }

    /// Pixels of an image, those of all maps.
    pub fn cells(&self) -> usize {
        self.first(self.count)
    }

    /// Pixels of an image before map `i`.
    pub fn first(&self, i: usize) -> usize {
        self.extents[..i].iter().map(|(h, w)| h * w).sum()
    }

    /// For the shaders: of each map the pixels before it, rows, columns, and the tiles of so many rows and columns
    /// before it.
    pub(crate) fn table(&self, tile: usize) -> [[u32; 4]; Self::MOST] {
        let tiles = |&(h, w): &(usize, usize)| h.div_ceil(tile) * w.div_ceil(tile);
        std::array::from_fn(|i| {
            let (h, w) = self.extents[i];
            let i = i.min(self.count);
            [self.first(i), h, w, self.extents[..i].iter().map(tiles).sum()].map(|n| n as u32)
        })
    }

    /// The constant by which a shader learns how many there are.
    pub(crate) fn define(&self) -> (&'static str, u32) {
        ("LEVELS", self.count as u32)
    }

    /// Map `i` of every image of `x` `[B,1,cells,C]`, as `[B,H,W,C]`.
    pub fn cut(&self, x: &Value, i: usize) -> Value {
        let (c, (h, w)) = (x.shape.dim(3), self.extents[i]);
        let part = |image: &[f32]| image[self.first(i) * c..][..h * w * c].to_vec();
        let images = x.floats().chunks_exact(self.cells() * c).flat_map(part).collect();
        Value::f32(Shape::from([x.shape.dim(0), h, w, c]), images)
    }

    /// The maps `[B,H,W,C]` of every image as one tensor `[B,1,cells,C]`: what [`Levels::cut`] takes apart.
    pub fn joined(&self, maps: &[Value]) -> Value {
        let (b, c) = (maps[0].shape.dim(0), maps[0].shape.dim(3));
        let image =
            |n: usize| maps.iter().flat_map(move |m| &m.floats()[n * m.shape.len() / b..(n + 1) * m.shape.len() / b]);
        Value::f32(Shape::from([b, 1, self.cells(), c]), (0..b).flat_map(image).copied().collect())
    }
}

impl fmt::Display for Levels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.maps().iter().map(|(h, w)| format!("{h}x{w}")).collect::<Vec<_>>().join("+"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_lie_one_after_the_other_in_each_image() {
        let levels = Levels::new(&[(2, 3), (1, 2)]).unwrap();
        assert_eq!((levels.cells(), levels.first(1)), (8, 6));
        assert_eq!(levels.table(2)[..2], [[0, 2, 3, 0], [6, 1, 2, 2]]);
        let x = Value::f32([2, 1, 8, 1], (0..16).map(|v| v as f32).collect());
        let second = levels.cut(&x, 1);
        assert_eq!((second.shape.dims(), second.floats()), (&[2, 1, 2, 1][..], &[6.0, 7.0, 14.0, 15.0][..]));
        let deep = levels.cut(&Value::f32([1, 1, 8, 3], (0..24).map(|v| v as f32).collect()), 1);
        assert_eq!((deep.shape.dims(), deep.floats()), (&[1, 1, 2, 3][..], &[18.0, 19.0, 20.0, 21.0, 22.0, 23.0][..]));
        let again = levels.joined(&[levels.cut(&x, 0), second]);
        assert_eq!((again.shape, again.floats()), (x.shape, x.floats()));
        assert!(Levels::new(&[]).is_none() && Levels::new(&[(0, 1)]).is_none() && Levels::new(&[(1, 1); 6]).is_none());
    }
}
