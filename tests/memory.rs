//! What hostile checkpoints may cost: a fixed amount of memory, whatever they claim. What futures leave that nobody waits for:
//! nothing.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Instant;

use maskrcnn::engine::weights::WeightsFile;

/// Counts what is allocated.
struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: passes every call on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW.fetch_add(layout.size(), Relaxed) + layout.size();
        PEAK.fetch_max(now, Relaxed);
        // SAFETY: the caller's promises are those of `GlobalAlloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The count is the process's: one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

/// Most bytes that reading any file may take at once.
const BOUND: usize = 96 << 20;

/// A legacy checkpoint whose object is the pickle of these instructions.
fn legacy(instructions: &[&[u8]]) -> Vec<u8> {
    let head = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.";
    let system = b"\x80\x02}X\x0d\0\0\0little_endian\x88s.";
    [head, system.as_slice(), b"\x80\x02", &instructions.concat(), b".\x80\x02]."].concat()
}

/// Pickles of NumPy's arrays that ask for more than they have.
fn arrays() -> Vec<(&'static str, Vec<u8>)> {
    let array = |dtype: &[u8], order: &[u8], shape: &[u8], data: &[u8]| -> Vec<u8> {
        let make = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\0\x85C\x01btR(K\x01".as_slice();
        let of = [b"cnumpy\ndtype\n(U\x02".as_slice(), dtype, b"K\0K\x01tR(K\x03U\x01", order].concat();
        let state = b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb\x89".as_slice();
        [make, shape, &of, state, data, b"tb"].concat()
    };
    let dict = |parts: &[&[u8]]| [b"\x80\x04}(", parts.concat().as_slice(), b"u."].concat();
    let small = array(b"f4", b">", b"K\x01\x85", b"B\x04\0\0\0\0\0\0\0");
    let huge = array(b"f4", b"<", b"J\xff\xff\xff\x0f\x85", b"B\x04\0\0\0\0\0\0\0");
    let mega = [b"B\0\0\x10\0".as_slice(), &vec![7; 1 << 20]].concat();
    let shared = array(b"f4", b">", b"J\0\0\x04\0\x85", &mega);
    vec![
        ("arrays", dict(&[b"U\x01x", &small.repeat(1), b"q\0", &b"U\x01xh\0".repeat(400_000)])),
        ("arrays, each new", dict(&[&[b"U\x01x".as_slice(), &small].concat().repeat(100_000)])),
        ("an array of a gigabyte that is not there", dict(&[b"U\x01x", &huge])),
        ("a megabyte that sixty thousand arrays share", {
            let name = |i: u32| [b"U\x04".as_slice(), format!("{i:04x}").as_bytes(), b"h\0"].concat();
            let again: Vec<u8> = (1..60_000).flat_map(name).collect();
            dict(&[b"U\x040000", &shared, b"q\0", &again])
        }),
        ("text that is decoded", {
            let text = [b"X\0\0\0\x02".as_slice(), &vec![b'a'; 32 << 20]].concat();
            let encoded = [b"c_codecs\nencode\n".as_slice(), &text, b"U\x06latin1\x86R"].concat();
            dict(&[b"U\x01x", &array(b"f4", b"<", b"J\xff\xff\x7f\0\x85", &encoded)])
        }),
    ]
}

/// HDF5 files that claim more than they have (`tests/oracle/keras_files.py`).
fn hdf5() -> Vec<(&'static str, Vec<u8>)> {
    let unpacked = |packed: &[u8]| {
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(packed), &mut bytes).unwrap();
        bytes
    };
    vec![
        ("a gigabyte without chunks", unpacked(include_bytes!("fixtures/hostile_absent.h5.gz"))),
        ("zeros", unpacked(include_bytes!("fixtures/hostile_zeros.h5.gz"))),
        ("groups that go round", unpacked(include_bytes!("fixtures/hostile_round.h5.gz"))),
        ("many datasets", unpacked(include_bytes!("fixtures/hostile_many.h5.gz"))),
    ]
}

const STORAGE: &[u8] = b"(U\x07storagectorch\nFloatStorage\nU\x010U\x03cpuK\x04t";

#[test]
fn bombs_take_bounded_memory() {
    let _alone = ALONE.lock();
    let storages = [STORAGE, b"q\0Q"].concat();
    let tensor =
        [b"ctorch._utils\n_rebuild_tensor\nq\0(".as_slice(), STORAGE, b"QK\0K\x04\x85K\x01\x85tq\x01R"].concat();
    let named = [b"}(U\0".as_slice(), &tensor, b"q\0"].concat();
    // A name, how the program begins, what it repeats and how often, and how it ends.
    type Bomb<'a> = (&'a str, &'a [u8], &'a [u8], usize, &'a [u8]);
    let bombs: [Bomb<'_>; 15] = [
        ("nested lists", b"", b"]", 2_000_000, b""),
        ("nested tuples", b")", b"\x85", 2_000_000, b""),
        ("marks", b"", b"(", 2_000_000, b""),
        ("marks and values", b"", b"(N", 2_000_000, b""),
        ("memo by number", b"N", b"r\xff\xff\xff\xff", 1, b""),
        ("memo by steps", b"N", b"\x94", 2_000_000, b""),
        ("everything at once", b"]q\0", b"(]\x94h\0", 2_000_000, b""),
        ("links", b"]q\0", b"h\0a", 2_000_000, b""),
        ("billion laughs", b"(]q\0", b"](h\0h\0h\0h\0h\0h\0h\0h\0h\0h\0eq\0", 90_000, b"t"),
        ("pairs", b"ccollections\nOrderedDict\n](", b"NN\x86", 2_000_000, b""),
        ("pairs within bounds", b"ccollections\nOrderedDict\n](", b"NN\x86", 199_000, b"e\x85R"),
        ("storages", &storages, b"h\0Q", 1_000_000, b""),
        ("tensors", &tensor, b"h\0h\x01R", 1_000_000, b""),
        ("names", &named, b"U\x01xh\0", 400_000, b"u"),
        ("a program without end", b"", b"\x95\0\0\0\0\0\0\0\0", 8 << 20, b""),
    ];
    let mut files =
        bombs.map(|(name, begin, part, times, end)| (name, legacy(&[begin, &part.repeat(times), end]))).to_vec();
    // Two pickles at a time: the object is kept while the list of storages is read.
    let full = [b")".as_slice(), &b"\x85".repeat(990_000)].concat();
    files.push(("two pickles", legacy(&[&full, b".\x80\x02", &full, b"\x85".repeat(20_000).as_slice()])));
    files.extend(arrays());
    files.extend(hdf5());
    for (name, file) in files {
        let bytes = file.clone();
        let before = NOW.load(Relaxed);
        PEAK.store(before, Relaxed);
        let start = Instant::now();
        let reason = WeightsFile::from_bytes(bytes, name).expect_err(name);
        let (peak, took) = (PEAK.load(Relaxed) - before, start.elapsed());
        println!("{name}: {peak} bytes, {took:?}: {reason}");
        assert!(peak < BOUND, "{name} takes {peak} bytes");
    }
}

/// Futures that are dropped at once, after a while, or when they are done, 500 of them, leave neither memory of the host's nor
/// of the device's.
#[cfg(feature = "embedded-model")]
#[test]
fn dropped_futures_leave_nothing() {
    use maskrcnn::engine::vision::scene;
    use maskrcnn::{Detector, Device};
    use std::future::Future;
    use std::task::{Context, Waker};

    let _alone = ALONE.lock();
    let device = Device::open(std::env::var("MASKRCNN_DEVICE").ok().as_deref()).unwrap();
    let config = || {
        let mut config = Detector::embedded_weights()?.config()?;
        (config.transform.min_size, config.transform.max_size) = (64, 64);
        (config.rpn.pre_nms_top_n, config.rpn.post_nms_top_n) = (16, 8);
        config.box_head.detections_per_img = 4;
        Detector::builder().device(&device).config(config).build()
    };
    let detector = config().unwrap();
    let image = scene::nuclei(256, 256, 1, 4).unwrap().image;
    let want = detector.detect(&image).unwrap();
    let round = |count: usize| {
        for i in 0..count {
            let mut future = std::pin::pin!(detector.detect_async(&image));
            if i % 5 > 0 {
                let _ = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            }
            if i % 10 == 9 {
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
        }
        // What was given up is through when the next is.
        assert!(pollster::block_on(detector.detect_async(&image)).unwrap() == want);
    };
    round(50);
    let held = || device.held().map(|held| held.used);
    let (before, held_before) = (NOW.load(Relaxed), held());
    PEAK.store(before, Relaxed);
    round(500);
    let (more, held_after) = (NOW.load(Relaxed).saturating_sub(before), held());
    println!("500 futures leave {more} bytes; at most {} more at once", PEAK.load(Relaxed) - before);
    assert!(more < 256 << 10, "500 futures leave {more} bytes, of pictures of {}", image.rgb().len());
    // A few buffers to go up in are kept for the next ones, and never more than those.
    let few = 4 * image.rgb().len() as u64;
    let grown = held_after.zip(held_before).map_or(0, |(after, before)| after.saturating_sub(before));
    assert!(grown <= few, "500 futures leave {grown} bytes on the device");
}
