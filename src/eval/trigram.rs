//! The baseline: a trigram model over token ids, interpolated Kneser-Ney with one discount
//! (Chen and Goodman 1999, section 3).

use std::collections::HashMap;

/// What is taken from every count seen.
const DISCOUNT: f64 = 0.75;

/// Counts of what follows a context.
#[derive(Debug, Default)]
struct Follow {
    total: u64,
    counts: HashMap<u32, u64>,
}

impl Follow {
    fn add(&mut self, id: u32) -> bool {
        self.total += 1;
        let count = self.counts.entry(id).or_default();
        *count += 1;
        *count == 1
    }

    /// Discounted count over the total, and the mass left for the shorter context.
    fn share(&self, id: u32) -> (f64, f64) {
        let count = self.counts.get(&id).copied().unwrap_or_default() as f64;
        let total = self.total as f64;
        ((count - DISCOUNT).max(0.0) / total, DISCOUNT * self.counts.len() as f64 / total)
    }
}

/// A trigram model.
#[derive(Debug, Default)]
pub struct Trigram {
    vocab_size: usize,
    after_two: HashMap<(u32, u32), Follow>,
    /// Continuation counts: in how many different contexts something follows.
    after_one: HashMap<u32, Follow>,
    alone: Follow,
}

impl Trigram {
    pub fn new(vocab_size: usize) -> Self {
        Self { vocab_size, ..Self::default() }
    }

    /// Learns one document.
    pub fn learn(&mut self, ids: &[u32]) {
        for three in ids.windows(3) {
            let &[first, second, third] = three else { continue };
            let new = self.after_two.entry((first, second)).or_default().add(third);
            if new && self.after_one.entry(second).or_default().add(third) {
                self.alone.add(third);
            }
        }
    }

    /// The probability of a token after the two before it.
    pub fn probability(&self, first: u32, second: u32, third: u32) -> f64 {
        let mut probability = 1.0 / self.vocab_size as f64;
        let follows = [
            Some(&self.alone).filter(|follow| follow.total > 0),
            self.after_one.get(&second),
            self.after_two.get(&(first, second)),
        ];
        for follow in follows.into_iter().flatten() {
            let (own, left) = follow.share(third);
            probability = own + left * probability;
        }
        probability
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_sum_to_one_after_any_context() {
        let mut trigram = Trigram::new(8);
        trigram.learn(&[0, 1, 2, 3, 1, 2, 4, 1, 2, 3]);
        for (first, second) in [(0, 1), (1, 2), (3, 1), (7, 7)] {
            let sum: f64 = (0..8).map(|id| trigram.probability(first, second, id)).sum();
            assert!((sum - 1.0).abs() < 1e-12, "{first} {second}: {sum}");
        }
        assert!(trigram.probability(1, 2, 3) > trigram.probability(1, 2, 4));
        assert!(trigram.probability(1, 2, 4) > trigram.probability(1, 2, 0));
    }
}
