//! Tensor names in messages.

/// Tensor names longer than this are cut in messages, and no candidates for [`closest`]: real ones have about 60.
const LONGEST: usize = 200;

/// A name from a file, safe to print: control characters escaped, length bounded.
pub(super) fn shown(name: &str) -> String {
    let mut text: String = name.chars().take(LONGEST).flat_map(char::escape_debug).collect();
    if name.chars().nth(LONGEST).is_some() {
        text.push('…');
    }
    text
}

/// A number of things: "1 tensor", "2 tensors".
pub(super) fn counted(count: usize, thing: &str) -> String {
    format!("{count} {thing}{}", if count == 1 { "" } else { "s" })
}

/// The candidate with the fewest edits to `name`; the first of equals.
pub(super) fn closest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // A file may hold very many names; the message is not worth more than a moment.
    candidates.filter(|c| c.len() <= LONGEST).take(10_000).min_by_key(|candidate| edits(name, candidate))
}

/// Levenshtein distance in bytes (insert, delete, replace cost 1 each).
fn edits(a: &str, b: &str) -> usize {
    // row[j] is the distance between the part of `a` read so far and the first j bytes of `b`.
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::{closest, edits, shown};

    #[test]
    fn counts_edits() {
        for (a, b, distance) in [("", "", 0), ("", "abc", 3), ("kitten", "sitting", 3), ("flaw", "lawn", 2)] {
            assert_eq!(edits(a, b), distance);
            assert_eq!(edits(b, a), distance);
        }
    }

    #[test]
    fn finds_the_closest() {
        assert_eq!(
            closest("conv1.weight", ["fc6.weight", "m.conv1.weight", "bn1"].into_iter()),
            Some("m.conv1.weight")
        );
        assert_eq!(closest("x", std::iter::empty()), None);
    }

    #[test]
    fn names_are_printable_and_bounded() {
        assert_eq!(shown("a\n\u{1b}[31m"), "a\\n\\u{1b}[31m");
        assert_eq!(shown(&"x".repeat(1000)).chars().count(), 201);
    }
}
