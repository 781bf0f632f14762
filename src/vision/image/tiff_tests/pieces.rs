//! Pictures whose rows are decoded when they are wanted, beside the same ones decoded at once.

use std::sync::Arc;

use super::super::Pieces;
use super::*;
use crate::vision::{Piecewise, RowSource};

/// Bands as tiles ask for them, overlapping and of heights that no strip has; at the end back to the top.
const BANDS: [(u32, u32); 6] = [(0, 10), (4, 17), (17, 18), (18, 41), (30, 41), (2, 9)];

fn open(bytes: &[u8], options: &ReadOptions) -> (Piecewise, Vec<Note>) {
    let opened = Piecewise::of(Arc::new(bytes.to_vec()), "x.tif", options, 0).unwrap_or_else(|e| panic!("{e}"));
    opened.expect("a TIFF is read in pieces")
}

fn check(what: &str, bytes: &[u8], options: &ReadOptions) {
    let whole = options.decode(bytes, "x.tif").unwrap_or_else(|e| panic!("{what}: {e}"));
    let (mut pieces, mut notes) = open(bytes, options);
    assert_eq!((pieces.width(), pieces.height()), (whole.image.width(), whole.image.height()), "{what}");
    let row = 3 * whole.image.width() as usize;
    for (from, to) in BANDS {
        let want = &whole.image.rgb()[from as usize * row..to as usize * row];
        assert!(pieces.rows(from..to).unwrap() == want, "{what}: rows {from} to {to}");
    }
    // In whatever order: what is counted and what is left out are said.
    let mut want = whole.notes;
    notes.sort_by_key(|note| note.text.clone());
    want.sort_by_key(|note| note.text.clone());
    assert_eq!(notes, want, "{what}");
    assert_eq!(pieces.checksum(), (bytes.len(), crc32fast::hash(bytes)));
    assert!(pieces.rows(40..42).unwrap_err().to_string().contains("41 rows"));
}

#[test]
fn rows_are_those_of_the_whole() {
    let size = (37, 41);
    let value = |x: usize, y: usize, c: usize| (x * 7 + y * 13 + c * 50) as u64;
    for (tiled, chunk) in
        [(false, (37, 1)), (false, (37, 7)), (false, (37, usize::MAX)), (true, (16, 16)), (true, (48, 8))]
    {
        for (bits, samples, planar, packing, predictor) in [
            (8, 3, false, Packing::None, 1),
            (8, 1, false, Packing::Deflate, 2),
            (16, 1, false, Packing::Lzw, 2),
            (16, 3, true, Packing::None, 1),
            (12, 1, false, Packing::PackBits, 1),
            (32, 1, false, Packing::Deflate, 1),
        ] {
            let photometric = if samples == 3 { 2 } else { 1 };
            let picture = Picture {
                size,
                samples,
                bits,
                planar,
                packing,
                predictor,
                photometric,
                tiled,
                chunk,
                ..Picture::default()
            };
            let most = if bits == 8 { 0xFF } else { 0x7FF };
            let bytes = Tiff { big: tiled, ..Tiff::default() }.file(&[picture.page(|x, y, c| value(x, y, c) & most)]);
            for normalize in [Normalize::Auto, Normalize::Full, Normalize::MinMax, Normalize::Percentiles(5.0, 80.0)] {
                let options = ReadOptions { normalize, ..ReadOptions::default() };
                check(&format!("{picture:?} {normalize:?}"), &bytes, &options);
            }
        }
    }
}

#[test]
fn floats_channels_and_what_is_left_out_are_as_in_the_whole() {
    let size = (20, 41);
    let floats = Picture { size, bits: 32, format: 3, chunk: (20, 6), ..Picture::default() };
    let bytes = Tiff::default().file(&[floats.page(|x, y, _| u64::from(((x + y) as f32 * 0.25 - 3.0).to_bits()))]);
    for normalize in [Normalize::MinMax, Normalize::Percentiles(1.0, 99.0), Normalize::Range(0.0, 9.0)] {
        check("floats", &bytes, &ReadOptions { normalize, ..ReadOptions::default() });
    }
    let refused = Piecewise::of(Arc::new(bytes), "x.tif", &ReadOptions::default(), 0).err().unwrap().to_string();
    assert!(refused.contains("-3 to") && refused.contains("--normalize"), "{refused}");

    let five = Picture { size, samples: 5, tiled: true, chunk: (16, 16), ..Picture::default() };
    let mut page = five.page(|x, y, c| ((x * y) % 50 * (c + 1)) as u64);
    page.chunks[3].clear();
    let bytes = Tiff::default().file(&[page]);
    for channels in [Channels::Auto, Channels::Grey(4), Channels::Rgb([2, 0, 1])] {
        check("channels", &bytes, &ReadOptions { channels, ..ReadOptions::default() });
    }
}

#[test]
fn what_cannot_be_read_in_pieces_is_left_or_refused() {
    let picture = Picture { size: (9, 9), ..Picture::default() };
    let bytes = Arc::new(Tiff::default().file(&[picture.page(|_, _, _| 7)]));
    let of = |bytes: &Arc<Vec<u8>>, above| Piecewise::of(bytes.clone(), "x.tif", &ReadOptions::default(), above);
    assert!(of(&bytes, 81).unwrap().is_none() && of(&bytes, 80).unwrap().is_some(), "small enough for memory");
    assert!(of(&Arc::new(b"\x89PNG\r\n\x1a\n".to_vec()), 0).unwrap().is_none(), "no TIFF");
    let refused = |page: make::Page| of(&Arc::new(Tiff::default().file(&[page])), 0).err().unwrap().to_string();
    let mut turned = picture.page(|_, _, _| 7);
    turned.set(274, 6);
    assert!(refused(turned).contains("save it upright"));
    // One strip for all rows of 250 Mi pixels: it would have to be decoded as one.
    let mut high = picture.page(|_, _, _| 7);
    [(256, 65_000), (257, 4000), (278, 4000)].into_iter().for_each(|(tag, value)| high.set(tag, value));
    assert!(refused(high).contains("save it in tiles"));
    // Files as well as bytes.
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.tif");
    std::fs::write(&path, &**bytes).unwrap();
    let (mut pieces, _) = Piecewise::open(&path, &ReadOptions::default(), 0).unwrap().unwrap();
    assert_eq!(pieces.rows(8..9).unwrap(), [7; 27]);
    assert_eq!(pieces.checksum(), (bytes.len(), crc32fast::hash(&bytes)));
    assert!(Piecewise::open(dir.path().join("no.tif"), &ReadOptions::default(), 0).is_err());
}

/// What bounds the memory: the rows that were asked for, and what is left of the strips that they lie on.
#[test]
fn rows_that_are_done_with_are_forgotten() {
    let picture = Picture { size: (5, 400), chunk: (5, 7), ..Picture::default() };
    let bytes = Tiff::default().file(&[picture.page(|x, y, _| (x + y) as u64 % 256)]);
    let mut pieces = Pieces::open(&bytes, &ReadOptions::default(), &mut Vec::new(), || {}).unwrap();
    for from in (0..390).step_by(8).chain([3, 200]) {
        let rows = pieces.rows(&bytes, from..from + 10).unwrap();
        let want: Vec<u8> = (from..from + 10).flat_map(|y| (0..5).flat_map(move |x| [(x + y) as u8; 3])).collect();
        assert_eq!(pieces.rgb()[rows], want, "from row {from}");
        assert!(pieces.rgb().len() <= 15 * (10 + 2 * 7), "{} rows are held at {from}", pieces.rgb().len() / 15);
    }
}
