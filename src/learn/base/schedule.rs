//! The learning rate over a run: a linear warm-up, then half a cosine down to a tenth.

use serde::{Deserialize, Serialize};

/// How long a run goes on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Length {
    Steps(u64),
    /// Of training, pauses between two sittings not counted.
    Minutes(f64),
}

impl Length {
    /// The part of the run that is over, 0 to 1.
    pub fn fraction(&self, steps: u64, seconds: f64) -> f64 {
        let fraction = match *self {
            Self::Steps(all) => steps as f64 / all.max(1) as f64,
            Self::Minutes(all) => seconds / (all * 60.0).max(1e-9),
        };
        fraction.clamp(0.0, 1.0)
    }

    /// Seconds left at the rate measured lately.
    pub fn seconds_left(&self, steps: u64, seconds: f64, seconds_per_step: f64) -> f64 {
        match *self {
            Self::Steps(all) => all.saturating_sub(steps) as f64 * seconds_per_step,
            Self::Minutes(all) => (all * 60.0 - seconds).max(0.0),
        }
    }
}

/// The learning rate of step `step` (from 0) when `fraction` of the run is over.
pub fn learning_rate(peak: f64, warm_up_steps: u64, step: u64, fraction: f64) -> f64 {
    let warm = ((step + 1) as f64 / warm_up_steps.max(1) as f64).min(1.0);
    let cosine = 0.5 * (1.0 + (std::f64::consts::PI * fraction.clamp(0.0, 1.0)).cos());
    peak * warm * (0.1 + 0.9 * cosine)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rises_then_falls_to_a_tenth() {
        assert!((learning_rate(1.0, 10, 0, 0.0) - 0.1).abs() < 1e-12);
        assert!((learning_rate(1.0, 10, 9, 0.0) - 1.0).abs() < 1e-12);
        assert!((learning_rate(1.0, 10, 500, 0.5) - 0.55).abs() < 1e-12);
        assert!((learning_rate(1.0, 10, 999, 1.0) - 0.1).abs() < 1e-12);
    }

    #[test]
    fn the_estimate_follows_the_measure_of_length() {
        assert_eq!(Length::Steps(100).seconds_left(40, 1000.0, 2.0), 120.0);
        assert_eq!(Length::Minutes(2.0).seconds_left(40, 90.0, 2.0), 30.0);
        assert_eq!(Length::Minutes(1.0).fraction(7, 30.0), 0.5);
    }
}
