//! Numbers with their nouns, and how wide columns are.

/// So many of something: `1 step`, `3 launches`.
pub(super) fn count(n: usize, what: &str) -> String {
    format!("{n} {}", plural(n, what))
}

/// The noun alone.
pub(super) fn plural(n: usize, what: &str) -> String {
    let ending = match what {
        _ if n == 1 => "",
        _ if ["s", "x", "ch", "sh"].iter().any(|e| what.ends_with(e)) => "es",
        _ => "s",
    };
    format!("{what}{ending}")
}

/// Columns that the widest of these takes.
pub(super) fn width<S: AsRef<str>>(texts: impl IntoIterator<Item = S>) -> usize {
    texts.into_iter().map(|t| t.as_ref().chars().count()).max().unwrap_or(0)
}

/// A text in lines of at most so many columns, cut between `pieces`, which `with` joins; lines after the first begin
/// with so many blanks, for which the first has room already.
pub(super) fn wrapped(pieces: &[String], with: &str, columns: usize, indent: usize) -> String {
    let mut out = String::new();
    let mut used = indent;
    for (i, piece) in pieces.iter().enumerate() {
        let with = if i + 1 < pieces.len() { with.trim_end() } else { "" };
        let wide = width([piece]) + with.len();
        if i > 0 && used + 1 + wide > columns {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', indent));
            used = indent;
        } else if i > 0 {
            out.push(' ');
            used += 1;
        }
        out.push_str(piece);
        out.push_str(with);
        used += wide;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nouns_follow_their_numbers() {
        let all = [(0, "step"), (1, "step"), (2, "step"), (1, "launch"), (7, "launch"), (2, "pass")];
        let told = all.map(|(n, what)| count(n, what));
        assert_eq!(told, ["0 steps", "1 step", "2 steps", "1 launch", "7 launches", "2 passes"]);
    }

    #[test]
    fn lines_are_cut_between_pieces() {
        let pieces = ["aaa", "bbb", "cccc", "é"].map(String::from);
        assert_eq!(wrapped(&pieces, ", ", 11, 2), "aaa, bbb,\n  cccc, é");
        assert_eq!(wrapped(&pieces, ", ", 40, 2), "aaa, bbb, cccc, é");
        assert_eq!(wrapped(&pieces, ", ", 1, 0), "aaa,\nbbb,\ncccc,\né");
        assert_eq!((wrapped(&[], ", ", 9, 0), width(["é", "ab"])), (String::new(), 2));
    }
}
