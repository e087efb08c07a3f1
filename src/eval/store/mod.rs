//! What datastores do for a model: exact answers to questions on documents, text they say nothing
//! about, and multiple choice scored by option probability.

mod arguments;
mod choices;
mod exact;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};

pub use arguments::StoreArgs;

use super::load::load;
use super::neutral;
use super::vectors::bars::Bar;
use crate::decode::choosing::{Trial, Tried};
use crate::decode::{References, StoreInPlay, TokenRule};
use crate::documents::Pair;
use crate::learn::text::Source;
use crate::model::Model;
use crate::platform::Problem;
use crate::steer::datastore::Datastore;
use crate::steer::datastore::build::{Advance, Builder};
use crate::steer::datastore::calibration::MIDDLE;
use crate::steer::{FIRST_LAMBDA, StoreSetting};

/// Everyday exchanges that a store says nothing about.
const NEUTRAL: usize = 60;

/// Measures and tells every line; the last ones are the bars.
///
/// # Errors
/// When a model, a document or a list of questions cannot be read, or a pass fails.
pub fn run(args: &StoreArgs, mut tell: impl FnMut(&str)) -> Result<()> {
    let mut model = load(&args.model)?;
    let work = args.work.clone().unwrap_or_else(|| {
        std::env::temp_dir().join(format!("tiller-eval-store-{}", std::process::id()))
    });
    let documents = |name: &str| args.documents.join(name);
    let held_out = exact::questions(&documents("held-out.jsonl"))?;
    let files: Vec<PathBuf> = args.files.iter().map(|name| documents(name)).collect();
    tell(&format!("model {}, {} held-out questions", model.facts.name, held_out.len()));

    let store = build(&work.join("documents"), &mut model, &files)?;
    let validation = exact::questions(&documents("validation.jsonl"))?;
    check_apart(&validation, &held_out)?;
    let facts = store.manifest.calibration;
    tell(&format!(
        "store: {} entries of {} files, temperature {:.3}",
        store.len(),
        store.manifest.sources.len(),
        facts.map_or(1.0, |facts| facts.temperature)
    ));
    let trial = Trial::of(&store, &model.language, model.runner.as_mut(), &validation)?;
    if args.verbose {
        trial.grid().iter().for_each(|tried| tell(&tried.line()));
    }
    let chosen = trial.best();
    let open_chat = untuned(&trial, &store);
    tell(&format!("chosen on questions of its own: {}", chosen.line()));
    tell(&format!("without any, on the same questions: {}", open_chat.line()));
    // As `tiller store choose` leaves it.
    let mut manifest = store.manifest.clone();
    manifest.chosen = Some(chosen);
    manifest.write(&store.folder)?;
    let store = Arc::new(Datastore::open(&store.folder)?);
    let lambda = args.lambda.unwrap_or(chosen.lambda as f32);
    let setting = StoreSetting {
        heads: args.heads,
        neighbours: args.neighbours,
        temperature: args.temperature,
        ..StoreSetting::new(&store.folder, lambda)
    };
    let mut bars = Vec::new();
    let alone = exact::share(&mut model, &held_out, None, args.verbose, &mut tell)?;
    let grounded = rule(&store, setting.clone())?;
    let on = exact::share(&mut model, &held_out, Some(grounded), args.verbose, &mut tell)?;
    tell(&format!(
        "exact answers: alone {:.1} %, with the store {:.1} %",
        100.0 * alone,
        100.0 * on
    ));
    let holds = on >= 0.8 && alone <= 0.1;
    let figures = format!("alone {:.1} %, with it {:.1} %", 100.0 * alone, 100.0 * on);
    bars.push(Bar::new(
        "exact answers: at least 80 % where the model alone gets at most 10 %",
        figures,
        holds,
    ));

    let source = Source::read(&args.source)?;
    let neutral = neutral::exchanges(&source, &model.language, NEUTRAL)?;
    let plain = exact::perplexity(&mut model, &neutral, None)?;
    let gated = exact::perplexity(&mut model, &neutral, Some(rule(&store, setting.clone())?))?;
    let open = StoreSetting { gate: false, ..setting.clone() };
    let ungated = exact::perplexity(&mut model, &neutral, Some(rule(&store, open)?))?;
    let more = 100.0 * (gated / plain - 1.0);
    tell(&format!(
        "perplexity elsewhere: alone {plain:.3}, gate on {gated:.3} ({more:+.2} %), gate off {ungated:.3}"
    ));
    bars.push(Bar::new("text elsewhere within 2 %", format!("{more:+.2} %"), more.abs() <= 2.0));

    let choice_store = build(&work.join("choices"), &mut model, &[documents("choices.jsonl")])?;
    choices::run(
        &mut model,
        &choice_store,
        &documents("choices.jsonl"),
        &documents("choices-held-out.jsonl"),
        &mut tell,
        &mut bars,
    )?;
    for bar in &bars {
        tell(&bar.line());
    }
    if args.work.is_none() {
        std::fs::remove_dir_all(&work).ok();
    }
    Ok(())
}

/// What a store is asked with that no questions were tried on.
fn untuned(trial: &Trial<'_>, store: &Datastore) -> Tried {
    let setting = StoreSetting::new(&store.folder, FIRST_LAMBDA);
    let (neighbours, temperature) = store.manifest.asked_with(&setting);
    trial.try_one(neighbours, temperature, f64::from(FIRST_LAMBDA), MIDDLE)
}

/// # Errors
/// When a question to choose by is one that is judged by.
fn check_apart(validation: &[Pair], held_out: &[Pair]) -> Result<()> {
    let shared = |pair: &&Pair| held_out.iter().any(|held| held.question == pair.question);
    match validation.iter().find(shared) {
        None => Ok(()),
        Some(pair) => {
            let what = format!("“{}” is to choose by and to judge by", pair.question);
            Err(Problem::new(what).hint("take it out of validation.jsonl").into())
        }
    }
}

/// Builds a store, or goes on with it.
fn build(folder: &Path, model: &mut Model, files: &[PathBuf]) -> Result<Arc<Datastore>> {
    if let Some(parent) = folder.parent() {
        std::fs::create_dir_all(parent)
            .with_context(|| Problem::new("the folder cannot be made").at(parent))?;
    }
    let mut builder = Builder::begin(folder, &model.facts, files)?;
    loop {
        match builder.advance(&model.language, model.runner.as_mut())? {
            Advance::Settled(source) if !source.is_done() => {
                return Err(Problem::new(format!("{:?}", source.state)).at(&source.path).into());
            }
            Advance::Finished => break,
            _ => {}
        }
    }
    Ok(Arc::new(Datastore::open(folder)?))
}

fn rule(store: &Arc<Datastore>, setting: StoreSetting) -> Result<Box<dyn TokenRule>> {
    let in_play = StoreInPlay { store: Arc::clone(store), setting };
    Ok(Box::new(References::new(vec![in_play])?))
}
