//! Drawing one token: temperature, top-k, top-p, min-p, then the inverse of the cumulative
//! distribution at one uniform number.
//!
//! The semantics are those of the `transformers` warpers, which candle's own sampler differs from:
//! ties at the k-th logit survive, top-p looks at probabilities renormalised after top-k and always
//! keeps one token. Candidates are taken in a total order (logit falling, id rising), so that a
//! draw depends on nothing but the logits and the number.

use anyhow::{Result, ensure};

use super::ranking::{Ranking, compare};
use crate::platform::Problem;
use crate::steer::Sampling;

/// Refuses values that mean nothing.
pub fn check(sampling: &Sampling) -> Result<()> {
    let wrong = |what: &str, value: f32, range: &str| -> Result<()> {
        Err(Problem::new(format!("{what} is {value}")).hint(format!("it must be {range}")).into())
    };
    let s = sampling;
    if !(s.temperature >= 0.0 && s.temperature.is_finite()) {
        return wrong("temperature", s.temperature, "0 (greedy) or more");
    }
    if !(s.top_p > 0.0 && s.top_p <= 1.0) {
        return wrong("top-p", s.top_p, "above 0 and at most 1 (off)");
    }
    if !(0.0..=1.0).contains(&s.min_p) {
        return wrong("min-p", s.min_p, "from 0 (off) to 1");
    }
    if !(s.repetition_penalty > 0.0 && s.repetition_penalty.is_finite()) {
        return wrong("repetition-penalty", s.repetition_penalty, "above 0; 1 is off");
    }
    for (what, value) in
        [("presence-penalty", s.presence_penalty), ("frequency-penalty", s.frequency_penalty)]
    {
        if !value.is_finite() {
            return wrong(what, value, "a number; 0 is off");
        }
    }
    Ok(())
}

/// Draws a token from penalised logits; `uniform` in [0, 1). Logits may hold −∞ (banned), not NaN.
pub fn draw(logits: &[f32], sampling: &Sampling, uniform: f64) -> Result<u32> {
    ensure!(!logits.iter().any(|z| z.is_nan() || *z == f32::INFINITY), "a logit is not a number");
    let best = (0..logits.len() as u32)
        .min_by(|a, b| compare(logits, *a, *b))
        .filter(|id| logits[*id as usize] > f32::NEG_INFINITY);
    let Some(best) = best else {
        let what = "every token is banned";
        return Err(Problem::new(what).hint("take some entries out of the logit bias").into());
    };
    if sampling.temperature == 0.0 {
        return Ok(best);
    }

    let max = logits[best as usize];
    let temperature = f64::from(sampling.temperature);
    // Of the best token, whose weight is 1.
    let weight = |id: u32| ((f64::from(logits[id as usize]) - f64::from(max)) / temperature).exp();

    let mut ranking = Ranking::new(logits);
    let threshold = match sampling.top_k {
        0 => None,
        k => ranking.id(k - 1).map(|id| logits[id as usize]),
    };
    let survives = |id: u32| threshold.is_none_or(|least| logits[id as usize] >= least);

    // Summed over rising ids: no draw depends on how deep the ranking was sorted.
    let all_mass: f64 = (0..logits.len() as u32).filter(|id| survives(*id)).map(weight).sum();

    let nucleus = f64::from(sampling.top_p) * all_mass;
    let least_weight = f64::from(sampling.min_p);
    let truncated = sampling.top_p < 1.0 || sampling.min_p > 0.0;
    let mut kept = Vec::new();
    let mut mass = 0.0;
    if truncated {
        while let Some(id) = ranking.id(kept.len()).filter(|id| survives(*id)) {
            let within_nucleus = sampling.top_p >= 1.0 || mass < nucleus;
            let probable = weight(id) >= least_weight;
            if !(kept.is_empty() || within_nucleus && probable) {
                break;
            }
            mass += weight(id);
            kept.push(id);
        }
    } else {
        mass = all_mass;
    }

    let target = uniform * mass;
    let (mut passed, mut last) = (0.0, best);
    for rank in 0.. {
        let id = if truncated { kept.get(rank).copied() } else { ranking.id(rank) };
        // Rounding may leave the sum a hair below the target: then the last one is it.
        let Some(id) = id.filter(|id| survives(*id) && weight(*id) > 0.0) else { break };
        passed += weight(id);
        last = id;
        if target < passed {
            break;
        }
    }
    Ok(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::draw::uniform;

    fn plain() -> Sampling {
        Sampling { temperature: 1.0, top_p: 1.0, ..Sampling::default() }
    }

    fn logits_of(probabilities: &[f32]) -> Vec<f32> {
        probabilities.iter().map(|p| p.ln()).collect()
    }

    /// The share of draws each id gets.
    fn shares(logits: &[f32], sampling: &Sampling) -> Vec<f64> {
        const DRAWS: u32 = 20_000;
        let mut counts = vec![0_u32; logits.len()];
        for step in 0..DRAWS {
            let id = draw(logits, sampling, uniform(5, 1, 0, step)).unwrap();
            counts[id as usize] += 1;
        }
        counts.into_iter().map(|count| f64::from(count) / f64::from(DRAWS)).collect()
    }

    fn assert_shares(logits: &[f32], sampling: &Sampling, expected: &[f64]) {
        for (id, (got, want)) in shares(logits, sampling).iter().zip(expected).enumerate() {
            // Five standard deviations of a share of 20,000 draws.
            let slack = 5.0 * (want * (1.0 - want) / 20_000.0).sqrt();
            assert!((got - want).abs() <= slack, "token {id}: {got}, expected {want}");
        }
    }

    #[test]
    fn draws_in_proportion() {
        let logits = logits_of(&[0.1, 0.4, 0.2, 0.3]);
        assert_shares(&logits, &plain(), &[0.1, 0.4, 0.2, 0.3]);
        let cold = Sampling { temperature: 0.5, ..plain() };
        assert_shares(&logits, &cold, &[0.01 / 0.3, 0.16 / 0.3, 0.04 / 0.3, 0.09 / 0.3]);
    }

    #[test]
    fn zero_temperature_takes_the_lowest_id_on_ties() {
        let greedy = Sampling { temperature: 0.0, top_k: 3, top_p: 0.1, ..plain() };
        assert_eq!(draw(&[1.0, 3.0, 3.0, 2.0], &greedy, 0.99).unwrap(), 1);
        assert_eq!(draw(&[f32::NEG_INFINITY, -5.0], &greedy, 0.0).unwrap(), 1);
    }

    #[test]
    fn ties_at_the_kth_logit_survive() {
        let logits = logits_of(&[0.4, 0.2, 0.2, 0.2]);
        let sampling = Sampling { top_k: 2, ..plain() };
        assert_shares(&logits, &sampling, &[0.4, 0.2, 0.2, 0.2]);
        let sampling = Sampling { top_k: 1, ..plain() };
        assert_shares(&logits, &sampling, &[1.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn top_p_is_taken_after_renormalising_over_top_k() {
        // After top-k 2: 0.625 and 0.375. p = 0.6 is reached by the first alone; over the
        // un-renormalised 0.5 and 0.3 it would take both.
        let logits = logits_of(&[0.5, 0.3, 0.15, 0.05]);
        let both = Sampling { top_k: 2, top_p: 0.6, ..plain() };
        assert_shares(&logits, &both, &[1.0, 0.0, 0.0, 0.0]);
        let without_k = Sampling { top_p: 0.6, ..plain() };
        assert_shares(&logits, &without_k, &[0.625, 0.375, 0.0, 0.0]);
    }

    #[test]
    fn top_p_and_min_p_always_keep_one() {
        let logits = logits_of(&[0.3, 0.4, 0.3]);
        for sampling in
            [Sampling { top_p: 1e-6, ..plain() }, Sampling { min_p: 1.0, top_p: 0.2, ..plain() }]
        {
            assert_shares(&logits, &sampling, &[0.0, 1.0, 0.0]);
        }
    }

    #[test]
    fn min_p_is_a_share_of_the_best() {
        let logits = logits_of(&[0.5, 0.3, 0.15, 0.05]);
        let sampling = Sampling { min_p: 0.25, ..plain() };
        assert_shares(&logits, &sampling, &[0.5 / 0.95, 0.3 / 0.95, 0.15 / 0.95, 0.0]);
    }

    #[test]
    fn neutral_values_draw_the_same_token_everywhere() {
        let logits: Vec<f32> = (0..300).map(|i| ((i * 37) % 101) as f32 / 13.0).collect();
        for step in 0..2000 {
            let u = uniform(9, 3, 1, step);
            let expected = draw(&logits, &plain(), u).unwrap();
            for same in [
                Sampling { top_k: 300, ..plain() },
                Sampling { top_k: 1000, ..plain() },
                Sampling { min_p: 1e-30, ..plain() },
            ] {
                assert_eq!(draw(&logits, &same, u).unwrap(), expected, "step {step} {same:?}");
            }
        }
    }

    #[test]
    fn the_edges_of_the_uniform_stay_inside() {
        let logits = logits_of(&[0.25, 0.25, 0.5]);
        assert_eq!(draw(&logits, &plain(), 0.0).unwrap(), 2);
        assert_eq!(draw(&logits, &plain(), 1.0 - f64::EPSILON).unwrap(), 1);
        let banned = [0.0, f32::NEG_INFINITY];
        assert_eq!(draw(&banned, &plain(), 1.0 - f64::EPSILON).unwrap(), 0);
    }

    #[test]
    fn refuses_what_cannot_be_drawn_from() {
        assert!(draw(&[f32::NAN, 1.0], &plain(), 0.5).is_err());
        assert!(draw(&[f32::INFINITY, 1.0], &plain(), 0.5).is_err());
        assert!(draw(&[f32::NEG_INFINITY; 3], &plain(), 0.5).is_err());
        assert!(draw(&[], &plain(), 0.5).is_err());
        for wrong in [
            Sampling { temperature: -1.0, ..plain() },
            Sampling { temperature: f32::NAN, ..plain() },
            Sampling { top_p: 0.0, ..plain() },
            Sampling { top_p: 1.5, ..plain() },
            Sampling { min_p: -0.1, ..plain() },
            Sampling { repetition_penalty: 0.0, ..plain() },
            Sampling { presence_penalty: f32::INFINITY, ..plain() },
        ] {
            assert!(check(&wrong).is_err(), "{wrong:?}");
        }
        assert!(check(&plain()).is_ok());
    }
}
