//! The temperature of a store and how far is far, measured and never guessed: each model, form of
//! weights and store has distances of its own (our notes, section 6).

use serde::{Deserialize, Serialize};

use super::Neighbour;
use super::distribution::weights;
use crate::platform::figures::short;

/// How many queries a calibration is made of.
pub const QUERIES: usize = 256;
/// Neighbours of each.
pub const NEIGHBOURS: usize = 32;

/// Squared distances to the nearest key: the 5th, 25th, 50th, 75th and 95th percentile.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Quantiles(pub [f64; 5]);

impl Quantiles {
    /// Of these values; `None` of none.
    pub fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let last = sorted.len().checked_sub(1)?;
        Some(Self(
            [0.05, 0.25, 0.5, 0.75, 0.95]
                .map(|share: f64| sorted[(share * last as f64).round() as usize]),
        ))
    }

    pub fn median(&self) -> f64 {
        self.0[2]
    }
}

/// What was measured on a store.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// The softmax's, in squared distance: the median query has √k neighbours that count.
    pub temperature: f64,
    /// Neighbours it was measured with.
    pub k: usize,
    /// Distances from the store's own entries to the nearest other one.
    pub near: Quantiles,
    /// Distances from text the store says nothing about.
    pub far: Quantiles,
    /// Entries there were then: a store that has grown by half is measured again.
    pub entries: usize,
}

impl Calibration {
    /// How far the gate is open for a query whose nearest key is at this squared distance: from 1
    /// (near) to 0 (far). Half open at `middle` on the way from what is near (0) to what is far (1).
    ///
    /// The gate is ours, not the paper's.
    pub fn gate(&self, nearest: f64, middle: f64) -> f64 {
        // Distances themselves, not their squares: the middle is then in the middle.
        let (near, far) = (self.near.0[1].max(0.0).sqrt(), self.far.0[0].max(0.0).sqrt());
        let (centre, width) = if near < far {
            (near + middle * (far - near), 0.08 * (far - near))
        } else {
            (0.8 * far, 0.04 * far)
        };
        let width = width.max(1e-6 * far.max(1e-6));
        1.0 / (1.0 + ((nearest.max(0.0).sqrt() - centre) / width).exp())
    }
}

/// Where the gate is half open unless it was tried out.
pub const MIDDLE: f64 = 0.5;

/// How a store is best asked, as found on questions whose answers were known: a person's, or ones
/// made of the store's own text.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Chosen {
    pub neighbours: usize,
    pub temperature: f64,
    pub lambda: f64,
    /// Where the gate is half open, see [`Calibration::gate`].
    pub middle: f64,
    /// How much more perplexity everyday text has so, as a share.
    pub harm: f64,
    /// Questions it was found on, and the shares of them that are answered exactly so and by the
    /// model alone.
    pub questions: usize,
    pub exact: f64,
    pub alone: f64,
}

impl Chosen {
    /// As a person reads it.
    pub fn line(&self) -> String {
        format!(
            "{} neighbours, temperature {}, share {}, gate at {}: {:.1} % of {} questions \
             exactly, {:.1} % alone; {:+.2} % perplexity elsewhere",
            self.neighbours,
            short(self.temperature),
            short(self.lambda),
            self.middle,
            100.0 * self.exact,
            self.questions,
            100.0 * self.alone,
            100.0 * self.harm
        )
    }
}

/// exp of the entropy of the weights: how many neighbours count.
pub fn effective(weights: &[f64]) -> f64 {
    weights.iter().filter(|w| **w > 0.0).map(|w| -w * w.ln()).sum::<f64>().exp()
}

/// The temperature at which the median query has √k neighbours that count; `None` of no queries.
pub fn temperature(queries: &[Vec<Neighbour>], k: usize) -> Option<f64> {
    let spread = |found: &Vec<Neighbour>| {
        let (first, last) = (found.first()?, found.last()?);
        Some(last.distance - first.distance).filter(|spread| *spread > 0.0)
    };
    let widest = queries.iter().filter_map(spread).fold(0.0, f64::max);
    if widest == 0.0 {
        // All neighbours equally far: any temperature says the same.
        return queries.iter().any(|found| !found.is_empty()).then_some(1.0);
    }
    let wanted = (k as f64).sqrt();
    let median = |temperature: f64| {
        let mut counts: Vec<f64> = queries
            .iter()
            .filter(|found| !found.is_empty())
            .map(|found| effective(&weights(found, 1, temperature)))
            .collect();
        counts.sort_by(f64::total_cmp);
        counts[counts.len() / 2]
    };
    let (mut low, mut high) = ((widest * 1e-9).ln(), (widest * 1e3).ln());
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if median(middle.exp()) < wanted { low = middle } else { high = middle }
    }
    Some(f64::midpoint(low, high).exp())
}
