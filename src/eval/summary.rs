//! COCO's twelve numbers.

use super::coco::{Curves, Evaluation, RECALLS, THRESHOLDS, iou_thresholds};

/// Places of IoU 0.5 and 0.75 among the ten.
const IOU_50: usize = 0;
const IOU_75: usize = 5;

/// COCO's twelve numbers, 0 to 1; -1 where the annotations have nothing of that kind. In pycocotools' order, as its
/// `stats`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// The numbers.
    pub stats: [f64; 12],
    /// Most results of an image and class that count, for the recalls; the last, for all else.
    pub max_dets: [usize; 3],
}

/// What each number is: precision or recall, its IoU (that of all ten unless said), area, and place in `max_dets`.
const NUMBERS: [(bool, Option<usize>, usize, usize); 12] = [
    (true, None, 0, 2),
    (true, Some(IOU_50), 0, 2),
    (true, Some(IOU_75), 0, 2),
    (true, None, 1, 2),
    (true, None, 2, 2),
    (true, None, 3, 2),
    (false, None, 0, 0),
    (false, None, 0, 1),
    (false, None, 0, 2),
    (false, None, 1, 2),
    (false, None, 2, 2),
    (false, None, 3, 2),
];

impl Summary {
    /// Short names of the numbers, as papers have them: AP, AP50, …, AR100, …
    pub fn names(&self) -> [String; 12] {
        let [a, b, c] = self.max_dets.map(|n| format!("AR{n}"));
        let named = |name: &str| name.to_string();
        let [ap, ap50, ap75, aps, apm, apl] = ["AP", "AP50", "AP75", "APs", "APm", "APl"].map(named);
        let [ars, arm, arl] = ["ARs", "ARm", "ARl"].map(named);
        [ap, ap50, ap75, aps, apm, apl, a, b, c, ars, arm, arl]
    }

    /// The lines that pycocotools prints.
    pub fn lines(&self) -> Vec<String> {
        let line = |(value, (precision, iou, area, most)): (&f64, (bool, Option<usize>, usize, usize))| {
            let title = if precision { "Average Precision  (AP)" } else { "Average Recall     (AR)" };
            let iou = iou.map_or("0.50:0.95".into(), |i| format!("{:.2}", iou_thresholds()[i]));
            let (area, most) = (["all", "small", "medium", "large"][area], self.max_dets[most]);
            format!(" {title} @[ IoU={iou:<9} | area={area:>6} | maxDets={most:>3} ] = {value:.3}")
        };
        self.stats.iter().zip(NUMBERS).map(line).collect()
    }
}

impl Evaluation {
    /// The twelve numbers of all classes together: means over those that there is something of.
    pub fn summary(&self) -> Summary {
        self.of(&self.classes)
    }

    /// The twelve numbers of one class, by its place in the annotations.
    pub fn of_class(&self, class: usize) -> Summary {
        self.of(self.classes.get(class..class + 1).unwrap_or_default())
    }

    /// Precision at recalls of 0, 0.01, … 1, the mean of all classes that there is something of, at the i-th of the
    /// [`iou_thresholds`]; none where there is nothing to be found.
    pub fn precision(&self, i: usize) -> Option<[f64; RECALLS]> {
        let known = || self.classes.iter().map(|c| &c.precision[0][2][i]).filter(|p| p[0] >= 0.0);
        let count = known().count();
        let at = |r: usize| known().map(|p| p[r]).sum::<f64>() / count as f64;
        (count > 0).then(|| std::array::from_fn(at))
    }

    fn of(&self, classes: &[Curves]) -> Summary {
        let number = |(precision, iou, area, most): (bool, Option<usize>, usize, usize)| {
            let range = iou.map_or(0..THRESHOLDS, |i| i..i + 1);
            let values = classes.iter().flat_map(|c| {
                let (curves, recalls) = (&c.precision[area][most], &c.recall[area][most]);
                let all: Vec<f64> = match precision {
                    true => range.clone().flat_map(|i| curves[i]).collect(),
                    false => range.clone().map(|i| recalls[i]).collect(),
                };
                all
            });
            mean(values.filter(|&v| v > -1.0))
        };
        Summary { stats: NUMBERS.map(number), max_dets: self.max_dets }
    }
}

/// -1 of nothing.
fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0), |(sum, n), v| (sum + v, n + 1));
    if count == 0 { -1.0 } else { sum / f64::from(count) }
}
