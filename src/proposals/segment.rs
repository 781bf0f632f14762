//! Felzenszwalb and Huttenlocher, "Efficient Graph-Based Image Segmentation" (2004): pixels joined along the edges of
//! the grid, least difference first, wherever that is no more than either side has within itself, and `k` over its size.

use super::planes::Planes;

/// Steps of an edge's weight for each unit of colour. The longest way in the cube of 255 makes 56536 of them.
const STEPS: f32 = 128.0;
/// Weights that there can be.
const WEIGHTS: usize = 1 << 16;

/// The edges between each pixel and its eight neighbours, lightest first; of equal ones the first pixel's.
pub(super) struct Edges {
    pixels: usize,
    /// Four times the pixel, and the direction.
    order: Vec<u32>,
    /// How many edges are lighter than each weight.
    begins: Vec<u32>,
    /// How far each direction's neighbour is.
    offsets: [usize; 4],
}

/// A picture cut into regions.
pub(super) struct Segmentation {
    /// The region of each pixel. They are numbered in the order of their first pixels.
    pub labels: Vec<u32>,
    /// Regions.
    pub count: usize,
}

impl Edges {
    /// Those of a picture, by the differences of smoothed colours.
    pub(super) fn new(planes: &Planes) -> Self {
        let (width, height) = (planes.width, planes.height);
        let steps = [(1, 0), (0, 1), (1, 1), (-1, 1)];
        let offsets = steps.map(|(x, y): (isize, isize)| (x + y * width as isize) as usize);
        // Sorted by counting: edges by direction and pixel, as the columns that have such a neighbour run together.
        let mut weights = vec![0u16; 4 * planes.len()];
        let mut counts = vec![0u32; WEIGHTS + 1];
        let there = |x: usize, y: usize, (dx, dy): (isize, isize)| {
            x.checked_add_signed(dx).is_some_and(|x| x < width) && y + (dy as usize) < height
        };
        for y in 0..height {
            for (d, step) in steps.into_iter().enumerate() {
                for x in (0..width).filter(|&x| there(x, y, step)) {
                    let a = y * width + x;
                    let b = a + offsets[d];
                    let square = |plane: &Vec<f32>| (plane[a] - plane[b]) * (plane[a] - plane[b]);
                    let [p, q, r] = &planes.smooth;
                    let weight = ((square(p) + square(q) + square(r)).sqrt() * STEPS) as u16;
                    weights[4 * a + d] = weight;
                    counts[usize::from(weight) + 1] += 1;
                }
            }
        }
        for i in 0..WEIGHTS {
            counts[i + 1] += counts[i];
        }
        let mut next = counts.clone();
        let mut order = vec![0; counts[WEIGHTS] as usize];
        for y in 0..height {
            for x in 0..width {
                let a = y * width + x;
                for (d, _) in steps.iter().enumerate().filter(|(_, step)| there(x, y, **step)) {
                    let place = &mut next[usize::from(weights[4 * a + d])];
                    order[*place as usize] = (4 * a + d) as u32;
                    *place += 1;
                }
            }
        }
        Self { pixels: planes.len(), order, begins: counts, offsets }
    }

    /// Pixels joined: regions as large as `k` prefers them (colours are 0 to 255), and none of fewer than `least` pixels
    /// beside another.
    pub(super) fn segment(&self, k: f32, least: u32) -> Segmentation {
        let mut forest = Forest::new(self.pixels, k * STEPS);
        // Those that the first pass leaves apart: few, and all that the second has to look at.
        let mut left = Vec::new();
        for weight in 0..WEIGHTS {
            let (from, to) = (self.begins[weight] as usize, self.begins[weight + 1] as usize);
            for &edge in &self.order[from..to] {
                let (a, b) = self.ends(edge);
                let (a, b) = (forest.find(a), forest.find(b));
                if a != b && !forest.join_within(a, b, weight as f32, k * STEPS) {
                    left.push(edge);
                }
            }
        }
        for edge in left {
            let (a, b) = self.ends(edge);
            let (a, b) = (forest.find(a), forest.find(b));
            if a != b && (forest.size[a as usize] < least || forest.size[b as usize] < least) {
                forest.join(a, b);
            }
        }
        forest.numbered()
    }

    fn ends(&self, edge: u32) -> (u32, u32) {
        let pixel = edge >> 2;
        (pixel, pixel + self.offsets[(edge & 3) as usize] as u32)
    }
}

/// Which pixels are together.
struct Forest {
    parent: Vec<u32>,
    /// Pixels of a tree, at its root.
    size: Vec<u32>,
    /// The heaviest edge that a tree still takes, at its root.
    most: Vec<f32>,
}

impl Forest {
    fn new(pixels: usize, k: f32) -> Self {
        Self { parent: (0..pixels as u32).collect(), size: vec![1; pixels], most: vec![k; pixels] }
    }

    fn find(&mut self, pixel: u32) -> u32 {
        let mut at = pixel;
        loop {
            let up = self.parent[at as usize];
            if up == at {
                return at;
            }
            let above = self.parent[up as usize];
            self.parent[at as usize] = above;
            at = above;
        }
    }

    /// Joins two trees where neither minds the edge between them.
    fn join_within(&mut self, a: u32, b: u32, weight: f32, k: f32) -> bool {
        let within = weight <= self.most[a as usize] && weight <= self.most[b as usize];
        if within {
            let root = self.join(a, b) as usize;
            self.most[root] = weight + k / self.size[root] as f32;
        }
        within
    }

    /// Joins two trees; the larger one's root stays, of equal ones the first one's.
    fn join(&mut self, a: u32, b: u32) -> u32 {
        let (root, other) = if self.size[a as usize] >= self.size[b as usize] { (a, b) } else { (b, a) };
        self.parent[other as usize] = root;
        self.size[root as usize] += self.size[other as usize];
        root
    }

    fn numbered(mut self) -> Segmentation {
        let pixels = self.parent.len();
        let mut number = vec![u32::MAX; pixels];
        let mut count = 0;
        let labels = (0..pixels as u32).map(|pixel| {
            let number = &mut number[self.find(pixel) as usize];
            if *number == u32::MAX {
                *number = count;
                count += 1;
            }
            *number
        });
        let labels = labels.collect();
        Segmentation { labels, count: count as usize }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A picture of one channel that is not smoothed.
    fn planes(width: usize, values: &[f32]) -> Planes {
        let none = || vec![0.0; values.len()];
        let bytes = [0; 3].map(|_: i32| vec![0; values.len()]);
        Planes { width, height: values.len() / width, bytes, smooth: [values.to_vec(), none(), none()] }
    }

    fn cut(width: usize, values: &[f32], k: f32, least: u32) -> Vec<u32> {
        let found = Edges::new(&planes(width, values)).segment(k, least);
        assert_eq!(found.count, found.labels.iter().max().map_or(0, |n| *n as usize + 1));
        found.labels
    }

    #[test]
    fn two_colours_are_two_regions() {
        let picture: Vec<f32> = (0..48).map(|i| if i % 8 < 3 { 10.0 } else { 90.0 }).collect();
        let labels: Vec<u32> = (0..48).map(|i| u32::from(i % 8 >= 3)).collect();
        assert_eq!(cut(8, &picture, 100.0, 1), labels);
        // 18 pixels beside 30: an edge of 80 is within k / 18 from k = 1440 on, and within k / 30 from 2400 on.
        assert_eq!(cut(8, &picture, 2399.0, 1), labels);
        assert_eq!(cut(8, &picture, 2401.0, 1), vec![0; 48]);
        // And fewer than the least number of pixels stay with others.
        assert_eq!(cut(8, &picture, 100.0, 18), labels);
        assert_eq!(cut(8, &picture, 100.0, 19), vec![0; 48]);
    }

    #[test]
    fn what_varies_within_takes_heavier_edges() {
        // One row: steps of 4 between equal pairs, then one of 5. k = 10 joins pairs (most 0 + 10/2 = 5), then those by 4:
        // four pixels with 4 + 10/4 = 6.5, and 4 + 10/6 = 5.67 for all six, so that 5 is within. The lone last pixel has 10.
        let row = [0.0, 0.0, 4.0, 4.0, 8.0, 8.0, 13.0];
        assert_eq!(cut(7, &row, 10.0, 1), [0; 7]);
        // With k = 7, pairs take 3.5: they stay apart.
        assert_eq!(cut(7, &row, 7.0, 1), [0, 0, 1, 1, 2, 2, 3]);
    }

    #[test]
    fn diagonals_join_and_rows_do_not_wrap() {
        // Two diagonals of a chessboard of four: each is one region.
        assert_eq!(cut(2, &[0.0, 99.0, 99.0, 0.0], 1.0, 1), [0, 1, 1, 0]);
        // The end of a row is no neighbour of the next row's begin.
        assert_eq!(cut(3, &[0.0, 40.0, 99.0, 99.0, 40.0, 0.0], 1.0, 1), [0, 1, 2, 3, 1, 4]);
    }

    #[test]
    fn odd_shapes() {
        assert_eq!(cut(1, &[5.0], 1.0, 1), [0]);
        assert_eq!(cut(1, &[5.0, 5.0, 90.0], 1.0, 1), [0, 0, 1]);
        assert_eq!(cut(3, &[5.0, 90.0, 90.0], 1.0, 1), [0, 1, 1]);
        assert_eq!(cut(3, &[5.0, 90.0, 90.0], 1.0, 50), [0, 0, 0]);
    }
}
