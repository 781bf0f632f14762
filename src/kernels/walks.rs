//! Where things lie, as the twins find it: by walking over every map, row and column there is. Launches and shaders
//! compute the same places ([`Levels`](super::levels::Levels), [`Tiles`], `extents`). Code that both used would hide
//! its faults from the tests that compare the two, so nothing here may be called by a launch, and a twin calls nothing
//! else that tells a place (`tests/MUTANTS.md`).

use super::winograd::{TILE, Tiles};
use crate::tensor::{Shape, Value};

/// How many windows of `reach` elements, `step` apart, lie within `n`.
pub(super) fn windows(n: usize, reach: usize, step: usize) -> usize {
    (0..).step_by(step).take_while(|first| first + reach <= n).count()
}

/// The maps of each image of `x`, whose images hold them one after the other, as `[B,H,W,C]`.
pub(super) fn maps_of(x: &Value, maps: &[(usize, usize)]) -> Vec<Value> {
    let (b, c) = (x.shape.dim(0), x.shape.dim(3));
    let mut out = vec![Vec::new(); maps.len()];
    let mut rest = x.floats();
    for _ in 0..b {
        for (map, &(h, w)) in out.iter_mut().zip(maps) {
            let (part, after) = rest.split_at(h * w * c);
            map.extend_from_slice(part);
            rest = after;
        }
    }
    assert!(rest.is_empty(), "{} is more than {maps:?}", x.shape);
    maps.iter().zip(out).map(|(&(h, w), map)| Value::f32([b, h, w, c], map)).collect()
}

/// The maps `[B,H,W,C]`, those of each image one after the other: `[B,1,cells,C]`.
pub(super) fn together(maps: &[Value]) -> Value {
    let (b, c) = (maps[0].shape.dim(0), maps[0].shape.dim(3));
    let mut images: Vec<_> = maps.iter().map(|m| m.floats().chunks_exact(m.shape.len() / b)).collect();
    let mut out = Vec::new();
    for _ in 0..b {
        images.iter_mut().for_each(|image| out.extend_from_slice(image.next().expect("as many images")));
    }
    Value::f32(Shape::from([b, 1, out.len() / (b * c), c]), out)
}

/// One of the tiles of a piece.
pub(super) struct Tile {
    /// Its number in the piece.
    pub at: usize,
    /// The image and the map that it lies in.
    pub image: usize,
    pub map: usize,
    /// The pixels of the image before that map.
    pub before: usize,
    /// The first of its rows and columns in the map.
    pub row: usize,
    pub column: usize,
}

/// The tiles of a piece that belong to live images, where there are live counts.
pub(super) fn tiles(piece: &Tiles, live: Option<&[u32]>) -> Vec<Tile> {
    let mut out = Vec::new();
    let mut seen = 0;
    for image in 0..piece.images {
        let counts = |live: &[u32]| {
            let batch = piece.images / live.len();
            image % batch < live[image / batch] as usize
        };
        let is_live = live.is_none_or(counts);
        let mut before = 0;
        for (map, &(h, w)) in piece.maps.maps().iter().enumerate() {
            for row in (0..h).step_by(TILE) {
                for column in (0..w).step_by(TILE) {
                    if is_live && (piece.first..piece.first + piece.count).contains(&seen) {
                        out.push(Tile { at: seen - piece.first, image, map, before, row, column });
                    }
                    seen += 1;
                }
            }
            before += h * w;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::levels::Levels;

    #[test]
    fn windows_lie_within() {
        assert_eq!(windows(7, 3, 2), 3);
        assert_eq!(windows(8, 3, 2), 3);
        assert_eq!(windows(3, 3, 9), 1);
        assert_eq!(windows(2, 3, 1), 0);
    }

    #[test]
    fn maps_come_apart_and_together() {
        let x = Value::f32([2, 1, 8, 1], (0..16).map(|v| v as f32).collect());
        let maps = maps_of(&x, &[(2, 3), (1, 2)]);
        assert_eq!((maps[1].shape.dims(), maps[1].floats()), (&[2, 1, 2, 1][..], &[6.0, 7.0, 14.0, 15.0][..]));
        assert_eq!(maps[0].floats()[5..7], [5.0, 8.0]);
        let again = together(&maps);
        assert_eq!((again.shape, again.floats()), (x.shape, x.floats()));
    }

    #[test]
    fn tiles_of_live_images_in_order() {
        let maps = Levels::new(&[(5, 4), (1, 1)]).unwrap();
        let piece = Tiles { images: 4, maps, joined: true, first: 2, count: 8 };
        let told = |live: Option<&[u32]>| {
            let told = |t: Tile| [t.at, t.image, t.map, t.before, t.row, t.column];
            tiles(&piece, live).into_iter().map(told).collect::<Vec<_>>()
        };
        let all = told(None);
        assert_eq!(all[..3], [[0, 0, 1, 20, 0, 0], [1, 1, 0, 0, 0, 0], [2, 1, 0, 0, 4, 0]]);
        assert_eq!((all.len(), all[7]), (8, [7, 3, 0, 0, 0, 0]));
        let live = told(Some(&[1, 2]));
        assert_eq!(live.iter().map(|t| (t[0], t[1])).collect::<Vec<_>>(), [(0, 0), (4, 2), (5, 2), (6, 2), (7, 3)]);
    }
}
