//! Which of a file's pictures is meant: the first of full resolution, or the page that was asked for.

use std::collections::HashSet;

use super::ifd::{File, Ifd};
use crate::vision::image::fault::Fault;
use crate::vision::image::reading::{About, Note, Pages};
use crate::vision::image::size_fault;

/// A picture of the file.
pub(super) struct Page {
    pub ifd: Ifd,
    pub size: (u32, u32),
    /// Bytes by which its data lie behind where the directory says: ImageJ has one directory for a whole stack.
    pub shift: u64,
    /// Whether it is a smaller version of another page, or a mask.
    lesser: bool,
}

/// The page to read. Notes say what is not read. `refuse` says what is wrong with a size, if anything is.
pub(super) fn choose(
    file: &File<'_>,
    first: u64,
    wanted: Option<usize>,
    refuse: fn(u32, u32) -> Option<Fault>,
    notes: &mut Vec<Note>,
) -> Result<Page, Fault> {
    let pages = list(file, first)?;
    let stack = if let [one] = pages.as_slice() { imagej_stack(file, one) } else { None };
    let total = stack.map_or(pages.len(), |s| s.0);
    let chosen = match wanted {
        None => full_resolution(&pages),
        Some(n) if (1..=total).contains(&n) => n - 1,
        Some(n) => return Err(Fault::Image(format!("has no page {n}: it has {total}; give one of them"))),
    };
    let named = |i: usize| format!("{} ({}x{})", i + 1, pages[i].size.0, pages[i].size.1);
    if let Some((_, bytes)) = stack {
        let page = pages.into_iter().next().ok_or_else(no_pages)?;
        if wanted.is_none() {
            notes.push(Note::new(About::Page, format!("is page 1 of {total}; the others were not looked at")));
        }
        return Ok(Page { shift: bytes * chosen as u64, ..page });
    }
    if let Some(fault) = refuse(pages[chosen].size.0, pages[chosen].size.1) {
        // Of a pyramid, a smaller level may do.
        let fits = |i: &usize| size_fault(pages[*i].size.0, pages[*i].size.1).is_none();
        let best = (0..pages.len()).filter(fits).max_by_key(|&i| pixels(&pages[i]));
        return Err(match (fault, best) {
            (Fault::Image(text), Some(i)) => {
                Fault::Image(format!("{text}, or take its page {} (--pages {})", named(i), i + 1))
            }
            (fault, _) => fault,
        });
    }
    if wanted.is_none() && pages.len() > 1 {
        let size = pages[chosen].size;
        let peers = pages.iter().filter(|p| p.size == size && !p.lesser).count();
        if peers > 1 {
            let text = format!("is page {} of {}; the others were not looked at", chosen + 1, pages.len());
            notes.push(Note::new(About::Page, text));
        } else if pages.iter().enumerate().any(|(i, p)| i != chosen && !p.lesser) || chosen != 0 {
            let text = format!("is page {} of {}, the one of full resolution", named(chosen), pages.len());
            notes.push(Note::new(About::Page, text));
        }
    }
    pages.into_iter().nth(chosen).ok_or_else(no_pages)
}

/// All pages, and which of them stand for themselves: levels of a pyramid and masks do not.
pub(super) fn all(file: &File<'_>, first: u64) -> Result<Pages, Fault> {
    let pages = list(file, first)?;
    if let [one] = pages.as_slice()
        && let Some((count, _)) = imagej_stack(file, one)
    {
        return Ok(Pages { count, whole: (1..=count).collect() });
    }
    let full = full_resolution(&pages);
    let stands = |i: &usize| {
        let page = &pages[*i];
        // Levels are half as large as the one before, or less; scans of paper are of about one size.
        let level =
            same_shape(page.size, pages[full].size) && 4 * u64::from(page.size.0) <= 3 * u64::from(pages[full].size.0);
        *i == full || !page.lesser && !level
    };
    Ok(Pages { count: pages.len(), whole: (0..pages.len()).filter(stands).map(|i| i + 1).collect() })
}

fn no_pages() -> Fault {
    Fault::corrupt("it has no picture")
}

fn pixels(page: &Page) -> u64 {
    u64::from(page.size.0) * u64::from(page.size.1)
}

/// All pictures, in the order of the file; of those that are smaller versions, their subordinate ones too, since raw
/// files have the picture itself there.
fn list(file: &File<'_>, first: u64) -> Result<Vec<Page>, Fault> {
    let mut pages = Vec::new();
    let mut seen = HashSet::new();
    let mut at = first;
    while at != 0 && seen.insert(at) {
        let Some(ifd) = file.directory(at) else {
            // What comes before is whole, but a file that was cut has lost something.
            return Err(Fault::early());
        };
        at = ifd.next;
        let below = file.list(&ifd, 330).ok().flatten();
        let page = page(file, ifd);
        let raw = page.as_ref().is_some_and(|p| p.lesser);
        pages.extend(page);
        for sub in below.iter().filter(|_| raw).flat_map(|l| l.iter()) {
            if seen.insert(sub) {
                pages.extend(file.directory(sub).and_then(|ifd| self::page(file, ifd)));
            }
        }
    }
    if pages.is_empty() { Err(no_pages()) } else { Ok(pages) }
}

/// A directory that has a picture's size.
fn page(file: &File<'_>, ifd: Ifd) -> Option<Page> {
    let side = |tag| file.unsigned(&ifd, tag).map(|v| u32::try_from(v).unwrap_or(u32::MAX));
    let size = (side(256)?, side(257)?);
    // Bit 0: of reduced resolution. Bit 2: a mask. The old tag 255 has 2 for the former.
    let lesser = file.unsigned(&ifd, 254).map_or(file.unsigned(&ifd, 255) == Some(2), |v| v & 0b101 != 0);
    Some(Page { ifd, size, shift: 0, lesser })
}

/// The first page that is no smaller version of another one: by what it says, or by its being of the same shape as a
/// larger one.
fn full_resolution(pages: &[Page]) -> usize {
    let whole: Vec<usize> = (0..pages.len()).filter(|&i| !pages[i].lesser).collect();
    let Some(&first) = whole.first() else {
        return (0..pages.len()).rev().max_by_key(|&i| pixels(&pages[i])).unwrap_or(0);
    };
    let like_first = |i: &usize| same_shape(pages[*i].size, pages[first].size);
    whole.into_iter().rev().filter(like_first).max_by_key(|&i| pixels(&pages[i])).unwrap_or(first)
}

/// Whether one may be a version of the other.
fn same_shape((w, h): (u32, u32), (w0, h0): (u32, u32)) -> bool {
    let (a, b) = (u64::from(w) * u64::from(h0), u64::from(h) * u64::from(w0));
    a.abs_diff(b) * 50 <= a.max(b)
}

/// How many pages ImageJ says there are behind one directory, and the bytes of each.
fn imagej_stack(file: &File<'_>, page: &Page) -> Option<(usize, u64)> {
    let text = file.data(&page.ifd, 270).filter(|t| t.starts_with(b"ImageJ="))?;
    let images: usize = imagej(text, "images")?.parse().ok()?;
    let bits = file.unsigned(&page.ifd, 258)? * file.unsigned(&page.ifd, 277).unwrap_or(1);
    let bytes = pixels(page).checked_mul(bits)? / 8;
    let plain = file.unsigned(&page.ifd, 259).unwrap_or(1) == 1;
    let begin = file.unsigned(&page.ifd, 273)?;
    let end = begin.checked_add(bytes.checked_mul(images as u64)?)?;
    (images > 1 && plain && end <= file.bytes.len() as u64).then_some((images, bytes))
}

/// A line `key=value` of ImageJ's description.
pub(super) fn imagej<'a>(text: &'a [u8], key: &str) -> Option<&'a str> {
    let text = std::str::from_utf8(text).ok()?.trim_end_matches('\0');
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('=')).map(str::trim)
}
