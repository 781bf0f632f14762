//! A picture to explain something with: pictures side by side, lines, points and words.

use image::RgbImage;
use image::imageops::{self, FilterType};

use super::canvas::{Canvas, Rect};
use super::text::Font;

/// A picture under construction. Coordinates are its pixels; what is outside of it is left away.
pub struct Board {
    canvas: Canvas,
    font: Font,
}

impl Board {
    /// So many pixels of one colour.
    pub fn new(width: u32, height: u32, ground: [u8; 3]) -> Self {
        Self { canvas: Canvas(RgbImage::from_pixel(width, height, image::Rgb(ground))), font: Font::new() }
    }

    /// On top of a picture.
    pub fn on(picture: RgbImage) -> Self {
        Self { canvas: Canvas(picture), font: Font::new() }
    }

    /// Its width and height.
    pub fn size(&self) -> (u32, u32) {
        self.canvas.0.dimensions()
    }

    /// What was drawn.
    pub fn finish(self) -> RgbImage {
        self.canvas.0
    }

    /// A picture, its top left corner at (x, y).
    pub fn picture(&mut self, picture: &RgbImage, x: i64, y: i64) {
        imageops::replace(&mut self.canvas.0, picture, x, y);
    }

    /// A line of text of `px` pixels' height, its top left corner at (x, y); how wide it is.
    pub fn text(&mut self, text: &str, (x, y): (f32, f32), px: f32, colour: [u8; 3]) -> f32 {
        let line = self.font.line(text, px);
        self.canvas.stamp(&line, x.round() as i64, y.round() as i64, colour, 1.0);
        line.w as f32
    }

    /// How wide such a line would be.
    pub fn text_width(&self, text: &str, px: f32) -> f32 {
        self.font.size(text, px).0 as f32
    }

    /// Text in lines of at most `width` pixels, cut between words; where the next line would be.
    pub fn paragraph(&mut self, text: &str, (x, y): (f32, f32), width: f32, px: f32, colour: [u8; 3]) -> f32 {
        let (mut line, mut below) = (String::new(), y);
        for word in text.split_whitespace() {
            let longer = if line.is_empty() { word.to_string() } else { format!("{line} {word}") };
            if !line.is_empty() && self.text_width(&longer, px) > width {
                self.text(&line, (x, below), px, colour);
                below += px * 1.3;
                line = word.to_string();
            } else {
                line = longer;
            }
        }
        self.text(&line, (x, below), px, colour);
        below + px * 1.3
    }

    /// A rectangle from (x1, y1) to (x2, y2), filled.
    pub fn fill(&mut self, [x1, y1, x2, y2]: [f32; 4], colour: [u8; 3], alpha: f32) {
        let rect = Rect { x0: whole(x1), y0: whole(y1), x1: whole(x2), y1: whole(y2) };
        self.canvas.fill(rect, colour, alpha);
    }

    /// A rectangle's border, `thick` pixels wide.
    pub fn frame(&mut self, [x1, y1, x2, y2]: [f32; 4], thick: f32, colour: [u8; 3]) {
        let half = thick / 2.0;
        for [x1, y1, x2, y2] in [[x1, y1, x2, y1], [x1, y2, x2, y2], [x1, y1, x1, y2], [x2, y1, x2, y2]] {
            self.fill([x1 - half, y1 - half, x2 + half, y2 + half], colour, 1.0);
        }
    }

    /// A line from one point to another.
    pub fn line(&mut self, (x1, y1): (f32, f32), (x2, y2): (f32, f32), thick: f32, colour: [u8; 3]) {
        let steps = (2.0 * (x2 - x1).abs().max((y2 - y1).abs())).ceil().max(1.0);
        for i in 0..=steps as usize {
            let t = i as f32 / steps;
            let (x, y, half) = (x1 + t * (x2 - x1), y1 + t * (y2 - y1), thick / 2.0);
            self.fill([x - half, y - half, x + half, y + half], colour, 1.0);
        }
    }

    /// A disc round (x, y).
    pub fn dot(&mut self, (x, y): (f32, f32), radius: f32, colour: [u8; 3]) {
        let reach = radius.ceil() as i64 + 1;
        for py in whole(y) - reach..=whole(y) + reach {
            for px in whole(x) - reach..=whole(x) + reach {
                let far = ((px as f32 + 0.5 - x).powi(2) + (py as f32 + 0.5 - y).powi(2)).sqrt();
                let cover = (radius + 0.5 - far).clamp(0.0, 1.0);
                if cover > 0.0 {
                    self.canvas.blend(px, py, colour, cover);
                }
            }
        }
    }
}

fn whole(v: f32) -> i64 {
    v.round() as i64
}

/// A picture as it fits into `width` × `height` pixels, of the same proportions, and how much larger it became: smooth, or,
/// where cells are to be seen, each of them a square.
pub fn fitted(picture: &RgbImage, (width, height): (u32, u32), cells: bool) -> (RgbImage, f32) {
    let (w, h) = picture.dimensions();
    let factor = (width as f32 / w.max(1) as f32).min(height as f32 / h.max(1) as f32);
    let side = |v: u32| ((v as f32 * factor).round() as u32).max(1);
    let filter = if cells { FilterType::Nearest } else { FilterType::CatmullRom };
    (imageops::resize(picture, side(w), side(h), filter), factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLACK: [u8; 3] = [0; 3];
    const RED: [u8; 3] = [255, 0, 0];

    fn reds(board: Board) -> Vec<(u32, u32)> {
        let picture = board.finish();
        picture.enumerate_pixels().filter(|(.., p)| p.0 == RED).map(|(x, y, _)| (x, y)).collect()
    }

    #[test]
    fn what_is_drawn_is_where_it_was_asked_for() {
        let mut board = Board::new(20, 10, BLACK);
        board.fill([2.0, 3.0, 4.0, 5.0], RED, 1.0);
        assert_eq!(reds(board), [(2, 3), (3, 3), (2, 4), (3, 4)]);
        let mut board = Board::new(20, 10, BLACK);
        board.frame([2.5, 2.5, 5.5, 5.5], 1.0, RED);
        let frame = reds(board);
        assert!(frame.len() == 12 && !frame.contains(&(3, 3)) && frame.contains(&(5, 5)), "{frame:?}");
        let mut board = Board::new(20, 10, BLACK);
        board.line((1.5, 1.5), (8.5, 1.5), 1.0, RED);
        assert_eq!(reds(board), (1..9).map(|x| (x, 1)).collect::<Vec<_>>());
        let mut board = Board::new(20, 10, BLACK);
        board.dot((6.0, 5.0), 2.5, RED);
        let dot = reds(board);
        assert!(dot.contains(&(5, 4)) && dot.contains(&(6, 5)) && !dot.contains(&(3, 5)) && !dot.contains(&(9, 5)));
        // Outside is nothing to draw on, and no mistake.
        let mut board = Board::new(20, 10, BLACK);
        board.frame([-50.0, -50.0, 100.0, 100.0], 2.0, RED);
        board.dot((-3.0, 40.0), 2.0, RED);
        board.text("far away", (300.0, -20.0), 12.0, RED);
        assert!(reds(board).is_empty());
    }

    #[test]
    fn words_are_cut_into_lines() {
        let mut board = Board::new(200, 200, BLACK);
        let text = "one two three four five six seven eight nine ten";
        let one = board.paragraph(text, (0.0, 0.0), 1e6, 10.0, RED);
        let many = board.paragraph(text, (0.0, 50.0), 60.0, 10.0, RED) - 50.0;
        assert_eq!(one, 13.0);
        assert!((4.0..8.0).contains(&(many / 13.0).round()), "{many}");
        assert!(board.text_width("wide", 20.0) > board.text_width("wide", 10.0));
    }

    #[test]
    fn pictures_fit() {
        let picture = RgbImage::from_pixel(30, 10, image::Rgb(RED));
        let (small, factor) = fitted(&picture, (60, 60), false);
        assert_eq!((small.dimensions(), factor), ((60, 20), 2.0));
        assert_eq!(fitted(&picture, (60, 5), true).0.dimensions(), (15, 5));
    }
}
