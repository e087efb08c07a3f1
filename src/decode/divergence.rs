//! How far from its base a steered model is: KL(steered ‖ base) in nats, token by token.
//!
//! The base reads the same text under its own keys and values, so the figure is exact, costs one
//! more pass per token and leaves the reply as it is to the bit.

use anyhow::{Result, ensure};

use super::follower::Follower;
use super::rules::{Position, TokenRule};
use crate::model::Runner;

/// KL(p ‖ q) in nats of two distributions given as logits; never below 0.
///
/// Sums run in rising order of ids with f64 accumulators. A logit of minus infinity in `p` is a
/// probability of 0 and adds nothing.
pub fn divergence(p: &[f32], q: &[f32]) -> f64 {
    let (p_mass, q_mass) = (log_mass(p), log_mass(q));
    let terms = p.iter().zip(q).map(|(&p, &q)| {
        let (log_p, log_q) = (f64::from(p) - p_mass, f64::from(q) - q_mass);
        let weight = log_p.exp();
        if weight > 0.0 { weight * (log_p - log_q) } else { 0.0 }
    });
    terms.sum::<f64>().max(0.0)
}

/// log Σ exp(logit).
fn log_mass(logits: &[f32]) -> f64 {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let max = f64::from(max);
    max + logits.iter().map(|&logit| (f64::from(logit) - max).exp()).sum::<f64>().ln()
}

/// Measures, as the last of the token rules, and changes nothing.
pub struct Meter {
    base: Follower,
    last: Option<f64>,
}

impl Meter {
    /// `base` is the model of the reply without anything that steers, with a cache of its own.
    pub fn new(base: Box<dyn Runner>) -> Self {
        Self { base: Follower::new(base), last: None }
    }

    /// See [`Follower::read_on`].
    ///
    /// # Errors
    /// When a pass of the base fails.
    pub fn read_on(&mut self, ids: &[u32]) -> Result<Option<(usize, usize)>> {
        self.base.read_on(ids)
    }

    /// What was measured since this was last asked, nats.
    pub fn take(&mut self) -> Option<f64> {
        self.last.take()
    }
}

impl TokenRule for Meter {
    fn name(&self) -> &'static str {
        "distance from the base"
    }

    fn apply(&mut self, logits: &mut [f32], position: Position<'_>) -> Result<()> {
        let base = self.base.logits(position.ids)?;
        ensure!(base.len() == logits.len(), "logits of {} and {}", base.len(), logits.len());
        self.last = Some(divergence(logits, &base));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Wanted;
    use crate::model::toy::{ToyOptions, ToyRunner};

    #[test]
    fn it_is_what_the_formula_says() {
        let logits = |p: [f64; 3]| p.map(|p| p.ln() as f32 + 2.5);
        let (p, q) = ([0.5, 0.25, 0.25], [0.25, 0.5, 0.25]);
        let wanted = 0.5 * 2f64.ln() + 0.25 * 0.5f64.ln();
        assert!((divergence(&logits(p), &logits(q)) - wanted).abs() < 1e-6);
        assert_eq!(divergence(&logits(p), &logits(p)), 0.0);
        let certain = [0.0, f32::NEG_INFINITY, f32::NEG_INFINITY];
        assert!((divergence(&certain, &logits(q)) - 4f64.ln()).abs() < 1e-6);
        assert!(divergence(&[900.0, -900.0], &[-900.0, 900.0]).is_finite());
    }

    #[test]
    fn it_measures_against_the_base_and_leaves_the_logits_alone() {
        let toy = |sentence: &str| {
            ToyRunner::new(ToyOptions { sentence: sentence.into(), ..ToyOptions::default() })
        };
        let ids = [256, 259, 65, 257, 260];
        let base = toy("").prefill(&ids, Wanted::Last).unwrap().logits;
        let mut steered = toy("A boat holds north.").prefill(&ids, Wanted::Last).unwrap().logits;
        let mut meter = Meter::new(Box::new(toy("")));
        let position = Position { ids: &ids, reply_start: 5, hidden: &[] };
        let before = steered.clone();
        meter.apply(&mut steered, position).unwrap();
        assert_eq!(steered, before);
        let measured = meter.take().unwrap();
        assert_eq!(measured, divergence(&steered, &base));
        assert!(measured > 0.1, "{measured}");
        assert_eq!(meter.take(), None, "each once");
        let mut plain = base.clone();
        meter.apply(&mut plain, position).unwrap();
        assert_eq!(meter.take(), Some(0.0));
    }
}
