//! How good results are: COCO's average precision and recall, the matching metrics that papers on nuclei print, and how
//! far two results files agree. Needs no GPU.
//!
//! | file | what is in it |
//! |---|---|
//! | `annotations`, `results` | COCO's files, read and checked |
//! | `region` | masks as sets of pixels, on their runs |
//! | `pair` | results brought together with annotations: ids, classes, areas |
//! | `coco` | which results find what, and the curves of precision over recall |
//! | `summary` | COCO's twelve numbers of those |
//! | `matching`, `assignment` | one-to-one matching at an IoU: true and false positives, misses, panoptic quality |
//! | `plot` | curves and histograms as SVG |
//! | `agreement` | two results files against each other |
//!
//! COCO's numbers are those of pycocotools' `COCOeval`, whose rules are followed one by one; `tests/oracle/make_eval_golden.py`
//! makes the goldens that hold them to that.

mod agreement;
mod annotations;
mod assignment;
mod coco;
mod json;
mod matching;
mod pair;
mod plot;
mod region;
mod results;
mod summary;

pub use self::agreement::{Agreement, Difference, Limits, Unmatched};
pub use self::annotations::{Annotations, Category, ImageInfo, Truth};
pub use self::coco::{Evaluation, Kind, MAX_DETS, evaluate, iou_thresholds};
pub use self::matching::{ImagePairs, Matching, matching, matching_thresholds};
pub use self::pair::{Paired, Prediction};
pub use self::plot::{precision_recall, score_histogram};
pub use self::region::{Counts, Region, Segmentation};
pub use self::results::{Entry, Results};
pub use self::summary::Summary;
