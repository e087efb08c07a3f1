//! Means with 95 % intervals, by prompt: replies to one prompt under several seeds are not
//! independent, so they count as one number.

/// A mean and half the width of its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    pub mean: f64,
    pub half: f64,
}

impl Interval {
    /// Over independent values; without two of them the half is infinite.
    pub fn of(values: &[f64]) -> Self {
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let spread: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let variance = spread / (count - 1.0);
        let half = if values.len() > 1 { 1.96 * (variance / count).sqrt() } else { f64::INFINITY };
        Self { mean, half }
    }

    /// Of the differences `a − b` prompt by prompt.
    pub fn of_difference(a: &[f64], b: &[f64]) -> Self {
        let differences: Vec<f64> = a.iter().zip(b).map(|(a, b)| a - b).collect();
        Self::of(&differences)
    }

    /// Wholly above nought.
    pub fn is_above(self) -> bool {
        self.mean - self.half > 0.0
    }

    /// Not wholly below nought.
    pub fn is_not_below(self) -> bool {
        self.mean + self.half >= 0.0
    }

    /// As the table has it.
    pub fn shown(self) -> String {
        format!("{:.2} ± {:.2}", self.mean, self.half)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_the_normal_one_of_the_mean() {
        let interval = Interval::of(&[1.0, 2.0, 3.0, 4.0]);
        assert_eq!(interval.mean, 2.5);
        assert!((interval.half - 1.96 * (5.0_f64 / 3.0 / 4.0).sqrt()).abs() < 1e-12);
        assert!(Interval::of(&[1.0]).half.is_infinite());
        assert!(!Interval::of(&[1.0]).is_above());
    }

    #[test]
    fn a_difference_is_paired() {
        // Far apart in themselves, alike in what they differ by.
        let (a, b) = ([1.5, 100.4, -49.5], [1.0, 100.0, -50.0]);
        let difference = Interval::of_difference(&a, &b);
        assert!(difference.is_above() && difference.half < 0.1);
        assert!(!Interval::of_difference(&b, &a).is_not_below());
        assert!(Interval::of(&[-1.0, 1.1, -0.3]).is_not_below());
    }
}
