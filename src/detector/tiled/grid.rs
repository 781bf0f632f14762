//! Where tiles stand, and what is cut by their edges.

/// A tile: a rectangle of the picture, in its pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tile {
    pub x: u32,
    pub y: u32,
    pub w: u32,
    pub h: u32,
}

impl Tile {
    /// Left, top, and past the right and the bottom.
    pub(super) fn rectangle(&self) -> [u32; 4] {
        [self.x, self.y, self.x + self.w, self.y + self.h]
    }

    /// What two of them share: left, top, and past the right and the bottom; nothing where they share none.
    pub(super) fn shared(&self, other: &Self) -> Option<[u32; 4]> {
        let ([ax0, ay0, ax1, ay1], [bx0, by0, bx1, by1]) = (self.rectangle(), other.rectangle());
        let shared = [ax0.max(bx0), ay0.max(by0), ax1.min(bx1), ay1.min(by1)];
        (shared[0] < shared[2] && shared[1] < shared[3]).then_some(shared)
    }

    /// Whether a box comes within `margin` pixels of an edge beyond which a picture of that size goes on.
    pub(super) fn cuts(&self, [x1, y1, x2, y2]: [f32; 4], (width, height): (u32, u32), margin: u32) -> bool {
        let margin = margin as f32;
        let [left, top, right, bottom] = self.rectangle().map(|v| v as f32);
        self.x > 0 && x1 < left + margin
            || self.y > 0 && y1 < top + margin
            || self.x + self.w < width && x2 > right - margin
            || self.y + self.h < height && y2 > bottom - margin
    }
}

/// First pixels of the tiles along a side: as few as overlap by `overlap` or more, at even distances, the first and the last
/// at the picture's borders. All are of one size, so that the network sees all of the picture at one scale.
pub(super) fn starts(side: u32, tile: u32, overlap: u32) -> Vec<u32> {
    if side <= tile {
        return vec![0];
    }
    let steps = (side - tile).div_ceil(tile.saturating_sub(overlap).max(1));
    (0..=steps).map(|i| (u64::from(i) * u64::from(side - tile) / u64::from(steps)) as u32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_cover_the_side_and_overlap_enough() {
        for (side, tile, overlap) in [
            (6000, 1024, 128),
            (20_000, 1024, 128),
            (1025, 1024, 128),
            (1024, 1024, 128),
            (300, 1024, 500),
            (97, 32, 15),
            (1920, 1024, 128),
        ] {
            let starts = starts(side, tile, overlap);
            assert_eq!((starts[0], starts.last().unwrap() + tile.min(side)), (0, side), "{side} {tile}");
            for pair in starts.windows(2) {
                let shared = pair[0] + tile - pair[1];
                assert!(pair[0] < pair[1] && shared >= overlap, "{side} {tile} {overlap}: {starts:?}");
            }
            // One fewer would not do.
            let n = starts.len() as u32;
            assert!(n == 1 || (n - 1) * tile - (n - 2) * overlap < side, "{side} {tile}: {starts:?}");
        }
        assert_eq!(starts(6000, 1024, 128), [0, 829, 1658, 2488, 3317, 4146, 4976]);
    }

    #[test]
    fn only_inner_edges_cut() {
        let tile = Tile { x: 0, y: 100, w: 50, h: 60 };
        let cuts = |bbox| tile.cuts(bbox, (50, 300), 4);
        assert!(!cuts([0.0, 104.0, 50.0, 156.0]));
        assert!(cuts([10.0, 103.0, 20.0, 120.0]) && cuts([10.0, 120.0, 20.0, 157.0]));
        assert!(tile.cuts([40.0, 110.0, 47.0, 120.0], (51, 300), 4));
        assert!(!tile.cuts([40.0, 110.0, 47.0, 160.0], (50, 160), 4));
        let other = Tile { x: 40, y: 150, w: 9, h: 99 };
        assert_eq!((tile.shared(&other), other.shared(&tile)), (Some([40, 150, 49, 160]), Some([40, 150, 49, 160])));
        assert_eq!(tile.shared(&Tile { x: 50, ..tile }), None);
    }
}
