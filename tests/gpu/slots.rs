//! What plans share on a device: slots that grow under them, and constants that outlive nobody.

use std::sync::Arc;

use crate::common::device;
use maskrcnn::Device;
use maskrcnn::engine::gpu::{Pool, Runner};
use maskrcnn::engine::graph::{Graph, Plan, Tensor};
use maskrcnn::engine::kernels::roof_copy::RoofCopy;
use maskrcnn::engine::ops::Info;
use maskrcnn::engine::ops::max_pool::MaxPool;
use maskrcnn::engine::tensor::Value;

/// A copy of so many floats, in slots of `pool`, with its input and its output.
struct Copier {
    runner: Runner,
    x: Tensor,
    y: Tensor,
}

impl Copier {
    fn new(pool: &Pool, n: usize) -> Self {
        let mut g = Graph::new();
        let x = g.input("x", Info::f32([n]));
        let y = g.op1("copy", RoofCopy, &[x]).unwrap();
        g.keep(y);
        let plan = Plan::new(g, &device().target(), &[]).unwrap();
        Self { runner: Runner::with_pool(device(), plan, pool).unwrap(), x, y }
    }

    /// Whether so many times `value` come back as they went in.
    fn copies(&mut self, value: f32) -> bool {
        let given = vec![value; self.x.shape().len()];
        let got = self.runner.run(&[(self.x, bytemuck::cast_slice(&given))], &[self.y]).unwrap();
        got[0].floats() == given
    }
}

#[test]
fn a_plan_follows_the_slots_that_a_larger_one_replaced() {
    let pool = Pool::new();
    let mut small = Copier::new(&pool, 64);
    assert!(small.copies(1.0));
    let before = pool.bytes();
    let mut large = Copier::new(&pool, 4096);
    assert!(large.copies(2.0) && pool.bytes() > before, "nothing grew");
    assert!(small.copies(3.0), "it works on a buffer that is no more");
    assert!(large.copies(4.0) && small.copies(5.0));
}

/// The same where a step of a plan is given more room, as the paste of masks is.
#[test]
fn a_plan_follows_the_slots_that_another_s_step_outgrew() {
    let pool = Pool::new();
    let mut g = Graph::new();
    let x = g.input("x", Info::f32([1, 16, 16, 4]));
    let y = g.op1("pool", MaxPool { kernel: 3, stride: 2, pad: 1, after: 1 }, &[x]).unwrap();
    g.keep(y);
    let mut growing = Runner::with_pool(device(), Plan::new(g, &device().target(), &[]).unwrap(), &pool).unwrap();
    let mut copier = Copier::new(&pool, y.shape().len());
    assert!(copier.copies(1.0));
    let before = pool.bytes();
    let larger = growing.replace(0, MaxPool { kernel: 3, stride: 1, pad: 1, after: 1 }).unwrap();
    let got = growing.run(&[(x, bytemuck::cast_slice(&[2.0f32; 16 * 16 * 4]))], &[larger]).unwrap();
    assert!(got[0].floats().iter().all(|&v| v == 2.0) && pool.bytes() > before, "nothing grew");
    assert!(copier.copies(3.0), "it works on a buffer that is no more");
}

/// On a device that reads texels faster, copies lie in texture slots: those grow under the plans too.
#[test]
fn a_plan_follows_the_textures_that_a_larger_one_replaced() {
    let pool = Pool::new();
    // All buffers are large from the start, so that textures alone are replaced.
    assert!(Copier::new(&pool, 1 << 18).copies(1.0));
    let texels = |side: usize| {
        let mut g = Graph::new();
        let x = g.input("x", Info::f32([1, side, side, 64]));
        // The middle tap alone.
        let weight = (0..64 * 9 * 64).map(|i| if i / 64 % 9 == 4 { 1.0 } else { 0.0 }).collect();
        let weight = Arc::new(Value::f32([64, 3, 3, 64], weight));
        let bias = Arc::new(Value::f32([64], vec![0.25; 64]));
        let y = g.conv2d("conv", x, &weight, &bias).pad(1).done().unwrap();
        g.keep(y);
        let plan = Plan::new(g, &device().target(), &["texels"]).unwrap();
        assert_eq!(!plan.textures.is_empty(), device().target().reads_texels(), "{}", plan.steps[0].variant);
        (Runner::with_pool(device(), plan, &pool).unwrap(), x, y)
    };
    let run = |(runner, x, y): &mut (Runner, Tensor, Tensor), value: f32| {
        let given = vec![value; x.shape().len()];
        let got = runner.run(&[(*x, bytemuck::cast_slice(&given))], &[*y]).unwrap();
        let wrong = got[0].floats().iter().find(|v| **v != 64.0 * value + 0.25);
        assert_eq!(wrong, None, "of {value}");
    };
    let mut small = texels(8);
    run(&mut small, 1.0);
    let before = pool.bytes();
    let mut large = texels(32);
    run(&mut large, 2.0);
    assert!(!device().target().reads_texels() || pool.bytes() > before, "no texture grew");
    run(&mut small, 3.0);
}

#[test]
fn constants_that_nobody_has_any_more_give_their_memory_back() {
    let device = Device::open(std::env::var("MASKRCNN_DEVICE").ok().as_deref()).unwrap();
    let mut held = Vec::new();
    for turn in 0..6 {
        let mut g = Graph::new();
        let x = g.constant("x", Arc::new(Value::f32([1 << 20], vec![turn as f32; 1 << 20])));
        let y = g.op1("copy", RoofCopy, &[x]).unwrap();
        g.keep(y);
        let mut runner = Runner::new(&device, Plan::new(g, &device.target(), &[]).unwrap()).unwrap();
        let got = runner.run(&[], &[y]).unwrap();
        assert!(got[0].floats().iter().all(|&v| v == turn as f32), "turn {turn} has another's constant");
        // Metal keeps no account.
        held.extend(device.held().map(|h| h.used >> 20));
    }
    // The constants are of 4 MiB.
    assert!(held.windows(2).skip(1).all(|w| w[1] <= w[0] + 1), "MiB after each turn: {held:?}");
}
