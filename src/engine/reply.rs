//! One reply on the worker: drives `decode::Reply`, listens to Stop and to plan changes between
//! passes, keeps the clock and the recipe.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use anyhow::Result;

use super::clock::Clock;
use super::guided::{self, Driven};
use super::guides::{Cast, Scene};
use super::job::Job;
use super::mixing::Mixing;
use super::prompt::{self, Assembled};
use super::shared::{Shared, Teller};
use super::worker::State;
use super::{Event, Prompt, Recipe, ReplyTimings, StopReason};
use crate::decode::guide::GuideRule;
use crate::decode::reply::Ending;
use crate::decode::{Meter, MixChange, Progress, Reply, ReplyStart, TokenRule};
use crate::model::{Loader, Model};
use crate::platform::{Cancelled, Problem};
use crate::session::TokenTrace;
use crate::steer::{KvPolicy, Plan};

/// Makes the reply; what happens is told as events. An error is told by the caller.
///
/// `state` tells how the model's cache came to be; that is left empty when a pass failed.
pub fn run(
    job: Job,
    model: &mut Model,
    state: &mut State,
    loader: &dyn Loader,
    shared: &Shared,
    teller: &Teller,
) -> Result<()> {
    let Job {
        number,
        asked,
        request,
        draws_as,
        mut changes,
        expects_prompt,
        again,
        expects_vectors,
        expects_aligned,
        expects_reward,
        expects_guides,
        expects_stores,
    } = job;
    let id = request.id;
    let Assembled { ids, prompt_len } =
        prompt::assemble(&model.language, &request.prompt, &request.opening)?;
    let prompt_fingerprint = prompt::fingerprint(&ids);
    if expects_prompt.is_some_and(|expected| expected != prompt_fingerprint) {
        let what = "this reply was made for another conversation than the one given";
        return Err(Problem::new(what).hint("replay it where it stands").into());
    }
    let State { passes, shelf, knobs, guides, options, pair, meter, rewarder, stores } = state;
    request.plan.check_reward()?;
    rewarder.prepare(request.plan.reward.as_ref(), loader, model, passes)?;
    rewarder.check(expects_reward.as_ref())?;
    stores.use_device(model.runner.device());
    stores.check_again(&expects_stores, &model.facts)?;
    for (_, plan) in &changes {
        stores.rule(plan, &model.facts)?;
    }
    let mut references = stores.rule(&request.plan, &model.facts)?;
    let mut fetched = shelf.fetch_again(&expects_vectors, loader, model, knobs)?;
    for plan in changes.iter().map(|(_, plan)| plan).chain([&request.plan]) {
        fetched.extend(shelf.fetch(plan, loader, model, knobs)?);
    }
    shelf.publish(shared);
    for facts in fetched {
        teller.tell(Event::VectorAdded(Box::new(facts)));
    }
    request.plan.check_guidance()?;
    let mut cast: Option<Cast> = None;
    if !request.plan.guidance.is_default() {
        let goes_on = || !shared.reply_is_off(number);
        let opening = &ids[prompt_len.min(ids.len())..];
        let scene = Scene { base: model, prompt: &request.prompt, opening, goes_on: &goes_on };
        let made = guides.cast(&request.plan, loader, options, &scene)?;
        guided::check(&made, &request.plan, model, ids.len(), options)?;
        cast = Some(made);
    }
    if let Some(changed) = guides.differs_from(&expects_guides) {
        return Err(changed.into());
    }
    let mut searches = cast.is_some() && request.plan.guidance.search.is_on();
    let mix = shelf.mix(&request.plan)?;
    let chat = matches!(request.prompt, Prompt::Chat(_));
    let mut recipe = Recipe {
        model_fingerprint: model.facts.fingerprint.clone(),
        model_name: model.facts.name.clone(),
        template_fingerprint: match chat {
            true => model.facts.template_fingerprint.clone(),
            false => String::new(),
        },
        device: model.facts.device.clone(),
        weights: model.facts.held_as.clone(),
        plan: toml::to_string(&request.plan)?,
        plan_changes: Vec::new(),
        reply: draws_as,
        prompt_fingerprint,
        passes: again.clone().unwrap_or_default(),
        vectors: expects_vectors,
        aligned: Vec::new(),
        reward: rewarder.recipe(),
        guides: if cast.is_some() { guides.recipe() } else { Vec::new() },
        stores: expects_stores,
        tiller_version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    shelf.note(&mut recipe.vectors, mix.vectors());
    stores.note(&mut recipe.stores, &request.plan, &model.facts)?;
    let total = ids.len();
    let is_replay = again.is_some();
    let start = ReplyStart {
        reply: draws_as,
        ids,
        prompt_len,
        continues_text: !chat,
        again,
        mix,
        reward_unit: rewarder.unit(),
    };
    let language = Arc::clone(&model.language);
    let mut mixture = request.plan.mixture.clone();
    let goes_on = || !shared.reply_is_off(number);
    let mut mixing = Mixing {
        pair,
        options,
        loader,
        teller,
        goes_on: &goes_on,
        expected: expects_aligned,
        begun: None,
    };
    let runner = model.runner.as_mut();
    let (mut reply, reused) = Reply::begin(&language, runner, passes, knobs, start, request.plan)?;
    if !is_replay {
        recipe.passes = reply.passes().clone();
        shelf.note(&mut recipe.vectors, reply.passes().vectors());
    }
    teller.tell(Event::ReplyStarted { id, prompt_tokens: total, reused_tokens: reused });
    if reply.dropped() > 0 {
        let (policy, positions) = (KvPolicy::Recompute, reply.dropped());
        teller.tell(Event::StrengthsChanged { id, policy, positions });
    }

    let mut clock = Clock { asked, started: Instant::now(), prefilled: None, first: None };
    let tell = |tokens: Vec<TokenTrace>| {
        for trace in tokens {
            teller.tell(Event::Token { id, trace: Box::new(trace) });
        }
    };
    let reason = loop {
        if searches
            && reply.is_prompted()
            && let Some(cast) = cast.take()
        {
            let driven = Driven {
                id,
                number,
                model,
                cast,
                changes,
                shelf,
                stores,
                references,
                shared,
                teller,
            };
            let done = guided::run(reply, driven, &mut recipe, !chat)?;
            let mut timings = clock.timings(total, reused, done.drawn);
            timings.row_forwards = done.row_forwards;
            *passes = done.passes;
            let (reason, recipe) = (done.reason, Box::new(recipe));
            teller.tell(Event::ReplyDone { id, reason, timings, recipe });
            return Ok(());
        }
        if shared.reply_is_off(number) {
            tell(reply.release());
            break StopReason::Stopped;
        }
        shelf.take_arrivals(model, reply.knobs(), shared, teller);
        while let Some(plan) = changed_plan(shared, number, &mut changes, reply.drawn()) {
            let text = toml::to_string(&plan)?;
            let (asked, guidance) = (plan.mixture.clone(), plan.guidance.clone());
            let taken = shelf.mix(&plan).and_then(|mix| {
                plan.check_strengths()?;
                let steering = stores.rule(&plan, &model.facts)?;
                stores.note(&mut recipe.stores, &plan, &model.facts)?;
                mixing.fetch(asked.as_ref(), model)?;
                reply.set_plan(rewarder.limited(plan), model.runner.vocab_size())?;
                Ok((mix, steering))
            });
            match taken {
                Ok((mix, steering)) => {
                    references = steering;
                    mixture = asked;
                    searches = cast.is_some() && guidance.search.is_on();
                    guided::follow(cast.as_mut(), &guidance, id, teller);
                    recipe.plan_changes.push((reply.drawn(), text));
                    shelf.note(&mut recipe.vectors, mix.vectors());
                    let changed = reply.set_mix(model.runner.as_mut(), mix)?;
                    if let Some(MixChange { policy, positions }) = changed {
                        teller.tell(Event::StrengthsChanged { id, policy, positions });
                    }
                }
                Err(error) if error.is::<Cancelled>() => {}
                Err(error) => {
                    teller.tell(Event::PlanRefused { id, message: format!("{error:#}") });
                }
            }
        }
        match mixing.prepare(mixture.as_ref(), model, reply.ids(), &mut recipe) {
            Ok(None) => {}
            Ok(Some((done, total))) => {
                if reply.drawn() == 0 {
                    teller.tell(Event::Prefill { id, done, total });
                }
                continue;
            }
            Err(error) if error.is::<Cancelled>() => continue,
            Err(error) => return Err(error),
        }
        let is_steered =
            mixing.is_in_play(mixture.as_ref()) || !reply.mix().is_empty() || references.is_some();
        let mut meter = meter_of(meter, shared, is_steered, model);
        if let Some(meter) = &mut meter
            && meter.read_on(reply.ids())?.is_some()
        {
            continue;
        }
        let mut rules: Vec<Box<dyn TokenRule + '_>> = Vec::new();
        // The implicit value is the first of all rules.
        if let Some(cast) = &cast {
            rules.push(Box::new(GuideRule(Arc::clone(&cast.guides))));
        }
        if let Some(rule) = mixing.rule(mixture.as_ref())? {
            rules.push(Box::new(rule));
        }
        if let Some(rule) = &mut references {
            rules.push(Box::new(rule));
        }
        // Last, to measure what all the others made of the logits.
        if let Some(meter) = &mut meter {
            rules.push(Box::new(&mut **meter));
        }
        let progress = reply.advance(model.runner.as_mut(), &mut rules)?;
        drop(rules);
        for references in reply.take_references() {
            teller.tell(Event::References { id, references: Box::new(references) });
        }
        if let Some(nats) = meter.and_then(Meter::take) {
            teller.tell(Event::Divergence { id, nats });
        }
        if let Some(reward) = reply.take_reward() {
            teller.tell(Event::Rewarded { id, reward });
        }
        match progress {
            Progress::Prefilled { done, total } => {
                teller.tell(Event::Prefill { id, done, total });
                if done == total {
                    clock.prefilled.get_or_insert_with(Instant::now);
                }
            }
            Progress::Tokens(tokens) => {
                clock.first.get_or_insert_with(Instant::now);
                tell(tokens);
            }
            Progress::Ended(tokens, ending) => {
                clock.first.get_or_insert_with(Instant::now);
                tell(tokens);
                break match ending {
                    Ending::EndOfText => StopReason::EndOfText,
                    Ending::StopString(stop) => StopReason::StopString(stop),
                    Ending::MaxTokens => StopReason::MaxTokens,
                    Ending::ContextFull => StopReason::ContextFull,
                };
            }
        }
    };
    let drafting = reply.drafting();
    let mut timings = ReplyTimings { drafting, ..clock.timings(total, reused, reply.drawn()) };
    if let Some(cast) = &cast {
        timings.row_forwards = reply.drawn() + cast.row_forwards();
    }
    *passes = reply.into_passes();
    teller.tell(Event::ReplyDone { id, reason, timings, recipe: Box::new(recipe) });
    Ok(())
}

/// What measures how far from the base the model is: there while that is asked for and something
/// steers.
fn meter_of<'a>(
    held: &'a mut Option<Meter>,
    shared: &Shared,
    is_steered: bool,
    model: &Model,
) -> Option<&'a mut Meter> {
    if !shared.measures.load(Ordering::SeqCst) {
        // Its keys and values take memory.
        *held = None;
    } else if held.is_none() && is_steered {
        *held = model.runner.twin().map(Meter::new);
    }
    held.as_mut().filter(|_| is_steered)
}

/// The next plan to take up before the next token: one of the replay's changes, else a live one.
pub(super) fn changed_plan(
    shared: &Shared,
    number: u64,
    changes: &mut VecDeque<(usize, Plan)>,
    drawn: usize,
) -> Option<Plan> {
    if changes.front().is_some_and(|(before, _)| *before <= drawn) {
        return changes.pop_front().map(|(_, plan)| plan);
    }
    let mut newest = shared.plan.lock();
    // One for an earlier reply is out of date; one for a later reply waits for it.
    let for_this = newest.as_ref().is_some_and(|(reply, plan)| {
        let opening = &shared.vectors.lock().opening;
        let waits = plan.vectors_in_play().any(|vector| opening.contains(&vector.path));
        *reply <= number && !waits
    });
    let taken = if for_this { newest.take() } else { None };
    taken.filter(|(reply, _)| *reply == number).map(|(_, plan)| plan)
}
