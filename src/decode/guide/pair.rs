//! A tuned and an untuned model. Their difference reshapes every next token, and summed over a
//! reply it is a value up to scale and a constant (spec sections 2 and 3.1).

use anyhow::{Result, ensure};

use super::candidate::Candidate;
use super::follower::{Fed, RowForwards};
use super::side::Side;

/// A pair of guides. Without an untuned model the base itself is the untuned one.
pub struct Pair {
    name: String,
    tuned: Side,
    untuned: Option<Side>,
    /// Ids all models of the pair share with the base, the padding of their heads left out.
    shared_ids: usize,
    /// Log-probabilities are noted; until a scorer asks they are not.
    notes_logprobs: bool,
}

impl Pair {
    /// `shared_ids` as `shared_vocabulary` counted them; 0 for a pair that reads text.
    pub fn new(name: String, tuned: Side, untuned: Option<Side>, shared_ids: usize) -> Self {
        Self { name, tuned, untuned, shared_ids, notes_logprobs: false }
    }

    /// What the person calls it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// True when its scores can be added to the base's.
    pub fn acts_on_tokens(&self) -> bool {
        self.shared_ids > 0
    }

    /// Tokens a reply may have before one of the two is full.
    pub fn room(&self) -> usize {
        self.sides().map(Side::room).min().unwrap_or(usize::MAX)
    }

    /// What its models were fed.
    pub fn row_forwards(&self) -> impl Iterator<Item = RowForwards> + '_ {
        self.sides().map(|side| side.follower.row_forwards())
    }

    fn sides(&self) -> impl Iterator<Item = &Side> {
        [Some(&self.tuned), self.untuned.as_ref()].into_iter().flatten()
    }

    /// Adds `beta · (z_tuned − z_untuned)` to every row of `steered`, `[candidates, width]`, both
    /// read after the candidates' last ids. `base` is what the base gave there, untouched.
    ///
    /// Tokens that are only padding in one of the models are banned, since the difference there
    /// would be by an arbitrary constant. Where both give minus infinity the difference is 0.
    ///
    /// # Errors
    /// When the pair reads text, or a pass fails.
    pub fn correct(
        &mut self,
        beta: f32,
        steered: &mut [f32],
        base: &[f32],
        candidates: &[Candidate<'_>],
    ) -> Result<()> {
        ensure!(self.acts_on_tokens(), "{} shares no vocabulary with the base", self.name);
        self.follow(candidates)?;
        let width = base.len() / candidates.len().max(1);
        let shared = self.shared_ids.min(width);
        let rows = steered.chunks_exact_mut(width).zip(base.chunks_exact(width));
        for (row, (steered, base)) in rows.enumerate() {
            if candidates[row].finished {
                continue;
            }
            let tuned = logits(&self.tuned, row)?;
            let untuned = match &self.untuned {
                Some(side) => logits(side, row)?,
                None => base,
            };
            ensure!(tuned.len() >= shared && untuned.len() >= shared, "{}: no logits", self.name);
            for ((score, tuned), untuned) in steered[..shared].iter_mut().zip(tuned).zip(untuned) {
                let delta = tuned - untuned;
                if !delta.is_nan() {
                    *score += beta * delta;
                }
                if score.is_nan() {
                    *score = f32::NEG_INFINITY;
                }
            }
            steered[shared..].fill(f32::NEG_INFINITY);
        }
        Ok(())
    }

    /// For each candidate the sum of `log p_tuned − log p_untuned` over the reply, its end included
    /// where it is finished (spec section 4.4).
    ///
    /// # Errors
    /// When a pass fails.
    pub fn log_ratios(&mut self, candidates: &[Candidate<'_>]) -> Result<Vec<f32>> {
        if !self.notes_logprobs {
            // What was followed so far was not noted.
            self.notes_logprobs = true;
            self.tuned.follower.forget()?;
            self.untuned.as_mut().map_or(Ok(()), |side| side.follower.forget())?;
        }
        self.follow(candidates)?;
        let sum = |side: &Side, row: usize| -> f64 {
            side.notes(row).iter().map(|note| f64::from(*note)).sum()
        };
        Ok(candidates
            .iter()
            .enumerate()
            .map(|(row, candidate)| {
                let untuned = match &self.untuned {
                    Some(side) => sum(side, row),
                    None => f64::from(candidate.base_logprob),
                };
                (sum(&self.tuned, row) - untuned) as f32
            })
            .collect())
    }

    fn follow(&mut self, candidates: &[Candidate<'_>]) -> Result<()> {
        let mut note: &mut dyn FnMut(Fed<'_>) -> f32 = &mut |_| 0.0;
        let mut logprob =
            |fed: Fed<'_>| fed.before.map_or(0.0, |before| log_probability(&before.logits, fed.id));
        if self.notes_logprobs {
            note = &mut logprob;
        }
        self.tuned.follow(candidates, note)?;
        self.untuned.as_mut().map_or(Ok(()), |side| side.follow(candidates, note))
    }
}

fn logits(side: &Side, row: usize) -> Result<&[f32]> {
    let last = side.follower.last(row);
    Ok(&last.ok_or_else(|| anyhow::anyhow!("a guide gave nothing for row {row}"))?.logits)
}

/// Natural-log probability of an id under these logits; summed in f64 over rising ids.
pub fn log_probability(logits: &[f32], id: u32) -> f32 {
    let Some(own) = logits.get(id as usize) else { return f32::NEG_INFINITY };
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mass: f64 = logits.iter().map(|z| f64::from(z - max).exp()).sum();
    (f64::from(own - max) - mass.ln()) as f32
}
