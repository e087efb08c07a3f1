//! What a search will cost before it runs (spec section 10), and what keys and values it needs.

use serde::{Deserialize, Serialize};

use crate::steer::SearchPlan;

/// Forecast for one reply.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// n: rows of every step.
    pub rows: usize,
    /// Rankings there will be at most.
    pub boundaries: usize,
    /// Row-forwards of the base: its prompt and n per token.
    pub base: usize,
    /// Of all models of pairs together.
    pub guides: usize,
    /// Of the scorer, its caches kept.
    pub scorer: usize,
    /// Of the same scorer, had it to read every candidate anew at each boundary.
    pub scorer_naive: usize,
    /// Upper bound on the divergence from the token-level sampler, in hundredths of a nat:
    /// ⌈T/L⌉ · (ln K − (K − 1)/K). Meant for W = 1, where each chunk is a best-of-K choice.
    pub divergence_centinats: usize,
}

/// Positions of the prompts of each model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Prompts {
    pub base: usize,
    /// Of all models of pairs together, and how many they are.
    pub guides: usize,
    pub guide_models: usize,
    pub scorer: usize,
}

/// Forecasts a reply of `tokens` tokens.
pub fn forecast(search: &SearchPlan, tokens: usize, prompts: Prompts) -> Cost {
    let rows = search.rows();
    let chunk = if search.chunk_length == 0 { tokens.max(1) } else { search.chunk_length };
    let boundaries = tokens.div_ceil(chunk);
    let grown = rows * tokens;
    let naive: usize = (1..=boundaries).map(|c| prompts.scorer + (c * chunk).min(tokens)).sum();
    let successors = search.successors as f64;
    let per_chunk = successors.ln() - (successors - 1.0) / successors;
    Cost {
        rows,
        boundaries,
        base: prompts.base + grown,
        guides: prompts.guides + prompts.guide_models * grown,
        scorer: prompts.scorer + grown,
        scorer_naive: rows * naive,
        divergence_centinats: (100.0 * boundaries as f64 * per_chunk).round() as usize,
    }
}

/// Bytes of keys and values that several rows need beyond one row: every row's own tokens, in every
/// model. `bytes_per_token` are those of each model's cache.
pub fn tail_bytes(rows: usize, tokens: usize, bytes_per_token: &[u64]) -> u64 {
    let positions = (rows as u64).saturating_mul(tokens as u64);
    bytes_per_token.iter().map(|bytes| bytes.saturating_mul(positions)).fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(beam_width: usize, successors: usize, chunk_length: usize) -> SearchPlan {
        SearchPlan { beam_width, successors, chunk_length, ..SearchPlan::default() }
    }

    #[test]
    fn equals_the_examples_of_the_specification() {
        let prompts =
            |scorer| Prompts { base: scorer, guides: 2 * scorer, guide_models: 2, scorer };
        let cost = forecast(&search(4, 4, 5), 50, prompts(20));
        assert_eq!((cost.base, cost.scorer, cost.scorer_naive), (820, 820, 7600));
        assert_eq!((cost.guides, cost.boundaries), (2 * 820, 10));
        let cost = forecast(&search(2, 2, 30), 512, prompts(60));
        assert_eq!((cost.scorer, cost.scorer_naive), (2108, 24_728));
    }

    #[test]
    fn best_of_n_ranks_once_and_one_row_diverges_by_nothing() {
        let cost = forecast(&search(1, 16, 0), 50, Prompts::default());
        assert_eq!((cost.boundaries, cost.rows), (1, 16));
        assert_eq!(cost.divergence_centinats, 184, "ln 16 − 15/16");
        assert_eq!(forecast(&search(1, 1, 5), 50, Prompts::default()).divergence_centinats, 0);
    }

    #[test]
    fn bytes_are_those_of_every_model_and_never_overflow() {
        assert_eq!(tail_bytes(16, 50, &[100, 10]), 16 * 50 * 110);
        assert_eq!(tail_bytes(usize::MAX, usize::MAX, &[u64::MAX, 1]), u64::MAX);
    }
}
