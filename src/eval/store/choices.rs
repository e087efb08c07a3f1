//! Multiple choice by the probability of the options' letters: the model alone, with examples in
//! the prompt, the store, several heads, both mixed. Never by a free reply: much of what a store
//! seems to win that way is only that it always names a letter.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;

use crate::decode::reply::PREFILL_CHUNK;
use crate::decode::{References, StoreInPlay, observe};
use crate::documents::{self, Choice};
use crate::eval::vectors::bars::Bar;
use crate::learn::preference::encoding;
use crate::model::{Model, Wanted};
use crate::platform::Problem;
use crate::steer::StoreSetting;
use crate::steer::datastore::build::{asked, letter, letter_id};
use crate::steer::datastore::{Datastore, Reference};

/// Examples in a prompt.
const SHOTS: usize = 3;
/// Shares tried when both are mixed.
const LAMBDAS: [f64; 7] = [0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0];

/// What one question brought: probabilities of its options' letters.
struct Scored {
    answer: usize,
    model: Vec<f64>,
    store: Vec<f64>,
    heads: Vec<f64>,
}

/// Measures and tells a table; the bars are added.
///
/// # Errors
/// When questions cannot be read or a pass fails.
pub fn run(
    model: &mut Model,
    store: &Arc<Datastore>,
    examples: &Path,
    held_out: &Path,
    tell: &mut impl FnMut(&str),
    bars: &mut Vec<Bar>,
) -> Result<()> {
    let (examples, held_out) = (choices(examples)?, choices(held_out)?);
    // The shares are chosen on one half and measured on the other.
    let (validation, test) = held_out.split_at(held_out.len() / 2);
    let heads = (2..=16).rev().find(|heads| store.width().is_multiple_of(*heads)).unwrap_or(1);
    let mut table = |shots: &[Choice]| -> Result<[Vec<Scored>; 2]> {
        Ok([
            score(model, store, validation, shots, heads)?,
            score(model, store, test, shots, heads)?,
        ])
    };
    let started = Instant::now();
    let [plain_validation, plain] = table(&[])?;
    let plain_secs = started.elapsed().as_secs_f64() / held_out.len() as f64;
    let started = Instant::now();
    let [_, shot] = table(&examples[..SHOTS.min(examples.len())])?;
    let shot_secs = started.elapsed().as_secs_f64() / held_out.len() as f64;

    let fused = |scored: &Scored, lambda: f64| -> Vec<f64> {
        let pairs = scored.model.iter().zip(&scored.heads);
        pairs.map(|(model, store)| (1.0 - lambda) * model + lambda * store).collect()
    };
    let best = LAMBDAS
        .into_iter()
        .max_by(|a, b| {
            let right = |l: f64| accuracy(&plain_validation, |s| fused(s, l));
            right(*a).total_cmp(&right(*b)).then(b.total_cmp(a))
        })
        .unwrap_or(0.5);
    let on = |scored: &[Scored]| {
        [
            accuracy(scored, |s| s.model.clone()),
            accuracy(scored, |s| s.store.clone()),
            accuracy(scored, |s| s.heads.clone()),
            accuracy(scored, |s| fused(s, best)),
        ]
    };
    let (held, there) = (on(&plain_validation), on(&plain));
    let with_shots = on(&shot);
    tell(&format!("multiple choice, {} questions each, {heads} heads, share {best}", test.len()));
    tell("                     alone   store   heads   fused   ms a question");
    let row = |name: &str, values: [f64; 4], secs: f64| {
        let cells: String = values.iter().map(|v| format!("{:6.1} %", 100.0 * v)).collect();
        format!("{name:<18} {cells}   {:.1}", 1e3 * secs)
    };
    tell(&row("validation", held, plain_secs));
    tell(&row("test", there, plain_secs));
    tell(&row(&format!("test, {SHOTS} examples"), with_shots, shot_secs));
    tell(&format!("store {:.2} MB beside the model", store.key_bytes() as f64 / 1e6));
    let figures = format!("{:.1} % and {:.1} %", 100.0 * there[2], 100.0 * there[1]);
    bars.push(Bar::new("several heads at least as good as one", figures, there[2] >= there[1]));
    let figures = format!(
        "{:.1} %, alone {:.1} %, store {:.1} %",
        100.0 * held[3],
        100.0 * held[0],
        100.0 * held[2]
    );
    bars.push(Bar::new(
        "fused at least as good as either on validation",
        figures,
        held[3] >= held[0].max(held[2]),
    ));
    Ok(())
}

fn choices(path: &Path) -> Result<Vec<Choice>> {
    let (_, document) = documents::read(path)?;
    if document.choices.len() < 2 {
        return Err(Problem::new("there are too few questions with options in this file")
            .at(path)
            .into());
    }
    Ok(document.choices)
}

fn score(
    model: &mut Model,
    store: &Arc<Datastore>,
    questions: &[Choice],
    shots: &[Choice],
    heads: usize,
) -> Result<Vec<Scored>> {
    let mut front = String::new();
    for shot in shots {
        let shown = asked(&shot.question, &shot.options, shot.answer, 0);
        front += &format!("{} {}\n\n", shown.prompt, letter(shown.label));
    }
    let in_play = |heads: usize| StoreInPlay {
        store: Arc::clone(store),
        setting: StoreSetting { heads, gate: false, ..StoreSetting::new(&store.folder, 1.0) },
    };
    let mut scored = Vec::new();
    for choice in questions {
        let shown = asked(&choice.question, &choice.options, choice.answer, 0);
        let prompt =
            encoding::encode(&model.language, &(front.clone() + &shown.prompt), &[])?.prompt;
        model.runner.truncate(0)?;
        let mut output = Default::default();
        for chunk in prompt.chunks(PREFILL_CHUNK) {
            output = model.runner.prefill(chunk, Wanted::Last)?;
        }
        let letters = (0..choice.options.len())
            .map(|at| letter_id(&model.language, at))
            .collect::<Result<Vec<u32>>>()?;
        let mass = observe::log_mass(output.logits_of(0));
        let own: Vec<f64> = letters
            .iter()
            .map(|id| f64::from(output.logits_of(0)[*id as usize] - mass).exp())
            .collect();
        let of_store = |heads: usize| -> Vec<f64> {
            let said = References::ask(&in_play(heads), output.hidden_of(0));
            let said: Reference = said.map(|(_, reference, _)| reference).unwrap_or_default();
            letters.iter().map(|id| said.probability(*id)).collect()
        };
        scored.push(Scored {
            answer: shown.label,
            model: whole(own),
            store: whole(of_store(1)),
            heads: whole(of_store(heads)),
        });
    }
    Ok(scored)
}

/// Made to sum to 1 over the options that are shown.
fn whole(values: Vec<f64>) -> Vec<f64> {
    let (sum, even) = (values.iter().sum::<f64>(), 1.0 / values.len().max(1) as f64);
    values.into_iter().map(|value| if sum > 0.0 { value / sum } else { even }).collect()
}

fn accuracy(scored: &[Scored], of: impl Fn(&Scored) -> Vec<f64>) -> f64 {
    let right = |scored: &&Scored| {
        let values = of(scored);
        let best =
            (0..values.len()).max_by(|a, b| values[*a].total_cmp(&values[*b]).then(b.cmp(a)));
        best == Some(scored.answer)
    };
    scored.iter().filter(right).count() as f64 / scored.len().max(1) as f64
}
