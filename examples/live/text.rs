//! A line of text as pixels, light on dark.

use ab_glyph::{Font, FontRef, ScaleFont, point};

/// Rows of a line.
pub(crate) const HEIGHT: u32 = 22;

/// RGBA of `width` × [`HEIGHT`] pixels; what does not fit is cut off.
pub(crate) fn line(text: &str, width: u32) -> Vec<u8> {
    let mut cover = vec![0.0_f32; (width * HEIGHT) as usize];
    // A constant of a crate's: it is a font.
    if let Ok(font) = FontRef::try_from_slice(epaint_default_fonts::HACK_REGULAR) {
        let scaled = font.as_scaled(15.0);
        let (mut x, y) = (6.0, (HEIGHT as f32 + scaled.ascent() + scaled.descent()) / 2.0);
        for letter in text.chars() {
            let id = scaled.glyph_id(letter);
            if let Some(outline) = font.outline_glyph(id.with_scale_and_position(15.0, point(x, y))) {
                let corner = outline.px_bounds().min;
                outline.draw(|dx, dy, c| {
                    let (x, y) = (corner.x as i64 + i64::from(dx), corner.y as i64 + i64::from(dy));
                    if (0..i64::from(width)).contains(&x) && (0..i64::from(HEIGHT)).contains(&y) {
                        let at = &mut cover[(y * i64::from(width) + x) as usize];
                        *at = at.max(c.min(1.0));
                    }
                });
            }
            x += scaled.h_advance(id);
        }
    }
    let level = |c: f32| (24.0 + 211.0 * c) as u8;
    cover.into_iter().flat_map(|c| [level(c), level(c), level(c), 255]).collect()
}
