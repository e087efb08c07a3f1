//! Spearman's rank correlation, ties sharing their mean rank.

/// The correlation of the ranks of two rows of numbers, −1 to 1; 0 when one of them is constant.
pub fn correlation(x: &[f64], y: &[f64]) -> f64 {
    let (x, y) = (ranks(x), ranks(y));
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len().max(1) as f64;
    let (mx, my) = (mean(&x), mean(&y));
    let (mut xy, mut xx, mut yy) = (0.0, 0.0, 0.0);
    for (x, y) in x.iter().zip(&y) {
        xy += (x - mx) * (y - my);
        xx += (x - mx).powi(2);
        yy += (y - my).powi(2);
    }
    if xx * yy > 0.0 { xy / (xx * yy).sqrt() } else { 0.0 }
}

fn ranks(values: &[f64]) -> Vec<f64> {
    let below = |value: f64| values.iter().filter(|other| **other < value).count() as f64;
    let equal = |value: f64| values.iter().filter(|other| **other == value).count() as f64;
    values.iter().map(|&value| below(value) + (equal(value) + 1.0) / 2.0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_decides_and_not_size() {
        let x = [0.0, 0.25, 0.5, 0.75, 1.0];
        assert!((correlation(&x, &[0.1, 0.2, 5.0, 90.0, 91.0]) - 1.0).abs() < 1e-12);
        assert!((correlation(&x, &[5.0, 4.0, 3.0, 2.0, 1.0]) + 1.0).abs() < 1e-12);
        // Textbook: ranks 1 2 3 4 5 against 2 1 4 3 5.
        assert!((correlation(&x, &[20.0, 10.0, 40.0, 30.0, 50.0]) - 0.8).abs() < 1e-12);
        assert_eq!(correlation(&x, &[1.0; 5]), 0.0);
        // Ties share a rank: 1, 2.5, 2.5, 4, 5.
        let tied = correlation(&x, &[1.0, 2.0, 2.0, 3.0, 4.0]);
        assert!((tied - 0.974_679_434_480_896).abs() < 1e-9, "{tied}");
    }
}
