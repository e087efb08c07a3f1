//! A reply that is a search over several rows: drives `decode::search::Search` on the worker,
//! between Stop, changes of plan and the events of every boundary.

use std::collections::VecDeque;

use anyhow::{Result, anyhow};

use super::guides::Cast;
use super::reply::changed_plan;
use super::shared::{Shared, Teller};
use super::stores::StoreShelf;
use super::vectors::Shelf;
use super::{Event, Recipe, StopReason};
use crate::decode::reply::Ending;
use crate::decode::search::{Search, SearchProgress};
use crate::decode::{MixChange, Passes, References, Reply, TokenRule};
use crate::model::device::{choose, free_memory};
use crate::model::{LoadOptions, Model};
use crate::platform::Problem;
use crate::session::{TokenReferences, TokenTrace};
use crate::steer::{GuidancePlan, Plan};

/// What a search is driven with.
pub struct Driven<'a> {
    pub id: u64,
    pub number: u64,
    pub model: &'a mut Model,
    pub cast: Cast,
    pub changes: VecDeque<(usize, Plan)>,
    pub shelf: &'a mut Shelf,
    pub stores: &'a mut StoreShelf,
    /// The datastores in play.
    pub references: Option<References>,
    pub shared: &'a Shared,
    pub teller: &'a Teller,
}

/// How it went.
pub struct Done {
    pub reason: StopReason,
    pub drawn: usize,
    pub row_forwards: usize,
    pub passes: Passes,
}

/// Refuses what cannot fit before anything is computed.
///
/// # Errors
/// With the number of bytes, or when a guide has no room for the prompt.
pub fn check(
    cast: &Cast,
    plan: &Plan,
    model: &Model,
    ids: usize,
    options: &LoadOptions,
) -> Result<()> {
    let room = cast.room.min((model.runner.context_length() + 1).saturating_sub(ids));
    let tokens = plan.max_tokens.unwrap_or(usize::MAX).min(room);
    let free = choose(&options.device).ok().and_then(|choice| free_memory(&choice.device));
    cast.check_memory(plan.guidance.search.rows(), tokens, &model.facts, free)
}

/// Hands a changed plan's guidance to the guides; what they cannot do is told.
pub fn follow(cast: Option<&mut Cast>, guidance: &GuidancePlan, id: u64, teller: &Teller) {
    let outcome = match cast {
        Some(cast) => cast.follow(guidance),
        None if guidance.is_default() => Ok(()),
        None => {
            Err(anyhow!("guidance that is switched on while a reply is made acts from the next"))
        }
    };
    if let Err(error) = outcome {
        teller.tell(Event::PlanRefused { id, message: format!("{error:#}") });
    }
}

/// Makes the rest of a reply whose prompt is in the cache. `continues_text` as in `ReplyStart`.
///
/// # Errors
/// When a pass fails.
pub fn run(
    reply: Reply<'_>,
    driven: Driven<'_>,
    recipe: &mut Recipe,
    continues_text: bool,
) -> Result<Done> {
    if reply.plan().mixture_in_play().is_some() {
        let what = "several candidates cannot be mixed with an aligned model";
        let hint = "set the mixture to 0; the same model as a guide without an untuned one, its beta \
                    the mixture's strength, gives the same distribution";
        return Err(Problem::new(what).hint(hint).into());
    }
    if reply
        .plan()
        .reward
        .as_ref()
        .is_some_and(|reward| reward.strength != 0.0 || reward.detox != 0.0)
    {
        let what = "several candidates are not decided token by token by a reward adapter";
        let hint = "set the strength of the reward to 0; the search ranks by its own scorer";
        return Err(Problem::new(what).hint(hint).into());
    }
    let Driven { id, number, model, mut cast, mut changes, shelf, shared, teller, .. } = driven;
    let (stores, mut references) = (driven.stores, driven.references);
    let prompted =
        reply.into_prompted(continues_text).map_err(|_| anyhow!("the prompt is not read yet"))?;
    let mut search = Search::begin(prompted, model.runner.as_mut(), cast.room)?;
    let tell = |tokens: Vec<TokenTrace>, references: Vec<TokenReferences>| {
        for references in references {
            teller.tell(Event::References { id, references: Box::new(references) });
        }
        for trace in tokens {
            teller.tell(Event::Token { id, trace: Box::new(trace) });
        }
    };
    let reason = loop {
        if shared.reply_is_off(number) {
            let tokens = search.release();
            tell(tokens, search.take_references());
            break StopReason::Stopped;
        }
        shelf.take_arrivals(model, search.knobs(), shared, teller);
        while let Some(plan) = changed_plan(shared, number, &mut changes, search.drawn()) {
            let text = toml::to_string(&plan)?;
            let guidance = plan.guidance.clone();
            let taken = shelf.mix(&plan).and_then(|mix| {
                let steering = stores.rule(&plan, &model.facts)?;
                stores.note(&mut recipe.stores, &plan, &model.facts)?;
                search.set_plan(plan, model.runner.vocab_size())?;
                Ok((mix, steering))
            });
            match taken {
                Ok((mix, steering)) => {
                    references = steering;
                    recipe.plan_changes.push((search.drawn(), text));
                    shelf.note(&mut recipe.vectors, mix.vectors());
                    if let Some(MixChange { policy, positions }) = search.set_mix(mix) {
                        teller.tell(Event::StrengthsChanged { id, policy, positions });
                    }
                    follow(Some(&mut cast), &guidance, id, teller);
                }
                Err(error) => {
                    teller.tell(Event::PlanRefused { id, message: format!("{error:#}") });
                }
            }
        }
        let guides = cast.guides.clone();
        let mut guides = guides.lock();
        let runner = model.runner.as_mut();
        // Guides go over all rows at once; datastores are asked row by row. Other rules of the plan
        // steer one row.
        let mut rules: Vec<Box<dyn TokenRule + '_>> = Vec::new();
        if let Some(rule) = &mut references {
            rules.push(Box::new(rule));
        }
        match search.advance(runner, &mut guides, &mut rules, cast.scorer.as_mut())? {
            SearchProgress::Stepped => {}
            SearchProgress::Ranked(boundary, tokens) => {
                teller.tell(Event::Ranked { id, boundary });
                tell(tokens, search.take_references());
            }
            SearchProgress::Ended(boundary, tokens, ending) => {
                teller.tell(Event::Ranked { id, boundary });
                tell(tokens, search.take_references());
                break match ending {
                    Ending::EndOfText => StopReason::EndOfText,
                    Ending::StopString(stop) => StopReason::StopString(stop),
                    Ending::MaxTokens => StopReason::MaxTokens,
                    Ending::ContextFull => StopReason::ContextFull,
                };
            }
        }
    };
    let (drawn, own) = (search.drawn(), search.row_forwards().rows);
    let row_forwards = own + cast.row_forwards();
    let passes = search.finish(model.runner.as_mut())?;
    Ok(Done { reason, drawn, row_forwards, passes })
}
