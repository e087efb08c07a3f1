//! From neighbours to a distribution over tokens: a softmax over negated squared distances, summed
//! by value (paper, section "fetch, normalise, aggregate"), and how it is mixed with the model's.

use std::collections::BTreeMap;

use super::Neighbour;

/// What a store says comes next.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reference {
    /// Token and probability, rising by token; they sum to 1.
    pub tokens: Vec<(u32, f64)>,
    /// Entry and its share, largest first; they sum to 1.
    pub shares: Vec<(usize, f64)>,
}

impl Reference {
    /// Out of each head's neighbours; `None` without any.
    ///
    /// `weight = softmax(−heads · distance / temperature)` within each head, and the mean over the
    /// heads: the factor makes one temperature serve any number of heads.
    pub fn of(
        neighbours: &[Vec<Neighbour>],
        temperature: f64,
        value: impl Fn(usize) -> u32,
    ) -> Option<Self> {
        let heads = neighbours.iter().filter(|found| !found.is_empty()).count();
        if heads == 0 {
            return None;
        }
        let mut shares: BTreeMap<usize, f64> = BTreeMap::new();
        for found in neighbours {
            for (neighbour, weight) in found.iter().zip(weights(found, heads, temperature)) {
                *shares.entry(neighbour.entry).or_default() += weight / heads as f64;
            }
        }
        let mut tokens: BTreeMap<u32, f64> = BTreeMap::new();
        for (entry, share) in &shares {
            *tokens.entry(value(*entry)).or_default() += share;
        }
        let mut shares: Vec<(usize, f64)> = shares.into_iter().collect();
        shares.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        Some(Self { tokens: tokens.into_iter().collect(), shares })
    }

    /// A token's probability.
    pub fn probability(&self, token: u32) -> f64 {
        let at = self.tokens.binary_search_by_key(&token, |(id, _)| *id);
        at.map_or(0.0, |at| self.tokens[at].1)
    }
}

/// The weights of one head's neighbours. The least distance is taken off first, so that none of
/// them is ever lost to underflow.
pub fn weights(found: &[Neighbour], heads: usize, temperature: f64) -> Vec<f64> {
    let least = found.iter().map(|neighbour| neighbour.distance).fold(f64::INFINITY, f64::min);
    // A temperature of 0 is the limit: the nearest alone, ties in equal shares.
    let raw: Vec<f64> = found
        .iter()
        .map(|neighbour| match neighbour.distance - least {
            0.0 => 1.0,
            more => (-(heads as f64) * more / temperature).exp(),
        })
        .collect();
    let sum: f64 = raw.iter().sum();
    raw.into_iter().map(|weight| weight / sum).collect()
}

/// Mixes references into logits: `p = (1 − Σλ)·p_model + Σ λ·r`, as logits again. When the λ sum
/// to more than 1 they share the whole in proportion. Nothing is touched when they sum to 0.
///
/// `log_mass` is log Σ exp(logit) of `logits`.
pub fn mix(logits: &mut [f32], log_mass: f32, references: &[(f64, &Reference)]) {
    let sum: f64 = references.iter().map(|(lambda, _)| lambda).sum();
    if sum <= 0.0 {
        return;
    }
    let scale = if sum > 1.0 { 1.0 / sum } else { 1.0 };
    let own = (1.0 - sum * scale).max(0.0);
    let mut said: BTreeMap<u32, f64> = BTreeMap::new();
    for (lambda, reference) in references {
        for (token, probability) in &reference.tokens {
            *said.entry(*token).or_default() += lambda * scale * probability;
        }
    }
    let probability = |logit: f32| f64::from(logit - log_mass).exp();
    let said: Vec<(usize, f32)> = said
        .into_iter()
        .filter_map(|(token, said)| {
            let logit = logits.get(token as usize)?;
            Some((token as usize, (own * probability(*logit) + said).ln() as f32))
        })
        .collect();
    let off = own.ln() as f32 - log_mass;
    for logit in logits.iter_mut() {
        *logit += off;
    }
    for (token, logit) in said {
        logits[token] = logit;
    }
}
