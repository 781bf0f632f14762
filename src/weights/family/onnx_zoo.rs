//! The ONNX model zoo's `MaskRCNN-10` and `-12` and `FasterRCNN-10` and `-12`: maskrcnn-benchmark's detectors on a ResNet-50 with an
//! FPN, with Detectron's weights, once `onnx` has told the layers.
//!
//! Source: they were exported by `demo/export_to_onnx.py` of the branch `onnx_stage_mrcnn` of BowenBao/maskrcnn-benchmark, whose
//! graphs have ONNX's own NMS; the zoo's README tells how images are prepared.

use super::maskrcnn_benchmark::{MASKRCNN_BENCHMARK, defaults};
use super::{Family, of_graph};
use crate::config::Extents;
use crate::weights::settings::{Epsilon, Origin};

pub(super) const IN_ONNX: Family = Family {
    name: "the ONNX zoo",
    epsilon: |_, _| {
        let because = "an ONNX model has it in the weights".into();
        (0.0, Epsilon { origin: Origin::Read, because, doubt: None })
    },
    defaults: |bound, config| {
        // Where a checkpoint has anchors among its tensors, a graph has them among what it computes with.
        let mut told = defaults(bound, config);
        told.iter_mut().for_each(|found| found.source = "the anchors of a pixel among the graph's constants".into());
        // Which boxes overlap is counted by ONNX's operator, which knows no last pixel.
        config.extents = Extents::InclusiveButOverlaps;
        told.extend(of_graph(bound, config));
        told
    },
    ..MASKRCNN_BENCHMARK
};
