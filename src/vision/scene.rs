//! Made-up fluorescence microscopy: bright nuclei on a dark, noisy ground, with every nucleus known.
//!
//! The same arguments give the same bytes on every machine: the numbers come from a generator of our own, and only
//! `+ - * /` and `sqrt` are used, which IEEE 754 rounds the same everywhere (a library's `sin` or `exp` is not).

use crate::error::Result;
use crate::vision::image::Image;
use crate::vision::mask::Mask;

/// A picture and what is in it.
#[derive(Clone, Debug)]
pub struct Scene {
    /// The picture, grey as RGB.
    pub image: Image,
    /// Each nucleus's visible pixels, in no order; no two share one.
    pub nuclei: Vec<Mask>,
}

/// A picture of `width x height` pixels, all of one grey `value`.
///
/// # Errors
/// [`Error::Image`](crate::Error::Image) for a size that [`Image`] does not allow.
pub fn blank(width: u32, height: u32, value: u8) -> Result<Image> {
    Image::check_size(width, height)?;
    Image::from_rgb8(width, height, vec![value; width as usize * height as usize * 3])
}

/// A scene of `count` nuclei in `width x height` pixels, fewer where so many do not fit.
///
/// Their mean diameters are 12 to 34 pixels, times a factor of 0.5 to 1.4 by the room that each has. About one in five
/// touches another, and some are cut by the border.
///
/// # Errors
/// [`Error::Image`](crate::Error::Image) for a size that [`Image`] does not allow.
pub fn nuclei(width: u32, height: u32, seed: u64, count: usize) -> Result<Scene> {
    Image::check_size(width, height)?;
    let mut rng = Rng::new(seed);
    let placed = place(f64::from(width), f64::from(height), &mut rng, count);
    let mut canvas = Canvas::new(width as usize, height as usize);
    let nuclei = placed.iter().map(|n| canvas.paint(n)).filter(|m| m.area() > 0).collect();
    let image = Image::from_rgb8(width, height, canvas.expose(&mut rng))?;
    Ok(Scene { image, nuclei })
}

/// xorshift64*, started by a splitmix step so that near seeds differ.
struct Rng(u64);

impl Rng {
    fn new(seed: u64) -> Self {
        Self(hash(seed) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// Even over `low..high`.
    fn range(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * ((self.next() >> 11) as f64 / (1_u64 << 53) as f64)
    }

    /// Mean 0, deviation 1: four even numbers add up to nearly a bell, and 16 bits are enough for each.
    fn bell(&mut self) -> f64 {
        let bits = self.next();
        let sum: f64 = (0..4).map(|i| (bits >> (16 * i) & 0xFFFF) as f64 / 65_536.0).sum();
        (sum - 2.0) * 1.732_050_807_568_877_2
    }

    /// A point on the unit circle, without a sine: a point of the disc, stretched.
    fn direction(&mut self) -> (f64, f64) {
        loop {
            let (x, y) = (self.range(-1.0, 1.0), self.range(-1.0, 1.0));
            let r = (x * x + y * y).sqrt();
            if (0.1..=1.0).contains(&r) {
                return (x / r, y / r);
            }
        }
    }
}

fn hash(x: u64) -> u64 {
    let mut z = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ z >> 31
}

/// 0 below `low`, 1 above `high`, an S between.
fn smooth(low: f64, high: f64, x: f64) -> f64 {
    let t = ((x - low) / (high - low)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// An ellipse whose radius wobbles.
struct Nucleus {
    centre: (f64, f64),
    /// Half axes in pixels.
    axes: (f64, f64),
    /// The first axis.
    turn: (f64, f64),
    /// Cosine and sine amplitudes of two and three waves around the rim.
    wobble: [f64; 4],
    brightness: f64,
    /// How much the chromatin varies it.
    contrast: f64,
    texture: u64,
}

impl Nucleus {
    fn new(rng: &mut Rng, centre: (f64, f64), radius: f64) -> Self {
        let stretch = 1.0 + 0.95 * rng.range(0.0, 1.0) * rng.range(0.0, 1.0);
        let root = stretch.sqrt();
        let ((c2, s2), (c3, s3)) = (rng.direction(), rng.direction());
        let (w2, w3) = (rng.range(0.0, 0.08), rng.range(0.0, 0.08));
        // Many of middle brightness, a few dim, and a few condensed and very bright.
        let bright = rng.range(0.0, 1.0);
        let brightness = 42.0 + 75.0 * bright + if bright > 0.9 { rng.range(20.0, 70.0) } else { 0.0 };
        Self {
            centre,
            axes: (radius * root, radius / root),
            turn: rng.direction(),
            wobble: [w2 * c2, w2 * s2, w3 * c3, w3 * s3],
            brightness,
            contrast: rng.range(0.15, 0.45),
            texture: rng.next(),
        }
    }

    /// The longest distance from the centre to the rim.
    fn reach(&self) -> f64 {
        self.axes.0.max(self.axes.1) * 1.16
    }

    /// How deep `(x, y)` lies inside the rim, in pixels; negative outside.
    fn depth(&self, x: f64, y: f64) -> f64 {
        let (dx, dy) = (x - self.centre.0, y - self.centre.1);
        let (c, s) = self.turn;
        let (u, v) = ((dx * c + dy * s) / self.axes.0, (dy * c - dx * s) / self.axes.1);
        let rho = (u * u + v * v).sqrt();
        let (c1, s1) = if rho > 0.0 { (u / rho, v / rho) } else { (1.0, 0.0) };
        // cos and sin of twice and three times the angle.
        let (c2, s2) = (c1 * c1 - s1 * s1, 2.0 * c1 * s1);
        let (c3, s3) = (c2 * c1 - s2 * s1, s2 * c1 + c2 * s1);
        let [a, b, d, e] = self.wobble;
        (1.0 + a * c2 + b * s2 + d * c3 + e * s3 - rho) * self.axes.0.min(self.axes.1)
    }

    /// Light at a pixel `depth` inside the rim: rising over the soft edge, domed, mottled.
    fn light(&self, x: f64, y: f64, depth: f64) -> f64 {
        let thickness = self.axes.0.min(self.axes.1);
        let edge = smooth(-1.3, 1.5, depth);
        let dome = 0.78 + 0.22 * smooth(0.0, thickness, depth);
        let coarse = value_noise(self.texture, x / (0.42 * thickness), y / (0.42 * thickness));
        let fine = value_noise(self.texture ^ 0xF1, x / 2.2, y / 2.2);
        self.brightness * edge * dome * (1.0 + self.contrast * (1.3 * coarse + 0.7 * fine))
    }
}

/// Random values at whole coordinates, smoothly joined, -1 to 1.
fn value_noise(seed: u64, x: f64, y: f64) -> f64 {
    let (x0, y0) = (x.floor(), y.floor());
    let at = |i: f64, j: f64| {
        let key = ((x0 + i) as i64 as u64) ^ ((y0 + j) as i64 as u64).wrapping_mul(0x1_0000_0001);
        (hash(hash(key) ^ seed) >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    };
    let (tx, ty) = (smooth(0.0, 1.0, x - x0), smooth(0.0, 1.0, y - y0));
    let top = at(0.0, 0.0) + tx * (at(1.0, 0.0) - at(0.0, 0.0));
    let bottom = at(0.0, 1.0) + tx * (at(1.0, 1.0) - at(0.0, 1.0));
    top + ty * (bottom - top)
}

/// Puts nuclei down one by one where there is room, making them smaller where there is none.
fn place(width: f64, height: f64, rng: &mut Rng, count: usize) -> Vec<Nucleus> {
    let room = (width * height / count.max(1) as f64).sqrt();
    // Nuclei then cover about a fifth of the picture, as in real fields.
    let scale = (room * 0.0205).clamp(0.5, 1.4);
    let mut placed: Vec<Nucleus> = Vec::new();
    let mut shrink = 1.0;
    while placed.len() < count && shrink > 0.3 {
        let touching = rng.range(0.0, 1.0) < 0.2;
        let mut found = None;
        for _ in 0..150 {
            // The smaller of two makes small ones the more frequent.
            let diameter = rng.range(12.0, 34.0).min(rng.range(13.0, 40.0));
            let radius = diameter / 2.0 * scale * shrink;
            let mate = (rng.next() % placed.len().max(1) as u64) as usize;
            let centre = match placed.get(mate) {
                Some(other) if touching => {
                    let (c, s) = rng.direction();
                    let far = (other.axes.0 * other.axes.1).sqrt() + radius * rng.range(0.9, 1.05);
                    (other.centre.0 + c * far, other.centre.1 + s * far)
                }
                _ => (rng.range(0.0, width), rng.range(0.0, height)),
            };
            // A sliver at the border is no nucleus that anyone would count.
            let inside = |v: f64, side: f64| v > radius * 0.1 && v < side - radius * 0.1;
            if !inside(centre.0, width) || !inside(centre.1, height) {
                continue;
            }
            let free = placed.iter().enumerate().all(|(i, other)| {
                let (dx, dy) = (centre.0 - other.centre.0, centre.1 - other.centre.1);
                let gap = if touching && i == mate { 0.0 } else { 3.0 };
                let apart = if gap > 0.0 { radius * 1.25 + other.reach() } else { 0.0 };
                dx * dx + dy * dy >= (apart + gap) * (apart + gap)
            });
            if free {
                found = Some(Nucleus::new(rng, centre, radius));
                break;
            }
        }
        match found {
            Some(nucleus) => placed.push(nucleus),
            None if touching => {}
            None => shrink *= 0.85,
        }
    }
    placed
}

/// Light collected a pixel, and which pixels are taken.
struct Canvas {
    width: usize,
    height: usize,
    light: Vec<f64>,
    taken: Vec<bool>,
}

impl Canvas {
    fn new(width: usize, height: usize) -> Self {
        Self { width, height, light: vec![0.0; width * height], taken: vec![false; width * height] }
    }

    /// Adds a nucleus's light, and gives the pixels within its rim that no earlier one has.
    fn paint(&mut self, n: &Nucleus) -> Mask {
        let span = |centre: f64, side: usize| {
            let reach = n.reach() + 2.0;
            ((centre - reach).max(0.0) as u32, ((centre + reach).max(0.0) as u32 + 1).min(side as u32))
        };
        let ((x0, x1), (y0, y1)) = (span(n.centre.0, self.width), span(n.centre.1, self.height));
        Mask::from_fn(x0, y0, x1.saturating_sub(x0), y1.saturating_sub(y0), |px, py| {
            let (x, y) = (f64::from(px) + 0.5, f64::from(py) + 0.5);
            let at = py as usize * self.width + px as usize;
            let depth = n.depth(x, y);
            if depth > -1.3 {
                // Where two overlap the brighter one shows, so a touching pair keeps a seam.
                self.light[at] = self.light[at].max(n.light(x, y, depth));
            }
            let mine = depth >= 0.0 && !self.taken[at];
            self.taken[at] |= mine;
            mine
        })
    }

    /// Blur by the lens, haze, uneven ground, noise of the photons and the sensor; grey as RGB.
    fn expose(mut self, rng: &mut Rng) -> Vec<u8> {
        let (w, h) = (self.width, self.height);
        blur(&mut self.light, w, h, 1);
        let mut haze = self.light.clone();
        for _ in 0..2 {
            blur(&mut haze, w, h, 9);
        }
        let (c, s) = rng.direction();
        let mut rgb = Vec::with_capacity(w * h * 3);
        for y in 0..h {
            for x in 0..w {
                let (u, v) = (x as f64 / w as f64 - 0.5, y as f64 / h as f64 - 0.5);
                let lamp = 1.0 + 0.25 * (u * c + v * s) - 0.35 * (u * u + v * v);
                let at = y * w + x;
                let clean = (9.0 + self.light[at] + 0.12 * haze[at]) * lamp;
                let noisy = clean + rng.bell() * (0.6 + 0.13 * clean).sqrt();
                let value = (noisy + 0.5).clamp(0.0, 255.0) as u8;
                rgb.extend([value; 3]);
            }
        }
        rgb
    }
}

/// The mean over `2 radius + 1` pixels in each direction; beyond the border the border's own value goes on.
fn blur(light: &mut [f64], w: usize, h: usize, radius: usize) {
    let mut line = vec![0.0; w.max(h)];
    let mut pass = |start: usize, step: usize, len: usize| {
        for (i, value) in line.iter_mut().take(len).enumerate() {
            *value = light[start + i * step];
        }
        let near = |i: usize| line[i.saturating_sub(radius).min(len - 1)];
        let mut sum: f64 = (0..2 * radius + 1).map(near).sum();
        for i in 0..len {
            light[start + i * step] = sum / (2 * radius + 1) as f64;
            sum += near(i + 2 * radius + 1) - near(i);
        }
    };
    (0..h).for_each(|y| pass(y * w, 1, w));
    (0..w).for_each(|x| pass(x, w, h));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checksum(bytes: &[u8]) -> u64 {
        bytes.iter().fold(0xCBF2_9CE4_8422_2325, |h, &b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01B3))
    }

    /// Of the picture and of the masks below; they change only if the look is changed on purpose.
    const CHECKSUMS: (u64, u64) = (0xa635aad0ed79d0a1, 0xf11961c92c3d769b);

    #[test]
    fn the_same_bytes_everywhere() {
        let scene = nuclei(192, 128, 7, 20).unwrap();
        let bits: Vec<u8> = scene.nuclei.iter().flat_map(|m| &m.bits).flat_map(|w| w.to_le_bytes()).collect();
        assert_eq!((checksum(scene.image.rgb()), checksum(&bits)), CHECKSUMS);
    }

    #[test]
    fn as_many_as_asked_and_none_empty_or_shared() {
        for (w, h, n) in [(384, 320, 45), (256, 256, 60), (1024, 1024, 300), (64, 64, 1), (100, 90, 0)] {
            let scene = nuclei(w, h, 3, n).unwrap();
            assert_eq!((scene.nuclei.len(), scene.image.width(), scene.image.height()), (n, w, h));
            let mut seen = vec![false; (w * h) as usize];
            for mask in &scene.nuclei {
                assert!(mask.area() > 20);
                assert!(Mask::from_bits(mask.x, mask.y, mask.w, mask.h, mask.bits.clone()).is_ok());
                for run in mask.runs() {
                    for x in run.x0..run.x1 {
                        assert!(!std::mem::replace(&mut seen[(run.y * w + x) as usize], true));
                    }
                }
            }
        }
    }

    #[test]
    fn seeds_differ_and_odd_sizes_do_no_harm() {
        assert_ne!(nuclei(64, 64, 1, 5).unwrap().image, nuclei(64, 64, 2, 5).unwrap().image);
        for (w, h) in [(1, 1), (1, 200), (3, 2)] {
            assert!(nuclei(w, h, 1, 9).unwrap().nuclei.len() <= 9);
        }
        assert!(nuclei(0, 9, 1, 1).is_err() && blank(1 << 16, 1 << 16, 0).is_err());
        assert!(blank(3, 2, 9).unwrap().rgb().iter().all(|&v| v == 9));
    }
}
