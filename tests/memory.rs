//! What hostile checkpoints may cost: a fixed amount of memory, whatever they claim.

use std::alloc::{GlobalAlloc, Layout, System};
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

/// Most bytes that reading any file may take at once.
const BOUND: usize = 96 << 20;

/// A legacy checkpoint whose object is the pickle of these instructions.
fn legacy(instructions: &[&[u8]]) -> Vec<u8> {
    let head = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.";
    let system = b"\x80\x02}X\x0d\0\0\0little_endian\x88s.";
    [head, system.as_slice(), b"\x80\x02", &instructions.concat(), b".\x80\x02]."].concat()
}

const STORAGE: &[u8] = b"(U\x07storagectorch\nFloatStorage\nU\x010U\x03cpuK\x04t";

#[test]
fn bombs_take_bounded_memory() {
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
