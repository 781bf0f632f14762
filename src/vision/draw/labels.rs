//! Where each instance's words go, so that hundreds stay readable.

use super::canvas::Rect;

/// What is written at an instance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Label {
    /// Name, number and score on a plate that fills this rectangle.
    Full(Rect),
    /// The number alone, in this rectangle.
    Number(Rect),
    /// Nothing: there is no room.
    None,
}

/// What an instance would have written.
pub(super) struct Wish {
    /// Its box in the picture.
    pub(super) bbox: Rect,
    /// Points of it that a number may be centred on, the best first.
    pub(super) anchors: Vec<(i64, i64)>,
    /// Width and height of the full label's plate.
    pub(super) full: (i64, i64),
    /// Width and height of the number.
    pub(super) number: (i64, i64),
}

/// The part of another instance's box that a plate may hide.
const HIDES: f64 = 0.10;

/// From this many instances on, plates hung on small boxes make a thicket, and numbers alone read better.
const THICKET: usize = 100;

/// Finds a place for each label, the first wishes first, within `picture`; `gap` pixels keep things apart.
///
/// A full label goes above, below or beside its box, or inside where the box is large; if it would cover another label
/// or much of another instance wherever it goes, the number alone is centred on the instance, if that is free.
/// Among very many, only a box as wide as its label gets a full one.
pub(super) fn place(wishes: &[Wish], picture: Rect, gap: i64) -> Vec<Label> {
    let mut taken: Vec<Rect> = Vec::new();
    let mut placed = Vec::with_capacity(wishes.len());
    for (i, wish) in wishes.iter().enumerate() {
        let free = |rect: &Rect, taken: &[Rect]| taken.iter().all(|t| rect.grown(gap).overlap(t) == 0);
        let hides = |rect: &Rect| {
            let others = wishes.iter().enumerate().filter(|&(j, _)| j != i);
            // A box that holds this one whole is a scene rather than a neighbour.
            others
                .map(|(_, other)| &other.bbox)
                .any(|b| rect.overlap(b) as f64 > HIDES * b.area() as f64 && wish.bbox.overlap(b) < wish.bbox.area())
        };
        let wanted = wishes.len() < THICKET || wish.bbox.width() >= wish.full.0;
        let places = if wanted { candidates(wish, picture, gap) } else { Vec::new() };
        let full = places.into_iter().find(|rect| free(rect, &taken) && !hides(rect));
        let label = full.map(Label::Full).or_else(|| {
            let (w, h) = wish.number;
            let fits = w > 0 && w <= wish.bbox.width() && h <= wish.bbox.height();
            let mut places = wish.anchors.iter().map(|&(x, y)| Rect::new(x - w / 2, y - h / 2, w, h));
            places.find(|rect| fits && within(rect, &picture) && free(rect, &taken)).map(Label::Number)
        });
        if let Some(Label::Full(rect) | Label::Number(rect)) = label {
            taken.push(rect);
        }
        placed.push(label.unwrap_or(Label::None));
    }
    placed
}

/// Places for the full label, the best first, all within the picture.
fn candidates(wish: &Wish, picture: Rect, gap: i64) -> Vec<Rect> {
    let (w, h) = wish.full;
    let b = wish.bbox;
    // Pushed in from the picture's left and right rather than refused, as it still stands at its box.
    let slid = |x: i64| x.min(picture.x1 - w).max(0);
    let (above, below) = (b.y0 - h - gap, b.y1 + gap);
    let mut places = vec![
        (slid(b.x0), above),
        (slid(b.x1 - w), above),
        (slid(b.x0), below),
        (slid(b.x1 - w), below),
        (b.x1 + gap, b.y0),
        (b.x0 - w - gap, b.y0),
    ];
    if w + 2 * gap <= b.width() && 4 * h <= b.height() {
        places.push((b.x0 + gap, b.y0.max(0) + gap));
        places.push((b.x0 + gap, b.y1.min(picture.y1) - h - gap));
    }
    places.into_iter().map(|(x, y)| Rect::new(x, y, w, h)).filter(|rect| within(rect, &picture)).collect()
}

fn within(rect: &Rect, picture: &Rect) -> bool {
    rect.overlap(picture) == rect.area()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PICTURE: Rect = Rect { x0: 0, y0: 0, x1: 400, y1: 300 };

    fn wish(x: i64, y: i64, w: i64, h: i64) -> Wish {
        Wish { bbox: Rect::new(x, y, w, h), anchors: vec![(x + w / 2, y + h / 2)], full: (80, 16), number: (12, 10) }
    }

    #[test]
    fn a_label_alone_stands_above_or_where_there_is_room() {
        let one = |w: Wish| place(&[w], PICTURE, 2)[0];
        assert_eq!(one(wish(50, 50, 40, 40)), Label::Full(Rect::new(50, 32, 80, 16)));
        assert_eq!(one(wish(50, 0, 40, 40)), Label::Full(Rect::new(50, 42, 80, 16)));
        assert_eq!(one(wish(390, 50, 10, 10)), Label::Full(Rect::new(320, 32, 80, 16)));
        assert_eq!(one(wish(0, 0, 400, 300)), Label::Full(Rect::new(2, 2, 80, 16)));
    }

    #[test]
    fn labels_may_stand_on_all_sides_and_inside_of_large_boxes() {
        let places = |x, y, w, h| -> Vec<(i64, i64)> {
            let all = candidates(&wish(x, y, w, h), PICTURE, 2);
            assert!(all.iter().all(|r| (r.width(), r.height()) == (80, 16)));
            all.iter().map(|r| (r.x0, r.y0)).collect()
        };
        // Above, below, to the right; in both left corners. On the left is no room.
        assert_eq!(
            places(50, 50, 200, 100),
            [(50, 32), (170, 32), (50, 152), (170, 152), (252, 50), (52, 52), (52, 132)]
        );
        // To the left, and none inside.
        assert_eq!(places(300, 100, 90, 63), [(300, 82), (310, 82), (300, 165), (310, 165), (218, 100)]);
        // Inside are those that a box of four labels' height and of one's width takes, with gaps.
        for (w, h, inside) in [(84, 64, 2), (83, 64, 0), (84, 63, 0)] {
            assert_eq!(places(100, 100, w, h).len(), 6 + inside, "{w} by {h}");
        }
        // At the upper border, what would be above is not.
        assert_eq!(places(0, 0, 40, 40), [(0, 42), (0, 42), (42, 0)]);
    }

    #[test]
    fn in_a_crowd_nothing_overlaps_and_all_is_within() {
        let wishes: Vec<Wish> = (0..150).map(|i| wish(i % 15 * 27 - 3, i / 15 * 30 - 4, 26, 28)).collect();
        let rects: Vec<Rect> = place(&wishes, PICTURE, 2)
            .into_iter()
            .filter_map(|l| match l {
                Label::Full(r) | Label::Number(r) => Some(r),
                Label::None => None,
            })
            .collect();
        assert!(rects.len() > 130);
        for (i, a) in rects.iter().enumerate() {
            assert!(within(a, &PICTURE));
            assert!(rects[..i].iter().all(|b| a.overlap(b) == 0));
        }
    }

    #[test]
    fn no_room_is_no_label() {
        let tiny = Rect { x0: 0, y0: 0, x1: 8, y1: 8 };
        assert_eq!(place(&[wish(0, 0, 8, 8)], tiny, 2), [Label::None]);
    }
}
