//! What is known of regions, and how alike two of them are: Uijlings et al., "Selective Search for Object Recognition"
//! (2013), section 3.2.

use super::planes::Planes;
use super::segment::Segmentation;

/// Bins of a channel's colours.
const COLOURS: usize = 25;
/// Bins of a channel's slopes in one of eight directions.
const SLOPES: usize = 10;
/// A slope of so many units a pixel fills a bin; the last one has all that is steeper.
const SLOPE: f32 = 4.0;
/// Slopes with their signs along an axis: those of both of its directions.
const SIGNED: usize = 2 * SLOPES - 1;
/// Channels times axes.
const AXES: usize = 3 * 4;

/// Numbers of the colour histogram; the last ones are 0, so that all can be taken eight at a time.
const COLOUR: usize = 80;
/// Numbers of the texture histogram.
const TEXTURE: usize = 2 * AXES * SLOPES;
/// Numbers of both.
pub(super) const FEATURES: usize = COLOUR + TEXTURE;

/// Regions of a picture, by their numbers.
#[derive(Clone, Default)]
pub(super) struct Regions {
    /// Pixels of the picture.
    pub pixels: f32,
    /// Pixels of each.
    pub size: Vec<u32>,
    /// The first column and row of each, and those after the last.
    pub bbox: Vec<[u32; 4]>,
    /// Of each [`FEATURES`] numbers: the colours and the texture, each histogram with a sum of 1.
    pub histograms: Vec<f32>,
}

/// What counts where regions are compared. Size and filling always do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Measure {
    /// Colour, texture, size and filling.
    ColourTexture,
    /// Texture, size and filling.
    Texture,
}

/// For each pixel, which bin its slopes fall into: an index along each axis of each channel.
pub(super) struct Slopes(Vec<[u8; AXES]>);

impl Slopes {
    /// By central differences of the smoothed channels, which comes close to derivatives of a Gaussian of σ = 1.
    pub(super) fn new(planes: &Planes) -> Self {
        let (width, height) = (planes.width, planes.height);
        let mut out = vec![[0; AXES]; planes.len()];
        let bin = |slope: f32| {
            let bin = (slope * (1.0 / SLOPE)) as i32;
            (bin.clamp(1 - SLOPES as i32, SLOPES as i32 - 1) + SLOPES as i32 - 1) as u8
        };
        for (c, plane) in planes.smooth.iter().enumerate() {
            for y in 0..height {
                let [up, row, down] =
                    [y.saturating_sub(1), y, (y + 1).min(height - 1)].map(|y| &plane[y * width..][..width]);
                let out = &mut out[y * width..][..width];
                for (x, out) in out.iter_mut().enumerate() {
                    let dx = (row[(x + 1).min(width - 1)] - row[x.saturating_sub(1)]) * 0.5;
                    let dy = (down[x] - up[x]) * 0.5;
                    let half = std::f32::consts::FRAC_1_SQRT_2;
                    let axes = [dx, (dx + dy) * half, dy, (dy - dx) * half];
                    out[4 * c..][..4].copy_from_slice(&axes.map(bin));
                }
            }
        }
        Self(out)
    }
}

impl Regions {
    /// The regions of a segmentation.
    pub(super) fn new(planes: &Planes, slopes: &Slopes, segmentation: &Segmentation) -> Self {
        const COUNTERS: usize = 3 * COLOURS + AXES * SIGNED;
        let n = segmentation.count;
        let mut counters = vec![0u32; n * COUNTERS];
        let mut size = vec![0u32; n];
        let mut bbox = vec![[u32::MAX, u32::MAX, 0, 0]; n];
        for (i, &label) in segmentation.labels.iter().enumerate() {
            let (x, y, label) = ((i % planes.width) as u32, (i / planes.width) as u32, label as usize);
            size[label] += 1;
            let [x1, y1, x2, y2] = bbox[label];
            bbox[label] = [x1.min(x), y1.min(y), x2.max(x + 1), y2.max(y + 1)];
            let counters = &mut counters[label * COUNTERS..][..COUNTERS];
            for (c, plane) in planes.bytes.iter().enumerate() {
                counters[c * COLOURS + usize::from(plane[i]) * COLOURS / 256] += 1;
            }
            for (axis, &bin) in slopes.0[i].iter().enumerate() {
                counters[3 * COLOURS + axis * SIGNED + usize::from(bin)] += 1;
            }
        }
        let mut histograms = vec![0.0; n * FEATURES];
        let all = histograms.chunks_exact_mut(FEATURES).zip(counters.chunks_exact(COUNTERS)).zip(&size);
        for ((out, counters), &size) in all {
            fill(out, counters, size as f32);
        }
        Self { pixels: planes.len() as f32, size, bbox, histograms }
    }

    /// Regions.
    pub(super) fn len(&self) -> usize {
        self.size.len()
    }

    /// How alike two of them are.
    pub(super) fn alike(&self, a: usize, b: usize, measure: Measure) -> f32 {
        let [p, q] = [a, b].map(|i| &self.histograms[i * FEATURES..][..FEATURES]);
        let texture = intersection(&p[COLOUR..], &q[COLOUR..]);
        let colour = match measure {
            Measure::ColourTexture => intersection(&p[..COLOUR], &q[..COLOUR]),
            Measure::Texture => 0.0,
        };
        let together = (self.size[a] + self.size[b]) as f32;
        let size = 1.0 - together / self.pixels;
        let filling = 1.0 - (area(around(self.bbox[a], self.bbox[b])) - together) / self.pixels;
        colour + texture + size + filling
    }

    /// Adds region `b` to region `a`.
    pub(super) fn merge(&mut self, a: usize, b: usize) {
        let (m, n) = (self.size[a] as f32, self.size[b] as f32);
        let (m, n) = (m / (m + n), n / (m + n));
        let (low, high) = (a.min(b) * FEATURES, a.max(b) * FEATURES);
        let (head, tail) = self.histograms.split_at_mut(high);
        let (p, q) = (&mut head[low..low + FEATURES], &mut tail[..FEATURES]);
        let (to, from) = if a < b { (p, q) } else { (q, p) };
        to.iter_mut().zip(from).for_each(|(to, from)| *to = *to * m + *from * n);
        self.size[a] += self.size[b];
        self.bbox[a] = around(self.bbox[a], self.bbox[b]);
    }
}

/// Makes histograms of what was counted in a region of `size` pixels.
fn fill(out: &mut [f32], counters: &[u32], size: f32) {
    let (colours, slopes) = counters.split_at(3 * COLOURS);
    out.iter_mut().zip(colours).for_each(|(out, &n)| *out = n as f32 / (3.0 * size));
    let (texture, all) = (&mut out[COLOUR..], 2.0 * AXES as f32 * size);
    for (out, axis) in texture.chunks_exact_mut(2 * SLOPES).zip(slopes.chunks_exact(SIGNED)) {
        // A pixel that rises one way does not rise the other: there it is in the first bin.
        let (there, back) = out.split_at_mut(SLOPES);
        for i in 1..SLOPES {
            there[i] = axis[SLOPES - 1 + i] as f32 / all;
            back[i] = axis[SLOPES - 1 - i] as f32 / all;
        }
        let flat = |steep: &[u32]| (size - steep.iter().sum::<u32>() as f32) / all;
        there[0] = flat(&axis[SLOPES..]);
        back[0] = flat(&axis[..SLOPES - 1]);
    }
}

/// What two histograms have in common. Eight sums beside each other, which is the same on every machine.
fn intersection(p: &[f32], q: &[f32]) -> f32 {
    let mut sums = [0.0; 8];
    for (p, q) in p.as_chunks::<8>().0.iter().zip(q.as_chunks::<8>().0) {
        for i in 0..8 {
            sums[i] += if p[i] < q[i] { p[i] } else { q[i] };
        }
    }
    sums.iter().sum()
}

/// The box round two boxes.
pub(super) fn around(a: [u32; 4], b: [u32; 4]) -> [u32; 4] {
    [a[0].min(b[0]), a[1].min(b[1]), a[2].max(b[2]), a[3].max(b[3])]
}

fn area(b: [u32; 4]) -> f32 {
    (b[2] - b[0]) as f32 * (b[3] - b[1]) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two regions with colours and slopes all in one bin each, but for a quarter of the second one's colours.
    fn two() -> Regions {
        let mut histograms = vec![0.0; 2 * FEATURES];
        (histograms[3], histograms[COLOUR + 7]) = (1.0, 1.0);
        let second = &mut histograms[FEATURES..];
        (second[3], second[4], second[COLOUR + 9]) = (0.25, 0.75, 1.0);
        Regions { pixels: 100.0, size: vec![10, 30], bbox: vec![[0, 0, 5, 2], [5, 2, 10, 8]], histograms }
    }

    #[test]
    fn likeness_is_the_sum_of_its_parts() {
        let regions = two();
        // Colours have 0.25 in common, textures nothing; 1 - 40/100; the box of both is 10 × 8: 1 - (80 - 40)/100.
        assert!((regions.alike(0, 1, Measure::ColourTexture) - (0.25 + 0.6 + 0.6)).abs() < 1e-6);
        assert!((regions.alike(0, 1, Measure::Texture) - 1.2).abs() < 1e-6);
        // With itself: all of both, and twice the size in one box of 10.
        assert!((regions.alike(0, 0, Measure::ColourTexture) - (2.0 + 0.8 + 1.1)).abs() < 1e-6);
    }

    #[test]
    fn joined_regions_have_the_mean_of_their_pixels() {
        for (a, b) in [(0, 1), (1, 0)] {
            let mut regions = two();
            regions.merge(a, b);
            assert_eq!((regions.size[a], regions.bbox[a]), (40, [0, 0, 10, 8]));
            let h = &regions.histograms[a * FEATURES..][..FEATURES];
            // A quarter of the pixels are the first one's.
            let want = [(3, 0.25 + 0.75 * 0.25), (4, 0.75 * 0.75), (COLOUR + 7, 0.25), (COLOUR + 9, 0.75)];
            assert!(want.iter().all(|&(i, v): &(usize, f32)| (h[i] - v).abs() < 1e-6), "{h:?}");
        }
    }

    #[test]
    fn histograms_count_what_is_there() {
        // Columns rise by 10 along x: slopes of 10 to the right, of 10/√2 along the two diagonals, none down.
        let (width, height) = (12, 10);
        let channel = |f: &dyn Fn(usize) -> f32| (0..width * height).map(|i| f(i % width)).collect::<Vec<f32>>();
        let rising = channel(&|x| 10.0 * x as f32);
        let bytes = [rising.iter().map(|v| *v as u8).collect(), vec![255; width * height], vec![0; width * height]];
        let smooth = [rising, channel(&|_| 255.0), channel(&|_| 0.0)];
        let planes = Planes { width, height, bytes, smooth };
        // The middle, where borders do not matter, is region 0, what is round it region 1.
        let inside = |i: usize| (1..width - 1).contains(&(i % width)) && (1..height - 1).contains(&(i / width));
        let labels = (0..width * height).map(|i| u32::from(!inside(i))).collect();
        let regions = Regions::new(&planes, &Slopes::new(&planes), &Segmentation { labels, count: 2 });
        assert_eq!(regions.size, [80, 40]);
        assert_eq!(regions.bbox, [[1, 1, 11, 9], [0, 0, 12, 10]]);
        for h in regions.histograms.chunks_exact(FEATURES) {
            assert!((h[..COLOUR].iter().sum::<f32>() - 1.0).abs() < 1e-5);
            assert!((h[COLOUR..].iter().sum::<f32>() - 1.0).abs() < 1e-5);
        }
        let h = &regions.histograms[..FEATURES];
        // The second channel is all in its last bin, the third in its first.
        assert!((h[2 * COLOURS - 1] - 1.0 / 3.0).abs() < 1e-6 && (h[2 * COLOURS] - 1.0 / 3.0).abs() < 1e-6);
        // Of the first channel: 10 and 20 of columns 1 and 2 in bins 0 and 1, each a tenth.
        assert!((h[0] - 1.0 / 30.0).abs() < 1e-6 && (h[1] - 1.0 / 30.0).abs() < 1e-6);
        // Axes: right, right and down, down, left and down; each there and back. 10 / 4 is in bin 2, 7.07 / 4 in bin 1.
        let bins = [(0, 2), (1, 0), (2, 1), (3, 0), (4, 0), (5, 0), (6, 0), (7, 1)];
        for (direction, bin) in bins {
            let of = &h[COLOUR + direction * SLOPES..][..SLOPES];
            assert!((of[bin] - 1.0 / 24.0).abs() < 1e-6, "direction {direction}: {of:?}");
        }
    }

    #[test]
    fn intersections_take_every_number() {
        let p: Vec<f32> = (0..24).map(|i| i as f32).collect();
        let q: Vec<f32> = (0..24).map(|i| 23.0 - i as f32).collect();
        assert_eq!(intersection(&p, &p), 276.0);
        assert_eq!(intersection(&p, &q), 132.0);
    }
}
