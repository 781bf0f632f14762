use std::io::Read as _;

use serde_json::Value;

use super::*;
use crate::vision::coco;
use crate::vision::image::Image;

/// A square, a ring, two parts, one pixel, two pixels that touch in a corner, and one that overlaps the square, by falling
/// score, in an image of 30 x 20 pixels.
fn found() -> Detections {
    let rows: [(u32, u32, &[&str]); 6] = [
        (1, 1, &["####", "####", "####", "####"]),
        (10, 1, &["#####", "#...#", "#...#", "#####"]),
        (20, 2, &["##.#", "##.#"]),
        (29, 19, &["#"]),
        (2, 12, &["#.", ".#"]),
        (3, 3, &["######", "######"]),
    ];
    let one = |(i, &(x0, y0, rows)): (usize, &(u32, u32, &[&str]))| {
        let (w, h) = (rows[0].len() as u32, rows.len() as u32);
        let mask = Mask::from_fn(x0, y0, w, h, |x, y| rows[(y - y0) as usize].as_bytes()[(x - x0) as usize] == b'#');
        let bbox = [x0 as f32, y0 as f32, (x0 + w) as f32, (y0 + h) as f32];
        let score = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4][i];
        Detection { bbox, score, label: 1 + i as u32 % 2, mask, soft: None }
    };
    let classes = ["", "cell", "<b>\"a,b\""].map(String::from).into();
    Detections::new(30, 20, classes, rows.iter().enumerate().map(one).collect())
}

#[test]
fn boxes_stand_for_masks_where_a_model_has_none() {
    let d = |mask, bbox| Detection { bbox, score: 0.5, label: 1, mask, soft: None };
    let classes: std::sync::Arc<[String]> = ["", "a"].map(String::from).into();
    let boxes = Detections::new(10, 8, classes.clone(), vec![d(Mask::default(), [1.4, 2.6, 30.0, 5.0])]);
    assert_eq!(bounds(&shape(&boxes, &boxes[0])), Some([1, 3, 10, 5]));
    // Not of one instance alone whose mask is empty.
    let masks = vec![d(Mask::from_fn(8, 6, 4, 4, |_, _| true), [0.0; 4]), d(Mask::default(), [1.0, 1.0, 5.0, 5.0])];
    let both = Detections::new(10, 8, classes, masks);
    assert_eq!((bounds(&shape(&both, &both[0])), bounds(&shape(&both, &both[1]))), (Some([8, 6, 10, 8]), None));
}

#[test]
fn geojson_has_closed_rings_holes_and_parts() {
    let (text, lost) = geojson(&found());
    let all: Value = serde_json::from_str(&text).unwrap();
    assert!(text.starts_with("{\n") && text.ends_with("}\n") && lost == Lost::default());
    let geometry = |i: usize| &all["features"][i]["geometry"];
    assert_eq!(geometry(0)["coordinates"], serde_json::json!([[[5, 1], [5, 5], [1, 5], [1, 1], [5, 1]]]));
    let rings = geometry(1)["coordinates"].as_array().unwrap();
    assert_eq!((geometry(1)["type"].as_str(), rings.len()), (Some("Polygon"), 2));
    assert_eq!(
        (geometry(2)["type"].as_str(), geometry(4)["type"].as_str()),
        (Some("MultiPolygon"), Some("MultiPolygon"))
    );
    let properties = &all["features"][1]["properties"];
    assert_eq!(properties["objectType"], "detection");
    assert_eq!(properties["classification"]["name"], "<b>\"a,b\"");
    assert_eq!(
        (&properties["measurements"]["Area px^2"], &properties["measurements"]["Score"]),
        (&14.into(), &0.8.into())
    );
    let none = Detections::new(3, 3, found().classes.clone(), vec![]);
    assert_eq!(serde_json::from_str::<Value>(&geojson(&none).0).unwrap()["features"], serde_json::json!([]));
}

#[test]
fn labelme_has_a_shape_a_part_and_says_which_holes_it_fills() {
    let (text, lost) = labelme(&found(), "../a \"b\".png", None);
    let all: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(lost, Lost { holes: 1, ..Lost::default() });
    let shapes = all["shapes"].as_array().unwrap();
    let groups: Vec<i64> = shapes.iter().map(|s| s["group_id"].as_i64().unwrap()).collect();
    assert_eq!(groups, [1, 2, 3, 3, 4, 5, 5, 6]);
    assert_eq!(shapes[0]["points"], serde_json::json!([[4.99, 1.01], [4.99, 4.99], [1.01, 4.99], [1.01, 1.01]]));
    assert_eq!((&all["imagePath"], &all["imageData"]), (&"../a \"b\".png".into(), &Value::Null));
    assert_eq!((&all["imageWidth"], &all["imageHeight"]), (&30.into(), &20.into()));
    assert!(labelme(&found(), "x", Some("Zg==")).0.contains("\"imageData\": \"Zg==\""));
    let mut some = found();
    some.items[2].mask = Mask::default();
    assert_eq!(labelme(&some, "x", None).1, Lost { holes: 1, empty: 1, ..Lost::default() });
}

#[test]
fn yolo_takes_the_largest_part_and_counts_the_rest() {
    let (text, lost) = yolo(&found());
    assert_eq!(lost, Lost { holes: 1, parts: 2, part_pixels: 3, empty: 0 });
    let lines: Vec<Vec<f64>> = text.lines().map(|l| l.split(' ').map(|v| v.parse().unwrap()).collect()).collect();
    assert_eq!(lines.iter().map(|l| l[0]).collect::<Vec<_>>(), [0.0, 1.0, 0.0, 1.0, 0.0, 1.0]);
    // Cut off to whole pixels, corners are the mask's own: the square from 1 to 4.
    let whole: Vec<u32> = lines[0][1..].chunks(2).flat_map(|p| [(p[0] * 30.0) as u32, (p[1] * 20.0) as u32]).collect();
    assert_eq!(whole, [4, 1, 4, 4, 1, 4, 1, 1]);
    assert!(lines.iter().flatten().all(|v| (0.0..=1.0).contains(v)));
    // Of the pixel in the last corner, all stays within the image.
    assert!(lines[3][1..].iter().all(|v| *v < 1.0));
    let names = yolo_names(&found().classes);
    assert!(names.ends_with("names:\n  0: \"cell\"\n  1: \"<b>\\\"a,b\\\"\"\n"), "{names}");
}

#[test]
fn imagej_regions_are_as_their_decoder_wants_them() {
    let (mut bytes, lost) = imagej(&found(), 3, 7).unwrap();
    assert_eq!(lost, Lost::default());
    bytes.extend(b"comment");
    let zip = rawzip::ZipArchive::from_slice(&bytes).unwrap();
    let (mut names, mut files) = (Vec::new(), Vec::new());
    for entry in zip.entries() {
        let entry = entry.unwrap();
        names.push(String::from_utf8(entry.file_path().as_ref().to_vec()).unwrap());
        let packed = zip.get_entry(entry.wayfinder()).unwrap();
        let mut file = Vec::new();
        flate2::read::DeflateDecoder::new(packed.data()).read_to_end(&mut file).unwrap();
        files.push(file);
    }
    assert_eq!(names[..2], ["1-cell-0.90.roi", "2-_b__a_b_-0.80.roi"]);
    let short = |file: &[u8], at: usize| u16::from_be_bytes([file[at], file[at + 1]]);
    let long = |file: &[u8], at: usize| u32::from_be_bytes(file[at..at + 4].try_into().unwrap());
    let square = &files[0];
    assert_eq!((&square[..4], square[6], long(square, 56)), (&b"Iout"[..], 8, 3));
    let numbers: Vec<u16> = (8..18).step_by(2).map(|at| short(square, at)).collect();
    // Top, left, bottom, right, and how many corners.
    assert_eq!(numbers, [1, 1, 5, 5, 4]);
    let corners: Vec<u16> = (64..80).step_by(2).map(|at| short(square, at)).collect();
    assert_eq!(corners, [4, 4, 0, 0, 0, 4, 4, 0]);
    let second = long(square, 60) as usize;
    let (at, letters) = (long(square, second + 16) as usize, long(square, second + 20) as usize);
    let name: Vec<u16> = (0..letters).map(|i| short(square, at + 2 * i)).collect();
    assert_eq!((String::from_utf16(&name).unwrap(), at + 2 * letters), ("1-cell-0.90".into(), square.len()));
    // A ring is a path: two rings of four points and an end.
    let ring = &files[1];
    assert_eq!((ring[6], short(ring, 16), long(ring, 36)), (1, 0, 2 * (4 * 3 + 1)));
    let float = |at: usize| f32::from_bits(long(ring, at));
    assert_eq!([float(64), float(68), float(72), float(76)], [0.0, 15.0, 1.0, 1.0]);
    assert_eq!(float(64 + 12 * 4), 4.0);
    let large = Detections { width: 40_000, ..found() };
    assert!(imagej(&large, 0, 0).unwrap_err().contains("labels32"));
}

#[test]
fn label_maps_give_overlaps_to_the_higher_score() {
    for (bits, side) in [(16, "0.25um"), (32, "1px")] {
        let map = label_map(&found(), bits, side.parse().unwrap(), 9).unwrap();
        // Of the two rows of six pixels, two columns are the square's.
        assert_eq!(map.lost, 4);
        let file = [&map.bytes[..], b"software\0"].concat();
        let mut decoder = image::codecs::tiff::TiffDecoder::new(std::io::Cursor::new(&file));
        if bits == 32 {
            // The reader of pictures knows no pixels of 32 bits: only their kind is looked at.
            assert!(decoder.is_err());
            continue;
        }
        let decoder = decoder.as_mut().map_err(|e| e.to_string()).unwrap();
        assert_eq!(image::ImageDecoder::dimensions(decoder), (30, 20));
        let picture = image::load_from_memory(&file).unwrap().into_luma16();
        let at = |x, y| picture.get_pixel(x, y).0[0];
        assert_eq!([at(0, 0), at(1, 1), at(4, 4), at(5, 4), at(29, 19), at(11, 2), at(14, 4)], [0, 1, 1, 6, 4, 0, 2]);
        assert_eq!(picture.pixels().filter(|p| p.0[0] > 0).count(), 16 + 14 + 6 + 1 + 2 + 8);
        assert!(file.windows(8).any(|w| w == b"unit=um\n"));
    }
    let many = Detections { items: vec![found().items[3].clone(); 65_536], ..found() };
    assert!(label_map(&many, 16, PixelSize::default(), 1).unwrap_err().contains("labels32"));
}

/// A little-endian TIFF's directory as the standard has it: of each tag its kind, how many values, and their bytes.
fn tags(file: &[u8]) -> std::collections::BTreeMap<u16, (u16, u32, Vec<u8>)> {
    let short = |at: usize| u16::from_le_bytes([file[at], file[at + 1]]);
    let long = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap());
    assert_eq!(&file[..4], b"II*\0");
    let first = long(4) as usize;
    assert_eq!(first % 2, 0);
    let entry = |i: usize| {
        let at = first + 2 + 12 * i;
        let (kind, n) = (short(at + 2), long(at + 4));
        let len = n as usize * [0, 1, 1, 2, 4, 8][usize::from(kind)];
        let from = if len <= 4 { at + 8 } else { long(at + 8) as usize };
        (short(at), (kind, n, file[from..from + len].to_vec()))
    };
    let count = usize::from(short(first));
    assert_eq!(long(first + 2 + 12 * count), 0, "no other directory");
    let all: Vec<_> = (0..count).map(entry).collect();
    assert!(all.is_sorted_by(|a, b| a.0 < b.0), "tags are in order");
    all.into_iter().collect()
}

#[test]
fn label_maps_are_tiffs_to_the_byte() {
    let wide = Mask::from_fn(3, 2, 900, 700, |x, y| (x * y) % 5 > 1);
    let one = Detection { bbox: [0.0; 4], score: 0.5, label: 1, mask: wide.clone(), soft: None };
    let large = Detections::new(1001, 777, found().classes.clone(), vec![one]);
    for (dets, bits, side, software) in [
        (found(), 16, "1px", "program 7"),
        (found(), 32, "0.25um", "program 17"),
        (large.clone(), 32, "3nm", "maskrcnn"),
        (large, 16, "0.1mm", "maskrcnn 0.1"),
    ] {
        let pixel: PixelSize = side.parse().unwrap();
        let map = label_map(&dets, bits, pixel, software.len() + 1).unwrap();
        let file = [&map.bytes, software.as_bytes(), b"\0"].concat();
        let tags = tags(&file);
        let numbers = |tag: u16| -> Vec<u32> {
            let (kind, _, bytes) = &tags[&tag];
            match kind {
                3 => bytes.chunks(2).map(|b| u16::from_le_bytes([b[0], b[1]]).into()).collect(),
                _ => bytes.chunks(4).map(|b| u32::from_le_bytes(b.try_into().unwrap())).collect(),
            }
        };
        assert_eq!([256, 257, 258, 259].map(|t| numbers(t)[0]), [dets.width, dets.height, bits.into(), 8], "{side}");
        assert_eq!([262, 277, 339].map(|t| numbers(t)[0]), [1; 3]);
        let text = |tag: u16| String::from_utf8(tags[&tag].2.clone()).unwrap();
        assert_eq!(text(305), format!("{software}\0"));
        let (unit, rate) = match side {
            "1px" => ("", None),
            "0.25um" => ("unit=um\n", Some(4.0)),
            "3nm" => ("unit=nm\n", Some(1.0 / 3.0)),
            _ => ("unit=mm\n", Some(10.0)),
        };
        assert_eq!(text(270), format!("ImageJ=1.53t\nimages=1\n{unit}\0"));
        for tag in [282, 283] {
            assert_eq!(tags.contains_key(&tag), rate.is_some());
            if let Some(rate) = rate {
                let pair = numbers(tag);
                assert!((f64::from(pair[0]) / f64::from(pair[1]) / rate - 1.0).abs() < 2e-6, "{side}: {pair:?}");
                assert_eq!(numbers(296), [1], "in no unit of TIFF's own");
            }
        }
        // The strips, one after the other, are the picture.
        let (rows, places, lengths) = (numbers(278)[0], numbers(273), numbers(279));
        assert_eq!(places.len(), dets.height.div_ceil(rows) as usize);
        assert_eq!(places.len() > 1, dets.width > 1000 && bits == 32 || rows < dets.height);
        let mut labels = Vec::new();
        for (i, (&at, &len)) in places.iter().zip(&lengths).enumerate() {
            let mut strip = Vec::new();
            flate2::read::ZlibDecoder::new(&file[at as usize..][..len as usize]).read_to_end(&mut strip).unwrap();
            let here = rows.min(dets.height - i as u32 * rows);
            assert_eq!(strip.len(), (here * dets.width * u32::from(bits) / 8) as usize);
            labels.extend(
                strip.chunks(usize::from(bits / 8)).map(|b| b.iter().rev().fold(0, |n, &v| n << 8 | u32::from(v))),
            );
        }
        for (at, &label) in labels.iter().enumerate() {
            let (x, y) = (at as u32 % dets.width, at as u32 / dets.width);
            let want = dets.iter().position(|d| d.mask.get(x, y)).map_or(0, |i| i as u32 + 1);
            assert_eq!(label, want, "{side}: ({x}, {y})");
        }
    }
}

#[test]
fn large_label_maps_have_several_strips() {
    let mask = Mask::from_fn(0, 0, 1500, 1000, |x, y| (x + y) % 3 > 0);
    let one = Detection { bbox: [0.0; 4], score: 0.5, label: 1, mask, soft: None };
    let large = Detections::new(1500, 1000, found().classes.clone(), vec![one]);
    let map = label_map(&large, 16, PixelSize::default(), 1).unwrap();
    let picture = image::load_from_memory(&[&map.bytes[..], b"\0"].concat()).unwrap().into_luma16();
    assert!(picture.enumerate_pixels().all(|(x, y, p)| p.0[0] == u16::from((x + y) % 3 > 0)));
}

#[test]
fn a_table_has_a_row_an_instance_in_the_unit_asked_for() {
    let image = Image::from_rgb8(30, 20, vec![10; 1800]).unwrap();
    for size in ["px", "0.5um"] {
        let pixel: PixelSize = if size == "px" { PixelSize::default() } else { size.parse().unwrap() };
        let text = csv_header(pixel) + &csv_rows("a,b.png", &found(), &image, pixel);
        let names: Vec<&str> = text.lines().next().unwrap().split(',').collect();
        let square: Vec<&str> = text.lines().nth(1).unwrap().strip_prefix("\"a,b.png\",").unwrap().split(',').collect();
        assert_eq!(names.len(), square.len() + 1);
        let of = |name: &str| square[names.iter().position(|n| *n == name).unwrap_or_else(|| panic!("{name}")) - 1];
        assert_eq!((of("number"), of("class"), of("score"), of("area_px2")), ("1", "cell", "0.9000", "16"));
        assert_eq!((of("mean_green"), of("integrated_blue")), ("10.000", "160"));
        match size {
            "px" => assert_eq!((of("centroid_x_px"), of("box_width_px")), ("3", "4")),
            _ => assert_eq!((of("centroid_x_um"), of("box_width_um"), of("area_um2")), ("1.5", "2", "4")),
        }
    }
    assert_eq!(["=1+1", "a\"b", "-"].map(csv_field), ["'=1+1", "\"a\"\"b\"", "'-"]);
}

#[test]
fn an_instance_alone_leaves_nothing_of_its_neighbours() {
    let image = Image::from_rgb8(30, 20, (0..1800).map(|i| 1 + (i % 200) as u8).collect()).unwrap();
    let cut = cutout(&found()[1].mask, &image).unwrap();
    assert_eq!((cut.dimensions(), cut.pixels().filter(|p| p.0[3] == 255).count()), ((5, 4), 14));
    let [r, g, b] = image.pixel(10, 1).unwrap();
    assert_eq!(cut.get_pixel(0, 0).0, [r, g, b, 255]);
    assert!(cut.pixels().all(|p| p.0[3] == 255 || p.0 == [0; 4]));
    assert!(cutout(&Mask::default(), &image).is_none());
    let small = jpeg_thumbnail(&image::RgbImage::new(800, 100), 200).unwrap();
    assert_eq!((small.1, small.2), (200, 25));
}

#[test]
fn a_dataset_is_written_image_by_image() {
    let mut out = Vec::new();
    let image = |id, page| Ok(DatasetImage { id, file_name: format!("{id}.png"), width: 30, height: 20, page });
    let mut dataset =
        Dataset::new(&mut out, &found().classes, [image(1, None), image(7, Some(3))].into_iter()).unwrap();
    dataset.add(1, &[]).unwrap();
    dataset.add(7, &coco::results(&found(), "x")).unwrap();
    dataset.finish().unwrap();
    let all: Value = serde_json::from_slice(&out).unwrap();
    assert_eq!((&all["images"][1]["page"], &all["images"][0]["page"]), (&3.into(), &Value::Null));
    assert_eq!(all["categories"][1], serde_json::json!({"id": 2, "name": "<b>\"a,b\"", "supercategory": ""}));
    let notes = all["annotations"].as_array().unwrap();
    assert_eq!((notes.len(), &notes[1]["area"], &notes[1]["iscrowd"]), (6, &14.into(), &0.into()));
    assert_eq!((&notes[5]["id"], &notes[5]["image_id"], &notes[1]["score"]), (&6.into(), &7.into(), &0.8.into()));
}

#[test]
fn a_sheet_shows_text_as_text() {
    let found = found();
    let name = "</script><img src=x onerror=\"alert(1)\">.png";
    let entry = page_entry(Entry { name, found: &found, thumbnail: (b"jpeg", 30, 20), link: Some("javascript:a.png") });
    assert!(!entry.contains(name) && !entry.contains("<b>") && entry.matches("</script>").count() == 1, "{entry}");
    assert!(entry.contains("data-n=\"6\" data-s=\"0.9000\"") && entry.contains("base64,anBlZw=="));
    let (_, data) = entry.split_once("<script type=\"application/json\">").unwrap();
    let data: Value = serde_json::from_str(data.split_once("</script>").unwrap().0).unwrap();
    assert_eq!((&data["k"][1], &data["f"]), (&"<b>\"a,b\"".into(), &"./javascript%3Aa.png".into()));
    assert_eq!(data["i"][1], serde_json::json!([1, 0.8, 14, 10.0, 1.0, 5.0, 4.0]));
    let head = page_head("a & b", "<2 images>");
    assert!(head.contains("<title>a &amp; b</title>") && head.contains("<p>&lt;2 images&gt;</p>"));
    // Nothing is asked of the network.
    let page = head + PAGE_END;
    assert!(!page.contains("src=\"http") && !page.contains("url(") && !page.contains("@import"));
}
