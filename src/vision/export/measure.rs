//! How large an instance is, of what form, and how bright.

use std::f64::consts::PI;

use super::bounds;
use crate::vision::image::Image;
use crate::vision::mask::Mask;

/// Measures of a mask, in pixels of the image. A pixel is a square of side 1, and the image's left upper corner (0, 0).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measures {
    /// Pixels.
    pub area: u64,
    /// Mean of its points, x and y.
    pub centroid: [f64; 2],
    /// The smallest rectangle that holds it: left, top, and past the right and the bottom.
    pub bounds: [u32; 4],
    /// By Crofton's formula along four directions: π/8 · (crossings along rows and columns + crossings along both diagonals
    /// / √2), a crossing being a step from a pixel of the mask to one that is none, or back. Of round shapes it is right in the
    /// mean, where counting sides of pixels gives 4/π of it; scikit-image calls it `perimeter_crofton`.
    pub perimeter: f64,
    /// 4π · area / perimeter², at most 1: 1 for a disc.
    pub circularity: f64,
    /// Full lengths of the axes of the ellipse with the same second moments, the longer first; each pixel counts as a square
    /// (1/12 in its own moments), as MATLAB has it; scikit-image has lengths a little shorter, with each one a point.
    pub axes: [f64; 2],
    /// From the x axis to the longer axis, anticlockwise as seen, in degrees from 0 up to 180.
    pub angle: f64,
}

/// Measures of a mask; none where it has no pixels.
pub fn measures(mask: &Mask) -> Option<Measures> {
    let bounds = bounds(mask)?;
    let (mut n, mut straight, mut slanted) = (0_u64, 0_u64, 0_u64);
    // Sums about a pixel of its own: far from the image's corner, small differences would drown.
    let (ox, oy) = (i64::from(bounds[0]), i64::from(bounds[1]));
    let (mut sx, mut sy, mut sxx, mut syy, mut sxy) = (0_f64, 0_f64, 0_f64, 0_f64, 0_f64);
    let set = |x: i64, y: i64| x >= 0 && y >= 0 && mask.get(x as u32, y as u32);
    for run in mask.runs() {
        let y = i64::from(run.y);
        straight += 2;
        for x in i64::from(run.x0)..i64::from(run.x1) {
            n += 1;
            straight += [-1, 1].iter().filter(|&&d| !set(x, y + d)).count() as u64;
            let corners = [(-1, -1), (1, 1), (1, -1), (-1, 1)];
            slanted += corners.iter().filter(|&&(dx, dy)| !set(x + dx, y + dy)).count() as u64;
            let (u, v) = ((x - ox) as f64, (y - oy) as f64);
            (sx, sy) = (sx + u, sy + v);
            (sxx, syy, sxy) = (sxx + u * u, syy + v * v, sxy + u * v);
        }
    }
    let count = n as f64;
    let (mx, my) = (sx / count, sy / count);
    let (a, b) = (sxx / count - mx * mx + 1.0 / 12.0, syy / count - my * my + 1.0 / 12.0);
    let c = sxy / count - mx * my;
    let (middle, spread) = ((a + b) / 2.0, (((a - b) / 2.0).powi(2) + c * c).sqrt());
    let perimeter = PI / 8.0 * (straight as f64 + slanted as f64 / 2.0_f64.sqrt());
    // y goes down, so the angle turns round.
    let angle = (0.5 * (-2.0 * c).atan2(a - b)).to_degrees().rem_euclid(180.0);
    Some(Measures {
        area: n,
        centroid: [mx + ox as f64 + 0.5, my + oy as f64 + 0.5],
        bounds,
        perimeter,
        circularity: (4.0 * PI * count / (perimeter * perimeter)).min(1.0),
        axes: [middle + spread, middle - spread].map(|l| 4.0 * l.max(0.0).sqrt()),
        angle: if angle >= 180.0 { 0.0 } else { angle },
    })
}

/// How bright one channel is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Intensity {
    /// 0 to 255.
    pub mean: f64,
    /// The sum over the pixels.
    pub integrated: u64,
}

/// Red, green and blue of the mask's pixels, as the network sees the image: 8 bits a channel. Zeros of no pixels.
pub fn intensities(mask: &Mask, image: &Image) -> [Intensity; 3] {
    let (mut sums, mut n) = ([0_u64; 3], 0_u64);
    for run in mask.runs().filter(|run| run.y < image.height()) {
        let row = run.y as usize * image.width() as usize;
        let (from, to) = (run.x0.min(image.width()) as usize, run.x1.min(image.width()) as usize);
        for pixel in image.rgb()[3 * (row + from)..3 * (row + to)].chunks_exact(3) {
            sums.iter_mut().zip(pixel).for_each(|(sum, &v)| *sum += u64::from(v));
        }
        n += (to - from) as u64;
    }
    sums.map(|integrated| Intensity { mean: integrated as f64 / n.max(1) as f64, integrated })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-9
    }

    #[test]
    fn a_pixel_and_a_rectangle_by_hand() {
        let one = measures(&Mask::from_fn(3, 5, 1, 1, |_, _| true)).unwrap();
        assert_eq!((one.area, one.centroid, one.bounds), (1, [3.5, 5.5], [3, 5, 4, 6]));
        // Two crossings along each of four directions.
        assert!(near(one.perimeter, PI / 8.0 * (4.0 + 4.0 / 2.0_f64.sqrt())), "{}", one.perimeter);
        assert_eq!(one.circularity, 1.0);
        assert!(one.axes.iter().all(|&a| near(a, 4.0 / 12.0_f64.sqrt())), "{:?}", one.axes);

        // Wider than high: a side of n pixels has the variance n²/12.
        let wide = measures(&Mask::from_fn(0, 0, 40, 4, |_, _| true)).unwrap();
        assert_eq!((wide.area, wide.centroid, wide.angle), (160, [20.0, 2.0], 0.0));
        assert!(near(wide.axes[0], 4.0 * 40.0 / 12.0_f64.sqrt()) && near(wide.axes[1], 4.0 * 4.0 / 12.0_f64.sqrt()));
        // 4 rows and 40 columns are crossed twice each, and 43 diagonals each way.
        assert!(near(wide.perimeter, PI / 8.0 * (88.0 + 172.0 / 2.0_f64.sqrt())));
        assert!(near(wide.circularity, 4.0 * PI * 160.0 / wide.perimeter.powi(2)) && wide.circularity < 0.4);
        let high = measures(&Mask::from_fn(7, 900, 4, 40, |_, _| true)).unwrap();
        assert_eq!((high.angle, high.perimeter), (90.0, wide.perimeter));
        assert_eq!(measures(&Mask::from_fn(0, 0, 3, 3, |_, _| false)), None);
    }

    #[test]
    fn a_disc_is_round_and_a_slanted_line_slants() {
        let disc = Mask::from_fn(100, 50, 81, 81, |x, y| (x as i32 - 140).pow(2) + (y as i32 - 90).pow(2) <= 1600);
        let m = measures(&disc).unwrap();
        assert!((m.perimeter / (80.0 * PI) - 1.0).abs() < 0.02, "{}", m.perimeter);
        assert!(m.circularity > 0.96 && (m.axes[0] - 80.0).abs() < 0.6, "{m:?}");
        // Up to the right, as seen.
        let line = measures(&Mask::from_fn(0, 0, 30, 30, |x, y| (x + y).abs_diff(29) < 2)).unwrap();
        assert!((line.angle - 45.0).abs() < 1e-6, "{}", line.angle);
        let ring = measures(&Mask::from_fn(0, 0, 3, 3, |x, y| (x, y) != (1, 1))).unwrap();
        assert_eq!((ring.area, ring.centroid), (8, [1.5, 1.5]));
    }

    /// Steps in and out of the mask along rows, columns and both diagonals, counted over a frame of nothing around it.
    #[test]
    fn perimeters_count_every_crossing() {
        let shapes: [(u32, u32, &[&str]); 4] = [
            (0, 0, &["##..", "###.", ".###"]),
            (0, 7, &["#....", ".#...", "..#..", "...##"]),
            (5, 0, &["..#", ".##", "##.", "#.#"]),
            (9, 9, &["####", "#..#", "####"]),
        ];
        for (x0, y0, rows) in shapes {
            let set = |x: i64, y: i64| {
                let row = usize::try_from(y - i64::from(y0)).ok().and_then(|y| rows.get(y));
                usize::try_from(x - i64::from(x0)).ok().and_then(|x| row?.as_bytes().get(x)) == Some(&b'#')
            };
            let (w, h) = (rows[0].len() as u32, rows.len() as u32);
            let m = measures(&Mask::from_fn(x0, y0, w, h, |x, y| set(x.into(), y.into()))).unwrap();
            let crossings = |dx: i64, dy: i64| {
                let all = (-3..20).flat_map(|y| (-3..20).map(move |x| (x, y)));
                all.filter(|&(x, y)| set(x, y) != set(x + dx, y + dy)).count() as f64
            };
            let straight = crossings(1, 0) + crossings(0, 1);
            let slanted = crossings(1, 1) + crossings(1, -1);
            assert!(near(m.perimeter, PI / 8.0 * (straight + slanted / 2.0_f64.sqrt())), "{rows:?}");
        }
    }

    #[test]
    fn brightness_is_of_the_masks_pixels() {
        let rgb = (0..4 * 3).flat_map(|i| [i as u8, 2 * i as u8, 100]).collect();
        let image = Image::from_rgb8(4, 3, rgb).unwrap();
        // Pixels 5 and 6, and one beyond the image.
        let mask = Mask::from_fn(1, 1, 4, 1, |x, _| x != 3);
        let [r, g, b] = intensities(&mask, &image);
        assert_eq!((r, g), (Intensity { mean: 5.5, integrated: 11 }, Intensity { mean: 11.0, integrated: 22 }));
        assert_eq!(b.integrated, 200);
        assert_eq!(intensities(&Mask::default(), &image)[0], Intensity::default());
    }
}
