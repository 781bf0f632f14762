//! What a convolution is tested and measured with.

use super::Conv2d;
use crate::kernels::case::Rng;
use crate::kernels::levels::Levels;
use crate::kernels::{Case, Tolerance};
use crate::tensor::{Shape, Value};

/// The network's shapes (smaller in area), ragged ones, and every feature.
pub fn cases() -> Vec<Case> {
    let mut rng = Rng::new(1);
    let mut out = Vec::new();
    let mut case = |name: &str, kernel: Conv2d, x: [usize; 4], w: [usize; 4], live: Option<Vec<u32>>| {
        let mut inputs = vec![rng.tensor(x), rng.tensor(w), rng.tensor([w[0]])];
        if kernel.residual {
            let (oh, ow) = kernel.extents(&inputs[0].shape, &inputs[1].shape).expect("a case that fits");
            // A lateral's is the smaller map above it.
            let (oh, ow) = if name.starts_with("lateral") { (oh.div_ceil(2), ow.div_ceil(2)) } else { (oh, ow) };
            inputs.push(rng.tensor([x[0], oh, ow, w[0]]));
        }
        if let Some(live) = live {
            inputs.push(Value::u32([live.len()], live));
        }
        out.push(Case::new(name, kernel, inputs, Tolerance::Norm { relative: 2e-6 }));
    };
    let base = Conv2d::default;
    let k3 = || Conv2d { pad: (1, 1), ..base() };
    case("one by one by one", base(), [1, 1, 1, 1], [1, 1, 1, 1], None);
    case("stem 7x7 s2", Conv2d { stride: (2, 2), pad: (3, 3), relu: true, ..base() }, [1, 40, 36, 4], [32, 7, 7, 4], None);
    case("body 3x3 residual", Conv2d { residual: true, relu: true, ..k3() }, [1, 19, 23, 32], [32, 3, 3, 32], None);
    case("body 3x3 s2", Conv2d { stride: (2, 2), relu: true, ..k3() }, [2, 20, 14, 64], [128, 3, 3, 64], None);
    case("downsample 1x1 s2", Conv2d { stride: (2, 2), ..base() }, [1, 13, 11, 64], [128, 1, 1, 64], None);
    case("lateral 1x1", base(), [1, 10, 13, 256], [128, 1, 1, 256], None);
    let top_down = || Conv2d { residual: true, ..base() };
    case("lateral, top-down", top_down(), [2, 10, 13, 32], [24, 1, 1, 32], None);
    case("lateral, ragged", top_down(), [1, 5, 3, 8], [13, 1, 1, 8], None);
    case("rpn 3x3 on P6", Conv2d { relu: true, ..k3() }, [1, 3, 4, 128], [128, 3, 3, 128], None);
    let logits = Conv2d { slice: Some((Shape::from([2, 300]), 100)), ..base() };
    case("rpn logits into a slice", logits, [2, 6, 8, 128], [3, 1, 1, 128], None);
    let deltas = Conv2d { slice: Some((Shape::from([2, 200, 4]), 17)), ..base() };
    case("rpn deltas into a slice", deltas, [2, 6, 7, 128], [12, 1, 1, 128], None);
    let live = || Conv2d { live: true, relu: true, ..k3() };
    case("mask head, some live", live(), [9, 14, 14, 32], [32, 3, 3, 32], Some(vec![4]));
    case("mask head, batches", live(), [10, 5, 5, 8], [24, 3, 3, 8], Some(vec![5, 2]));
    case("mask head, none live", live(), [3, 5, 5, 8], [8, 3, 3, 8], Some(vec![0]));
    let levels = Levels::new(&[(6, 5), (3, 3), (1, 1)]);
    let joint = Conv2d { levels, relu: true, ..k3() };
    case("rpn 3x3 on three levels", joint.clone(), [2, 1, 40, 16], [12, 3, 3, 16], None);
    let alone = Conv2d { levels: Levels::new(&[(6, 5)]), ..k3() };
    case("rpn 3x3 on a level alone", alone, [2, 1, 30, 8], [8, 3, 3, 8], None);
    let slice = Some((Shape::from([2, 1, 45, 12]), 24));
    case("three levels into a slice", Conv2d { slice, ..joint.clone() }, [2, 1, 40, 8], [12, 3, 3, 8], None);
    case("three levels, ragged", joint, [2, 1, 40, 3], [5, 3, 3, 3], None);
    case("ragged channels", k3(), [1, 7, 5, 3], [5, 3, 3, 3], None);
    case("ragged quads", k3(), [1, 7, 5, 12], [13, 3, 3, 12], None);
    case("dilated", Conv2d { dilation: (2, 3), pad: (2, 3), ..base() }, [1, 9, 11, 8], [8, 3, 3, 8], None);
    case("groups", Conv2d { groups: 4, ..k3() }, [1, 6, 6, 16], [8, 3, 3, 4], None);
    case("depthwise", Conv2d { groups: 6, ..k3() }, [1, 6, 6, 6], [6, 3, 3, 1], None);
    case("uneven kernel", Conv2d { pad: (0, 2), stride: (1, 2), ..base() }, [1, 6, 9, 4], [9, 1, 5, 4], None);
    out
}
