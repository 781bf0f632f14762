//! All sections as one picture.

use image::RgbImage;
use maskrcnn::engine::vision::Board;

use super::section::{DIM, Figure, GROUND, INK, Section};

/// Pixels of the sheet's width, and of its margins.
const WIDTH: f32 = 1600.0;
const MARGIN: f32 = 40.0;
/// Between figures.
const GAP: f32 = 16.0;
/// Narrower captions are not read.
const CAPTION: f32 = 195.0;

/// Drawn twice: once to see how tall it is, and once for good.
pub(super) fn sheet(about: &str, sections: &[Section]) -> RgbImage {
    let mut board = Board::new(WIDTH as u32, 1, GROUND);
    let height = draw(&mut board, about, sections);
    let mut board = Board::new(WIDTH as u32, height.ceil() as u32, GROUND);
    draw(&mut board, about, sections);
    board.finish()
}

fn draw(board: &mut Board, about: &str, sections: &[Section]) -> f32 {
    let inner = WIDTH - 2.0 * MARGIN;
    board.text("From R-CNN to Mask R-CNN, on one picture", (MARGIN, 32.0), 38.0, INK);
    let mut y = board.paragraph(about, (MARGIN, 82.0), inner, 18.0, DIM) + 8.0;
    for section in sections {
        y += 22.0;
        board.fill([MARGIN, y, WIDTH - MARGIN, y + 2.0], INK, 1.0);
        board.text(&section.title, (MARGIN, y + 14.0), 28.0, INK);
        y += 56.0;
        for text in &section.text {
            y = board.paragraph(text, (MARGIN, y), inner, 18.0, INK) + 6.0;
        }
        y = rows(board, &section.figures, y + 8.0);
    }
    y + MARGIN
}

/// The figures from left to right, as many as there is room for in a row; where the next thing would be.
fn rows(board: &mut Board, figures: &[Figure], mut y: f32) -> f32 {
    let (mut x, mut below) = (MARGIN, y);
    for figure in figures {
        let (w, h) = (figure.picture.width() as f32, figure.picture.height() as f32);
        let wide = w.max(CAPTION);
        if x > MARGIN && x + wide > WIDTH - MARGIN {
            (x, y) = (MARGIN, below + GAP);
        }
        board.picture(&figure.picture, x as i64, y as i64);
        let under = board.paragraph(&figure.title, (x, y + h + 6.0), wide, 18.0, INK);
        below = below.max(board.paragraph(&figure.caption, (x, under), wide, 15.0, DIM));
        x += wide + GAP;
    }
    below
}
