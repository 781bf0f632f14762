//! Inputs are made here, by the `image` crate or by hand.

#[path = "image_tests/files.rs"]
mod files;

use self::files::{CMYK_JPEG, PALETTE_PNG, PROGRESSIVE_JPEG, YCCK_JPEG};
use super::*;
use image::{DynamicImage, GrayAlphaImage, GrayImage, ImageBuffer, ImageFormat, Luma, Rgb, RgbImage, Rgba, RgbaImage};
use std::fs;
use std::io::Cursor;

fn picture(w: u32, h: u32) -> RgbImage {
    RgbImage::from_fn(w, h, |x, y| Rgb([(x * 7 + y) as u8, (y * 11) as u8, (x * y) as u8]))
}

fn encode(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn decode(bytes: &[u8]) -> Image {
    Image::decode(bytes, "test").unwrap()
}

/// The refusal's text, checked to be one that names the image and is not a bare debug dump.
fn refusal(bytes: &[u8]) -> String {
    match Image::decode(bytes, "test.png") {
        Err(e @ Error::Image { .. }) => {
            let text = e.to_string();
            assert!(text.starts_with("image test.png: ") && text.contains(';') | text.contains("no pixels"), "{text}");
            text
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn lossless_formats_keep_every_pixel() {
    let image = picture(37, 23);
    for format in [ImageFormat::Png, ImageFormat::Bmp, ImageFormat::Tiff, ImageFormat::WebP] {
        let got = decode(&encode(&image.clone().into(), format));
        assert_eq!((got.width(), got.height(), got.rgb()), (37, 23, &image.as_raw()[..]), "{format:?}");
        assert_eq!(got.pixel(36, 22), Some(image[(36, 22)].0));
        assert_eq!((got.pixel(37, 0), got.pixel(0, 23)), (None, None));
    }
}

#[test]
fn every_kind_of_pixel_becomes_rgb() {
    let grey: DynamicImage = GrayImage::from_raw(2, 1, vec![3, 200]).unwrap().into();
    assert_eq!(decode(&encode(&grey, ImageFormat::Png)).rgb(), [3, 3, 3, 200, 200, 200]);
    let grey_alpha: DynamicImage = GrayAlphaImage::from_raw(1, 1, vec![77, 0]).unwrap().into();
    assert_eq!(decode(&encode(&grey_alpha, ImageFormat::Png)).rgb(), [77, 77, 77]);
    let rgba: DynamicImage = RgbaImage::from_pixel(1, 1, Rgba([9, 8, 7, 0])).into();
    assert_eq!(decode(&encode(&rgba, ImageFormat::Png)).rgb(), [9, 8, 7]);
}

#[test]
fn sixteen_bits_are_rounded() {
    let values: Vec<u16> = vec![0, 128, 129, 385, 386, 32768, 65406, 65407, 65535];
    let grey: DynamicImage = ImageBuffer::<Luma<u16>, _>::from_raw(9, 1, values).unwrap().into();
    for format in [ImageFormat::Png, ImageFormat::Tiff] {
        let got: Vec<u8> = decode(&encode(&grey, format)).rgb().iter().step_by(3).copied().collect();
        assert_eq!(got, [0, 0, 1, 1, 2, 128, 254, 255, 255], "{format:?}");
    }
    let rgb: DynamicImage = ImageBuffer::<Rgb<u16>, _>::from_raw(1, 1, vec![129, 385, 65535]).unwrap().into();
    assert_eq!(decode(&encode(&rgb, ImageFormat::Png)).rgb(), [1, 1, 255]);
}

#[test]
fn float_samples_need_a_range() {
    let float = |v: f32| DynamicImage::from(ImageBuffer::<Rgb<f32>, _>::from_pixel(2, 2, Rgb([0.5, 1.0, v])));
    assert!(refusal(&encode(&float(2.0), ImageFormat::Tiff)).contains("from 0.5000 to 2"));
    assert!(Image::from_dynamic(float(2.0)).is_err());
    assert_eq!(Image::from_dynamic(float(0.0)).unwrap().pixel(1, 1), Some([128, 255, 0]));
    assert_eq!(decode(&encode(&float(0.0), ImageFormat::Tiff)).pixel(1, 1), Some([128, 255, 0]));
}

#[test]
fn palettes_are_looked_up() {
    assert_eq!(decode(PALETTE_PNG).rgb(), [255, 0, 0, 10, 20, 30, 255, 0, 0]);
}

#[test]
fn an_animation_gives_its_first_frame_and_says_so() {
    let mut bytes = Vec::new();
    let mut encoder = image::codecs::gif::GifEncoder::new(&mut bytes);
    for colour in [[255, 0, 0, 255], [0, 255, 0, 255], [0, 0, 255, 255]] {
        encoder.encode_frame(image::Frame::new(RgbaImage::from_pixel(4, 3, Rgba(colour)))).unwrap();
    }
    drop(encoder);
    let mut options = ReadOptions::default();
    let first = options.decode(&bytes, "test").unwrap();
    assert_eq!(first.image.pixel(3, 2), Some([255, 0, 0]));
    assert_eq!(first.notes[0].to_string(), "is frame 1 of 3; the others were not looked at");
    for (page, colour) in [(1, [255, 0, 0]), (2, [0, 255, 0]), (3, [0, 0, 255])] {
        options.page = Some(page);
        let reading = options.decode(&bytes, "test").unwrap();
        assert_eq!((reading.image.pixel(3, 2), reading.notes), (Some(colour), vec![]));
    }
    options.page = Some(4);
    assert!(options.decode(&bytes, "test").unwrap_err().to_string().contains("has no page 4: it has 3"));
    // What has but one picture has a first page, and no channels.
    let png = encode(&picture(4, 4).into(), ImageFormat::Png);
    options.page = Some(1);
    assert_eq!(options.decode(&png, "test").unwrap().notes, []);
    for (bytes, count) in [(&bytes, 3), (&png, 1)] {
        let pages = Pages::of(bytes, "test").unwrap();
        assert_eq!((pages.count, pages.whole), (count, (1..=count).collect()));
    }
    assert!(Pages::of(b"text", "test").unwrap_err().to_string().contains("test: is not an image"));
}

#[test]
fn channels_become_the_colours_that_are_asked_for() {
    let colour = RgbImage::from_pixel(4, 3, image::Rgb([10, 20, 30]));
    let clear = RgbaImage::from_pixel(4, 3, Rgba([10, 20, 30, 40]));
    let grey: DynamicImage = image::GrayImage::from_pixel(4, 3, Luma([7])).into();
    let read = |image: &DynamicImage, channels: Channels| {
        let options = ReadOptions { channels, ..ReadOptions::default() };
        options.decode(&encode(image, ImageFormat::Png), "test").map(|r| r.image.pixel(3, 2).unwrap())
    };
    for image in [colour.into(), DynamicImage::from(clear)] {
        assert_eq!(read(&image, Channels::Rgb([2, 0, 1])).unwrap(), [30, 10, 20]);
        assert_eq!(read(&image, Channels::Rgb([1, 1, 0])).unwrap(), [20, 20, 10]);
        assert_eq!(read(&image, Channels::Grey(1)).unwrap(), [20; 3]);
        let text = read(&image, Channels::Grey(3)).unwrap_err().to_string();
        assert!(text.contains("has no channel 3: it has channels 0 to 2"), "{text}");
    }
    assert_eq!(read(&grey, Channels::Grey(0)).unwrap(), [7; 3]);
    assert!(read(&grey, Channels::Rgb([0, 1, 0])).unwrap_err().to_string().contains("it has channel 0 alone"));
}

/// A PNG with another chunk behind its header.
fn with_chunk(png: &[u8], kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let mut body = kind.to_vec();
    body.extend(data);
    let sum = crc32(&body).to_be_bytes();
    [&png[..33], &(data.len() as u32).to_be_bytes(), &body, &sum, &png[33..]].concat()
}

#[test]
fn frames_are_counted_by_what_headers_say() {
    let png = encode(&picture(4, 4).into(), ImageFormat::Png);
    assert_eq!(frames::count(ImageFormat::Png, &png), 1);
    assert_eq!(frames::count(ImageFormat::Png, &with_chunk(&png, b"acTL", &[0, 0, 0, 7, 0, 0, 0, 0])), 7);
    let mut webp = b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\x02\0\0\0\0\0\0\0\0\0".to_vec();
    (0..3).for_each(|_| webp.extend(b"ANMF\x03\0\0\0abc\0"));
    assert_eq!(frames::count(ImageFormat::WebP, &webp), 3);
    for len in 0..webp.len() {
        frames::count(ImageFormat::WebP, &webp[..len]);
        frames::count(ImageFormat::Png, &png[..len.min(png.len())]);
    }
}

/// A colour profile is of no use here, however large it says it is.
#[test]
fn a_huge_colour_profile_does_not_keep_a_picture_from_being_read() {
    use std::io::Write as _;
    let mut packed = flate2::write::ZlibEncoder::new(b"x\0\0".to_vec(), flate2::Compression::fast());
    (0..80).for_each(|_| packed.write_all(&vec![0; 1 << 20]).unwrap());
    let png = encode(&picture(40, 30).into(), ImageFormat::Png);
    let bomb = with_chunk(&png, b"iCCP", &packed.finish().unwrap());
    assert_eq!(decode(&bomb), decode(&png));
}

#[test]
fn deep_pngs_of_few_bits_are_scaled_and_said_to_be() {
    let values: Vec<u16> = (0..=255).map(|v| v * 16).collect();
    let grey: DynamicImage = ImageBuffer::<Luma<u16>, _>::from_raw(16, 16, values).unwrap().into();
    let reading = ReadOptions::default().decode(&encode(&grey, ImageFormat::Png), "test").unwrap();
    assert_eq!(reading.notes[0].about, About::Range);
    assert_eq!(reading.image.pixel(15, 15), Some([254; 3]));
}

#[test]
fn cmyk_jpegs_are_converted() {
    for bytes in [CMYK_JPEG, YCCK_JPEG] {
        let got = decode(bytes);
        assert_eq!((got.width(), got.height()), (8, 8));
        // The colour that Pillow makes of the same file, to within the rounding of two decoders.
        let [r, g, b] = got.pixel(4, 4).unwrap().map(i32::from);
        assert!((r - 164).abs() < 4 && (g - 111).abs() < 4 && (b - 34).abs() < 4, "{r} {g} {b}");
    }
}

/// A JPEG with an APP1 segment that holds nothing but orientation `value`.
fn with_orientation(jpeg: &[u8], value: u8) -> Vec<u8> {
    let mut exif = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\0\0\0\0\0\0\0".to_vec();
    exif[25] = value;
    let mut out = jpeg[..2].to_vec();
    out.extend([0xFF, 0xE1, 0, exif.len() as u8 + 2]);
    out.extend(exif);
    out.extend(&jpeg[2..]);
    out
}

#[test]
fn exif_orientation_is_applied() {
    // Quarters red, green, blue, white; the letters are the corners as stored, clockwise from the top left.
    let image = RgbImage::from_fn(32, 16, |x, y| match (x < 16, y < 8) {
        (true, true) => Rgb([255, 0, 0]),
        (false, true) => Rgb([0, 255, 0]),
        (false, false) => Rgb([0, 0, 255]),
        (true, false) => Rgb([255, 255, 255]),
    });
    let jpeg = encode(&image.into(), ImageFormat::Jpeg);
    let name = |p: [u8; 3]| match p.map(|v| v > 128) {
        [true, false, false] => 'r',
        [false, true, false] => 'g',
        [false, false, true] => 'b',
        _ => 'w',
    };
    let corners = |i: &Image| -> String {
        let (r, b) = (i.width() - 2, i.height() - 2);
        [(1, 1), (r, 1), (r, b), (1, b)].iter().map(|&(x, y)| name(i.pixel(x, y).unwrap())).collect()
    };
    let expected = ["rgbw", "grwb", "bwrg", "wbgr", "rwbg", "wrgb", "bgrw", "gbwr"];
    for (value, want) in (1..).zip(expected) {
        let got = decode(&with_orientation(&jpeg, value));
        assert_eq!(corners(&got), want, "orientation {value}");
        assert_eq!(got.width() < got.height(), value > 4, "orientation {value}");
    }
    // Values outside the standard mean nothing.
    for value in [0, 9, 255] {
        assert_eq!(corners(&decode(&with_orientation(&jpeg, value))), "rgbw");
    }
}

#[test]
fn a_cut_file_is_never_a_picture() {
    let image = DynamicImage::from(picture(61, 45));
    let gif = {
        let mut bytes = Vec::new();
        image::codecs::gif::GifEncoder::new(&mut bytes).encode_frame(image::Frame::new(image.to_rgba8())).unwrap();
        bytes
    };
    let jpeg = encode(&image, ImageFormat::Jpeg);
    for bytes in [jpeg.clone(), with_orientation(&jpeg, 6), encode(&image, ImageFormat::Png), PROGRESSIVE_JPEG.to_vec()]
    {
        decode(&bytes);
        for len in 0..bytes.len() {
            refusal(&bytes[..len]);
        }
    }
    for format in [ImageFormat::Bmp, ImageFormat::Tiff, ImageFormat::WebP] {
        let bytes = encode(&image, format);
        decode(&bytes);
        for len in (0..bytes.len()).step_by(3).filter(|&len| len != 0) {
            // Whatever follows the last pixel may be missed.
            if let Ok(got) = Image::decode(&bytes[..len], "test") {
                assert_eq!((got.rgb(), format), (image.as_rgb8().unwrap().as_raw().as_slice(), ImageFormat::Tiff));
            }
        }
    }
    let whole = decode(&gif);
    for len in 1..gif.len() {
        if let Ok(got) = Image::decode(&gif[..len], "test") {
            assert!(got == whole, "{len} of {} bytes", gif.len());
        }
    }
}

#[test]
fn a_cut_jpeg_is_not_saved_by_its_thumbnail_or_by_zeros() {
    let jpeg = encode(&picture(64, 64).into(), ImageFormat::Jpeg);
    let mut with_thumbnail = jpeg[..2].to_vec();
    with_thumbnail.extend([0xFF, 0xE2, ((jpeg.len() + 2) >> 8) as u8, (jpeg.len() + 2) as u8]);
    with_thumbnail.extend(&jpeg);
    with_thumbnail.extend(&jpeg[2..jpeg.len() * 3 / 4]);
    assert!(refusal(&with_thumbnail).contains("too early"));
    let mut padded = jpeg[..jpeg.len() / 2].to_vec();
    padded.resize(jpeg.len(), 0);
    assert!(refusal(&padded).contains("too early"));
    // But what follows a whole picture is no harm.
    let mut longer = jpeg.clone();
    longer.extend(b"a film");
    assert_eq!(decode(&longer), decode(&jpeg));
}

#[test]
fn corrupt_pngs_are_refused() {
    let png = encode(&picture(40, 40).into(), ImageFormat::Png);
    let data = png.windows(4).position(|w| w == b"IDAT").unwrap();
    for at in (data + 4..png.len() - 16).step_by(11) {
        let mut bad = png.clone();
        bad[at] ^= 0x10;
        assert!(refusal(&bad).contains("corrupt"), "byte {at}");
    }
}

#[test]
fn what_is_no_image_is_refused() {
    assert!(refusal(b"").contains("empty"));
    assert!(refusal(b"x").contains("not an image"));
    assert!(refusal(b"<!doctype html><html>404</html>").contains("not an image"));
    assert!(refusal(&[0; 1000]).contains("not an image"));
    assert!(refusal(b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf").contains("an AVIF file, which is not supported"));
    assert!(refusal(b"ZISRAWFILE\0\0").contains("a Zeiss CZI file, which is not supported"));
    assert!(refusal(b"P5 1 1 255 x").contains("a PNM file"));
    assert!(refusal(b"\xff\x0a\0\0").contains("a JPEG XL file"));
    for magic in [&b"\x89PNG\r\n\x1a\n"[..], b"\xff\xd8\xff", b"GIF89a", b"BM", b"II*\0", b"RIFF\x08\0\0\0WEBP"] {
        for tail in [0, 7, 200] {
            let mut bytes = magic.to_vec();
            bytes.resize(magic.len() + tail, 0x5A);
            refusal(&bytes);
        }
    }
}

proptest::proptest! {
    #[test]
    fn mangled_files_do_no_harm(which in 0..8_usize, hits in proptest::collection::vec((0..4000_usize, 0..=255_u8), 1..6)) {
        let image = DynamicImage::from(picture(19, 17));
        let formats =
            [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Bmp, ImageFormat::Tiff, ImageFormat::WebP, ImageFormat::Gif];
        let mut bytes = match formats.get(which) {
            Some(&format) => encode(&image, format),
            None => [PROGRESSIVE_JPEG, CMYK_JPEG][which - 6].to_vec(),
        };
        let len = bytes.len();
        hits.into_iter().for_each(|(at, value)| bytes[at % len] = value);
        let _ = Image::decode(&bytes, "mangled");
    }
}

#[test]
fn sizes_are_checked_before_pixels_are_made() {
    let png = encode(&picture(4, 4).into(), ImageFormat::Png);
    let resized = |w: u32, h: u32| {
        let mut png = png.clone();
        png[16..20].copy_from_slice(&w.to_be_bytes());
        png[20..24].copy_from_slice(&h.to_be_bytes());
        let crc = crc32(&png[12..29]);
        png[29..33].copy_from_slice(&crc.to_be_bytes());
        png
    };
    assert_eq!(resized(4, 4), png);
    for (w, h) in [(60_000, 60_000), (70_000, 1), (1, 70_000), (16_385, 8_192), (0x7FFF_FFFF, 0x7FFF_FFFF)] {
        assert!(refusal(&resized(w, h)).contains("scale it down"), "{w}x{h}");
    }
    refusal(&resized(0, 4));
    let mut jpeg = encode(&picture(4, 4).into(), ImageFormat::Jpeg);
    let frame = jpeg.windows(2).position(|w| w == [0xFF, 0xC0]).unwrap();
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0xEA, 0x60, 0xEA, 0x60]);
    assert!(refusal(&jpeg).contains("60000x60000"));
    assert!(Image::from_rgb8(0, 5, vec![]).is_err());
    assert!(Image::from_rgb8(70_000, 1, vec![0; 210_000]).is_err());
    assert!(Image::from_rgb8(2, 2, vec![0; 11]).is_err());
    assert_eq!(Image::from_rgb8(1, 1, vec![1, 2, 3]).unwrap().into_rgb(), [1, 2, 3]);
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |crc, &b| {
        (0..8).fold(crc ^ u32::from(b), |crc, _| crc >> 1 ^ if crc & 1 == 1 { 0xEDB8_8320 } else { 0 })
    })
}

#[test]
fn files_are_told_by_content_and_missing_ones_by_path() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("really_a.png.jpg");
    fs::write(&path, encode(&picture(5, 6).into(), ImageFormat::Png)).unwrap();
    assert_eq!(Image::open(&path).unwrap().rgb(), picture(5, 6).as_raw().as_slice());
    for path in [dir.path().join("none.png"), dir.path().to_path_buf()] {
        let error = Image::open(&path).unwrap_err();
        assert!(matches!(error, Error::Io { .. }) && error.to_string().contains(&*path.to_string_lossy()), "{error}");
    }
    let empty = dir.path().join("empty.png");
    fs::write(&empty, "").unwrap();
    assert!(Image::open(&empty).unwrap_err().to_string().contains("empty.png: the file is empty"));
}
