//! Who is kept, and which row continues whom.

use std::cmp::Ordering;

/// The indices of the `keep` largest values, best first; the lowest index first on ties, and what
/// is not a number after everything else.
pub fn best(values: &[f32], keep: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| compare(values[*a], values[*b]));
    order.truncate(keep);
    order
}

/// Larger first; equal when neither is larger.
fn compare(a: f32, b: f32) -> Ordering {
    match (a.is_nan(), b.is_nan()) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Greater,
        (false, true) => Ordering::Less,
        (false, false) => b.partial_cmp(&a).unwrap_or(Ordering::Equal),
    }
}

/// For each of `rows` rows, which of the kept it continues: row j the kept j mod W. With
/// `skip_finished` a finished one gets one row, and the rows it leaves go round the others.
pub fn places(finished: &[bool], rows: usize, skip_finished: bool) -> Vec<usize> {
    let kept = finished.len();
    let live: Vec<usize> = (0..kept).filter(|at| !finished[*at]).collect();
    (0..rows)
        .map(|row| match row {
            _ if !skip_finished || live.is_empty() => row % kept,
            row if row < kept => row,
            row => live[(row - kept) % live.len()],
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_go_to_the_lowest_row_and_what_is_no_number_goes_last() {
        assert_eq!(best(&[1.0, 3.0, 3.0, 2.0], 3), [1, 2, 3]);
        assert_eq!(best(&[f32::NAN, -9.0, f32::NAN, f32::NEG_INFINITY], 4), [1, 3, 0, 2]);
        assert_eq!(best(&[0.0, -0.0], 1), [0]);
        assert_eq!(best(&[-0.0, 0.0], 1), [0], "equal values are a tie");
        assert_eq!(best(&[5.0], 4), [0]);
    }

    #[test]
    fn rows_go_round_the_kept() {
        assert_eq!(places(&[false, true], 6, false), [0, 1, 0, 1, 0, 1]);
        assert_eq!(places(&[false, true], 6, true), [0, 1, 0, 0, 0, 0]);
        assert_eq!(places(&[true, false, false], 7, true), [0, 1, 2, 1, 2, 1, 2]);
        for rows in 1..9 {
            let none = [false, false, false];
            let kept = &none[..none.len().min(rows)];
            assert_eq!(places(kept, rows, true), places(kept, rows, false), "{rows} rows");
        }
        assert_eq!(places(&[true, true], 4, true), [0, 1, 0, 1]);
    }
}
