//! The explicit value: a small model with a score head that gives every beginning of a reply a
//! number (FUDGE, arXiv 2104.05218; spec sections 3.5 and 4.1).

use anyhow::{Result, ensure};

use super::candidate::Candidate;
use super::follower::{Fed, RowForwards};
use super::side::Side;
use crate::decode::ranking::Ranking;
use crate::model::value::{Pooling, ValueHead};
use crate::platform::Problem;

/// What makes a value of what a trunk gives.
#[derive(Debug, Clone, PartialEq)]
pub enum Judgement {
    /// A linear map of the final hidden state.
    Head(ValueHead),
    /// The reward of the stream that is inserted beside the trunk (an Otter adapter).
    Stream,
    /// The one logit of a reward model, and what is added to it.
    Logit(f32),
}

impl From<ValueHead> for Judgement {
    fn from(head: ValueHead) -> Self {
        Self::Head(head)
    }
}

/// A trunk that follows candidates, and its head.
pub struct PrefixScorer {
    name: String,
    side: Side,
    head: Judgement,
    /// Ids the trunk shares with the base; 0 when it reads text.
    shared_ids: usize,
}

impl PrefixScorer {
    /// `shared_ids` as `shared_vocabulary` counted them; 0 for a scorer that reads text.
    pub fn new(name: String, side: Side, head: impl Into<Judgement>, shared_ids: usize) -> Self {
        Self { name, side, head: head.into(), shared_ids }
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
    /// token, in that token's column. A single output is read at the last token, as a reward is, or
    /// is the mean over the reply so far, its given opening included where the side notes that.
    ///
    /// # Errors
    /// When a pass fails.
    pub fn score(&mut self, candidates: &[Candidate<'_>]) -> Result<Vec<f32>> {
        self.follow(candidates)?;
        // A linear head of a mean is the mean of the head.
        let pools = matches!(&self.head, Judgement::Head(head) if head.pooling() == Pooling::Mean);
        Ok((0..candidates.len())
            .map(|row| {
                let notes = self.side.notes(row);
                let sum: f64 = notes.iter().map(|note| f64::from(*note)).sum();
                match notes.last() {
                    Some(_) if pools => (sum / notes.len() as f64) as f32,
                    Some(last) => *last,
                    None => 0.0,
                }
            })
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
        let one_value = !matches!(&self.head, Judgement::Head(head) if !head.is_scalar());
        if one_value {
            let what = format!("{name} has one value per text, not one per next token");
            let hint = "let it judge some candidates each by itself (value-candidates), use it to \
                        rank chunks, or take a scorer with a vocabulary head";
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
            let Judgement::Head(head) = &self.head else { continue };
            let values = head.outputs_for(&last.hidden);
            for (score, value) in steered[..shared].iter_mut().zip(values) {
                ensure!(value.is_finite(), "{name} gave {value} as the value of a token");
                *score += weight * value;
            }
            steered[shared..].fill(f32::NEG_INFINITY);
        }
        Ok(())
    }

    /// Of every row of `steered`, `[candidates, width]`, keeps the `count` largest and adds to each
    /// `weight` times the value of the text that ends with it; all others are banned (ARGS, arXiv
    /// 2402.01694). What has no value is banned, too, unless nothing of its row has one: then the
    /// row's scores stay.
    ///
    /// # Errors
    /// When the scorer reads text, or a pass fails.
    pub fn correct_among(
        &mut self,
        count: usize,
        weight: f32,
        steered: &mut [f32],
        candidates: &[Candidate<'_>],
    ) -> Result<()> {
        if self.shared_ids == 0 {
            let what =
                format!("{} has another vocabulary than the model it is to guide", self.name);
            let hint = "use it to rank chunks: set value-weight 0";
            return Err(Problem::new(what).hint(hint).into());
        }
        let width = steered.len() / candidates.len().max(1);
        let mut longer: Vec<(usize, u32, Vec<u32>)> = Vec::new();
        for (row, (candidate, scores)) in
            candidates.iter().zip(steered.chunks_exact(width)).enumerate()
        {
            if candidate.finished {
                continue;
            }
            let mut ranking = Ranking::new(&scores[..self.shared_ids.min(width)]);
            let ids = (0..count).map_while(|rank| ranking.id(rank));
            for id in ids.filter(|id| scores[*id as usize] > f32::NEG_INFINITY) {
                longer.push((row, id, [candidate.ids, &[id]].concat()));
            }
        }
        if longer.is_empty() {
            return Ok(());
        }
        let texts: Vec<Candidate<'_>> =
            longer.iter().map(|(_, _, ids)| Candidate::of_ids(ids)).collect();
        let values = self.score(&texts)?;
        for (row, scores) in steered.chunks_exact_mut(width).enumerate() {
            let own = || longer.iter().zip(&values).filter(move |((at, ..), _)| *at == row);
            let valued = own().any(|(_, value)| value.is_finite());
            let kept: Vec<(u32, f32)> = own()
                .filter(|(_, value)| value.is_finite() || !valued)
                .map(|((_, id, _), value)| {
                    let share = if valued { weight * value } else { 0.0 };
                    (*id, (scores[*id as usize] + share).clamp(f32::MIN, f32::MAX))
                })
                .collect();
            if !kept.is_empty() {
                scores.fill(f32::NEG_INFINITY);
                kept.into_iter().for_each(|(id, score)| scores[id as usize] = score);
            }
        }
        Ok(())
    }

    fn follow(&mut self, candidates: &[Candidate<'_>]) -> Result<()> {
        let head = &self.head;
        self.side.follow(candidates, &mut |fed: Fed<'_>| match (head, fed.before) {
            (Judgement::Stream, _) => fed.after.reward,
            (Judgement::Logit(bias), _) => {
                fed.after.logits.first().map_or(f32::NAN, |logit| logit + bias)
            }
            (Judgement::Head(head), _) if head.is_scalar() => head.output(&fed.after.hidden, 0),
            (Judgement::Head(head), Some(before)) => head.output(&before.hidden, fed.id as usize),
            (Judgement::Head(_), None) => 0.0,
        })
    }
}
