//! Words as coverage: one line of text, anti-aliased, in one built-in typeface.

use ab_glyph::{Font as _, FontRef, Glyph, ScaleFont as _, point};

/// Coverage of a rectangle of pixels, 0 to 1, row-major.
#[derive(Clone)]
pub(super) struct Stamp {
    pub(super) w: usize,
    pub(super) h: usize,
    pub(super) cover: Vec<f32>,
}

/// The typeface.
pub(super) struct Font(FontRef<'static>);

impl Font {
    pub(super) fn new() -> Self {
        // A constant of a crate, so this can only fail in every run or in none, and a test draws with it.
        let font = FontRef::try_from_slice(epaint_default_fonts::UBUNTU_LIGHT);
        Self(font.expect("the built-in typeface is a valid one"))
    }

    /// Width and height of [`Font::line`], without drawing it.
    pub(super) fn size(&self, text: &str, px: f32) -> (usize, usize) {
        self.layout(text, px).1
    }

    /// The letters of a line in their places, and its width and height.
    fn layout(&self, text: &str, px: f32) -> (Vec<Glyph>, (usize, usize)) {
        let font = self.0.as_scaled(px);
        let mut glyphs = Vec::new();
        let (mut x, mut before) = (0.0, None);
        for c in text.chars() {
            let id = font.glyph_id(c);
            x += before.map_or(0.0, |b| font.kern(b, id));
            glyphs.push(id.with_scale_and_position(px, point(x, font.ascent())));
            x += font.h_advance(id);
            before = Some(id);
        }
        (glyphs, (x.max(0.0).ceil() as usize + 1, font.height().ceil() as usize))
    }

    /// One line of `text`, `px` pixels from the top of its tallest letter to the foot of its deepest.
    pub(super) fn line(&self, text: &str, px: f32) -> Stamp {
        let (glyphs, (w, h)) = self.layout(text, px);
        let mut cover = vec![0.0_f32; w * h];
        // The face is a light one: drawn twice, a little apart, it stands up to a photograph.
        let heavier = px * 0.028;
        for glyph in glyphs {
            for shift in [0.0, heavier] {
                let mut glyph = glyph.clone();
                glyph.position.x += shift;
                let Some(outline) = self.0.outline_glyph(glyph) else { continue };
                let (left, top) = (outline.px_bounds().min.x as i64, outline.px_bounds().min.y as i64);
                outline.draw(|gx, gy, c| {
                    let (x, y) = (left + i64::from(gx), top + i64::from(gy));
                    if (0..w as i64).contains(&x) && (0..h as i64).contains(&y) {
                        let at = &mut cover[y as usize * w + x as usize];
                        *at = at.max(c.min(1.0));
                    }
                });
            }
        }
        Stamp { w, h, cover }
    }
}

impl Stamp {
    /// Without the empty rows and columns around, so that it can be centred by eye.
    pub(super) fn cropped(&self) -> Stamp {
        let inked = |x: usize, y: usize| self.cover[y * self.w + x] > 0.05;
        let rows: Vec<usize> = (0..self.h).filter(|&y| (0..self.w).any(|x| inked(x, y))).collect();
        let columns: Vec<usize> = (0..self.w).filter(|&x| (0..self.h).any(|y| inked(x, y))).collect();
        let (Some(&y0), Some(&y1), Some(&x0), Some(&x1)) = (rows.first(), rows.last(), columns.first(), columns.last())
        else {
            return Stamp { w: 0, h: 0, cover: Vec::new() };
        };
        let cover = (y0..=y1).flat_map(|y| (x0..=x1).map(move |x| self.cover[y * self.w + x])).collect();
        Stamp { w: x1 + 1 - x0, h: y1 + 1 - y0, cover }
    }

    /// Grown by `radius` pixels on every side, its rim soft: what lies under text to set it off.
    pub(super) fn halo(&self, radius: usize) -> Stamp {
        let (w, h) = (self.w + 2 * radius, self.h + 2 * radius);
        let mut cover = vec![0.0_f32; w * h];
        let reach = radius as f32 + 0.5;
        for (at, &c) in self.cover.iter().enumerate().filter(|&(_, &c)| c > 0.0) {
            let (x, y) = (at % self.w, at / self.w);
            for dy in 0..=2 * radius {
                for dx in 0..=2 * radius {
                    let (fx, fy) = (dx as f32 - radius as f32, dy as f32 - radius as f32);
                    let near = (reach - (fx * fx + fy * fy).sqrt()).clamp(0.0, 1.0);
                    let to = &mut cover[(y + dy) * w + x + dx];
                    *to = to.max(c * near);
                }
            }
        }
        Stamp { w, h, cover }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_has_ink_and_grows_with_its_size() {
        let font = Font::new();
        let (small, large) = (font.line("nucleus 12 0.98", 14.0), font.line("nucleus 12 0.98", 28.0));
        assert!(large.w > 2 * small.w - 10 && large.h >= 2 * small.h - 2);
        let cropped = small.cropped();
        assert!(cropped.w <= small.w && cropped.h < small.h && cropped.w > 60);
        assert!(cropped.cover.iter().cloned().fold(0.0, f32::max) > 0.8);
        assert_eq!(cropped.halo(2).w, cropped.w + 4);
    }

    /// Rows of a stamp, by how much is covered.
    fn shown(stamp: &Stamp) -> Vec<String> {
        let row = |row: &[f32]| row.iter().map(|c| [' ', '.', '+', '#'][(c * 3.99) as usize]).collect();
        stamp.cover.chunks(stamp.w).map(row).collect()
    }

    #[test]
    fn letters_are_what_they_look_like() {
        let font = Font::new();
        #[rustfmt::skip]
        let rows = [
            " ++++#.   +#     ",
            "    .+    ++.    ",
            "    #.   .+.#    ",
            "   .#    #. #.   ",
            "   #.   .#  ++   ",
            "   +    +#..+#   ",
            "  .#    #....#+  ",
            "  ++   .#    .#  ",
            "  ..   ..     +  ",
        ];
        let line = font.line("7A", 14.0);
        assert_eq!((line.w, line.h), (17, 14));
        assert_eq!(shown(&line)[3..12], rows);
        let cut: Vec<&str> = rows.iter().map(|row| &row[..16]).collect();
        assert_eq!(shown(&line.cropped()), cut);
        // The second letter stands where the first one ends.
        let width = |text: &str| font.size(text, 100.0).0;
        for [a, b] in [["H", "o"], ["i", "W"], ["A", "V"]] {
            assert!(width(&format!("{a}{b}")).abs_diff(width(a) + width(b) - 1) <= 1, "{a}{b}");
        }
    }

    /// Each pixel has the most that any pixel of the text gives it, by its distance.
    #[test]
    fn halos_fall_off_with_distance() {
        let stamp = Stamp { w: 4, h: 3, cover: vec![0.0, 1.0, 0.0, 0.0, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.75] };
        for radius in [1, 2, 3] {
            let halo = stamp.halo(radius);
            assert_eq!((halo.w, halo.h), (4 + 2 * radius, 3 + 2 * radius));
            for (at, &got) in halo.cover.iter().enumerate() {
                let (x, y) = ((at % halo.w) as f32 - radius as f32, (at / halo.w) as f32 - radius as f32);
                let from = |(of, &c): (usize, &f32)| {
                    let far = (x - (of % 4) as f32).hypot(y - (of / 4) as f32);
                    c * (radius as f32 + 0.5 - far).clamp(0.0, 1.0)
                };
                let want = stamp.cover.iter().enumerate().map(from).fold(0.0, f32::max);
                assert!((got - want).abs() < 1e-6, "radius {radius}, {x}, {y}: {got} instead of {want}");
            }
        }
    }

    #[test]
    fn odd_text_does_no_harm() {
        let font = Font::new();
        assert_eq!(font.line("  ", 14.0).cropped().w, 0);
        assert_eq!(font.line("", 14.0).halo(1).cropped().h, 0);
        font.line("\u{7fe1}\u{0}\u{10ffff}\n", 14.0).cropped();
    }
}
