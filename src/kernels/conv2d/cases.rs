//! What a convolution is tested and measured with.

use crate::ops::activation::Activation;
use crate::ops::conv2d::Conv2d;
use crate::rng::Rng;
use crate::kernels::{Case, Tolerance};
use crate::ops::levels::Levels;
use crate::tensor::{Shape, Value};

/// Inputs that not every convolution has.
#[derive(Default)]
struct More {
    /// Rows and columns of the residual; where they are fewer than the output's, it is enlarged.
    residual: Option<(usize, usize)>,
    live: Option<Vec<u32>>,
}

/// The network's shapes (smaller in area), ragged ones, and every feature.
pub fn cases() -> Vec<Case> {
    let mut rng = Rng::new(1);
    let mut out = Vec::new();
    let mut add = |name: &str, kernel: Conv2d, x: [usize; 4], w: [usize; 4], more: More| {
        let kernel = Conv2d { residual: more.residual.is_some(), live: more.live.is_some(), ..kernel };
        let mut inputs = vec![rng.tensor(x), rng.tensor(w), rng.tensor([w[0]])];
        inputs.extend(more.residual.map(|(h, wide)| rng.tensor([x[0], h, wide, w[0]])));
        inputs.extend(more.live.map(|live| Value::u32([live.len()], live)));
        out.push(Case::new(name, kernel, inputs, Tolerance::Norm { relative: 2e-6 }));
    };
    let residual = |h, w| More { residual: Some((h, w)), live: None };
    let live = |counts: &[u32]| More { residual: None, live: Some(counts.to_vec()) };
    let base = Conv2d::default;
    let k3 = || Conv2d { pad: (1, 1), ..base() };
    add("one by one by one", base(), [1, 1, 1, 1], [1, 1, 1, 1], More::default());
    add("stem 7x7 s2", Conv2d { stride: (2, 2), pad: (3, 3), activation: Activation::Relu, ..base() }, [1, 40, 36, 4], [32, 7, 7, 4], More::default());
    add("body 3x3 residual", Conv2d { activation: Activation::Relu, ..k3() }, [1, 19, 23, 32], [32, 3, 3, 32], residual(19, 23));
    add("body 3x3 s2", Conv2d { stride: (2, 2), activation: Activation::Relu, ..k3() }, [2, 20, 14, 64], [128, 3, 3, 64], More::default());
    add("downsample 1x1 s2", Conv2d { stride: (2, 2), ..base() }, [1, 13, 11, 64], [128, 1, 1, 64], More::default());
    add("lateral 1x1", base(), [1, 10, 13, 256], [128, 1, 1, 256], More::default());
    // The residual is the smaller map above.
    add("lateral, top-down", base(), [2, 10, 13, 32], [24, 1, 1, 32], residual(5, 7));
    add("lateral, ragged", base(), [1, 5, 3, 8], [13, 1, 1, 8], residual(3, 2));
    add("rpn 3x3 on P6", Conv2d { activation: Activation::Relu, ..k3() }, [1, 3, 4, 128], [128, 3, 3, 128], More::default());
    let logits = Conv2d { slice: Some((Shape::from([2, 300]), 100)), ..base() };
    add("rpn logits into a slice", logits, [2, 6, 8, 128], [3, 1, 1, 128], More::default());
    let deltas = Conv2d { slice: Some((Shape::from([2, 200, 4]), 17)), ..base() };
    add("rpn deltas into a slice", deltas, [2, 6, 7, 128], [12, 1, 1, 128], More::default());
    let head = || Conv2d { activation: Activation::Relu, ..k3() };
    add("mask head, some live", head(), [9, 14, 14, 32], [32, 3, 3, 32], live(&[4]));
    add("mask head, batches", head(), [10, 5, 5, 8], [24, 3, 3, 8], live(&[5, 2]));
    add("mask head, none live", head(), [3, 5, 5, 8], [8, 3, 3, 8], live(&[0]));
    let levels = Levels::new(&[(6, 5), (3, 3), (1, 1)]);
    let joint = Conv2d { levels, activation: Activation::Relu, ..k3() };
    add("rpn 3x3 on three levels", joint.clone(), [2, 1, 40, 16], [12, 3, 3, 16], More::default());
    let alone = Conv2d { levels: Levels::new(&[(6, 5)]), ..k3() };
    add("rpn 3x3 on a level alone", alone, [2, 1, 30, 8], [8, 3, 3, 8], More::default());
    let slice = Some((Shape::from([2, 1, 45, 12]), 24));
    add("three levels into a slice", Conv2d { slice, ..joint.clone() }, [2, 1, 40, 8], [12, 3, 3, 8], More::default());
    add("three levels, ragged", joint, [2, 1, 40, 3], [5, 3, 3, 3], More::default());
    add("ragged channels", k3(), [1, 7, 5, 3], [5, 3, 3, 3], More::default());
    add("ragged quads", k3(), [1, 7, 5, 12], [13, 3, 3, 12], More::default());
    add("dilated", Conv2d { dilation: (2, 3), pad: (2, 3), ..base() }, [1, 9, 11, 8], [8, 3, 3, 8], More::default());
    add("groups", Conv2d { groups: 4, ..k3() }, [1, 6, 6, 16], [8, 3, 3, 4], More::default());
    add("depthwise", Conv2d { groups: 6, ..k3() }, [1, 6, 6, 6], [6, 3, 3, 1], More::default());
    add("uneven kernel", Conv2d { pad: (0, 2), stride: (1, 2), ..base() }, [1, 6, 9, 4], [9, 1, 5, 4], More::default());
    out
}
