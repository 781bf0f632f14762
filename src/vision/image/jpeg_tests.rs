//! Files are made here, block by block: what an encoder never writes is to be told from what it may.

use super::*;

/// A grey or coloured sequential JPEG of blocks that each hold a DC difference of 0 and nothing else.
struct Flat {
    size: (usize, usize),
    /// Sampling factors of each component.
    factors: Vec<(usize, usize)>,
    restart: usize,
    /// Blocks fewer or more than the size asks for, in the last interval.
    surplus: isize,
}

impl Flat {
    fn grey(width: usize, height: usize) -> Self {
        Self { size: (width, height), factors: vec![(1, 1)], restart: 0, surplus: 0 }
    }

    fn head(&self) -> Vec<u8> {
        let mut out = vec![0xFF, 0xD8, 0xFF, 0xDB, 0, 67, 0];
        out.extend([8; 64]);
        let (w, h) = self.size;
        let n = self.factors.len() as u8;
        out.extend([0xFF, 0xC0, 0, 8 + 3 * n, 8, (h >> 8) as u8, h as u8, (w >> 8) as u8, w as u8, n]);
        for (i, f) in self.factors.iter().enumerate() {
            out.extend([i as u8 + 1, (f.0 << 4 | f.1) as u8, 0]);
        }
        for class in [0, 0x10] {
            // Codes 0, 10 and 110: nothing, one bit, two bits.
            out.extend([0xFF, 0xC4, 0, 22, class, 1, 1, 1]);
            out.extend([0; 13]);
            out.extend([0, 1, 2]);
        }
        out.extend([0xFF, 0xDD, 0, 4, (self.restart >> 8) as u8, self.restart as u8]);
        out.extend([0xFF, 0xDA, 0, 6 + 2 * n, n]);
        (0..n).for_each(|i| out.extend([i + 1, 0]));
        out.extend([0, 63, 0]);
        out
    }

    /// MCUs, and blocks of each, counted apart from the code that is tested.
    fn mcus(&self) -> (usize, usize) {
        let most = |side: fn(&(usize, usize)) -> usize| self.factors.iter().map(side).max().unwrap();
        let (h, v) = if self.factors.len() == 1 { (1, 1) } else { (most(|f| f.0), most(|f| f.1)) };
        let up = |side: usize, by: usize| (0..side).step_by(by).count();
        let blocks = if self.factors.len() == 1 { 1 } else { self.factors.iter().map(|f| f.0 * f.1).sum() };
        (up(self.size.0, 8 * h) * up(self.size.1, 8 * v), blocks)
    }

    fn file(&self) -> Vec<u8> {
        let mut out = self.head();
        let (mcus, each) = self.mcus();
        let step = if self.restart == 0 { mcus } else { self.restart };
        for (turn, begin) in (0..mcus).step_by(step).enumerate() {
            if turn > 0 {
                out.extend([0xFF, 0xD0 + ((turn - 1) % 8) as u8]);
            }
            let end = mcus.min(begin + step);
            let extra = if end == mcus { self.surplus } else { 0 };
            let blocks = ((end - begin) * each).saturating_add_signed(extra);
            // Two bits a block: DC 0, end of block. The last byte is filled with ones.
            out.extend(vec![0; blocks / 4]);
            if blocks % 4 > 0 {
                out.push(0xFF >> (2 * (blocks % 4)));
            }
        }
        out.extend([0xFF, 0xD9]);
        out
    }
}

fn fault(bytes: &[u8]) -> String {
    check(bytes).unwrap_err().of("JPEG")
}

#[test]
fn every_size_and_sampling_is_counted() {
    let samplings: [&[(usize, usize)]; 6] =
        [&[(1, 1)], &[(2, 2)], &[(1, 1); 3], &[(2, 2), (1, 1), (1, 1)], &[(2, 1), (1, 1), (1, 1)], &[(1, 1); 4]];
    for factors in samplings {
        for size in [(1, 1), (8, 8), (9, 8), (16, 17), (100, 33), (1, 300)] {
            for restart in [0, 1, 3] {
                let flat = Flat { size, factors: factors.to_vec(), restart, surplus: 0 };
                assert_eq!(check(&flat.file()), Ok(Whole::default()), "{size:?} {factors:?} {restart}");
                // Four blocks are a byte: fewer may hide in the last one.
                let short = Flat { surplus: -4, ..flat };
                let (mcus, each) = short.mcus();
                let last = each
                    * (0..mcus).rev().take_while(|m| restart == 0 || m + 1 == mcus || (m + 1) % restart > 0).count();
                if last > 4 {
                    assert!(fault(&short.file()).contains("is damaged: its data"), "{size:?} {factors:?} {restart}");
                }
            }
        }
    }
}

#[test]
fn the_row_of_the_damage_is_named() {
    let short = Flat { surplus: -8 * 20 - 4, ..Flat::grey(64, 640) };
    assert_eq!(
        fault(&short.file()),
        "the JPEG file is damaged: its data end in row 473 of 640; copy or export it again"
    );
}

#[test]
fn data_that_no_block_needs_are_damage() {
    let with = |junk: &[u8]| {
        let mut file = Flat::grey(64, 64).file();
        let end = file.len() - 2;
        file.splice(end..end, junk.iter().copied());
        file
    };
    assert_eq!(check(&with(&[0; 500])), Ok(Whole::default()));
    assert_eq!(check(&with(&[7; 16])), Ok(Whole { stray: 16, ..Whole::default() }));
    assert!(fault(&with(&[7; 17])).contains("17 bytes of its data belong to no pixel"));
    // Between restart markers nothing may be left over.
    let mut file = Flat { restart: 32, ..Flat::grey(64, 64) }.file();
    let first = file.windows(2).rposition(|w| w == [0xFF, 0xD0]).unwrap();
    file.insert(first, 0);
    assert!(fault(&file).contains("belong to no pixel"));
}

#[test]
fn restart_markers_are_counted() {
    let flat = Flat { restart: 5, ..Flat::grey(400, 400) };
    let file = flat.file();
    assert_eq!(check(&file), Ok(Whole::default()));
    let marker = |n: u8| file.windows(2).rposition(|w| w == [0xFF, 0xD0 + n]).unwrap();
    let mut without = file.clone();
    without.drain(marker(3)..marker(4));
    assert!(fault(&without).contains("make no sense"), "{}", fault(&without));
    let mut swapped = file.clone();
    swapped[marker(3) + 1] = 0xD5;
    assert!(fault(&swapped).contains("make no sense"));
    // One more behind the last block is seen in the wild.
    let mut trailing = file.clone();
    let end = trailing.len() - 2;
    trailing.splice(end..end, [0xFF, 0xD2]);
    assert_eq!(check(&trailing), Ok(Whole::default()));
}

#[test]
fn bits_that_are_no_code_are_damage() {
    let mut file = Flat::grey(64, 64).file();
    let end = file.len() - 2;
    file[end - 8..end].fill(0xEF);
    assert!(fault(&file).contains("make no sense in row 33 of 64"), "{}", fault(&file));
}

#[test]
fn a_brightness_that_cannot_be_is_damage() {
    // Each block two steps of 3 * 8 brighter than the last: DC code 110, value 11, end of block 0.
    let mut file = Flat::grey(8 * 400, 8).head();
    let bits: Vec<u8> = [1, 1, 0, 1, 1, 0].repeat(400);
    file.extend(bits.chunks(8).map(|b| b.iter().fold(0, |byte, bit| byte << 1 | bit)));
    file.extend([0xFF, 0xD9]);
    assert!(fault(&file).contains("make no sense"), "{}", fault(&file));
}

#[test]
fn kinds_that_nothing_here_reads_are_named() {
    let whole = Flat::grey(16, 16).file();
    let frame = whole.windows(2).position(|w| w == [0xFF, 0xC0]).unwrap();
    for (marker, kind) in [
        (0xC3, "a lossless JPEG"),
        (0xC7, "a hierarchical JPEG"),
        (0xC9, "a JPEG with arithmetic coding"),
        (0xF7, "a JPEG-LS file"),
    ] {
        let mut file = whole.clone();
        file[frame + 1] = marker;
        assert_eq!(fault(&file), format!("is {kind}, which is not supported; convert it to PNG"));
    }
    let mut deep = whole.clone();
    deep[frame + 4] = 12;
    assert!(fault(&deep).starts_with("is a 12-bit JPEG, which is not supported"));
    let mut huge = whole;
    huge[frame + 5..frame + 9].fill(0xEE);
    assert!(fault(&huge).contains("scale it down"));
}

#[test]
fn scans_that_are_missing_are_noticed() {
    // Three components of which the only scan has one.
    let three = Flat { factors: vec![(1, 1); 3], ..Flat::grey(8, 8) };
    let mut file = three.head();
    let scan = file.windows(2).rposition(|w| w == [0xFF, 0xDA]).unwrap();
    file.truncate(scan);
    file.extend([0xFF, 0xDA, 0, 8, 1, 1, 0, 0, 63, 0, 0x3F, 0xFF, 0xD9]);
    assert!(fault(&file).contains("whole scans are missing"), "{}", fault(&file));
}

/// Progressive JPEGs as libjpeg writes them (`tests/oracle/make_progressive_fixtures.py`).
const PROGRESSIVE: [(&str, &[u8]); 4] = [
    ("grey", include_bytes!("../../../tests/fixtures/progressive_grey.jpg")),
    ("4:2:0", include_bytes!("../../../tests/fixtures/progressive_420.jpg")),
    ("4:4:4", include_bytes!("../../../tests/fixtures/progressive_444.jpg")),
    ("4:2:2 with restarts", include_bytes!("../../../tests/fixtures/progressive_422_restarts.jpg")),
];

/// Where the data of each scan lie.
fn scans(file: &[u8]) -> Vec<std::ops::Range<usize>> {
    let begins = file.windows(2).enumerate().filter(|(_, w)| *w == [0xFF, 0xDA]).map(|(at, _)| at);
    begins
        .map(|at| {
            let data = at + 2 + usize::from(u16::from_be_bytes([file[at + 2], file[at + 3]]));
            let ends = |w: &[u8]| w[0] == 0xFF && w[1] != 0 && !(0xD0..=0xD7).contains(&w[1]);
            data..data + file[data..].windows(2).position(ends).unwrap()
        })
        .collect()
}

#[test]
fn progressive_files_are_walked_to_their_end() {
    for (name, file) in PROGRESSIVE {
        assert_eq!(check(file), Ok(Whole::default()), "{name}");
        assert_eq!(progressive(file), Ok(true), "{name}");
        assert!(scans(file).len() >= 6, "{name}");
    }
    assert_eq!(progressive(&Flat::grey(8, 8).file()), Ok(false));
}

#[test]
fn a_pass_that_ends_early_is_damage() {
    for (name, file) in PROGRESSIVE {
        for data in scans(file).into_iter().filter(|data| data.len() > 8) {
            // All but the last bytes, which may hold no more than what fills them.
            for keep in [0, data.len() / 3, data.len() - 4] {
                let mut cut = file[..data.start + keep].to_vec();
                cut.extend(&file[data.end..]);
                assert!(fault(&cut).contains("is damaged"), "{name}, {keep} of {data:?}: {}", fault(&cut));
            }
        }
        // And a file that ends within or between its passes.
        for data in scans(file) {
            let mut cut = file[..data.start].to_vec();
            cut.extend([0xFF, 0xD9]);
            assert!(check(&cut).is_err(), "{name}, {data:?}");
        }
    }
}

#[test]
fn bytes_missing_inside_a_pass_are_noticed() {
    let (mut noticed, mut all) = (0, 0);
    for (_, file) in PROGRESSIVE {
        for data in scans(file).into_iter().filter(|data| data.len() > 40) {
            for at in (data.start + 4..data.end - 20).step_by(7) {
                let mut cut = file[..at].to_vec();
                cut.extend(&file[at + 6..]);
                all += 1;
                noticed += usize::from(check(&cut) != Ok(Whole::default()));
            }
        }
    }
    // Blocks of other bits can end in the same place: 365 of 391 do not.
    assert!(noticed * 100 >= all * 90, "{noticed} of {all}");
}
