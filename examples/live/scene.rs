//! Made-up microscopy that moves: bright nuclei drift over a dark, noisy ground, and turn back at its border.

/// One of them: a soft ellipse that is mottled.
struct Nucleus {
    /// Where it is at first, and pixels a tick.
    centre: [f32; 2],
    speed: [f32; 2],
    /// Half axes, and the first one's direction.
    axes: [f32; 2],
    turn: [f32; 2],
    brightness: f32,
    /// Where in the noise it has its mottles.
    mottles: usize,
}

/// A scene: the same at the same tick, whoever asks.
pub(crate) struct Scene {
    width: usize,
    height: usize,
    nuclei: Vec<Nucleus>,
    /// Even over -1 to 1, smooth at a few pixels; more than a picture's.
    noise: Vec<f32>,
}

/// A generator of numbers that look random: xorshift.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, low: f32, high: f32) -> f32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        low + (high - low) * ((self.0 >> 40) as f32 / (1 << 24) as f32)
    }
}

/// Further pixels of noise, to begin elsewhere in it.
const MORE: usize = 4096;

impl Scene {
    /// About a nucleus for each 60×60 pixels.
    pub(crate) fn new(width: u32, height: u32, seed: u64) -> Self {
        let mut numbers = Numbers(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        let (w, h) = (width as usize, height as usize);
        let count = (w * h / 3600).clamp(3, 200);
        let nucleus = |_| {
            let mut even = |low, high| numbers.next(low, high);
            let (radius, stretch, angle) = (even(9.0, 14.0), even(1.0, 1.3), even(0.0, std::f32::consts::PI));
            Nucleus {
                centre: [even(0.0, width as f32), even(0.0, height as f32)],
                speed: [even(-0.7, 0.7), even(-0.7, 0.7)],
                axes: [radius * stretch, radius / stretch],
                turn: [angle.cos(), angle.sin()],
                brightness: even(90.0, 170.0),
                mottles: even(0.0, MORE as f32) as usize,
            }
        };
        let nuclei = (0..count).map(nucleus).collect();
        let mut value = 0.0;
        let mut smooth = || {
            value = 0.6 * value + 0.4 * numbers.next(-1.0, 1.0);
            value
        };
        let noise = (0..w * h + MORE).map(|_| smooth()).collect();
        Self { width: w, height: h, nuclei, noise }
    }

    /// Where the nuclei are at a tick: their centres.
    pub(crate) fn centres(&self, tick: u64) -> Vec<[f32; 2]> {
        // There and back.
        let fold = |at: f32, room: f32| {
            let at = at.rem_euclid(2.0 * room);
            if at > room { 2.0 * room - at } else { at }
        };
        let margin = 16.0;
        let sides = [self.width as f32, self.height as f32];
        let at = |n: &Nucleus, k: usize| margin + fold(n.centre[k] + n.speed[k] * tick as f32, sides[k] - 2.0 * margin);
        self.nuclei.iter().map(|n| [at(n, 0), at(n, 1)]).collect()
    }

    /// The picture at a tick: RGBA, grey.
    pub(crate) fn picture(&self, tick: u64) -> Vec<u8> {
        let (w, h) = (self.width, self.height);
        let begin = (tick as usize).wrapping_mul(977) % MORE;
        let mut light: Vec<f32> = self.noise[begin..begin + w * h].iter().map(|noise| 16.0 + 8.0 * noise).collect();
        for (nucleus, [cx, cy]) in self.nuclei.iter().zip(self.centres(tick)) {
            let reach = nucleus.axes[0].max(nucleus.axes[1]) + 3.0;
            let span = |c: f32, most: usize| (c - reach).max(0.0) as usize..((c + reach) as usize + 1).min(most);
            let least = nucleus.axes[0].min(nucleus.axes[1]);
            for y in span(cy, h) {
                for x in span(cx, w) {
                    let (dx, dy) = (x as f32 - cx, y as f32 - cy);
                    let [c, s] = nucleus.turn;
                    let (u, v) = ((dx * c + dy * s) / nucleus.axes[0], (dy * c - dx * s) / nucleus.axes[1]);
                    let depth = (1.0 - (u * u + v * v).sqrt()) * least;
                    let edge = ((depth + 1.5) / 3.0).clamp(0.0, 1.0);
                    let dome = 0.8 + 0.2 * (depth / least).clamp(0.0, 1.0);
                    // Patches of a few pixels.
                    let patch = |d: f32| ((d + reach) / 4.0) as usize;
                    let mottle = 1.0 + 0.2 * self.noise[nucleus.mottles + 31 * patch(dy) + 5 * patch(dx)];
                    let bright = nucleus.brightness * edge * dome * mottle;
                    light[y * w + x] = light[y * w + x].max(16.0 + bright);
                }
            }
        }
        light.into_iter().flat_map(|l| [l as u8, l as u8, l as u8, 255]).collect()
    }
}
