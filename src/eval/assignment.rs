//! The best one-to-one pairs of a few rows and columns.

/// For each row the column it is given, so that the sum of weights is the highest that pairs one to one can have. A pair of
/// weight 0 is none. All `weights` are 0 or more, row by row.
///
/// Kuhn's and Munkres' method with shortest augmenting paths, O(n³): what overlaps comes in small groups.
pub(super) fn assign(weights: &[Vec<f64>]) -> Vec<Option<usize>> {
    let rows = weights.len();
    let n = weights.iter().map(Vec::len).chain([rows]).max().unwrap_or(0);
    let cost = |r: usize, c: usize| -weights.get(r).and_then(|w| w.get(c)).copied().unwrap_or(0.0);
    // Potentials, and who has each column; column n stands for where a row begins that has none yet.
    let (mut of_row, mut of_column, mut owner) = (vec![0.0; n + 1], vec![0.0; n + 1], vec![n; n + 1]);
    for row in 0..n {
        let (mut least, mut from, mut done) = (vec![f64::INFINITY; n], vec![n; n], vec![false; n + 1]);
        owner[n] = row;
        let mut column = n;
        while owner[column] != n {
            done[column] = true;
            let (at, mut delta, mut next) = (owner[column], f64::INFINITY, n);
            for c in (0..n).filter(|&c| !done[c]) {
                let reduced = cost(at, c) - of_row[at] - of_column[c];
                if reduced < least[c] {
                    (least[c], from[c]) = (reduced, column);
                }
                if least[c] < delta {
                    (delta, next) = (least[c], c);
                }
            }
            for c in 0..=n {
                if done[c] {
                    of_row[owner[c]] += delta;
                    of_column[c] -= delta;
                } else if c < n {
                    least[c] -= delta;
                }
            }
            column = next;
        }
        // Back along the path, each column to the row that reached it.
        while column != n {
            owner[column] = owner[from[column]];
            column = from[column];
        }
        owner[n] = n;
    }
    let mut out = vec![None; rows];
    for (column, &row) in owner[..n].iter().enumerate() {
        if row < rows && cost(row, column) < 0.0 {
            out[row] = Some(column);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn best(weights: &[Vec<f64>], row: usize, taken: u32) -> f64 {
        let Some(of) = weights.get(row) else { return 0.0 };
        let pairs = of.iter().enumerate().filter(|(c, _)| taken >> c & 1 == 0);
        pairs.map(|(c, w)| w + best(weights, row + 1, taken | 1 << c)).fold(best(weights, row + 1, taken), f64::max)
    }

    proptest! {
        #[test]
        fn no_other_pairs_weigh_more(
            weights in (1..5_usize, 1..6_usize)
                .prop_flat_map(|(r, c)| prop::collection::vec(prop::collection::vec(0..9_u8, c), r))
        ) {
            let weights: Vec<Vec<f64>> = weights.iter().map(|w| w.iter().map(|&v| f64::from(v)).collect()).collect();
            let pairs = assign(&weights);
            let sum: f64 = pairs.iter().enumerate().filter_map(|(r, c)| Some(weights[r][(*c)?])).sum();
            let mut columns: Vec<usize> = pairs.iter().flatten().copied().collect();
            columns.sort_unstable();
            let count = columns.len();
            columns.dedup();
            prop_assert_eq!(count, columns.len());
            prop_assert_eq!(sum, best(&weights, 0, 0));
        }
    }

    #[test]
    fn nothing_is_given_to_nobody() {
        assert_eq!(assign(&[]), []);
        assert_eq!(assign(&[vec![], vec![]]), [None, None]);
        assert_eq!(assign(&[vec![0.0, 2.0], vec![0.0, 3.0]]), [None, Some(1)]);
    }
}
