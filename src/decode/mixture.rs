//! Two models as one by their logits: DeRa (arXiv 2402.02992), the slider's other way.
//!
//! `z = (1 − λ)·z_base + λ·z_aligned` is, after softmax, the geometric mixture
//! `p_base^(1−λ) · p_aligned^λ`. At 0 and 1 it is what a vector of the difference of the weights
//! gives; between them it is not. Two passes and two caches per token, and a change of λ leaves both
//! caches valid.

use anyhow::{Result, ensure};

use super::follower::Follower;
use super::passes::Passes;
use super::rules::{Position, TokenRule};
use crate::model::Runner;
use crate::platform::Problem;

/// Mixes the logits of the model that is steered with those of an aligned one.
pub struct Mixture {
    aligned: Follower,
    strength: f32,
}

impl Mixture {
    /// `vocab_size` is that of the model that is steered; `strength` is λ, any finite number.
    ///
    /// # Errors
    /// When the two models do not share a vocabulary, as far as its size tells.
    pub fn new(aligned: Box<dyn Runner>, vocab_size: usize, strength: f32) -> Result<Self> {
        ensure!(strength.is_finite(), "a strength of {strength} means nothing");
        if aligned.vocab_size() != vocab_size {
            let what = format!(
                "the aligned model has {} tokens and the base {vocab_size}",
                aligned.vocab_size()
            );
            return Err(Problem::new(what).hint("take two models of one tokenizer").into());
        }
        Ok(Self { aligned: Follower::new(aligned), strength })
    }

    /// Takes effect on the next token; neither cache needs anything computed again.
    ///
    /// # Errors
    /// When it is not finite.
    pub fn set_strength(&mut self, strength: f32) -> Result<()> {
        ensure!(strength.is_finite(), "a strength of {strength} means nothing");
        self.strength = strength;
        Ok(())
    }

    /// See [`Follower::begin`].
    ///
    /// # Errors
    /// When the aligned model's cache cannot be rolled back.
    pub fn begin(&mut self, ids: &[u32], again: Option<Passes>) -> Result<()> {
        self.aligned.begin(ids, again)
    }

    /// See [`Follower::read_on`].
    ///
    /// # Errors
    /// When a pass of the aligned model fails.
    pub fn read_on(&mut self, ids: &[u32]) -> Result<Option<(usize, usize)>> {
        self.aligned.read_on(ids)
    }

    /// How the aligned model's cache came to be.
    pub fn passes(&self) -> &Passes {
        self.aligned.passes()
    }
}

impl TokenRule for Mixture {
    fn name(&self) -> &'static str {
        "mixture with the aligned model"
    }

    fn apply(&mut self, logits: &mut [f32], position: Position<'_>) -> Result<()> {
        if self.strength == 0.0 {
            return Ok(());
        }
        let aligned = self.aligned.logits(position.ids)?;
        ensure!(aligned.len() == logits.len(), "logits of {} and {}", aligned.len(), logits.len());
        mix(logits, &aligned, self.strength);
        Ok(())
    }
}

/// `z = (1 − λ)·z_base + λ·z_aligned`, in place of `z_base`.
pub fn mix(base: &mut [f32], aligned: &[f32], strength: f32) {
    let base_share = 1.0 - strength;
    for (logit, aligned) in base.iter_mut().zip(aligned) {
        *logit = base_share * *logit + strength * aligned;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Wanted;
    use crate::model::toy::{ToyOptions, ToyRunner};

    fn toy(sentence: &str) -> ToyRunner {
        ToyRunner::new(ToyOptions { sentence: sentence.into(), ..ToyOptions::default() })
    }

    #[test]
    fn the_ends_are_the_two_models_and_the_middle_is_their_geometric_mean() {
        let (mut base, mut aligned) = (toy(""), toy("A boat holds north."));
        let vocab_size = base.vocab_size();
        let mut rule = Mixture::new(Box::new(toy("A boat holds north.")), vocab_size, 0.0).unwrap();
        let mut ids = vec![256, 259, 65, 257, 260];
        base.prefill(&ids[..4], Wanted::Last).unwrap();
        aligned.prefill(&ids[..4], Wanted::Last).unwrap();
        for next in [284, 265, 263] {
            let fed = [ids[ids.len() - 1]];
            let (own, other) = (base.step(&fed).unwrap(), aligned.step(&fed).unwrap());
            let mut mixed = |strength: f32| {
                rule.set_strength(strength).unwrap();
                let mut logits = own.logits.clone();
                let position = Position { ids: &ids, reply_start: 5, hidden: &own.hidden };
                rule.apply(&mut logits, position).unwrap();
                logits
            };
            assert_eq!(mixed(0.0), own.logits);
            assert_eq!(mixed(1.0), other.logits);
            for (mixed, (a, b)) in mixed(0.5).iter().zip(own.logits.iter().zip(&other.logits)) {
                assert!((mixed - (a + b) / 2.0).abs() < 1e-6);
            }
            ids.push(next);
        }
    }

    #[test]
    fn another_vocabulary_and_strengths_that_mean_nothing_are_refused() {
        assert!(Mixture::new(Box::new(toy("")), 3, 0.5).is_err());
        let vocab_size = toy("").vocab_size();
        assert!(Mixture::new(Box::new(toy("")), vocab_size, f32::NAN).is_err());
        let mut rule = Mixture::new(Box::new(toy("")), vocab_size, 1.0).unwrap();
        assert!(rule.set_strength(f32::INFINITY).is_err());
    }
}
