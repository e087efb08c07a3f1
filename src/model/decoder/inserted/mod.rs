//! The inserted stream in split form (Otter, arXiv 2408.10764; spec section 4): after each original
//! layer its own weights run on what that layer saw. The original takes no inserted tensor at all.

mod build;
mod initialise;
mod layer;
mod norm;
#[cfg(test)]
mod tests;

use anyhow::Result;
use candle_core::Tensor;

use super::block::{Pass, Seen};
use super::cache::Cache;
use super::run::to_host;
use crate::model::linear::Linear;
use crate::model::reward::{Sizes, Start};
pub use initialise::initialise;
use layer::{InsertedLayer, Original};
use norm::InsertedNorm;

/// An adapter's weights beside a decoder, with keys and values of their own.
pub(super) struct Inserted {
    sizes: Sizes,
    first_layer: usize,
    start: Start,
    /// For the layers from `first_layer` on.
    layers: Vec<InsertedLayer>,
    final_norm: InsertedNorm,
    head: RewardHead,
    /// Expert above anti-expert: `[2 · vocabulary, width]`.
    experts: Option<Linear>,
    /// One per token drafted beyond the next: `[vocabulary, width]` each.
    drafts: Vec<Linear>,
    /// Whether the experts are computed, and the drafts.
    pub(super) wanted: [bool; 2],
    /// One entry per layer of the base; those without an insertion stay empty.
    pub(super) cache: Cache,
}

/// A scalar out of the last inserted state.
struct RewardHead {
    weight: Vec<f32>,
    bias: f32,
    /// For the original's final state, where the adapter reads it.
    original: Option<Vec<f32>>,
}

/// What the signal heads gave, row by row.
#[derive(Debug, Default)]
pub(super) struct Signals {
    /// `[rows]`.
    pub(super) reward: Vec<f32>,
    /// Expert minus anti-expert logits, `[rows, vocabulary]`; empty without those heads.
    pub(super) detox: Vec<f32>,
    /// The likeliest token of every draft head, `[rows, drafts]`.
    pub(super) drafts: Vec<u32>,
}

impl Inserted {
    /// Follows one original layer; `x` is the stream before it, `[rows, d]`.
    pub(super) fn follow(
        &mut self,
        stream: Option<Tensor>,
        x: &Tensor,
        seen: &Seen,
        layer: usize,
        pass: &Pass<'_>,
    ) -> Result<Option<Tensor>> {
        if layer < self.first_layer {
            return Ok(None);
        }
        let stream = match stream {
            Some(stream) => stream,
            None => self.begin(x)?,
        };
        let own = &self.layers[layer - self.first_layer];
        let original = Original { x, seen, layer, pass, sizes: self.sizes };
        own.forward(stream, &original, &mut self.cache).map(Some)
    }

    /// The stream where it begins: `[rows, width]`.
    fn begin(&self, x: &Tensor) -> Result<Tensor> {
        let first = x.narrow(1, 0, self.sizes.width)?;
        Ok(match self.start {
            Start::Hidden => first.contiguous()?,
            Start::Zeros => first.zeros_like()?,
        })
    }

    /// The signals of the last states: `stream` as `x`, `[rows, d]` before the final norm, and
    /// `hidden` after it.
    pub(super) fn signals(
        &self,
        stream: &Tensor,
        x: &Tensor,
        hidden: &Tensor,
        plain: bool,
    ) -> Result<Signals> {
        let last = self.final_norm.forward(x, stream, plain)?;
        let (own, original) = (to_host(&last)?, to_host(hidden)?);
        let (width, size) = (self.sizes.width, hidden.dim(1)?);
        let reward = own
            .chunks_exact(width)
            .zip(original.chunks_exact(size))
            .map(|(own, original)| self.head.of(own, original))
            .collect();
        let detox = match self.experts.as_ref().filter(|_| self.wanted[0]) {
            None => Vec::new(),
            Some(experts) => {
                let both = to_host(&experts.forward(&last)?)?;
                let vocabulary = experts.out_features() / 2;
                both.chunks_exact(2 * vocabulary)
                    .flat_map(|row| {
                        let (expert, anti) = row.split_at(vocabulary);
                        expert.iter().zip(anti).map(|(expert, anti)| expert - anti)
                    })
                    .collect()
            }
        };
        let heads = if self.wanted[1] { self.drafts.as_slice() } else { &[] };
        let mut drafts = vec![0; x.dim(0)? * heads.len()];
        for (index, draft) in heads.iter().enumerate() {
            let logits = to_host(&draft.forward(&last)?)?;
            for (row, logits) in logits.chunks_exact(draft.out_features()).enumerate() {
                drafts[row * heads.len() + index] = likeliest(logits);
            }
        }
        Ok(Signals { reward, detox, drafts })
    }
}

impl RewardHead {
    /// Summed in f64 in the order of the features, rounded once.
    fn of(&self, own: &[f32], original: &[f32]) -> f32 {
        let dot = |w: &[f32], x: &[f32]| -> f64 {
            w.iter().zip(x).map(|(w, x)| f64::from(*w) * f64::from(*x)).sum()
        };
        let more = self.original.as_ref().map_or(0.0, |weight| dot(weight, original));
        (dot(&self.weight, own) + f64::from(self.bias) + more) as f32
    }
}

/// The lowest id of the largest logit; 0 where none is a number.
fn likeliest(logits: &[f32]) -> u32 {
    let mut best = (0, f32::NEG_INFINITY);
    for (id, logit) in logits.iter().enumerate() {
        if *logit > best.1 {
            best = (id as u32, *logit);
        }
    }
    best.0
}
