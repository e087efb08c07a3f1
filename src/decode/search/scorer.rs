//! What gives candidates their values. Whatever can put a number to the beginning of a reply can
//! rank a search.

use anyhow::Result;

use crate::decode::guide::{Candidate, PairHandle, RowForwards, ValueHandle};

/// Scores beginnings of a reply.
pub trait ChunkScorer: Send {
    /// What the person calls it.
    fn name(&self) -> String;
    /// The value of each whole beginning so far, larger is better. NaN is allowed and ranks last.
    ///
    /// # Errors
    /// When a pass fails.
    fn score(&mut self, candidates: &[Candidate<'_>]) -> Result<Vec<f32>>;
    /// Tokens a reply may have before the scorer's context is full.
    fn room(&self) -> usize {
        usize::MAX
    }
    /// What its models were fed.
    fn row_forwards(&self) -> Vec<RowForwards> {
        Vec::new()
    }
}

/// Every candidate is worth the same, so the one in the first row is kept.
#[derive(Debug, Clone, Copy, Default)]
pub struct Constant;

impl ChunkScorer for Constant {
    fn name(&self) -> String {
        "none".to_owned()
    }

    fn score(&mut self, candidates: &[Candidate<'_>]) -> Result<Vec<f32>> {
        Ok(vec![0.0; candidates.len()])
    }
}

/// The implicit value: the sum of the pairs' log-ratios over the reply (weak-to-strong search).
pub struct LogRatio(pub Vec<PairHandle>);

impl ChunkScorer for LogRatio {
    fn name(&self) -> String {
        let names: Vec<String> = self.0.iter().map(|pair| pair.lock().name().to_owned()).collect();
        format!("log-ratio of {}", names.join(", "))
    }

    fn score(&mut self, candidates: &[Candidate<'_>]) -> Result<Vec<f32>> {
        let mut values = vec![0.0; candidates.len()];
        for pair in &self.0 {
            let ratios = pair.lock().log_ratios(candidates)?;
            values.iter_mut().zip(ratios).for_each(|(value, ratio)| *value += ratio);
        }
        Ok(values)
    }

    fn room(&self) -> usize {
        self.0.iter().map(|pair| pair.lock().room()).min().unwrap_or(usize::MAX)
    }

    fn row_forwards(&self) -> Vec<RowForwards> {
        self.0.iter().flat_map(|pair| pair.lock().row_forwards().collect::<Vec<_>>()).collect()
    }
}

/// The explicit value of a prefix scorer.
pub struct Explicit(pub ValueHandle);

impl ChunkScorer for Explicit {
    fn name(&self) -> String {
        self.0.lock().name().to_owned()
    }

    fn score(&mut self, candidates: &[Candidate<'_>]) -> Result<Vec<f32>> {
        self.0.lock().score(candidates)
    }

    fn room(&self) -> usize {
        self.0.lock().room()
    }

    fn row_forwards(&self) -> Vec<RowForwards> {
        vec![self.0.lock().row_forwards()]
    }
}
