//! Detections as futures: nobody is blocked, nothing is mixed up, and what is given up is given back.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use super::{Layout, app_adapter, app_device, texture_of};
use maskrcnn::engine::vision::scene;
use maskrcnn::{Config, Detections, Detector, Device, Error, GpuImage, Image, wgpu};

/// So small that pictures take a tenth of a second where a CPU is the device.
fn tiny(detector: &Detector) -> Config {
    let mut config = detector.config().clone();
    (config.transform.min_size, config.transform.max_size) = (64, 64);
    config.rpn.pre_nms_top_n = 16;
    config.rpn.post_nms_top_n = 8;
    config.box_head.score_thresh = 0.01;
    config.box_head.detections_per_img = 4;
    config
}

fn tiny_detector() -> (wgpu::Device, wgpu::Queue, Detector) {
    let adapter = app_adapter();
    let helpful = Device::requirements(&adapter);
    let (device, queue) = app_device(&adapter, helpful.wanted_features, helpful.wanted_limits);
    let borrowed = Device::from_wgpu(&adapter, device.clone(), queue.clone()).unwrap();
    let of = |config: Option<Config>| {
        let builder = Detector::builder().device(&borrowed);
        config.into_iter().fold(builder, |b, config| b.config(config)).build().unwrap()
    };
    let detector = of(Some(tiny(&of(None))));
    (device, queue, detector)
}

fn pictures() -> Vec<Image> {
    (0..8).map(|seed| scene::nuclei(48 + 16 * (seed % 2), 64, u64::from(seed), 4).unwrap().image).collect()
}

/// Counts who is woken.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Two threads, one detector, two hundred pictures, half of them as futures: the bits of one thread.
#[test]
fn two_threads_find_what_one_does() {
    let (device, queue, detector) = tiny_detector();
    let images = pictures();
    let want: Vec<Detections> = images.iter().map(|image| detector.detect(image).unwrap()).collect();
    assert!(want.iter().filter(|w| !w.is_empty()).count() > 5 && want[0] != want[2]);
    let work = |first: usize| {
        for i in 0..100 {
            let at = (first + i) % images.len();
            let found = match i % 4 {
                0 | 1 => detector.detect(&images[at]),
                2 => pollster::block_on(detector.detect_async(&images[at])),
                _ => {
                    let texture =
                        texture_of(&device, &queue, &images[at], wgpu::TextureFormat::Rgba8Unorm, Layout::Whole);
                    pollster::block_on(detector.detect_gpu_async(&GpuImage::from_texture(&texture).unwrap()))
                }
            };
            assert!(found.unwrap() == want[at], "picture {at}, call {i} of the thread from {first} on");
        }
    };
    std::thread::scope(|s| {
        s.spawn(|| work(0));
        s.spawn(|| work(3));
    });
}

#[test]
fn asking_and_polling_block_nobody() {
    let (_, _, detector) = tiny_detector();
    let image = &pictures()[1];
    // Compiling takes long, and is not waited for.
    let begin = Instant::now();
    let mut future = pin!(detector.detect_async(image));
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(woken.clone());
    let mut context = Context::from_waker(&waker);
    assert!(future.as_mut().poll(&mut context).is_pending(), "it is done already");
    let asked = begin.elapsed();
    while woken.0.load(Ordering::Relaxed) == 0 {
        std::thread::sleep(Duration::from_millis(1));
        assert!(begin.elapsed() < Duration::from_secs(120), "nobody is woken");
    }
    let took = begin.elapsed();
    let Poll::Ready(found) = future.as_mut().poll(&mut context) else { panic!("woken before it is done") };
    assert!(found.unwrap() == detector.detect(image).unwrap());
    assert!(asked * 10 < took, "asking took {asked:?} of {took:?}");
    assert!(matches!(future.poll(&mut context), Poll::Ready(Err(Error::Internal(_)))), "polled after its end");
}

/// Futures outlive their detector, come in any order, and may go to other threads; what fails is told.
#[test]
fn futures_are_their_own() {
    let (device, _, detector) = tiny_detector();
    let images = pictures();
    let want: Vec<Detections> = images.iter().map(|image| detector.detect(image).unwrap()).collect();
    let mut futures: Vec<_> = images.iter().map(|image| detector.detect_async(image)).collect();
    let other = detector.detect_async(&images[0]);
    drop(detector);
    futures.reverse();
    let all =
        std::thread::spawn(move || futures.into_iter().map(|f| pollster::block_on(f).unwrap()).collect::<Vec<_>>());
    assert!(all.join().unwrap().into_iter().rev().eq(want.iter().cloned()));
    assert!(pollster::block_on(other).unwrap() == want[0]);
    let (_, _, detector) = tiny_detector();
    drop(device);
    let waiting = detector.detect_async(&images[0]);
    detector.device().wgpu().0.destroy();
    // The first may have been done before.
    let _ = pollster::block_on(waiting);
    let failed = pollster::block_on(detector.detect_async(&images[0]));
    assert!(failed.is_err(), "a device that is gone finds things");
}

/// When the answer is there and the detector is gone, so is all that was its own: a thread that put the driver away later would do
/// it under a program that ends.
#[test]
fn nothing_is_left_to_the_thread() {
    for failing in [false, true] {
        let (device, queue, detector) = tiny_detector();
        let held = Arc::new(());
        let token = Arc::downgrade(&held);
        device.on_uncaptured_error(Arc::new(move |e: wgpu::Error| panic!("{held:?}: an error reached the app: {e}")));
        let image = if failing { Image::from_rgb8(20_000, 1, vec![0; 60_000]).unwrap() } else { pictures().remove(0) };
        let found = pollster::block_on(detector.detect_async(&image));
        assert_eq!(found.is_err(), failing, "{found:?}");
        drop((device, queue, detector));
        assert!(token.upgrade().is_none(), "the device is still held, failing: {failing}");
    }
}

/// Nothing is done for futures that nobody has any more, and no buffers are made for those that come after.
#[test]
fn dropped_futures_are_not_worked_for() {
    let (_, _, detector) = tiny_detector();
    let image = &pictures()[0];
    let want = detector.detect(image).unwrap();
    pollster::block_on(detector.detect_async(image)).unwrap();
    let before = detector.counters();
    for _ in 0..500 {
        drop(detector.detect_async(image));
    }
    assert!(pollster::block_on(detector.detect_async(image)).unwrap() == want);
    let now = detector.counters();
    assert!(now.submits - before.submits < 50, "{} submits", now.submits - before.submits);
    assert!(now.buffers - before.buffers <= 4, "{} buffers", now.buffers - before.buffers);
}
