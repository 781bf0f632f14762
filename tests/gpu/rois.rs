//! A thousand RoIs on one map, pooled in every way, against torchvision (`tests/oracle/make_roi_golden.py`).

use maskrcnn::engine::gpu::Runner;
use maskrcnn::engine::graph::{Graph, Plan};
use maskrcnn::engine::kernels::Tolerance;
use maskrcnn::engine::ops::roi_align::{Pooling, RoiAlign};
use maskrcnn::engine::ops::roi_levels::RoiLevels;
use maskrcnn::engine::ops::roi_pool::{RoiPool, Rounding};
use maskrcnn::engine::tensor::Value;
use safetensors::SafeTensors;

use crate::common::{device, difference, target};

struct Golden(Vec<u8>);

impl Golden {
    fn open() -> Self {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/rois.safetensors");
        Self(std::fs::read(path).unwrap())
    }

    /// Of torch's `[n,C,h,w]`, `[n,h,w,C]`; bytes are whole numbers.
    fn value(&self, name: &str) -> Value {
        let tensors = SafeTensors::deserialize(&self.0).unwrap();
        let view = tensors.tensor(name).unwrap();
        let values: Vec<f32> = match view.dtype() {
            safetensors::Dtype::U8 => view.data().iter().map(|&b| f32::from(b)).collect(),
            _ => view.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect(),
        };
        let &[n, c, h, w] = view.shape() else { return Value::f32([1, view.shape()[0], 4], values) };
        let at = |i: usize| {
            let (ch, cell, roi) = (i % c, i / c % (h * w), i / c / (h * w));
            values[(roi * c + ch) * h * w + cell]
        };
        Value::f32([n, h, w, c], (0..n * c * h * w).map(at).collect())
    }
}

#[test]
fn a_thousand_rois_are_torchvision_s() {
    let golden = Golden::open();
    let (rois, map) = (golden.value("rois"), golden.value("map"));
    let n = rois.shape.dim(1);
    let levels = || RoiLevels::new(&[0.0625]);
    let align = |aligned, pooling| RoiAlign { pooled: 2, sampling: 2, aligned, pooling, levels: levels() };
    let run = |op: &dyn Fn(&mut Graph) -> maskrcnn::Result<()>| {
        let mut g = Graph::new();
        op(&mut g).unwrap();
        let out = g.nodes[0].outputs[0];
        let mut runner = Runner::new(device(), Plan::new(g, &target(), &[]).unwrap()).unwrap();
        runner.run(&[], &[out]).unwrap().remove(0)
    };
    let close = Tolerance::Close { absolute: 1e-3, relative: 1e-5 };
    let mut failures = Vec::new();
    let mut check = |name: &str, got: Value, tolerance| {
        let want = golden.value(name);
        assert_eq!(got.shape, want.shape, "{name}");
        failures.extend(difference(&got, &want, tolerance).map(|d| format!("{name}: {d}")));
    };
    let inputs = |g: &mut Graph| {
        let live = Value::u32([1], vec![n as u32]);
        [("rois", &rois), ("live", &live), ("map", &map)]
            .map(|(name, v)| g.constant(name, std::sync::Arc::new(v.clone())))
    };
    let pool = RoiPool { pooled: 3, rounding: Rounding::Nearest, levels: levels() };
    check(
        "pool",
        run(&|g| {
            let i = inputs(g);
            let y = g.op1("pool", pool.clone(), &i)?;
            g.keep(y);
            Ok(())
        }),
        Tolerance::Exact,
    );
    for (name, kernel) in [
        ("align", align(false, Pooling::Average)),
        ("align_max", align(false, Pooling::Max)),
        ("aligned", align(true, Pooling::Average)),
    ] {
        check(
            name,
            run(&|g| {
                let i = inputs(g);
                let y = g.op1(name, kernel.clone(), &i)?;
                g.keep(y);
                Ok(())
            }),
            close,
        );
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
