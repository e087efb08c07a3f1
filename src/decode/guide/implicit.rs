//! All guides of a reply together: what they make of the scores of the next tokens, in the spec's
//! order (section 3.2, step 1). Strengths may change between any two tokens; caches depend on
//! tokens only.

use std::sync::Arc;

use anyhow::Result;
use parking_lot::Mutex;

use super::candidate::Candidate;
use super::follower::RowForwards;
use super::pair::Pair;
use super::plausibility::keep_plausible;
use super::value::PrefixScorer;

/// A pair that acts on tokens and ranks chunks with the same caches.
pub type PairHandle = Arc<Mutex<Pair>>;
/// A prefix scorer that does both.
pub type ValueHandle = Arc<Mutex<PrefixScorer>>;

/// The guides in play and how much of each.
#[derive(Default)]
pub struct Guides {
    pub pairs: Vec<(PairHandle, f32)>,
    /// A prefix scorer's own outlook on every next token, and its weight.
    pub value: Option<(ValueHandle, f32)>,
    /// Above 0, it judges so many of the likeliest next tokens and no other is drawn (ARGS).
    pub value_candidates: usize,
    /// Mass of the base-plausibility filter; 1 is off.
    pub base_filter: f32,
}

impl Guides {
    /// True when some guide changes scores. Otherwise nothing is called.
    pub fn act(&self) -> bool {
        self.pairs.iter().any(|(_, beta)| *beta != 0.0)
            || self.value.as_ref().is_some_and(|(_, weight)| *weight != 0.0)
    }

    /// Changes `logits`, `[candidates, width]`, in place.
    ///
    /// # Errors
    /// When a guide's pass fails, or one cannot act on tokens.
    pub fn correct(&mut self, logits: &mut [f32], candidates: &[Candidate<'_>]) -> Result<()> {
        if !self.act() {
            return Ok(());
        }
        let base = logits.to_vec();
        let width = base.len() / candidates.len().max(1);
        if self.base_filter < 1.0 {
            for (steered, base) in logits.chunks_exact_mut(width).zip(base.chunks_exact(width)) {
                keep_plausible(steered, base, self.base_filter);
            }
        }
        for (pair, beta) in self.pairs.iter().filter(|(_, beta)| *beta != 0.0) {
            pair.lock().correct(*beta, logits, &base, candidates)?;
        }
        match &self.value {
            Some((value, weight)) if *weight != 0.0 => match self.value_candidates {
                0 => value.lock().correct(*weight, logits, candidates),
                count => value.lock().correct_among(count, *weight, logits, candidates),
            },
            _ => Ok(()),
        }
    }

    /// What every guide was fed.
    pub fn row_forwards(&self) -> Vec<(String, RowForwards)> {
        let mut all = Vec::new();
        for (pair, _) in &self.pairs {
            let pair = pair.lock();
            all.extend(pair.row_forwards().map(|fed| (pair.name().to_owned(), fed)));
        }
        if let Some((value, _)) = &self.value {
            let value = value.lock();
            all.push((value.name().to_owned(), value.row_forwards()));
        }
        all
    }
}
