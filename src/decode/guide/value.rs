//! The explicit value: a small model with a score head that gives every beginning of a reply a
//! number (FUDGE, arXiv 2104.05218; spec sections 3.5 and 4.1).

use anyhow::{Result, ensure};

use super::candidate::Candidate;
use super::follower::{Fed, RowForwards};
use super::side::Side;
use crate::model::value::ValueHead;
use crate::platform::Problem;

/// A trunk that follows candidates, and its head.
pub struct PrefixScorer {
    name: String,
    side: Side,
    head: ValueHead,
    /// Ids the trunk shares with the base; 0 when it reads text.
    shared_ids: usize,
}

impl PrefixScorer {
    /// `shared_ids` as `shared_vocabulary` counted them; 0 for a scorer that reads text.
    pub fn new(name: String, side: Side, head: ValueHead, shared_ids: usize) -> Self {
        Self { name, side, head, shared_ids }
    }

    /// What the person calls it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Tokens a reply may have before its context is full.
    pub fn room(&self) -> usize {
        self.side.room()
    }

    /// What the trunk was fed.
    pub fn row_forwards(&self) -> RowForwards {
        self.side.follower.row_forwards()
    }

    /// The value of each candidate, its end included where it is finished. The trunk's caches are
    /// kept: a candidate that grew costs its new tokens.
    ///
    /// A head with one output per token is read one position early: what it gives before the last
    /// token, in that token's column. A single output is read at the last token.
    ///
    /// # Errors
    /// When a pass fails.
    pub fn score(&mut self, candidates: &[Candidate<'_>]) -> Result<Vec<f32>> {
        self.follow(candidates)?;
        Ok((0..candidates.len())
            .map(|row| self.side.notes(row).last().copied().unwrap_or(0.0))
            .collect())
    }

    /// Adds `weight` times the value of every one-token continuation to the rows of `steered`,
    /// `[candidates, width]`.
    ///
    /// # Errors
    /// When the head has a single output, the scorer reads text, or a pass fails.
    pub fn correct(
        &mut self,
        weight: f32,
        steered: &mut [f32],
        candidates: &[Candidate<'_>],
    ) -> Result<()> {
        let name = self.name.clone();
        if self.head.is_scalar() {
            let what = format!("{name} has one value per text, not one per next token");
            let hint = "use it to rank chunks, or take a scorer with a vocabulary head";
            return Err(Problem::new(what).hint(hint).into());
        }
        if self.shared_ids == 0 {
            let what = format!("{name} has another vocabulary than the model it is to guide");
            return Err(Problem::new(what)
                .hint("use it to rank chunks: set value-weight 0")
                .into());
        }
        self.follow(candidates)?;
        let width = steered.len() / candidates.len().max(1);
        let shared = self.shared_ids.min(width);
        for (row, steered) in steered.chunks_exact_mut(width).enumerate() {
            if candidates[row].finished {
                continue;
            }
            let Some(last) = self.side.follower.last(row) else { continue };
            let values = self.head.outputs_for(&last.hidden);
            for (score, value) in steered[..shared].iter_mut().zip(values) {
                ensure!(value.is_finite(), "{name} gave {value} as the value of a token");
                *score += weight * value;
            }
            steered[shared..].fill(f32::NEG_INFINITY);
        }
        Ok(())
    }

    fn follow(&mut self, candidates: &[Candidate<'_>]) -> Result<()> {
        let head = &self.head;
        self.side.follow(candidates, &mut |fed: Fed<'_>| match fed.before {
            _ if head.is_scalar() => head.output(&fed.after.hidden, 0),
            Some(before) => head.output(&before.hidden, fed.id as usize),
            None => 0.0,
        })
    }
}
