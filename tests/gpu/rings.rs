//! Buffers that cross between host and device: made for the first runs, and then no more; each run reads its own.

use maskrcnn::engine::gpu::{Runner, Submitted};
use maskrcnn::engine::graph::{Graph, Plan, Tensor};
use maskrcnn::engine::kernels::roof_copy::RoofCopy;
use maskrcnn::engine::ops::Info;
#[cfg(feature = "embedded-model")]
use maskrcnn::{Detector, Options};
use maskrcnn::{Device, Error, Result};

fn own_device() -> Device {
    Device::open(std::env::var("MASKRCNN_DEVICE").ok().as_deref()).unwrap()
}

/// Rows and columns of what is copied: more than the smallest buffer of a ring holds.
const SIDES: [usize; 2] = [3, 20_000];

struct Copier {
    runner: Runner,
    x: Tensor,
    y: Tensor,
}

impl Copier {
    fn new(device: &Device) -> Self {
        let mut g = Graph::new();
        let x = g.input("x", Info::f32(SIDES));
        let y = g.op1("copy", RoofCopy, &[x]).unwrap();
        g.keep(y);
        let plan = Plan::new(g, &device.target(), &[]).unwrap();
        Self { runner: Runner::new(device, plan).unwrap(), x, y }
    }

    /// Gives the device a run on numbers that tell each other and each run apart.
    fn submit(&mut self, run: usize) -> Result<Submitted> {
        let given = numbers(run);
        self.runner.submit_steps(0..1, &[(self.x, bytemuck::cast_slice(&given))], &[self.y])
    }
}

fn numbers(run: usize) -> Vec<f32> {
    (0..SIDES[0] * SIDES[1]).map(|i| (100_000 * run + i) as f32).collect()
}

#[test]
fn runs_in_flight_have_buffers_of_their_own_and_give_them_back() {
    let device = own_device();
    let mut copier = Copier::new(&device);
    let mut made = Vec::new();
    for round in 0..5 {
        let before = device.counters();
        let runs: Vec<Submitted> = (0..3).map(|i| copier.submit(3 * round + i).unwrap()).collect();
        // The last is read first.
        for (i, run) in runs.into_iter().enumerate().rev() {
            let got = run.wait().unwrap();
            assert!(got[0].floats() == numbers(3 * round + i), "round {round}: run {i} read another's");
        }
        let now = device.counters();
        let spoken = [now.submits - before.submits, now.waits - before.waits, now.maps - before.maps];
        assert_eq!(spoken, [3; 3], "submits, waits, maps of three runs");
        made.push(now.buffers - before.buffers);
    }
    // One for each way of each run, where none was done before the last was submitted.
    assert!(made.iter().sum::<u64>() <= 6, "buffers made in each round: {made:?}");
}

#[test]
fn runs_that_nobody_waits_for_give_their_buffers_back() {
    let device = own_device();
    let mut copier = Copier::new(&device);
    let mut made = Vec::new();
    for round in 0..4 {
        let before = device.counters().buffers;
        drop((copier.submit(1).unwrap(), copier.submit(2).unwrap()));
        let got = copier.submit(3 + round).unwrap().wait().unwrap();
        assert!(got[0].floats() == numbers(3 + round), "round {round}");
        made.push(device.counters().buffers - before);
    }
    assert!(made.iter().sum::<u64>() <= 6, "buffers made in each round: {made:?}");
}

/// More in flight than a ring keeps is slower, and nothing else.
#[test]
fn many_runs_in_flight_read_their_own() {
    let mut copier = Copier::new(&own_device());
    for round in 0..2 {
        let runs: Vec<Submitted> = (0..9).map(|i| copier.submit(i).unwrap()).collect();
        let right = |(i, run): (usize, Submitted)| run.wait().unwrap()[0].floats() == numbers(i);
        assert!(runs.into_iter().enumerate().all(right), "round {round}");
    }
}

#[test]
fn columns_that_are_needed_come_alone() {
    let mut copier = Copier::new(&own_device());
    for wanted in [0, 1, 700, SIDES[1], SIDES[1] + 1] {
        let got = copier.submit(7).unwrap().wait_for(|read| read.is_empty().then_some(wanted)).unwrap();
        let columns = wanted.min(SIDES[1]);
        let rows: Vec<f32> = numbers(7).chunks_exact(SIDES[1]).flat_map(|row| row[..columns].to_vec()).collect();
        assert_eq!(got[0].shape.dims(), [SIDES[0] as u32, columns as u32]);
        assert!(got[0].floats() == rows, "{wanted} columns");
    }
}

#[test]
fn a_device_given_back_under_its_runs_says_so() {
    let device = own_device();
    let mut copier = Copier::new(&device);
    copier.submit(1).unwrap().wait().unwrap();
    let [waited, dropped] = [2, 3].map(|run| copier.submit(run).unwrap());
    device.destroy();
    let lost = |outcome: Result<()>| assert!(matches!(outcome, Err(Error::DeviceLost { .. })), "{outcome:?}");
    match waited.wait() {
        // It may have been done before.
        Ok(got) => assert!(got[0].floats() == numbers(2)),
        failed => lost(failed.map(|_| ())),
    }
    drop(dropped);
    lost(copier.submit(4).and_then(Submitted::wait).map(|_| ()));
    drop((copier, device));
}

/// A frame like the one before it makes no buffer, one at a time or ahead of the answer.
#[test]
#[cfg(feature = "embedded-model")]
fn steady_frames_make_no_buffers() {
    use maskrcnn::engine::vision::scene;

    let device = own_device();
    let detector = Detector::builder().device(&device).build().unwrap();
    let images = [3, 4].map(|seed| scene::nuclei(250, 200, seed, 12).unwrap().image);
    let want = images.each_ref().map(|image| detector.detect(image).unwrap());
    assert!(want[0] != want[1] && want.iter().all(|found| !found.is_empty()));
    let before = device.counters();
    for i in 0..5 {
        assert!(detector.detect(&images[i % 2]).unwrap() == want[i % 2], "frame {i}");
    }
    let mut ahead = detector.submit(&images[0]).unwrap();
    for i in 1..4 {
        let found = std::mem::replace(&mut ahead, detector.submit(&images[i % 2]).unwrap()).wait().unwrap();
        assert!(found == want[(i - 1) % 2], "frame {i}, ahead");
    }
    ahead.wait().unwrap();
    let now = device.counters();
    assert_eq!([now.submits - before.submits, now.waits - before.waits, now.maps - before.maps], [9; 3]);
    assert_eq!(now.buffers - before.buffers, 0, "buffers made in steady frames");
    // Soft masks take another buffer to come down in, once.
    let soft = || detector.detect_with(&images[0], &Options { soft_masks: true }).unwrap();
    let first = soft();
    let made = device.counters().buffers;
    assert!(soft() == first && made <= now.buffers + 1 && device.counters().buffers == made);
}
