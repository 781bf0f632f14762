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

fn unpacked(packed: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(packed), &mut bytes).unwrap();
    bytes
}

/// HDF5 files that claim more than they have (`tests/oracle/keras_files.py`).
fn hdf5() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("a gigabyte without chunks", unpacked(include_bytes!("fixtures/hostile_absent.h5.gz"))),
        ("zeros", unpacked(include_bytes!("fixtures/hostile_zeros.h5.gz"))),
        ("groups that go round", unpacked(include_bytes!("fixtures/hostile_round.h5.gz"))),
        ("many datasets", unpacked(include_bytes!("fixtures/hostile_many.h5.gz"))),
        ("groups two hundred deep", unpacked(include_bytes!("fixtures/hostile_deep.h5.gz"))),
        ("four kilobytes whose stream goes on", unpacked(include_bytes!("fixtures/hostile_bomb.h5.gz"))),
        ("a chunk of half a gigabyte", unpacked(include_bytes!("fixtures/hostile_chunk.h5.gz"))),
    ]
}

/// A field of bytes, as protobuf has it.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let (mut out, mut left) = (vec![number << 3 | 2], bytes.len());
    while left >= 0x80 {
        out.push(left as u8 | 0x80);
        left >>= 7;
    }
    out.push(left as u8);
    [out, bytes.to_vec()].concat()
}

/// The graph of an ONNX model, whose file ends with it but for what is not read.
fn graph(model: &[u8]) -> &[u8] {
    let mut rest = model;
    loop {
        let varint = |rest: &mut &[u8]| {
            let (mut value, mut shift) = (0usize, 0);
            while let Some((&byte, after)) = rest.split_first() {
                (value, shift, *rest) = (value | usize::from(byte & 0x7f) << shift, shift + 7, after);
                if byte < 0x80 {
                    break;
                }
            }
            value
        };
        let tag = varint(&mut rest);
        let value = varint(&mut rest);
        match tag {
            0x3a => return &rest[..value],
            _ if tag & 7 == 2 => rest = &rest[value..],
            _ => {}
        }
    }
}

/// ONNX models that ask for more than they have.
fn onnx() -> Vec<(&'static str, Vec<u8>)> {
    let model = |of_graph: &[u8]| [vec![0x08, 8], field(7, of_graph)].concat();
    let node = |op: &str, inputs: &[u8], output: &str| {
        field(1, &[inputs, &field(2, output.as_bytes()), &field(4, op.as_bytes())].concat())
    };
    let one = |name: &str| field(1, name.as_bytes());
    let sound = unpacked(include_bytes!("../src/weights/onnx/fixtures/folded.onnx.gz"));
    let with = |more: &[u8]| model(&[graph(&sound), more].concat());
    // What the first convolution reads there.
    let image = "/transform/Concat_8_output_0";
    assert!(sound.windows(image.len()).any(|at| at == image.as_bytes()));
    // A graph within a node's attribute within a graph.
    let deep = (0..10_000).fold(Vec::new(), |inner, _| node("If", &field(5, &field(6, &inner)), "x"));
    let stem = node("Conv", &[one("image"), one("w")].concat(), "c");
    let tensor =
        |dims: &[u8], data: &[u8]| field(5, &[field(1, dims), vec![0x10, 3], field(8, b"w"), data.to_vec()].concat());
    let claimed = [0xff, 0xff, 0xff, 0xff, 0x0f];
    vec![
        ("a tensor of thirty million axes", model(&tensor(&vec![1; 30_000_000], &[]))),
        (
            "a tensor of four thousand million elements",
            model(&[stem.clone(), tensor(&claimed, &field(9, &[0; 4]))].concat()),
        ),
        ("graphs ten thousand deep", model(&deep)),
        ("a network with graphs ten thousand deep", with(&[deep.clone(), node("ConvInteger", &[], "y")].concat())),
        ("names without end", model(&node("Conv", &one("").repeat(999_000), "c"))),
        ("nodes without end", model(&b"\x0a\0".repeat(99_000))),
        (
            "tensors without end",
            model(&(0..99_000).flat_map(|i| field(5, &field(8, format!("{i}").as_bytes()))).collect::<Vec<_>>()),
        ),
        ("an image made of what is made of itself", {
            let itself = node("Concat", &one("z").repeat(900_000), "z");
            with(&[node("Concat", &one("z"), image), itself].concat())
        }),
    ]
}

/// safetensors whose headers are what takes memory.
fn safetensors() -> Vec<(&'static str, Vec<u8>)> {
    let header = |json: String| [&(json.len() as u64).to_le_bytes(), json.as_bytes()].concat();
    let dims = "1,".repeat(1_000_000);
    vec![
        ("a million axes", header(format!(r#"{{"x":{{"dtype":"F32","shape":[{dims}1],"data_offsets":[0,4]}}}}"#))),
        ("lists in a header", header(format!(r#"{{"x":{}"#, "[".repeat(2_000_000)))),
        ("a header of a terabyte", [&(1u64 << 40).to_le_bytes(), b"{}".as_slice()].concat()),
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
    files.extend(onnx());
    files.extend(safetensors());
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

/// Sound files of every format, cut off at every hundredth: each is refused in a sentence, and costs no more than a whole one.
#[test]
fn what_is_cut_off_takes_no_more_than_the_whole() {
    let _alone = ALONE.lock();
    let files: [(&str, Vec<u8>); 8] = [
        ("zip", include_bytes!("fixtures/tiny_zip.pth").to_vec()),
        ("legacy", include_bytes!("fixtures/tiny_legacy.pth").to_vec()),
        ("arrays", include_bytes!("../src/weights/pth/fixtures/arrays_numpy2_protocol2.pkl").to_vec()),
        ("safetensors", include_bytes!("golden/rois.safetensors").to_vec()),
        ("oldest HDF5", unpacked(include_bytes!("fixtures/keras_weights.h5.gz"))),
        ("HDF5 in chunks", unpacked(include_bytes!("fixtures/keras_chunked.h5.gz"))),
        ("ONNX", unpacked(include_bytes!("../src/weights/onnx/fixtures/norms.onnx.gz"))),
        ("ONNX of 8 bits", unpacked(include_bytes!("../src/weights/onnx/fixtures/qdq.onnx.gz"))),
    ];
    for (name, file) in files {
        let mut worst = 0;
        for percent in 0..100 {
            let bytes = file[..file.len() * percent / 100].to_vec();
            let before = NOW.load(Relaxed);
            PEAK.store(before, Relaxed);
            let reason = WeightsFile::from_bytes(bytes, name).expect_err(name).to_string();
            assert!(!reason.contains('\n') && reason.len() < 700, "{name} at {percent} %: {reason}");
            worst = worst.max(PEAK.load(Relaxed) - before);
        }
        println!("{name}: {worst} bytes of {}", file.len());
        assert!(worst < (1 << 20) + 6 * file.len(), "{name}: {worst} bytes of {}", file.len());
    }
}

/// The text of a configuration is read as far as it is one, however long it is, and however deep.
#[test]
fn texts_of_configurations_take_bounded_memory() {
    let _alone = ALONE.lock();
    let tensor = [b"ctorch._utils\n_rebuild_tensor\n(".as_slice(), STORAGE, b"QK\0K\x04\x85K\x01\x85tR"].concat();
    let parts = ["[", "[],", "dict(a=", "'a' ", "'''", "1:", "\n1=", "\nb=1"];
    for part in parts {
        // A little shorter than the longest that is read.
        let text = format!("a = [{}", part.repeat(((1 << 20) - 64) / part.len()));
        let text = [b"X".as_slice(), &(text.len() as u32).to_le_bytes(), text.as_bytes()].concat();
        let object = [b"}(U\x04meta}(U\x03cfg".as_slice(), &text, b"uU\x0astate_dict}(U\x01w", &tensor, b"uu"].concat();
        let mut file = legacy(&[&object]);
        // The list of storages, and the one there is.
        file.truncate(file.len() - 4);
        file.extend(b"\x80\x02](U\x010e.\x04\0\0\0\0\0\0\0".iter().chain(&[0; 16]));
        let before = NOW.load(Relaxed);
        PEAK.store(before, Relaxed);
        let start = Instant::now();
        let file = WeightsFile::from_bytes(file, part).unwrap();
        let (peak, took) = (PEAK.load(Relaxed) - before, start.elapsed());
        println!("{part:?}: {peak} bytes, {took:?}");
        assert_eq!(file.names().collect::<Vec<_>>(), ["w"]);
        assert!(peak < BOUND, "{part:?} takes {peak} bytes");
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
