//! The tiles of a piece, as the twins of Winograd's kernels find them: by walking over every one. As in
//! [`crate::ops::walks`], nothing here may be called by a launch.

use super::winograd::{TILE, Tiles};
pub(super) use crate::ops::walks::maps_of;

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
    use crate::ops::levels::Levels;

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
