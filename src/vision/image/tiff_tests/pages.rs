//! Which page is meant, and what is said of the others.

use super::*;

/// A page of one value, with a word on what it is.
fn page(size: (usize, usize), value: u64, subfile: Option<u64>) -> make::Page {
    let mut page = Picture { size, ..Picture::default() }.page(|_, _, _| value);
    page.tags.extend(subfile.map(|kind| (254, 4, vec![kind])));
    page
}

fn first_and_notes(file: &[u8]) -> (u8, u32, Vec<String>) {
    let reading = ReadOptions::default().decode(file, "x.tif").unwrap();
    (reading.image.rgb()[0], reading.image.width(), reading.notes.into_iter().map(|n| n.text).collect())
}

#[test]
fn a_stack_says_that_it_is_one() {
    for big in [false, true] {
        let pages: Vec<make::Page> = (1..=5).map(|v| page((6, 4), v, None)).collect();
        let file = Tiff { big_endian: big, big }.file(&pages);
        assert_eq!(first_and_notes(&file), (1, 6, vec!["is page 1 of 5; the others were not looked at".into()]));
        for n in 1..=5 {
            let options = ReadOptions { page: Some(n), ..ReadOptions::default() };
            let reading = options.decode(&file, "x").unwrap();
            assert_eq!((reading.image.rgb()[0], reading.notes), (n as u8, vec![]));
        }
        for n in [0, 6] {
            let options = ReadOptions { page: Some(n), ..ReadOptions::default() };
            let text = options.decode(&file, "x").unwrap_err().to_string();
            assert!(text.contains(&format!("has no page {n}: it has 5")), "{text}");
        }
    }
}

#[test]
fn of_a_pyramid_it_is_the_full_resolution() {
    let full = |thumbnail: Option<u64>| Tiff::default().file(&[page((10, 8), 3, thumbnail), page((80, 64), 7, None)]);
    let note = "is page 2 (80x64) of 2, the one of full resolution";
    assert_eq!(first_and_notes(&full(Some(1))), (7, 80, vec![note.into()]));
    // By its shape, where it says nothing.
    assert_eq!(first_and_notes(&full(None)), (7, 80, vec![note.into()]));
    // Levels that follow are no pages that anybody would miss, and a mask is none.
    let levels = [page((80, 64), 7, None), page((40, 32), 3, Some(1)), page((80, 64), 1, Some(4))];
    assert_eq!(first_and_notes(&Tiff::default().file(&levels)), (7, 80, vec![]));
    // Neither a mask of the same size nor a thumbnail of another shape is the picture, if it comes first.
    for (size, kind) in [((80, 64), 4), ((10, 10), 1)] {
        assert_eq!(first_and_notes(&Tiff::default().file(&[page(size, 1, Some(kind)), page((80, 64), 7, None)])).0, 7);
    }
    // A larger page of another shape is another picture.
    let other = [page((10, 8), 3, None), page((64, 80), 7, None)];
    let (value, _, notes) = first_and_notes(&Tiff::default().file(&other));
    assert!(value == 3 && notes[0].contains("page 1"), "{notes:?}");
    let small = [page((10, 8), 3, Some(1)), page((5, 4), 7, Some(1))];
    assert_eq!(first_and_notes(&Tiff::default().file(&small)).0, 3);
}

#[test]
fn a_level_that_fits_is_offered_for_a_slide_that_does_not() {
    let mut slide = page((4, 4), 1, None);
    slide.set(256, 60_000);
    slide.set(257, 60_000);
    let text = refusal(&Tiff::default().file(&[slide, page((60, 60), 2, Some(1))]));
    assert!(text.contains("60000x60000") && text.contains("page 2 (60x60) (--pages 2)"), "{text}");
}

#[test]
fn pages_that_stand_for_themselves_are_told_from_levels() {
    let whole = |pages: &[make::Page]| {
        let pages = Pages::of(&Tiff::default().file(pages), "x").unwrap();
        (pages.count, pages.whole)
    };
    let stack: Vec<make::Page> = (1..=3).map(|v| page((6, 4), v, None)).collect();
    assert_eq!(whole(&stack), (3, vec![1, 2, 3]));
    // A pyramid, by what it says and by its shape; another picture beside it.
    for kind in [Some(1), None] {
        let levels = [page((80, 64), 7, None), page((40, 32), 3, kind), page((64, 80), 1, None)];
        assert_eq!(whole(&levels), (3, vec![1, 3]), "{kind:?}");
    }
    let mask = [page((80, 64), 7, None), page((80, 64), 1, Some(4))];
    assert_eq!(whole(&mask), (2, vec![1]));
    // Scans of about one size, and a file of nothing but small ones.
    assert_eq!(whole(&[page((100, 80), 7, None), page((99, 79), 1, None)]), (2, vec![1, 2]));
    assert_eq!(whole(&[page((10, 8), 3, Some(1))]), (1, vec![1]));
}

#[test]
fn imagej_has_one_directory_for_a_stack() {
    let mut stack = page((3, 2), 0, None);
    stack.chunks = vec![(0..6).flat_map(|v| [v + 1; 6]).collect()];
    stack.tags.push((270, 2, b"ImageJ=1.53k\nimages=6\nslices=6\n\0".iter().map(|&b| b.into()).collect()));
    let file = Tiff::default().file(&[stack]);
    assert_eq!(first_and_notes(&file), (1, 3, vec!["is page 1 of 6; the others were not looked at".into()]));
    let options = ReadOptions { page: Some(4), ..ReadOptions::default() };
    assert_eq!(options.decode(&file, "x").unwrap().image.rgb()[0], 4);
    assert_eq!(Pages::of(&file, "x").unwrap().whole, [1, 2, 3, 4, 5, 6]);
}

#[test]
fn a_chain_that_bites_its_tail_ends() {
    let mut file = Tiff::default().file(&[page((6, 4), 1, None), page((6, 4), 2, None)]);
    let (len, first) = (file.len(), file[4..8].to_vec());
    file[len - 4..].copy_from_slice(&first);
    assert_eq!(first_and_notes(&file).2, ["is page 1 of 2; the others were not looked at"]);
}
