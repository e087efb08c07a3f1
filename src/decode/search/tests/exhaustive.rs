//! The exact distribution of answers of a small search, against many runs (spec section 12, 19).

use std::collections::BTreeMap;

use super::stage::{Scored, Stage, plan, spread};
use super::table::{letters, markov};
use crate::decode::search::{best, places};

const STEPS: usize = 3;
const KEPT: usize = 2;
const ROWS: usize = 4;
const RUNS: u64 = 100_000;

fn probabilities(ids: &[u32]) -> Vec<f64> {
    let logits = markov(ids);
    let mass: f64 = logits.iter().map(|z| f64::from(*z).exp()).sum();
    logits.iter().map(|z| f64::from(*z).exp() / mass).collect()
}

/// Probability of every answer, by going through all 3^12 outcomes of the twelve draws.
fn exact(prompt: &[u32]) -> BTreeMap<Vec<u32>, f64> {
    let mut states = BTreeMap::from([(vec![Vec::new(); ROWS], 1.0)]);
    for _ in 0..STEPS {
        let mut next: BTreeMap<Vec<Vec<u32>>, f64> = BTreeMap::new();
        for (rows, mass) in &states {
            let odds: Vec<Vec<f64>> =
                rows.iter().map(|row| probabilities(&[prompt, row].concat())).collect();
            for outcome in 0..3_u32.pow(ROWS as u32) {
                let drawn: Vec<u32> =
                    (0..ROWS as u32).map(|r| outcome / 3_u32.pow(r) % 3).collect();
                let odds: f64 =
                    drawn.iter().zip(&odds).map(|(id, odds)| odds[*id as usize]).product();
                let grown: Vec<Vec<u32>> =
                    rows.iter().zip(&drawn).map(|(row, id)| [&row[..], &[*id]].concat()).collect();
                let values: Vec<f32> = grown.iter().map(|row| spread(row)).collect();
                let kept = best(&values, KEPT);
                let rows = places(&[false; KEPT], ROWS, false)
                    .into_iter()
                    .map(|place| grown[kept[place]].clone());
                *next.entry(rows.collect()).or_insert(0.0) += mass * odds;
            }
        }
        states = next;
    }
    let mut answers = BTreeMap::new();
    for (rows, mass) in states {
        *answers.entry(rows[0].clone()).or_insert(0.0) += mass;
    }
    answers
}

#[test]
fn many_runs_match_the_exact_distribution_of_answers() {
    let plan = plan(KEPT, ROWS / KEPT, 1, STEPS);
    let mut stage = Stage::new(letters(3, Vec::new()), markov);
    let answers = exact(&stage.prompt);
    assert!((answers.values().sum::<f64>() - 1.0).abs() < 1e-9);
    assert!(answers.len() > 8, "{answers:?}");
    let mut counts: BTreeMap<Vec<u32>, u64> = BTreeMap::new();
    for reply in 0..RUNS {
        stage.reply = reply;
        let run = stage.run(&plan, &mut Scored(|ids: &[u32], _| spread(ids)));
        *counts.entry(run.ids).or_insert(0) += 1;
    }
    assert!(counts.keys().all(|answer| answers.contains_key(answer)));
    // Answers expected less than five times count as one.
    let (mut chi, mut bins, mut rare) = (0.0, 0, (0.0, 0.0));
    for (answer, mass) in &answers {
        let expected = mass * RUNS as f64;
        let seen = counts.get(answer).copied().unwrap_or(0) as f64;
        if expected < 5.0 {
            rare = (rare.0 + expected, rare.1 + seen);
            continue;
        }
        chi += (seen - expected).powi(2) / expected;
        bins += 1;
    }
    if rare.0 >= 5.0 {
        chi += (rare.1 - rare.0).powi(2) / rare.0;
        bins += 1;
    }
    // Wilson and Hilferty's approximation; 4.75 standard deviations are one in a million.
    let freedom = f64::from(bins - 1);
    let limit =
        freedom * (1.0 - 2.0 / (9.0 * freedom) + 4.75 * (2.0 / (9.0 * freedom)).sqrt()).powi(3);
    assert!(chi < limit, "chi-squared {chi} over {freedom} degrees of freedom, limit {limit}");
}
