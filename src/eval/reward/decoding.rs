//! Replies decoded by reward (ARGS, arXiv 2402.01694; spec section 9.1): of the base's likeliest
//! tokens the one whose score is largest, the score being the base's logit plus a weighted reward.

use std::time::Instant;

use anyhow::Result;

use crate::decode::ranking::Ranking;
use crate::model::scorer::Scorer;
use crate::model::{Runner, StepOutput, Wanted};

/// Who decides between the candidates.
pub enum Guide<'a> {
    /// Nobody: the likeliest token, one row.
    Plain,
    /// Nobody, but over rows as wide as with candidates: what equal bits are compared with.
    Rows,
    /// The adapter beside the base, in the same pass; the weight of a reward.
    Stream(f64),
    /// A reward model of its own, with a cache of its own; the weight of a reward.
    Separate(&'a mut Scorer, f64),
}

/// How replies are made.
#[derive(Debug, Clone, Copy)]
pub struct Settings<'a> {
    pub candidates: usize,
    /// Longest reply.
    pub tokens: usize,
    /// Ids that end a reply; the one that does is part of it.
    pub ends: &'a [u32],
}

/// A reply and what it took, its prompt's passes not counted.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    pub ids: Vec<u32>,
    pub seconds: f64,
}

/// The `count` ids of largest logit, the likeliest first, of equals the lower id.
pub fn candidates(logits: &[f32], count: usize) -> Vec<u32> {
    let mut ranking = Ranking::new(logits);
    (0..count.max(1)).map_while(|rank| ranking.id(rank)).collect()
}

/// Greedy decoding of one reply.
///
/// # Errors
/// When a pass fails.
pub fn reply(
    base: &mut dyn Runner,
    guide: &mut Guide<'_>,
    prompt: &[u32],
    settings: Settings<'_>,
) -> Result<Reply> {
    base.truncate(0)?;
    let mut logits = base.prefill(prompt, Wanted::Last)?.logits;
    if let Guide::Separate(scorer, _) = guide {
        scorer.runner().truncate(0)?;
        scorer.runner().prefill(prompt, Wanted::Last)?;
    }
    let mut ids = Vec::new();
    let begun = Instant::now();
    while ids.len() < settings.tokens {
        let some = candidates(&logits, settings.candidates);
        let width = vec![0; some.len()];
        let (chosen, next) = match guide {
            Guide::Plain => (0, None),
            Guide::Rows | Guide::Stream(_) => {
                base.gather(&width)?;
                let output = base.step(&some)?;
                let chosen = match guide {
                    Guide::Stream(weight) => best(&some, &logits, &output.reward, *weight),
                    _ => 0,
                };
                base.gather(&[chosen])?;
                (chosen, Some(output))
            }
            Guide::Separate(scorer, weight) => {
                scorer.runner().gather(&width)?;
                let output = scorer.runner().step(&some)?;
                let chosen = best(&some, &logits, &scorer.rewards(&output), *weight);
                scorer.runner().gather(&[chosen])?;
                (chosen, None)
            }
        };
        let id = some[chosen];
        ids.push(id);
        if settings.ends.contains(&id) || ids.len() == settings.tokens {
            break;
        }
        logits = match next {
            Some(output) => StepOutput::logits_of(&output, chosen).to_vec(),
            None => base.step(&[id])?.logits,
        };
    }
    let seconds = begun.elapsed().as_secs_f64();
    // What rows are left is one; the cache goes with the next prompt.
    Ok(Reply { ids, seconds })
}

/// The place of the candidate with the largest score, of equals the likelier one. A reward that is
/// no number counts as none.
fn best(candidates: &[u32], logits: &[f32], rewards: &[f32], weight: f64) -> usize {
    let score = |place: usize| {
        let reward = rewards.get(place).copied().filter(|reward| reward.is_finite());
        let logit = f64::from(logits[candidates[place] as usize]);
        logit + weight * f64::from(reward.unwrap_or_default())
    };
    (0..candidates.len()).rev().max_by(|a, b| score(*a).total_cmp(&score(*b))).unwrap_or(0)
}

/// What a token costs under some logits, in nats.
pub fn nats(logits: &[f32], id: u32) -> f64 {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mass: f64 = logits.iter().map(|logit| f64::from(logit - most).exp()).sum();
    let own = logits.get(id as usize).copied().unwrap_or(f32::NEG_INFINITY);
    mass.ln() - f64::from(own - most)
}

/// How varied a text is: the product over n = 2, 3, 4 of the share of n-grams that are unlike each
/// other (ARGS's `diversity`).
pub fn diversity(ids: &[u32]) -> f64 {
    let unlike = |n: usize| {
        let all: Vec<&[u32]> = ids.windows(n).collect();
        let unique: std::collections::HashSet<&[u32]> = all.iter().copied().collect();
        unique.len() as f64 / (all.len() + 1) as f64
    };
    // 1 - rep_n, rep_n = 1 - unique / (total + 1).
    (2..=4).map(unlike).product()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::toy::{ToyOptions, ToyRunner};

    #[test]
    fn a_weight_of_nothing_is_plain_and_a_large_one_takes_the_largest_reward() {
        let logits = [0.0, 3.0, 2.0, 1.0];
        let some = candidates(&logits, 3);
        assert_eq!(some, [1, 2, 3]);
        let rewards = [0.0, 0.5, 1.0];
        assert_eq!(best(&some, &logits, &rewards, 0.0), 0);
        assert_eq!(best(&some, &logits, &rewards, 1e6), 2);
        // One candidate leaves no choice; a constant changes none; a NaN counts as nothing.
        assert_eq!(best(&some[..1], &logits, &rewards, 1e6), 0);
        let shifted = rewards.map(|reward| reward + 7.0);
        assert_eq!(best(&some, &logits, &shifted, 1.5), best(&some, &logits, &rewards, 1.5));
        assert_eq!(best(&some, &logits, &[f32::NAN, 0.0, 0.0], 1.0), 0);
        assert_eq!(best(&[1, 2], &[0.0, 1.0, 1.0], &[0.0, 0.0], 1.0), 0, "ties to the likelier");
    }

    #[test]
    fn rows_say_what_one_row_says() {
        let mut toy = ToyRunner::new(ToyOptions::default());
        let prompt = [256, 259, 65, 257, 260];
        let settings = Settings { candidates: 5, tokens: 12, ends: &[257] };
        let plain = reply(&mut toy, &mut Guide::Plain, &prompt, settings).unwrap();
        let rows = reply(&mut toy, &mut Guide::Rows, &prompt, settings).unwrap();
        assert_eq!(plain.ids, rows.ids);
        assert!(plain.ids.len() > 5);
    }

    #[test]
    fn a_token_costs_what_its_probability_says() {
        let logits = [1.0, 3.0, 2.0, -50.0];
        let sum: f64 = (0..4).map(|id| (-nats(&logits, id)).exp()).sum();
        assert!((sum - 1.0).abs() < 1e-12 && nats(&logits, 1) < nats(&logits, 2));
        assert!((nats(&[0.0; 8], 3) - 8f64.ln()).abs() < 1e-12);
    }

    #[test]
    fn repetition_is_no_diversity() {
        let varied: Vec<u32> = (0..50).collect();
        assert!(diversity(&varied) > 0.9);
        assert!(diversity(&[1; 50]) < 1e-4);
        assert_eq!(diversity(&[]), 0.0);
    }
}
