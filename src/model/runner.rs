//! The seam between a model and everything that decodes with it.
//!
//! `decode/` and `steer/` see only this trait, so a toy model in a test, the candle decoder and a
//! later GPU back end are the same thing to them.

use std::sync::Arc;

use anyhow::Result;
use candle_core::Device;

use super::reward::Adapter;
use super::scorer::Scorer;
use super::vector::Vector;
use crate::platform::Problem;

/// What one pass returned: one row of logits and one final-norm hidden state per asked position.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StepOutput {
    /// Number of rows.
    pub rows: usize,
    /// Row-major `[rows, vocab_size]`, f32.
    pub logits: Vec<f32>,
    /// Row-major `[rows, hidden_size]`, f32, after the final norm.
    pub hidden: Vec<f32>,
    /// `[rows]`, what the text up to this row's token is thought to be worth, in the adapter's own
    /// units; empty without an adapter. Not always finite: the adapter decides.
    pub reward: Vec<f32>,
    /// Expert minus anti-expert logits, row-major `[rows, vocab_size]`; empty where the adapter has
    /// no such heads.
    pub detox: Vec<f32>,
    /// The tokens drafted for the positions behind the next one, row-major `[rows, drafts]`; empty
    /// where the adapter drafts none.
    pub drafts: Vec<u32>,
}

impl StepOutput {
    /// The logits of one row.
    pub fn logits_of(&self, row: usize) -> &[f32] {
        let width = self.logits.len() / self.rows;
        &self.logits[row * width..(row + 1) * width]
    }

    /// The expert minus anti-expert logits of one row, where there are any.
    pub fn detox_of(&self, row: usize) -> &[f32] {
        let width = self.detox.len() / self.rows;
        &self.detox[row * width..(row + 1) * width]
    }

    /// One row alone.
    pub fn only(&self, row: usize) -> Self {
        let drafts = self.drafts.len() / self.rows;
        Self {
            rows: 1,
            logits: self.logits_of(row).to_vec(),
            hidden: self.hidden_of(row).to_vec(),
            reward: self.reward.get(row).copied().into_iter().collect(),
            detox: self.detox_of(row).to_vec(),
            drafts: self.drafts[row * drafts..(row + 1) * drafts].to_vec(),
        }
    }

    /// The final hidden state of one row.
    pub fn hidden_of(&self, row: usize) -> &[f32] {
        let width = self.hidden.len() / self.rows;
        &self.hidden[row * width..(row + 1) * width]
    }
}

/// log Σ exp(logit), nats: an f64 sum over ids in rising order.
pub fn log_mass(logits: &[f32]) -> f32 {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mass: f64 = logits.iter().map(|logit| f64::from(logit - max).exp()).sum();
    (f64::from(max) + mass.ln()) as f32
}

/// Which positions of a prefill are returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Only the last position: one row.
    Last,
    /// Every position fed: as many rows as ids (for `probe` and training data).
    All,
    /// The hidden states of every position fed and no logits (for datastores): the head, a good
    /// part of a small model's work, is not asked.
    Hidden,
}

/// A model with a KV cache: a shared prompt part and one tail per row.
///
/// Positions count from 0. With one row everything is shared; `gather` makes rows.
pub trait Runner: Send {
    /// Columns of the logits.
    fn vocab_size(&self) -> usize;
    /// Columns of the hidden state.
    fn hidden_size(&self) -> usize;
    /// Most positions the cache may hold.
    fn context_length(&self) -> usize;
    /// Rows in play, at least 1.
    fn rows(&self) -> usize;
    /// Positions held for each row (shared part and tail together).
    fn len(&self) -> usize;
    /// The device its numbers come from; what is searched beside it is best there too.
    fn device(&self) -> Device {
        Device::Cpu
    }
    /// True when nothing is cached.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// The ids the first row holds, oldest first: what prefix reuse compares against.
    fn ids(&self) -> &[u32];
    /// Feeds ids to the single row in play and appends them to the shared part.
    ///
    /// Errors when more than one row is in play, when the context would overflow, or on an id
    /// outside the vocabulary. Callers feed long prompts in chunks so that Stop can act between.
    fn prefill(&mut self, ids: &[u32], wanted: Wanted) -> Result<StepOutput>;
    /// Feeds one id to every row (`ids.len() == rows()`); returns one output row each.
    fn step(&mut self, ids: &[u32]) -> Result<StepOutput>;
    /// Row i of the next step continues row `parents[i]` of this one; tails are copied, the
    /// shared part is not. One parent settles its tail into the shared part.
    fn gather(&mut self, parents: &[usize]) -> Result<()>;
    /// Forgets every position from `len` on. Below the shared length the rows collapse to one.
    fn truncate(&mut self, len: usize) -> Result<()>;
    /// Puts a reward adapter's inserted stream beside the layers in place of the one that was, or
    /// takes it away. Nothing the model computes itself changes by a bit. What the cache holds is
    /// forgotten when one is put there: it has no inserted keys and values.
    ///
    /// Errors when the adapter's tensors are not those of this model; what was there then stays.
    fn insert(&mut self, adapter: Option<&Adapter>) -> Result<()> {
        match adapter {
            None => Ok(()),
            Some(adapter) => {
                let what = format!("this model takes no adapter such as {}", adapter.facts.name);
                Err(Problem::new(what).into())
            }
        }
    }
    /// Which of an adapter's heads over the vocabulary are computed from the next pass on; all of
    /// them after [`Self::insert`]. What nobody asks for costs nothing.
    fn want_heads(&mut self, _experts: bool, _drafts: bool) {}
    /// Puts a reward model of its own beside the model, in place of whatever gave rewards, or takes
    /// it away. It reads what the model reads; what the cache holds is forgotten when one is put
    /// there.
    ///
    /// Errors when this runner takes none.
    fn judge(&mut self, judge: Option<Box<Scorer>>) -> Result<()> {
        match judge {
            None => Ok(()),
            Some(judge) => {
                let what = format!("this model takes no judge such as {}", judge.facts.name);
                Err(Problem::new(what).into())
            }
        }
    }
    /// Puts alignment vectors beside the weights, in place of those that were, all at strength 0.
    /// The weights and the cache stay as they are.
    ///
    /// Errors when a part does not fit the model, naming vector and tensor; what was attached
    /// before then still is.
    fn attach(&mut self, vectors: &[Arc<Vector>]) -> Result<()> {
        match vectors.first() {
            None => Ok(()),
            Some(vector) => {
                let what = format!("this model takes no vectors such as {}", vector.name);
                Err(Problem::new(what).into())
            }
        }
    }
    /// The same model without any vector or reward adapter, over the same weights in memory, with an empty cache of its
    /// own; `None` where there is no such thing.
    fn twin(&self) -> Option<Box<dyn Runner>> {
        None
    }
    /// Sets how much of each attached vector is added from the next pass on: one strength per
    /// vector for all rows, or row-major `[rows, vectors]`, and then every pass must be over as
    /// many rows. All at 0 is the plain model to the bit.
    ///
    /// Errors when the number of strengths fits neither; the old ones then stay.
    fn set_strengths(&mut self, strengths: &[f32]) -> Result<()> {
        if strengths.is_empty() {
            return Ok(());
        }
        let count = strengths.len();
        Err(Problem::new(format!("{count} strengths were given and no vector is attached")).into())
    }
}

/// Rolls the cache back to the longest prefix it shares with `ids`; returns that length.
///
/// At least one id is always left to feed, since a pass is what yields the next logits.
pub fn reuse_prefix(runner: &mut dyn Runner, ids: &[u32]) -> Result<usize> {
    let common = runner.ids().iter().zip(ids).take_while(|(a, b)| a == b).count();
    let keep = common.min(ids.len().saturating_sub(1));
    if runner.rows() > 1 {
        runner.gather(&[0])?;
    }
    runner.truncate(keep)?;
    Ok(keep)
}
