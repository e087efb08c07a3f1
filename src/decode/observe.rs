//! What is kept of a distribution before anything steers it: log-probabilities, entropy and the
//! most probable tokens, out of the logits of the pass that made the token.

use anyhow::{Result, ensure};

use crate::model::Vocabulary;
pub use crate::model::runner::log_mass;
use crate::platform::Problem;
use crate::session::{Alternative, TokenTrace};

/// How many alternatives are kept of every token.
pub const ALTERNATIVES: usize = 10;

/// A distribution over the vocabulary, measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Observation {
    /// log Σ exp(logit), nats: log-probability = logit − this.
    pub log_mass: f32,
    /// Nats.
    pub entropy: f32,
    /// Id and log-probability, most probable first, lowest id first on ties.
    pub top: Vec<(u32, f32)>,
}

/// Refuses logits no token can be drawn from.
pub fn check_finite(logits: &[f32]) -> Result<()> {
    ensure!(!logits.is_empty(), "the model gave no logits");
    if let Some(at) = logits.iter().position(|z| !z.is_finite()) {
        let what = format!("the model gave {} as the logit of token {at}", logits[at]);
        let hint =
            "its weights may be damaged, or too large for this weight form: try --weights f32";
        return Err(Problem::new(what).hint(hint).into());
    }
    Ok(())
}

/// Measures the distribution these logits stand for.
///
/// Sums run over ids in rising order with an f64 accumulator, so that equal logits give equal
/// results to the last bit.
pub fn observe(logits: &[f32]) -> Result<Observation> {
    check_finite(logits)?;
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let (mut mass, mut weighted) = (0_f64, 0_f64);
    for &logit in logits {
        let distance = f64::from(logit - max);
        let weight = distance.exp();
        mass += weight;
        if weight > 0.0 {
            weighted += weight * distance;
        }
    }
    let log_mass = (f64::from(max) + mass.ln()) as f32;
    let entropy = (mass.ln() - weighted / mass).max(0.0) as f32;

    let mut top: Vec<(u32, f32)> = Vec::with_capacity(ALTERNATIVES + 1);
    for (id, &logit) in logits.iter().enumerate() {
        if top.len() == ALTERNATIVES && logit <= top[ALTERNATIVES - 1].1 {
            continue;
        }
        let place = top.partition_point(|(_, held)| *held >= logit);
        top.insert(place, (id as u32, logit));
        top.truncate(ALTERNATIVES);
    }
    for entry in &mut top {
        entry.1 -= log_mass;
    }
    Ok(Observation { log_mass, entropy, top })
}

impl Observation {
    /// The trace of a token drawn at this position. `text` is what it added to the reply.
    pub fn trace(
        &self,
        id: u32,
        logit: f32,
        text: String,
        vocabulary: &dyn Vocabulary,
    ) -> TokenTrace {
        let alternatives = self
            .top
            .iter()
            .map(|&(id, logprob)| Alternative { id, text: vocabulary.token_text(id), logprob })
            .collect();
        TokenTrace {
            id,
            text,
            logprob: logit - self.log_mass,
            entropy: self.entropy,
            alternatives,
            reward: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_a_known_distribution() {
        let probabilities = [0.5_f32, 0.25, 0.125, 0.125];
        let logits: Vec<f32> = probabilities.iter().map(|p| p.ln() + 3.0).collect();
        let seen = observe(&logits).unwrap();
        assert!((seen.log_mass - 3.0).abs() < 1e-6);
        assert!((seen.entropy - 1.75 * 2.0_f32.ln()).abs() < 1e-6);
        let ids: Vec<u32> = seen.top.iter().map(|t| t.0).collect();
        assert_eq!(ids, [0, 1, 2, 3]);
        for (entry, p) in seen.top.iter().zip(probabilities) {
            assert!((entry.1 - p.ln()).abs() < 1e-6);
        }
    }

    #[test]
    fn keeps_ten_with_the_lowest_ids_on_ties() {
        let mut logits = vec![0.0_f32; 50];
        logits[40] = 2.0;
        logits[7] = 1.0;
        let ids: Vec<u32> = observe(&logits).unwrap().top.iter().map(|t| t.0).collect();
        assert_eq!(ids, [40, 7, 0, 1, 2, 3, 4, 5, 6, 8]);
    }

    #[test]
    fn far_apart_logits_stay_finite() {
        let seen = observe(&[3.0e38, -3.0e38, 0.0]).unwrap();
        assert_eq!(seen.entropy, 0.0);
        assert_eq!(seen.top[0], (0, 0.0));
        assert!(seen.log_mass.is_finite());
    }

    #[test]
    fn refuses_what_is_no_number() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let error = observe(&[0.0, bad]).unwrap_err().to_string();
            assert!(error.contains("token 1"), "{error}");
        }
        assert!(observe(&[]).is_err());
    }
}
