//! Depths, ranges, and the way to 8 bits.

use super::*;

fn deep(values: Vec<u16>) -> Samples {
    let size = (values.len() as u32, 1);
    let (colours, depth) = (Colours::Grey, Depth::AtMost(16));
    Samples { size, colours, data: Data::U16(values), depth, inverted: false, declared: None }
}

fn floats(values: Vec<f32>) -> Samples {
    Samples { depth: Depth::Float, data: Data::F32(values), ..deep(Vec::new()) }
}

/// One byte a pixel.
fn grey(samples: Samples, normalize: Normalize) -> (Vec<u8>, Option<String>) {
    let (rgb, note) = samples.into_rgb(normalize).unwrap();
    assert!(rgb.as_chunks::<3>().0.iter().all(|p| p[0] == p[1] && p[1] == p[2]));
    (rgb.iter().step_by(3).copied().collect(), note.map(|n| n.text))
}

/// What this program has always made of 16 bits, and what parity with torchvision was measured on.
#[test]
fn full_range_sixteen_bits_are_what_they_were() {
    let values: Vec<u16> = (0..=65_535).collect();
    let want: Vec<u8> = values.iter().map(|&v| ((u32::from(v) + 128) / 257) as u8).collect();
    for normalize in [Normalize::Auto, Normalize::Full, Normalize::Range(0.0, 65_535.0)] {
        assert_eq!(grey(deep(values.clone()), normalize), (want.clone(), None));
    }
    // The darkest that still uses its bits.
    assert_eq!(grey(deep(vec![0, 32_768]), Normalize::Auto), (vec![0, 128], None));
}

#[test]
fn bits_in_use_are_counted() {
    for bits in 1..16_u32 {
        let most = (1_u32 << bits) - 1;
        let values = vec![0, (most / 2) as u16, most as u16, (most / 2 + 1) as u16];
        let (bytes, note) = grey(deep(values), Normalize::Auto);
        assert_eq!((bytes[0], bytes[2]), (0, 255), "{bits}");
        let half = if bits == 1 { 0 } else { 128 };
        assert!(bytes[1].abs_diff(half) <= if bits < 8 { 43 } else { 1 }, "{bits}: {bytes:?}");
        assert_eq!(note, Some(format!("{bits} of 16 bits are in use: 0 is black and {most} is white")));
    }
    assert_eq!(grey(deep(vec![0; 5]), Normalize::Auto).0, [0; 5]);
}

#[test]
fn hot_pixels_do_not_count() {
    let mut values = vec![1000; 300_000];
    values[7..10].fill(60_000);
    let (bytes, note) = grey(deep(values.clone()), Normalize::Auto);
    assert_eq!((bytes[0], bytes[7]), (249, 255));
    assert!(note.unwrap().starts_with("10 of 16 bits"));
    values[10] = 60_000;
    assert_eq!(grey(deep(values), Normalize::Auto).1, None);
}

#[test]
fn eight_bits_are_never_stretched_unasked() {
    let dark = || Samples { data: Data::U8(vec![0, 3, 10]), depth: Depth::Known(8), ..deep(vec![0; 3]) };
    assert_eq!(grey(dark(), Normalize::Auto), (vec![0, 3, 10], None));
    assert_eq!(grey(dark(), Normalize::Full), (vec![0, 3, 10], None));
    assert_eq!(grey(dark(), Normalize::MinMax).0, [0, 77, 255]);
    assert_eq!(grey(Samples { inverted: true, ..dark() }, Normalize::Auto).0, [255, 252, 245]);
}

#[test]
fn a_depth_that_the_file_names_is_its_range() {
    let twelve = || Samples { depth: Depth::Known(12), ..deep(vec![0, 100, 4095]) };
    assert_eq!(grey(twelve(), Normalize::Auto), (vec![0, 6, 255], None));
    assert_eq!(grey(Samples { inverted: true, ..twelve() }, Normalize::Auto).0, [255, 249, 0]);
    let said = || Samples { declared: Some((100.0, 1100.0, "a tag")), ..deep(vec![0, 600, 1100]) };
    let (bytes, note) = grey(said(), Normalize::Auto);
    assert_eq!((bytes, note.unwrap().as_str()), (vec![0, 128, 255], "by a tag, 100 is black and 1100 is white"));
    // Data that use all their bits are taken as they are, whatever a tag says.
    let full = Samples { data: Data::U16(vec![0, 600, 65_535]), ..said() };
    assert_eq!(grey(full, Normalize::Auto), (vec![0, 2, 255], None));
}

#[test]
fn floats_need_a_range() {
    let unit = || floats(vec![0.0, 0.5, 1.0, f32::NAN, 0.25]);
    assert_eq!(grey(unit(), Normalize::Auto), (vec![0, 128, 255, 0, 64], None));
    let wide = || floats(vec![-2.0, 3.0, 8.0]);
    let fault = wide().into_rgb(Normalize::Auto).unwrap_err().of("TIFF");
    assert!(fault.starts_with("has values from -2 to 8, and nothing says which is black"), "{fault}");
    assert_eq!(grey(wide(), Normalize::MinMax).0, [0, 128, 255]);
    assert_eq!(grey(wide(), Normalize::Range(0.0, 4.0)).0, [0, 191, 255]);
    assert_eq!(grey(Samples { declared: Some((-2.0, 8.0, "x")), ..wide() }, Normalize::Auto).0, [0, 128, 255]);
    assert!(floats(vec![f32::NAN; 4]).into_rgb(Normalize::Auto).is_err());
    let signed = Samples { depth: Depth::AtMost(15), ..floats(vec![-5.0, 20.0]) };
    assert!(signed.into_rgb(Normalize::Auto).is_err());
    let positive = Samples { depth: Depth::AtMost(15), ..floats(vec![0.0, 20_000.0]) };
    assert_eq!(grey(positive, Normalize::Auto), (vec![0, 156], None));
}

fn census_of(samples: &Samples) -> Census {
    let mut census = Census::new(samples.depth, samples.declared);
    (0..2).for_each(|pass| census.take(&samples.data, pass));
    census
}

#[test]
fn percentiles_are_of_all_values() {
    let ramp = || deep((0..=1000).collect());
    let (bytes, note) = grey(ramp(), Normalize::Percentiles(10.0, 60.0));
    assert_eq!(note.unwrap(), "by its percentiles 10 and 60, 100 is black and 600 is white");
    assert_eq!((bytes[99], bytes[100], bytes[350], bytes[600], bytes[1000]), (0, 0, 128, 255, 255));
    let (black, white) = census_of(&floats((0..=1000).map(|v| v as f32 / 10.0).collect())).percentiles(1.0, 99.0);
    assert!((black - 1.0).abs() < 0.01 && (white - 99.0).abs() < 0.01, "{black} {white}");
}

#[test]
fn inks_become_colours() {
    let inks = vec![0, 0, 0, 0, 255, 0, 0, 0, 0, 0, 0, 255, 100, 50, 0, 128];
    let samples =
        Samples { size: (4, 1), colours: Colours::Cmyk, data: Data::U8(inks), depth: Depth::Known(8), ..deep(vec![]) };
    let (rgb, _) = samples.into_rgb(Normalize::Auto).unwrap();
    assert_eq!(rgb, [255, 255, 255, 0, 255, 255, 0, 0, 0, 77, 102, 127]);
}
