//! RoIPool against RoIAlign on the same box.

use maskrcnn::engine::detector::Anatomy;
use maskrcnn::{Config, Detection, Detections, Detector, Image, KnownBox, Result, RoiPooling};

use super::family::Family;
use super::section::{CARD, Figure, MARK, OTHER, Section, THIRD, View};

/// How many of the best may be the example.
const BEST: usize = 40;

/// The detection that is looked at closely.
pub(super) struct Example {
    pub detection: Detection,
    /// Whether it scores as much as was asked for.
    pub is_found: bool,
    /// What its class is called.
    pub name: String,
}

/// Of the best, the one whose box covers most cells of its level, but not more than can be drawn: where nothing was found,
/// the best of what was not. Away from the border, where possible.
pub(super) fn example(family: &Family, anatomy: &Anatomy) -> Option<Example> {
    let is_found = !family.found.is_empty();
    let of = if is_found { &family.found } else { &family.all };
    let (w, h) = (of.width as f32, of.height as f32);
    let suits = |d: &Detection| {
        let (_, [x1, y1, x2, y2]) = anatomy.on_level(d.bbox);
        let (wide, high) = (x2 - x1, y2 - y1);
        let inside = d.bbox[0] > 1.0 && d.bbox[1] > 1.0 && d.bbox[2] < w - 1.0 && d.bbox[3] < h - 1.0;
        let fits = wide.max(high) <= 9.0 && wide.min(high) >= 2.0;
        (fits && inside, if fits { wide.min(high) } else { -wide.max(high) })
    };
    let best = of.iter().take(BEST).max_by(|a, b| {
        let (a, b) = (suits(a), suits(b));
        a.0.cmp(&b.0).then(a.1.total_cmp(&b.1))
    })?;
    Some(Example { detection: best.clone(), is_found, name: of.name(best.label).into_owned() })
}

/// One axis of a RoI in bins, in cells of its level.
struct Axis {
    low: f32,
    high: f32,
    bins: usize,
}

impl Axis {
    /// Where bins begin and end, and where samples lie in them: RoIAlign's.
    fn aligned(&self, samples: usize) -> (Vec<f32>, Vec<f32>) {
        let bin = (self.high - self.low).max(1.0) / self.bins as f32;
        let edges = (0..=self.bins).map(|i| self.low + bin * i as f32).collect();
        let points = (0..self.bins * samples).map(|i| self.low + bin * (i as f32 + 0.5) / samples as f32);
        (edges, points.collect())
    }

    /// The first cell of the RoI and how many there are, and the first and last of each bin: RoIPool's.
    fn pooled(&self) -> (i64, i64, Vec<(i64, i64)>) {
        let first = self.low.round() as i64;
        let n = (self.high.round() as i64 - first + 1).max(1);
        let bins = (0..self.bins).map(|p| {
            let edge = |p: usize| p as f32 * n as f32 / self.bins as f32;
            (first + edge(p).floor() as i64, first + edge(p + 1).ceil() as i64)
        });
        (first, n, bins.collect())
    }
}

pub(super) fn section(
    detector: &Detector,
    image: &Image,
    anatomy: &Anatomy,
    (example, found): (&Example, &Detections),
) -> Result<Section> {
    let config = detector.config();
    let (level, [x1, y1, x2, y2]) = anatomy.on_level(example.detection.bbox);
    let bins = config.box_head.roi_size;
    let (x, y) = (Axis { low: x1, high: x2, bins }, Axis { low: y1, high: y2, bins });
    let stride = anatomy.strides.get(level).copied().unwrap_or(1);
    // Without a number, as many as a bin has cells.
    let samples = match config.box_head.sampling_ratio {
        0 => ((x2 - x1).max(y2 - y1) / bins.max(1) as f32).ceil().max(1.0) as usize,
        n => n,
    };
    let grid = Grid { image, anatomy, stride: stride as f32 };
    let (_, _, pooled_x) = x.pooled();
    let cells: usize = pooled_x.iter().map(|b| (b.1 - b.0) as usize).sum();
    let mut figures = vec![
        Figure {
            title: "RoIAlign".into(),
            caption: format!(
                "The box as it is, x {x1:.2} to {x2:.2} and y {y1:.2} to {y2:.2} in cells of its level (stride {stride}), in \
                 {bins}×{bins} bins. Each takes the mean of {} points, each of them mixed from the four cells around it. \
                 Nothing is rounded.",
                samples * samples
            ),
            picture: grid.aligned(&x, &y, samples),
        },
        Figure {
            title: "RoIPool".into(),
            caption: format!(
                "Rounded twice: the box to whole cells, x {} to {} and y {} to {}, then each bin to whole cells (red), {:.1} \
                 columns each. A bin takes the maximum of its cells. The box was moved by up to {:.1} pixels of the picture.",
                x.pooled().0,
                x.pooled().0 + x.pooled().1 - 1,
                y.pooled().0,
                y.pooled().0 + y.pooled().1 - 1,
                cells as f32 / bins as f32,
                grid.moved(&x, &y)
            ),
            picture: grid.pooled(&x, &y),
        },
    ];
    let mut text = vec![
        "The box head takes features of one size, whatever the box. RoIPool, of Fast R-CNN, rounds to whole cells to get them: \
         good enough to tell what it is, but a cell is many pixels wide. RoIAlign, of Mask R-CNN, rounds nothing, and that is \
         most of what made masks good."
            .to_string(),
    ];
    if let Some(head) = config.mask.clone() {
        let with = |pooling: RoiPooling| -> Result<Detections> {
            let mut head = head.clone();
            head.pooling = pooling;
            let known: Vec<KnownBox> = [&example.detection].into_iter().chain(found.iter()).map(known).collect();
            detector.beside(Config { mask: Some(head), ..config.clone() })?.masks_of_boxes(image, &known)
        };
        let (aligned, pooled) = (with(RoiPooling::Align)?, with(RoiPooling::Pool)?);
        let ious: Vec<f64> = aligned.iter().zip(pooled.iter()).map(|(a, b)| a.mask.iou(&b.mask)).collect();
        let around = around(example.detection.bbox);
        for (of, name, colour) in [(&aligned, "RoIAlign", THIRD), (&pooled, "RoIPool", OTHER)] {
            let mut view = View::part(image, around, CARD, 0.0);
            of.iter().take(1).for_each(|d| view.tint(&d.mask, colour, 0.5));
            let rect = view.bbox(example.detection.bbox);
            view.board.frame(rect, 1.5, MARK);
            figures.push(Figure {
                title: format!("The mask by {name}"),
                caption: format!("{} pixels.", of.iter().next().map_or(0, |d| d.mask.area())),
                picture: view.board.finish(),
            });
        }
        if let Some((first, rest)) = ious.split_first() {
            let mean = rest.iter().sum::<f64>() / rest.len().max(1) as f64;
            let of_all = match rest.len() {
                0 => String::new(),
                n => format!("; over all {n} boxes that were found it is {mean:.3}"),
            };
            text.push(format!(
                "The two masks of this {} have an IoU of {first:.3} with one another{of_all}. The weights were trained with \
                 RoIAlign, and see features from somewhere else where RoIPool rounds.",
                example.name
            ));
        }
    }
    Ok(Section { title: "RoIPool and RoIAlign on the same box".into(), text, figures, table: Vec::new() })
}

fn known(d: &Detection) -> KnownBox {
    KnownBox { bbox: d.bbox, label: d.label, score: d.score }
}

/// A box with half of it around.
pub(super) fn around([x1, y1, x2, y2]: [f32; 4]) -> [f32; 4] {
    let by = 0.25 * (x2 - x1).max(y2 - y1).max(4.0);
    [x1 - by, y1 - by, x2 + by, y2 + by]
}

/// The cells of a level around a RoI, drawn upon the picture that they are of.
struct Grid<'a> {
    image: &'a Image,
    anatomy: &'a Anatomy,
    stride: f32,
}

impl Grid<'_> {
    /// Pixels of the image that a cell is wide and high.
    fn cell(&self) -> (f32, f32) {
        let (y, x) = self.anatomy.scale();
        (self.stride / x, self.stride / y)
    }

    /// A drawing of the cells that either pooling touches, and two more.
    fn view(&self, x: &Axis, y: &Axis) -> View {
        let (w, h) = self.cell();
        let ends = |a: &Axis| {
            let (first, n, _) = a.pooled();
            (a.low.floor().min(first as f32) - 1.0, a.high.ceil().max((first + n) as f32) + 1.0)
        };
        let ((x0, x1), (y0, y1)) = (ends(x), ends(y));
        let mut view = View::part(self.image, [x0 * w, y0 * h, x1 * w, y1 * h], CARD, 0.45);
        let line = |view: &mut View, a: (f32, f32), b: (f32, f32)| {
            let (a, b) = (view.at((a.0 * w, a.1 * h)), view.at((b.0 * w, b.1 * h)));
            view.board.line(a, b, 1.0, [150; 3]);
        };
        (x0 as i64..=x1 as i64).for_each(|c| line(&mut view, (c as f32, y0), (c as f32, y1)));
        (y0 as i64..=y1 as i64).for_each(|r| line(&mut view, (x0, r as f32), (x1, r as f32)));
        view
    }

    fn aligned(&self, x: &Axis, y: &Axis, samples: usize) -> image::RgbImage {
        let (w, h) = self.cell();
        let mut view = self.view(x, y);
        let ((xs, px), (ys, py)) = (x.aligned(samples), y.aligned(samples));
        for rows in ys.windows(2) {
            for columns in xs.windows(2) {
                let rect = view.bbox([columns[0] * w, rows[0] * h, columns[1] * w, rows[1] * h]);
                view.board.frame(rect, 1.0, MARK);
            }
        }
        for y in &py {
            for x in &px {
                let at = view.at((x * w, y * h));
                view.board.dot(at, 2.0, THIRD);
            }
        }
        view.board.finish()
    }

    fn pooled(&self, x: &Axis, y: &Axis) -> image::RgbImage {
        let (w, h) = self.cell();
        let mut view = self.view(x, y);
        let ((_, _, xs), (_, _, ys)) = (x.pooled(), y.pooled());
        for (top, bottom) in &ys {
            for (left, right) in &xs {
                let cells = [*left as f32 * w, *top as f32 * h, *right as f32 * w, *bottom as f32 * h];
                // Bins overlap by a cell where the box does not divide: each a little smaller, to be seen.
                let [x1, y1, x2, y2] = view.bbox(cells);
                view.board.fill([x1 + 2.0, y1 + 2.0, x2 - 2.0, y2 - 2.0], OTHER, 0.12);
                view.board.frame([x1 + 2.0, y1 + 2.0, x2 - 2.0, y2 - 2.0], 1.0, OTHER);
            }
        }
        let rect = view.bbox([x.low * w, y.low * h, x.high * w, y.high * h]);
        view.board.frame(rect, 2.0, MARK);
        view.board.finish()
    }

    /// By how many pixels of the image rounding moves a side of the box, at most.
    fn moved(&self, x: &Axis, y: &Axis) -> f32 {
        let (w, h) = self.cell();
        let of = |a: &Axis, cell: f32| {
            let (first, n, _) = a.pooled();
            ((a.low - first as f32).abs()).max((a.high - (first + n) as f32).abs()) * cell
        };
        of(x, w).max(of(y, h))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A box from 2.4 to 9.6 in three bins: by RoIPool the nine cells from 2 to 10, three each; by RoIAlign 2.4 cells each.
    #[test]
    fn bins_are_those_of_the_kernels() {
        let axis = Axis { low: 2.4, high: 9.6, bins: 3 };
        assert_eq!(axis.pooled(), (2, 9, vec![(2, 5), (5, 8), (8, 11)]));
        let (edges, points) = axis.aligned(2);
        let near = |a: &[f32], b: &[f32]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5);
        assert!(near(&edges, &[2.4, 4.8, 7.2, 9.6]) && near(&points, &[3.0, 4.2, 5.4, 6.6, 7.8, 9.0]), "{points:?}");
        // Five cells in three bins overlap.
        let axis = Axis { low: 0.0, high: 4.0, bins: 3 };
        assert_eq!(axis.pooled(), (0, 5, vec![(0, 2), (1, 4), (3, 5)]));
    }
}
