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
use crate::decode::{References, StoreInPlay, TokenRule};
use crate::documents::Pair;
use crate::learn::text::Source;
use crate::model::Model;
use crate::platform::{Problem, figures};
use crate::steer::datastore::build::{Advance, Builder};
use crate::steer::datastore::calibration::{MIDDLE, NEIGHBOURS};
use crate::steer::datastore::choosing::Trial;
use crate::steer::datastore::{Chosen, Datastore};
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
    tell(&format!("store: {} entries of {} files", store.len(), store.manifest.sources.len()));
    let trial = Trial::of(&store, &model.language, model.runner.as_mut(), &validation)?;
    if args.verbose {
        trial.grid().iter().for_each(|tried| tell(&tried.line()));
    }
    let chosen = trial.best();
    let flat = store.manifest.calibration.map_or(1.0, |facts| facts.temperature);
    let flat = trial.try_one(NEIGHBOURS, flat, figures::widened(FIRST_LAMBDA), MIDDLE);
    tell(&format!("where √k neighbours count, on validation:  {}", flat.line()));
    if let Some(found) = store.manifest.by_itself {
        tell(&format!("found on its own text: {}", found.line()));
        let Chosen { neighbours, temperature, lambda, middle, .. } = found;
        let tried = trial.try_one(neighbours, temperature, lambda, middle);
        tell(&format!("the same on validation:  {}", tried.line()));
    }
    tell(&format!("chosen on validation: {}", chosen.line()));

    let neutral = Source::read(&args.source)?;
    let neutral = neutral::exchanges(&neutral, &model.language, NEUTRAL)?;
    let mut bars = Vec::new();
    let alone = exact::share(&mut model, &held_out, None, args.verbose, &mut tell)?;
    let plain = exact::perplexity(&mut model, &neutral, None)?;
    tell(&format!("alone: {:.1} % exactly, perplexity elsewhere {plain:.3}", 100.0 * alone));
    let asked = |lambda: f32| StoreSetting {
        heads: args.heads,
        neighbours: args.neighbours,
        temperature: args.temperature,
        ..StoreSetting::new(&store.folder, args.lambda.unwrap_or(lambda))
    };
    let device = model.runner.device();
    let mut measure = |name: &str, store: &Arc<Datastore>| -> Result<[f64; 2]> {
        let setting = asked(store.manifest.first_lambda());
        let on = rule(store, setting.clone())?;
        let on = exact::share(&mut model, &held_out, Some(on), args.verbose, &mut tell)?;
        let gated = exact::perplexity(&mut model, &neutral, Some(rule(store, setting.clone())?))?;
        let open = StoreSetting { gate: false, ..setting };
        let ungated = exact::perplexity(&mut model, &neutral, Some(rule(store, open)?))?;
        let more = 100.0 * (gated / plain - 1.0);
        tell(&format!(
            "{name}: {:.1} % exactly, perplexity elsewhere {gated:.3} ({more:+.2} %), gate off \
             {ungated:.3}",
            100.0 * on
        ));
        Ok([on, more])
    };
    measure("as it is after a build", &store)?;
    // As `tiller store choose` leaves it.
    let mut manifest = store.manifest.clone();
    manifest.chosen = Some(chosen);
    manifest.write(&store.folder)?;
    let mut store = Datastore::open(&store.folder)?;
    store.put_on(&device);
    let store = Arc::new(store);
    let [on, more] = measure("as chosen on validation", &store)?;
    let holds = on >= 0.8 && alone <= 0.1;
    let figures = format!("alone {:.1} %, with it {:.1} %", 100.0 * alone, 100.0 * on);
    bars.push(Bar::new(
        "exact answers: at least 80 % where the model alone gets at most 10 %",
        figures,
        holds,
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

/// Builds a store, or goes on with it; what an earlier run chose is not taken up.
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
    let mut store = Datastore::open(folder)?;
    store.manifest.chosen = None;
    store.put_on(&model.runner.device());
    Ok(Arc::new(store))
}

fn rule(store: &Arc<Datastore>, setting: StoreSetting) -> Result<Box<dyn TokenRule>> {
    let in_play = StoreInPlay { store: Arc::clone(store), setting };
    Ok(Box::new(References::new(vec![in_play])?))
}
