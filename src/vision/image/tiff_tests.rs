//! Files are made here, tag by tag, in every order of bytes, as strips and as tiles.

use super::super::*;

#[path = "tiff_tests/make.rs"]
mod make;
#[path = "tiff_tests/pages.rs"]
mod pages;
#[path = "tiff_tests/pieces.rs"]
mod pieces;

use self::make::{Packing, Picture, Tiff, lzw};

fn rgb(bytes: &[u8], options: &ReadOptions) -> (Vec<u8>, Vec<Note>) {
    let reading = options.decode(bytes, "x.tif").unwrap_or_else(|e| panic!("{e}"));
    (reading.image.into_rgb(), reading.notes)
}

fn auto(bytes: &[u8]) -> (Vec<u8>, Vec<Note>) {
    rgb(bytes, &ReadOptions::default())
}

fn refusal(bytes: &[u8]) -> String {
    let text = Image::decode(bytes, "x.tif").unwrap_err().to_string();
    assert!(!text.contains("Unknown") && text.contains(';'), "{text}");
    text
}

/// Grey, three times.
fn triple(values: &[u8]) -> Vec<u8> {
    values.iter().flat_map(|&v| [v; 3]).collect()
}

/// Tiles that reach over the edge were a panic in the crate that read these before.
#[test]
fn every_packing_gives_the_same_pixels() {
    let (w, h) = (37, 29);
    let value = |x: usize, y: usize, c: usize| ((x * 7 + y * 3 + c * 50) % 256) as u64;
    for packing in [Packing::None, Packing::Lzw, Packing::Deflate, Packing::PackBits] {
        for (samples, planar) in [(1, false), (3, false), (3, true), (4, false)] {
            for (bits, predictor) in [(8, 1), (8, 2), (16, 1), (16, 2)] {
                for chunk in [None, Some((37, 4)), Some((16, 16)), Some((64, 32))] {
                    let picture = Picture {
                        size: (w, h),
                        samples,
                        bits,
                        planar,
                        predictor,
                        packing,
                        chunk: chunk.unwrap_or((w, h)),
                        tiled: chunk.is_some_and(|c| c.0 != w),
                        big_endian: samples == 3,
                        photometric: if samples == 1 { 1 } else { 2 },
                        ..Picture::default()
                    };
                    let scale = if bits == 16 { 257 } else { 1 };
                    let big = bits == 16 && planar;
                    let file =
                        Tiff { big_endian: samples == 3, big }.file(&[picture.page(|x, y, c| value(x, y, c) * scale)]);
                    let colours = if samples == 1 { [0, 0, 0] } else { [0, 1, 2] };
                    let want: Vec<u8> =
                        (0..w * h).flat_map(|i| colours.map(|c| value(i % w, i / w, c) as u8)).collect();
                    let (got, notes) = auto(&file);
                    assert!(got == want && notes.is_empty(), "{picture:?}: {notes:?}");
                }
            }
        }
    }
}

#[test]
fn numbers_of_all_kinds_are_read() {
    let grey = |bits: u64, format: u64, predictor: u64, make: &dyn Fn(u64) -> u64| {
        [false, true].map(|big_endian| {
            let size = (16, 16);
            let picture = Picture { size, bits, format, predictor, big_endian, chunk: (16, 5), ..Picture::default() };
            Tiff { big_endian, big: false }.file(&[picture.page(|x, y, _| make((y * 16 + x) as u64))])
        })
    };
    let ramp: Vec<u8> = (0..=255).collect();
    let unit = |v: u64| v as f64 / 255.0;
    for predictor in [1, 2, 3] {
        for file in grey(32, 3, predictor, &|v| u64::from((unit(v) as f32).to_bits())) {
            assert_eq!(auto(&file), (triple(&ramp), vec![]), "predictor {predictor}");
        }
        for file in grey(64, 3, predictor, &|v| unit(v).to_bits()) {
            assert_eq!(auto(&file), (triple(&ramp), vec![]), "predictor {predictor}");
        }
        for file in grey(16, 3, predictor, &|v| u64::from(half::f16::from_f64(unit(v)).to_bits())) {
            let (got, notes) = auto(&file);
            assert!(notes.is_empty() && got.iter().zip(triple(&ramp)).all(|(a, b)| a.abs_diff(b) <= 1));
        }
    }
    for file in grey(32, 1, 1, &|v| v * 0x0101_0101) {
        assert_eq!(auto(&file), (triple(&ramp), vec![]));
    }
    for file in grey(16, 2, 2, &|v| v * 128) {
        let (got, notes) = auto(&file);
        assert!(notes.is_empty() && got.iter().zip(triple(&ramp)).all(|(a, b)| a.abs_diff(b) <= 1));
    }
    // Of fewer bits than bytes, packed; the file says how many, so nothing is assumed.
    for bits in [1, 2, 4, 6, 10, 12, 14] {
        let most = (1 << bits) - 1;
        for file in grey(bits, 1, 1, &|v| v * most / 255) {
            let want: Vec<u8> =
                ramp.iter().map(|&v| ((u64::from(v) * most / 255 * 510 + most) / (2 * most)) as u8).collect();
            assert_eq!(auto(&file), (triple(&want), vec![]), "{bits} bits");
        }
    }
}

#[test]
fn cameras_of_few_bits_are_noticed() {
    for bits in [10, 12, 14] {
        let picture = Picture { size: (16, 16), bits: 16, chunk: (16, 16), ..Picture::default() };
        let file = Tiff::default().file(&[picture.page(|x, y, _| (y * 16 + x) as u64 * ((1 << bits) - 1) / 255)]);
        let (got, notes) = auto(&file);
        let want = triple(&(0..=255).collect::<Vec<u8>>());
        assert!(got.iter().zip(&want).all(|(a, b)| a.abs_diff(*b) <= 1), "{bits}");
        assert_eq!((notes.len(), notes[0].about), (1, About::Range));
        assert!(notes[0].text.contains(&format!("{bits} of 16 bits are in use")), "{notes:?}");
        let options = ReadOptions { normalize: Normalize::Full, ..ReadOptions::default() };
        let (dark, notes) = rgb(&file, &options);
        assert!(notes.is_empty() && u32::from(*dark.iter().max().unwrap()) <= 256 >> (16 - bits));
    }
}

#[test]
fn what_the_file_says_of_its_range_is_followed() {
    let with = |tag: (u16, u16, Vec<u64>)| {
        let picture = Picture { size: (2, 1), bits: 16, chunk: (2, 1), ..Picture::default() };
        let mut page = picture.page(|x, _, _| x as u64 * 500);
        page.tags.push(tag);
        auto(&Tiff::default().file(&[page]))
    };
    let text = |t: &str| (270, 2, t.bytes().chain([0]).map(u64::from).collect());
    let (got, notes) = with(text("ImageJ=1.53k\nmin=0.0\nmax=1000.0\n"));
    assert!(got[3] == 128 && notes[0].text.contains("ImageJ's display range"), "{notes:?}");
    let (got, notes) = with(text("<OME><Pixels SignificantBits=\"11\" Type=\"uint16\"/></OME>"));
    assert!(got[3] == 62 && notes[0].text.contains("OME's significant bits"), "{notes:?}");
    let (got, _) = with(text("<OME><Pixels SignificantBits=\"16\" Type=\"uint16\"/></OME>"));
    assert_eq!(got[3], 250, "what says nothing is passed over");
    let (got, notes) = with((281, 3, vec![4095]));
    assert!(got[3] == 31 && notes[0].text.contains("MaxSampleValue"), "{notes:?}");
    let (got, _) = with((281, 3, vec![500]));
    assert_eq!(got[3], 250, "statistics are no range");
}

#[test]
fn colours_of_all_kinds_become_rgb() {
    let one = |photometric: u64, samples: usize, bits: u64, values: [u64; 4], more: Vec<(u16, u16, Vec<u64>)>| {
        let picture = Picture { size: (1, 1), photometric, samples, bits, chunk: (1, 1), ..Picture::default() };
        let mut page = picture.page(|_, _, c| values[c]);
        page.tags.extend(more);
        auto(&Tiff::default().file(&[page]))
    };
    assert_eq!(one(0, 1, 8, [55, 0, 0, 0], vec![]).0, [200; 3]);
    assert_eq!(one(0, 1, 16, [65_535 - 257 * 9, 0, 0, 0], vec![]).0, [9; 3]);
    assert_eq!(one(2, 4, 8, [1, 2, 3, 0], vec![(338, 3, vec![2])]), (vec![1, 2, 3], vec![]));
    assert_eq!(one(5, 4, 8, [255, 0, 0, 0], vec![]).0, [0, 255, 255]);
    // Red, green, and a grey that leans to one of its sides each time, by BT.601's formula.
    for (ycc, rgb) in [
        ([76, 85, 255, 0], [254, 0, 0]),
        ([150, 44, 21, 0], [0, 255, 1]),
        ([100, 120, 140, 0], [117, 94, 86]),
        ([100, 140, 120, 0], [89, 102, 121]),
    ] {
        assert_eq!(one(6, 3, 8, ycc, vec![(530, 3, vec![1, 1])]).0, rgb);
    }
    // Four colours of two bits; the second is asked for.
    let map: Vec<u64> = [0, 10, 20, 30, 0, 11, 21, 31, 0, 12, 22, 32].iter().map(|v| v * 257).collect();
    assert_eq!(one(3, 1, 2, [1, 0, 0, 0], vec![(320, 3, map)]).0, [10, 11, 12]);
    // Written in 8 bits, up to the greatest that is taken so, and one above it.
    let map = |most: u64| vec![0, 9, most, 3, 0, 8, 2, 4, 0, 7, 1, 5];
    assert_eq!(one(3, 1, 2, [2, 0, 0, 0], vec![(320, 3, map(255))]).0, [255, 2, 1]);
    assert_eq!(one(3, 1, 2, [2, 0, 0, 0], vec![(320, 3, map(256))]).0, [1, 0, 0]);
    let (got, notes) = one(1, 2, 8, [7, 99, 0, 0], vec![]);
    assert_eq!((got, notes[0].about), (vec![7; 3], About::Channel));
    assert_eq!(one(1, 2, 8, [7, 99, 0, 0], vec![(338, 3, vec![2])]), (vec![7; 3], vec![]), "an opacity is no channel");
}

#[test]
fn a_channel_can_be_asked_for() {
    for planar in [false, true] {
        let picture = Picture { size: (3, 2), samples: 5, planar, chunk: (3, 1), ..Picture::default() };
        let file = Tiff::default().file(&[picture.page(|x, _, c| (c * 10 + x) as u64)]);
        let with = |channels| ReadOptions { channels, ..ReadOptions::default() };
        assert_eq!(rgb(&file, &with(Channels::Grey(3))), (triple(&[30, 31, 32, 30, 31, 32]), vec![]));
        let three = [40, 0, 20, 41, 1, 21, 42, 2, 22].repeat(2);
        assert_eq!(rgb(&file, &with(Channels::Rgb([4, 0, 2]))), (three, vec![]));
        let text = with(Channels::Grey(5)).decode(&file, "x").unwrap_err().to_string();
        assert!(text.contains("no channel 5: it has channels 0 to 4"), "{text}");
        // Of colours too, where as many are taken as there are, and where there is one more.
        for samples in [3, 4] {
            let picture =
                Picture { samples, photometric: 2, planar, size: (3, 2), chunk: (3, 1), ..Picture::default() };
            let file = Tiff::default().file(&[picture.page(|x, _, c| (c * 10 + x) as u64)]);
            let turned = [20, 0, 10, 21, 1, 11, 22, 2, 12].repeat(2);
            assert_eq!(rgb(&file, &with(Channels::Rgb([2, 0, 1]))), (turned, vec![]));
            assert_eq!(with(Channels::Grey(3)).decode(&file, "x").is_ok(), samples == 4);
        }
    }
}

#[test]
fn jpegs_inside_are_decoded_and_checked() {
    let picture = image::RgbImage::from_fn(64, 48, |x, y| image::Rgb([(4 * x) as u8, (5 * y) as u8, 128]));
    let mut jpeg = Vec::new();
    image::codecs::jpeg::JpegEncoder::new_with_quality(&mut jpeg, 95).encode_image(&picture).unwrap();
    let page = |jpeg: Vec<u8>| {
        let mut page = Picture { size: (64, 48), samples: 3, photometric: 6, ..Picture::default() }.page(|_, _, _| 0);
        page.chunks = vec![jpeg];
        page.set(259, 7);
        Tiff::default().file(&[page])
    };
    let (got, _) = auto(&page(jpeg.clone()));
    assert!(got.iter().zip(picture.as_raw()).all(|(a, b)| a.abs_diff(*b) < 12));
    let whole = Image::decode(&jpeg, "x").unwrap().into_rgb();
    assert_eq!(got, whole);
    // As a tile that reaches over both edges.
    let picture =
        Picture { size: (60, 20), samples: 3, photometric: 6, chunk: (64, 48), tiled: true, ..Picture::default() };
    let mut tile = picture.page(|_, _, _| 0);
    tile.chunks = vec![jpeg.clone()];
    tile.set(259, 7);
    let want: Vec<u8> = whole.chunks(3 * 64).take(20).flat_map(|row| row[..3 * 60].to_vec()).collect();
    assert!(auto(&Tiff::default().file(&[tile])).0 == want);
    let mut cut = jpeg[..jpeg.len() * 2 / 3].to_vec();
    cut.extend([0xFF, 0xD9]);
    let text = refusal(&page(cut));
    assert!(text.contains("its data end in row") && text.contains("in strip 1"), "{text}");
    let frame = jpeg.windows(2).position(|w| w == [0xFF, 0xC0]).unwrap();
    jpeg[frame + 4] = 12;
    assert!(refusal(&page(jpeg)).contains("a TIFF with a 12-bit JPEG inside, which is not supported"));
}

#[test]
fn what_is_not_read_is_refused_in_words() {
    let with = |tag: u16, value: u64| {
        let mut page = Picture { size: (8, 8), ..Picture::default() }.page(|_, _, _| 0);
        page.set(tag, value);
        refusal(&Tiff::default().file(&[page]))
    };
    for (tag, value, word) in [
        (259, 6, "obsolete"),
        (259, 34_712, "JPEG 2000"),
        (259, 34_925, "LZMA"),
        (259, 50_002, "JPEG XL"),
        (259, 3, "Group 3"),
        (259, 999, "method 999"),
        (262, 8, "L*a*b*"),
        (262, 32_803, "colour filter array"),
        (262, 6, "YCbCr"),
        (339, 5, "complex"),
        (258, 64, "64 bits"),
        (317, 3, "predictor"),
        (277, 0, "0 samples"),
    ] {
        let text = with(tag, value);
        assert!(text.contains(word), "{tag} = {value}: {text}");
    }
    let mut page = Picture { size: (8, 8), samples: 3, photometric: 2, ..Picture::default() }.page(|_, _, _| 0);
    page.tags.retain(|t| t.0 != 258);
    page.tags.push((258, 3, vec![5, 6, 5]));
    assert!(refusal(&Tiff::default().file(&[page])).contains("differ in their bits (5, 6, 5)"));
}

#[test]
fn lists_and_data_that_are_not_there_are_named() {
    let page = || Picture { size: (8, 8), chunk: (8, 1), ..Picture::default() }.page(|_, _, _| 1);
    let file = Tiff::default().file(&[page()]);
    // The count of the strips' offsets, of 2^30.
    let entry = file.windows(4).position(|w| w == [0x11, 0x01, 4, 0]).unwrap();
    let mut many = file.clone();
    many[entry + 4..entry + 8].copy_from_slice(&(1_u32 << 30).to_le_bytes());
    let text = refusal(&many);
    assert!(text.contains("1073741824 values") && text.contains("beyond the end"), "{text}");
    let mut few = file;
    few[entry + 4..entry + 8].copy_from_slice(&3_u32.to_le_bytes());
    assert!(refusal(&few).contains("needs 8 strips and lists 3"));
    // What is left out on purpose is black, and said so.
    let mut sparse = page();
    sparse.chunks[2] = Vec::new();
    let (got, notes) = auto(&Tiff::default().file(&[sparse]));
    assert_eq!((got[0], got[2 * 24], notes[0].about), (1, 0, About::Damage));
    assert!(notes[0].text.contains("no data in 1 of its strips"), "{notes:?}");
}

#[test]
fn compressed_data_that_end_early_are_refused() {
    for packing in [Packing::Lzw, Packing::Deflate, Packing::PackBits] {
        let picture = Picture { size: (64, 64), packing, chunk: (64, 64), ..Picture::default() };
        let mut page = picture.page(|x, y, _| (x * y) as u64 % 256);
        let len = page.chunks[0].len();
        page.chunks[0].truncate(len / 2);
        let text = refusal(&Tiff::default().file(&[page]));
        assert!(text.contains("strip 1"), "{packing:?}: {text}");
    }
    // An end code is no must, nor is what comes behind the pixels.
    let mut page =
        Picture { size: (4, 4), packing: Packing::Lzw, chunk: (4, 4), ..Picture::default() }.page(|_, _, _| 9);
    page.chunks[0] = lzw(&[9; 40]);
    assert_eq!(auto(&Tiff::default().file(&[page])).0, [9; 48]);
}

#[test]
fn lzw_of_old_libtiff_is_named() {
    for (first, old) in [([0, 1], true), ([0, 3], true), ([0, 2], false), ([1, 1], false)] {
        let mut page =
            Picture { size: (4, 4), packing: Packing::Lzw, chunk: (4, 4), ..Picture::default() }.page(|_, _, _| 9);
        page.chunks[0][..2].copy_from_slice(&first);
        let file = Tiff::default().file(&[page]);
        let named = Image::decode(&file, "x.tif").is_err_and(|e| e.to_string().contains("the LZW of old libtiff"));
        assert_eq!(named, old, "{first:?}");
    }
}

#[test]
fn orientation_is_applied() {
    let mut page = Picture { size: (2, 1), chunk: (2, 1), ..Picture::default() }.page(|x, _, _| x as u64);
    page.tags.push((274, 3, vec![6]));
    let image = Image::decode(&Tiff::default().file(&[page]), "x").unwrap();
    assert_eq!((image.width(), image.height(), image.rgb()), (1, 2, &[0, 0, 0, 1, 1, 1][..]));
}

#[test]
fn a_cut_or_mangled_file_does_no_harm() {
    // What panics is caught, and then worded like this: nothing should have to be.
    let decode = |bytes: &[u8]| {
        Image::decode(bytes, "x").inspect_err(|e| assert!(!e.to_string().contains("beyond reading"), "{e}: {bytes:?}"))
    };
    for packing in [Packing::None, Packing::Lzw] {
        let picture = Picture { size: (20, 20), packing, chunk: (16, 16), tiled: true, ..Picture::default() };
        for big in [false, true] {
            let file = Tiff { big_endian: false, big }.file(&[picture.page(|x, y, _| (x ^ y) as u64)]);
            let whole = decode(&file).unwrap();
            for len in 0..file.len() {
                if let Ok(image) = decode(&file[..len]) {
                    assert_eq!(image, whole);
                }
            }
            for at in 0..file.len() {
                for value in [0, 0x7F, 0xFF] {
                    let mut bad = file.clone();
                    bad[at] = value;
                    let _ = decode(&bad);
                }
            }
        }
    }
}
