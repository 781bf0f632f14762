//! A mask's outlines, along the sides of its pixels.

use std::collections::HashMap;

use crate::vision::mask::Mask;

/// The corners of a closed outline in order, as x and y in pixels of the image, the first not repeated. Walked along it, the
/// mask is on the right hand side of the screen (y goes down). It never meets itself, and two corners are never in one line
/// with the one between them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ring(pub Vec<[u32; 2]>);

/// Pixels that hang together by their sides: what is within one outline and outside of those of its holes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// Around it, clockwise on the screen.
    pub shell: Ring,
    /// Around each hole, anticlockwise. They touch the shell and each other in single points at most.
    pub holes: Vec<Ring>,
}

impl Ring {
    /// Twice the area within, below 0 for a hole.
    fn twice_area(&self) -> i64 {
        let next = self.0.iter().cycle().skip(1);
        self.0
            .iter()
            .zip(next)
            .map(|(a, b)| i64::from(a[0]) * i64::from(b[1]) - i64::from(b[0]) * i64::from(a[1]))
            .sum()
    }

    /// Pixels within.
    pub fn area(&self) -> u64 {
        self.twice_area().unsigned_abs() / 2
    }

    /// The corners moved by `by` pixels into the mask. Programs that cut coordinates off to whole pixels, and fill a polygon
    /// with the pixels that its sides lie on, get the mask's own pixels from a ring that is a little smaller.
    pub fn inset(&self, by: f64) -> Vec<[f64; 2]> {
        let n = self.0.len();
        let step = |from: [u32; 2], to: [u32; 2]| {
            let sign = |a: u32, b: u32| f64::from(i8::from(b > a) - i8::from(b < a));
            [sign(from[0], to[0]), sign(from[1], to[1])]
        };
        (0..n)
            .map(|i| {
                let (before, at, after) = (self.0[(i + n - 1) % n], self.0[i], self.0[(i + 1) % n]);
                let (come, go) = (step(before, at), step(at, after));
                // To the right hand of each direction.
                let x = f64::from(at[0]) - by * (come[1] + go[1]);
                [x, f64::from(at[1]) + by * (come[0] + go[0])]
            })
            .collect()
    }
}

impl Part {
    /// Its pixels.
    pub fn area(&self) -> u64 {
        self.shell.area() - self.holes.iter().map(Ring::area).sum::<u64>()
    }
}

/// The parts of a mask, by their first pixel row by row. Pixels that touch in a corner alone are of two parts, or of one by
/// way of others; then there is a hole, or a bay, between them. Rings are those that OGC's simple features call valid.
pub fn parts(mask: &Mask) -> Vec<Part> {
    let (of_run, count) = label(mask);
    let mut out = vec![Part::default(); count];
    let words = mask.w.div_ceil(32) as usize;
    // Upper sides of pixels that an outline went along.
    let mut seen = vec![0_u32; words * mask.h as usize];
    for (run, part) in mask.runs().zip(of_run) {
        for x in run.x0..run.x1 {
            let (c, r) = (x - mask.x, run.y - mask.y);
            let at = r as usize * words + c as usize / 32;
            if seen[at] >> (c % 32) & 1 == 1 || above(mask, x, run.y) {
                continue;
            }
            let walked = walk(mask, [x, run.y], |[x, y]| {
                let (c, r) = (x - mask.x, y - mask.y);
                seen[r as usize * words + c as usize / 32] |= 1 << (c % 32);
            });
            for ring in simple(walked) {
                if ring.twice_area() > 0 { out[part].shell = ring } else { out[part].holes.push(ring) }
            }
        }
    }
    out
}

fn above(mask: &Mask, x: u32, y: u32) -> bool {
    y > 0 && mask.get(x, y - 1)
}

/// For each run of pixels the number of its part, from 0 by first runs, and how many there are.
fn label(mask: &Mask) -> (Vec<usize>, usize) {
    let runs: Vec<_> = mask.runs().collect();
    let mut parent: Vec<usize> = (0..runs.len()).collect();
    fn root(parent: &mut [usize], mut i: usize) -> usize {
        while parent[i] != i {
            parent[i] = parent[parent[i]];
            i = parent[i];
        }
        i
    }
    let mut before = 0;
    for i in 0..runs.len() {
        // Runs of the row above that end at or before this one's begin touch nothing further to the right.
        while before < i
            && (runs[before].y + 1 < runs[i].y || (runs[before].y < runs[i].y && runs[before].x1 <= runs[i].x0))
        {
            before += 1;
        }
        for j in (before..i).take_while(|&j| runs[j].y < runs[i].y && runs[j].x0 < runs[i].x1) {
            let (a, b) = (root(&mut parent, i), root(&mut parent, j));
            parent[a.max(b)] = a.min(b);
        }
    }
    let mut number = vec![usize::MAX; runs.len()];
    let mut count = 0;
    let of_run = (0..runs.len()).map(|i| {
        let r = root(&mut parent, i);
        if number[r] == usize::MAX {
            number[r] = count;
            count += 1;
        }
        number[r]
    });
    let of_run = of_run.collect();
    (of_run, count)
}

/// From the upper left corner of a pixel along its upper side, and on with the mask on the right hand, back to there. `see`
/// hears of each pixel whose upper side it goes along. Where pixels touch in a corner alone, it stays with its own.
fn walk(mask: &Mask, start: [u32; 2], mut see: impl FnMut([u32; 2])) -> Vec<[u32; 2]> {
    const STEPS: [(i64, i64); 4] = [(1, 0), (0, 1), (-1, 0), (0, -1)];
    let set = |x: i64, y: i64| x >= 0 && y >= 0 && mask.get(x as u32, y as u32);
    let (mut x, mut y, mut way) = (i64::from(start[0]), i64::from(start[1]), 0);
    let mut corners = Vec::new();
    loop {
        if way == 0 {
            see([x as u32, y as u32]);
        }
        (x, y) = (x + STEPS[way].0, y + STEPS[way].1);
        // The pixels ahead, on the left and on the right of the way.
        let (left, right) = match way {
            0 => (set(x, y - 1), set(x, y)),
            1 => (set(x, y), set(x - 1, y)),
            2 => (set(x - 1, y), set(x - 1, y - 1)),
            _ => (set(x - 1, y - 1), set(x, y - 1)),
        };
        let next = match (left, right) {
            (_, false) => (way + 1) % 4,
            (false, true) => way,
            (true, true) => (way + 3) % 4,
        };
        if next != way {
            corners.push([x as u32, y as u32]);
        }
        way = next;
        if way == 0 && [x, y] == start.map(i64::from) {
            return corners;
        }
    }
}

/// An outline that comes by a corner twice, as several that do not.
fn simple(corners: Vec<[u32; 2]>) -> Vec<Ring> {
    let (mut out, mut path) = (Vec::new(), Vec::with_capacity(corners.len()));
    let mut place: HashMap<[u32; 2], usize> = HashMap::new();
    for corner in corners {
        if let Some(&at) = place.get(&corner) {
            let closed: Vec<[u32; 2]> = path.drain(at..).collect();
            for corner in &closed {
                place.remove(corner);
            }
            out.push(Ring(closed));
        }
        place.insert(corner, path.len());
        path.push(corner);
    }
    out.push(Ring(path));
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::vision::mask::tests::any_mask;

    /// A mask from a drawing, its first pixel at (10, 20).
    fn drawn(rows: &[&str]) -> Mask {
        let w = rows[0].len() as u32;
        let set = |x: u32, y: u32| rows[(y - 20) as usize].as_bytes()[(x - 10) as usize] == b'#';
        Mask::from_fn(10, 20, w, rows.len() as u32, set)
    }

    fn ring(corners: &[[u32; 2]]) -> Ring {
        Ring(corners.iter().map(|[x, y]| [x + 10, y + 20]).collect())
    }

    #[test]
    fn outlines_by_hand() {
        let square = |x: u32, y: u32, side: u32| ring(&[[x + side, y], [x + side, y + side], [x, y + side], [x, y]]);
        let one = |shell: Ring| vec![Part { shell, holes: vec![] }];
        assert_eq!(parts(&drawn(&["#"])), one(square(0, 0, 1)));
        assert_eq!(parts(&drawn(&["##", "##"])), one(square(0, 0, 2)));
        // A hole, walked the other way round; it begins where its lower side is met first.
        let hole = ring(&[[2, 2], [2, 1], [1, 1], [1, 2]]);
        assert_eq!(parts(&drawn(&["###", "#.#", "###"])), [Part { shell: square(0, 0, 3), holes: vec![hole] }]);
        assert_eq!(parts(&drawn(&["#.#"])), [&one(square(0, 0, 1))[..], &one(square(2, 0, 1))].concat());
        // Two pixels that touch in a corner are two parts.
        for (rows, x) in [(["#.", ".#"], [0, 1]), ([".#", "#."], [1, 0])] {
            let want = [one(square(x[0], 0, 1)), one(square(x[1], 1, 1))].concat();
            assert_eq!(parts(&drawn(&rows)), want, "{rows:?}");
        }
        assert_eq!(parts(&Mask::default()), []);
        assert_eq!(parts(&drawn(&["..", ".."])), []);
    }

    #[test]
    fn a_bay_that_is_closed_by_a_corner_is_a_hole_that_touches_the_outline() {
        let bay = parts(&drawn(&["###", "#.#", "##."]));
        assert_eq!((bay.len(), bay[0].holes.len(), bay[0].area()), (1, 1, 7));
        assert_eq!(bay[0].holes[0].area(), 1);
        let common = |a: &Ring, b: &Ring| a.0.iter().filter(|c| b.0.contains(c)).count();
        assert_eq!(common(&bay[0].shell, &bay[0].holes[0]), 1);
        // Two holes that touch in a corner, too.
        let two = parts(&drawn(&["####", "#.##", "##.#", "####"]));
        assert_eq!((two.len(), two[0].holes.len(), two[0].area()), (1, 2, 14));
    }

    #[test]
    fn an_inset_ring_lies_within_its_pixels() {
        let shell = &parts(&drawn(&["##", "#."]))[0].shell;
        let inner = shell.inset(0.25);
        let floor: Vec<[u32; 2]> = inner.iter().map(|c| c.map(|v| v as u32)).collect();
        assert_eq!(floor, [[11, 20], [11, 20], [10, 20], [10, 21], [10, 21], [10, 20]]);
        assert_eq!(inner[0], [11.75, 20.25]);
        // The corner between the two arms, on the side of the mask.
        assert_eq!(inner[2], [10.75, 20.75]);
    }

    /// Whether a point is within a ring: sides crossed on the way to the left.
    fn within(ring: &Ring, x: f64, y: f64) -> bool {
        let next = ring.0.iter().cycle().skip(1);
        let crossed = ring.0.iter().zip(next).filter(|(a, b)| {
            let (top, low) = (a[1].min(b[1]), a[1].max(b[1]));
            a[0] == b[0] && f64::from(a[0]) < x && f64::from(top) < y && y < f64::from(low)
        });
        crossed.count() % 2 == 1
    }

    proptest! {
        #[test]
        fn parts_hold_the_masks_pixels_and_no_ring_meets_itself(mask in any_mask()) {
            let found = parts(&mask);
            prop_assert_eq!(found.iter().map(Part::area).sum::<u64>(), mask.area());
            for y in 0..60 {
                for x in 0..100 {
                    let (cx, cy) = (f64::from(x) + 0.5, f64::from(y) + 0.5);
                    let holding = found.iter().filter(|p| {
                        within(&p.shell, cx, cy) && !p.holes.iter().any(|h| within(h, cx, cy))
                    });
                    prop_assert_eq!(holding.count(), usize::from(mask.get(x, y)), "{}, {}", x, y);
                }
            }
            for ring in found.iter().flat_map(|p| p.holes.iter().chain([&p.shell])) {
                let corners: std::collections::HashSet<_> = ring.0.iter().collect();
                prop_assert_eq!(corners.len(), ring.0.len());
                prop_assert!(ring.0.len() >= 4);
            }
            prop_assert!(found.iter().all(|p| p.shell.twice_area() > 0));
        }
    }
}
