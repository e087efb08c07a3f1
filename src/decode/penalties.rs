//! Penalties and logit bias: what changes logits because of what was said before.

use std::collections::HashMap;

use anyhow::Result;

use crate::platform::Problem;
use crate::steer::Sampling;

/// What a reply's distribution may look back on.
#[derive(Debug, Clone, Copy)]
pub struct History<'a> {
    /// Prompt and reply, oldest first.
    pub all: &'a [u32],
    /// Where the reply begins in `all`.
    pub reply_start: usize,
}

/// Applies repetition penalty, then presence and frequency penalties, then the bias.
///
/// The repetition penalty divides positive and multiplies negative logits, once per token however
/// often it was seen (Keskar et al. 2019, as `transformers` has it); presence and frequency are
/// subtracted and look at the reply alone. Neutral values leave every bit as it was.
pub fn apply(logits: &mut [f32], sampling: &Sampling, bias: &[(u32, f32)], history: History<'_>) {
    if sampling.repetition_penalty != 1.0 {
        let window = match sampling.repetition_window {
            0 => history.all,
            length => &history.all[history.all.len().saturating_sub(length)..],
        };
        for id in counts(window).into_keys() {
            if let Some(logit) = logits.get_mut(id as usize) {
                *logit = if *logit > 0.0 {
                    *logit / sampling.repetition_penalty
                } else {
                    *logit * sampling.repetition_penalty
                };
            }
        }
    }
    if sampling.presence_penalty != 0.0 || sampling.frequency_penalty != 0.0 {
        for (id, count) in counts(&history.all[history.reply_start..]) {
            if let Some(logit) = logits.get_mut(id as usize) {
                *logit -= sampling.presence_penalty + sampling.frequency_penalty * count as f32;
            }
        }
    }
    for &(id, value) in bias {
        if let Some(logit) = logits.get_mut(id as usize) {
            *logit += value;
        }
    }
}

fn counts(ids: &[u32]) -> HashMap<u32, u32> {
    let mut counts = HashMap::new();
    for id in ids {
        *counts.entry(*id).or_insert(0) += 1;
    }
    counts
}

/// The plan's bias with its ids read; zero entries are left out.
pub fn read_bias(sampling: &Sampling, vocab_size: usize) -> Result<Vec<(u32, f32)>> {
    let mut bias = Vec::new();
    for (name, &value) in &sampling.logit_bias {
        let id = name.trim().parse::<u32>().ok().filter(|id| (*id as usize) < vocab_size);
        let Some(id) = id else {
            let what = format!("logit bias for `{name}`, which is no token id of this model");
            let hint = format!("ids are whole numbers below {vocab_size}");
            return Err(Problem::new(what).hint(hint).into());
        };
        if value.is_nan() || value == f32::INFINITY {
            let what = format!("a logit bias of {value} for token {id}");
            return Err(Problem::new(what).hint("take a finite number, or -inf to ban it").into());
        }
        if value != 0.0 {
            bias.push((id, value));
        }
    }
    Ok(bias)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn neutral() -> Sampling {
        Sampling { temperature: 1.0, top_p: 1.0, ..Sampling::default() }
    }

    const HISTORY: History<'_> = History { all: &[3, 0, 0, 1, 1, 1], reply_start: 2 };

    #[test]
    fn neutral_values_change_no_bit() {
        let logits = [0.1_f32, -0.0, 7.25e-30, -3.5];
        let mut changed = logits;
        apply(&mut changed, &neutral(), &[], HISTORY);
        assert_eq!(logits.map(f32::to_bits), changed.map(f32::to_bits));
    }

    #[test]
    fn repetition_divides_positive_and_multiplies_negative_once() {
        let mut logits = [2.0_f32, -2.0, 5.0, 0.0];
        let sampling = Sampling { repetition_penalty: 2.0, repetition_window: 0, ..neutral() };
        apply(&mut logits, &sampling, &[], HISTORY);
        assert_eq!(logits, [1.0, -4.0, 5.0, 0.0]);

        let mut logits = [2.0_f32, -2.0, 5.0, 1.0];
        let sampling = Sampling { repetition_window: 3, ..sampling };
        apply(&mut logits, &sampling, &[], HISTORY);
        assert_eq!(logits, [2.0, -4.0, 5.0, 1.0], "the window holds only token 1");
    }

    #[test]
    fn presence_and_frequency_look_at_the_reply_alone() {
        let mut logits = [0.0_f32; 4];
        let sampling = Sampling { presence_penalty: 0.5, frequency_penalty: 1.0, ..neutral() };
        apply(&mut logits, &sampling, &[(2, -1.0)], HISTORY);
        assert_eq!(logits, [-1.5, -3.5, -1.0, 0.0]);
    }

    #[test]
    fn bias_names_tokens_by_id() {
        let with = |name: &str, value: f32| {
            let logit_bias = [(name.to_owned(), value)].into();
            read_bias(&Sampling { logit_bias, ..neutral() }, 10)
        };
        assert_eq!(with("4", 1.5).unwrap(), [(4, 1.5)]);
        assert_eq!(with("4", f32::NEG_INFINITY).unwrap(), [(4, f32::NEG_INFINITY)]);
        assert_eq!(with("4", 0.0).unwrap(), []);
        for (name, value) in [("10", 1.0), ("-1", 1.0), ("the", 1.0), ("4", f32::NAN)] {
            assert!(with(name, value).is_err(), "{name} {value}");
        }
        assert!(with("4", f32::INFINITY).is_err());
    }
}
