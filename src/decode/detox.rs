//! The expert and anti-expert rule against toxic text (DExperts, arXiv 2105.03023, with signal heads
//! of the inserted stream in place of two further models; spec section 9.2).
//!
//! `z ← z + α·(z_expert − z_antiexpert)` over the tokens of the base model's own nucleus; all others
//! are banned, so that the rule never brings up what the model itself would not say.

use anyhow::{Result, ensure};

use super::ranking::Ranking;

/// Mass of the base model's nucleus.
pub const NUCLEUS: f64 = 0.9;

/// Bans what lies outside the nucleus of `base` and adds `alpha` times `difference` (expert minus
/// anti-expert logits) to the rest. All three are `[vocab_size]`.
///
/// # Errors
/// When a difference that counts is no number.
pub fn apply(logits: &mut [f32], base: &[f32], difference: &[f32], alpha: f32) -> Result<()> {
    ensure!(
        base.len() == logits.len() && difference.len() == logits.len(),
        "{} signals for {} logits",
        difference.len(),
        logits.len()
    );
    let most = f64::from(base.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let weight = |id: u32| (f64::from(base[id as usize]) - most).exp();
    let all: f64 = (0..base.len() as u32).map(weight).sum();
    let mut ranking = Ranking::new(base);
    let mut within = vec![false; logits.len()];
    let mut mass = 0.0;
    for rank in 0.. {
        let Some(id) = ranking.id(rank).filter(|_| rank == 0 || mass < NUCLEUS * all) else {
            break;
        };
        within[id as usize] = true;
        mass += weight(id);
    }
    for ((logit, difference), within) in logits.iter_mut().zip(difference).zip(within) {
        if !within {
            *logit = f32::NEG_INFINITY;
            continue;
        }
        ensure!(difference.is_finite(), "the adapter's signal heads gave {difference}");
        *logit = (*logit + alpha * difference).clamp(f32::MIN, f32::MAX);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::{draw, sampler};
    use crate::platform::random;
    use crate::steer::Sampling;

    fn logits(seed: u64) -> Vec<f32> {
        (0..60).map(|at| 3.0 * random::normal(seed, 0, at)).collect()
    }

    /// Spec section 11.20.
    #[test]
    fn next_to_nothing_is_nucleus_sampling_and_nothing_outside_ever_appears() {
        let nucleus = Sampling { temperature: 1.0, top_p: NUCLEUS as f32, ..Sampling::default() };
        let open = Sampling { top_p: 1.0, ..nucleus.clone() };
        for seed in 0..40 {
            let (base, signal) = (logits(seed), logits(seed + 1000));
            let uniform = draw::uniform(seed, 1, 0, 0);
            let plain = sampler::draw(&base, &nucleus, uniform).unwrap();
            let mut steered = base.clone();
            apply(&mut steered, &base, &signal, 1e-30).unwrap();
            assert_eq!(sampler::draw(&steered, &open, uniform).unwrap(), plain, "seed {seed}");
            let kept: Vec<usize> = (0..60).filter(|id| steered[*id].is_finite()).collect();
            for alpha in [-50.0, 2.0, 1e6] {
                let mut steered = base.clone();
                apply(&mut steered, &base, &signal, alpha).unwrap();
                let now: Vec<usize> = (0..60).filter(|id| steered[*id].is_finite()).collect();
                assert_eq!(now, kept, "seed {seed}, alpha {alpha}");
            }
        }
    }

    #[test]
    fn the_signal_moves_tokens_of_the_nucleus_and_must_be_a_number_there() {
        let base = [2.0, 1.9, -9.0];
        let mut steered = base;
        apply(&mut steered, &base, &[-1.0, 1.0, f32::NAN], 2.0).unwrap();
        assert_eq!(steered, [0.0, 3.9, f32::NEG_INFINITY]);
        let error = apply(&mut steered, &base, &[f32::NAN, 0.0, 0.0], 2.0).unwrap_err();
        assert!(error.to_string().contains("NaN"), "{error}");
        assert!(apply(&mut steered, &base, &[0.0], 2.0).is_err());
    }
}
