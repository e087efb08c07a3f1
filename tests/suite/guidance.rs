//! Guided replies through the engine, over toys: exact when off, replayed to the byte, refused in
//! one line.

use std::sync::Arc;
use std::time::Duration;

use tiller::decode::search::Boundary;
use tiller::engine::{
    Engine, EngineHandle, Event, Opening, Prompt, Recipe, ReplyRequest, ReplyTimings, Request,
    StopReason, Turn,
};
use tiller::model::LoadOptions;
use tiller::model::toy::{ToyLoader, ToyOptions};
use tiller::session::Role;
use tiller::steer::{GuidePair, Plan, Sampling, ScorerChoice};

const PATIENCE: Duration = Duration::from_secs(60);

fn start(options: ToyOptions) -> EngineHandle {
    let engine = Engine::start_with(Arc::new(ToyLoader { options }), || {}).unwrap();
    engine.send(Request::Load { path: "base".into(), options: LoadOptions::default() }).unwrap();
    loop {
        match engine.recv_timeout(PATIENCE).expect("the toy loads") {
            Event::Loaded(_) => return engine,
            Event::LoadFailed { message, .. } => panic!("{message}"),
            _ => {}
        }
    }
}

fn prompt() -> Prompt {
    Prompt::Chat(vec![Turn { role: Role::User, content: "Hi".into() }])
}

fn plan() -> Plan {
    // The end is banned, so that every reply is as long.
    let logit_bias = [("257".to_owned(), -1e4)].into();
    let sampling = Sampling { temperature: 1.5, top_p: 1.0, logit_bias, ..Sampling::default() };
    Plan { seed: 5, max_tokens: Some(24), sampling, ..Plan::default() }
}

fn pair(beta: f32) -> GuidePair {
    GuidePair {
        tuned: Some("guide-tuned".into()),
        untuned: Some("guide-untuned".into()),
        vector: None,
        beta,
    }
}

/// W, K, L and a scorer.
fn searching(beam_width: usize, successors: usize, scorer: ScorerChoice) -> Plan {
    let mut plan = plan();
    let search = &mut plan.guidance.search;
    (search.beam_width, search.successors, search.chunk_length) = (beam_width, successors, 4);
    search.scorer = scorer;
    plan
}

#[derive(Debug, Default)]
struct Reply {
    text: String,
    ids: Vec<u32>,
    boundaries: Vec<Boundary>,
    reason: Option<StopReason>,
    timings: ReplyTimings,
    recipe: Recipe,
    refused: Vec<String>,
}

fn collect(engine: &EngineHandle) -> Result<Reply, String> {
    let mut reply = Reply::default();
    loop {
        match engine.recv_timeout(PATIENCE).expect("the reply ends") {
            Event::Token { trace, .. } => {
                reply.text += &trace.text;
                reply.ids.push(trace.id);
            }
            Event::Ranked { boundary, .. } => reply.boundaries.push(*boundary),
            Event::PlanRefused { message, .. } => reply.refused.push(message),
            Event::ReplyDone { reason, timings, recipe, .. } => {
                reply.reason = Some(reason);
                (reply.timings, reply.recipe) = (timings, *recipe);
                return Ok(reply);
            }
            Event::ReplyFailed { message, .. } => return Err(message),
            _ => {}
        }
    }
}

fn ask(engine: &EngineHandle, plan: Plan) -> Result<Reply, String> {
    let request = ReplyRequest { id: 1, prompt: prompt(), opening: Opening::None, plan };
    engine.send(Request::Reply(Box::new(request))).unwrap();
    collect(engine)
}

#[test]
fn guides_at_nought_are_the_plain_model_and_others_are_not() {
    let engine = start(ToyOptions::default());
    let plain = ask(&engine, plan()).unwrap();
    let with = |beta: f32| {
        let mut plan = plan();
        plan.guidance.pairs = vec![pair(beta)];
        ask(&engine, plan).unwrap()
    };
    let off = with(0.0);
    assert_eq!(off.ids, plain.ids);
    assert_eq!(plain.timings.row_forwards, 0);
    let on = with(2.0);
    assert_ne!(on.ids, plain.ids);
    assert_eq!(on.recipe.guides.len(), 2);
    assert_eq!(on.timings.row_forwards, 24 + 2 * 23, "each guide follows what was drawn");
    // One row that is ranked is still plain sampling.
    let one = ask(&engine, searching(1, 1, ScorerChoice::File("scorer".into()))).unwrap();
    assert_eq!(one.ids, plain.ids);
}

#[test]
fn a_vector_makes_a_pair_of_one_model() {
    let engine = start(ToyOptions::default());
    let plain = ask(&engine, plan()).unwrap();
    for untuned in [None, Some("guide".into())] {
        let mut plan = plan();
        plan.guidance.pairs =
            vec![GuidePair { tuned: None, untuned, vector: Some("calm".into()), beta: 1.0 }];
        let guided = ask(&engine, plan).unwrap();
        assert_ne!(guided.ids, plain.ids);
    }
    // The base with a vector as its own guide at 1 is the base with that vector.
    let mut alone = plan();
    alone.guidance.pairs = vec![GuidePair { vector: Some("calm".into()), ..GuidePair::default() }];
    let mut steered = plan();
    steered.vectors = vec![tiller::steer::VectorSetting::new("calm", 1.0)];
    assert_eq!(ask(&engine, alone).unwrap().ids, ask(&engine, steered).unwrap().ids);
}

#[test]
fn every_cell_of_the_switchboard_replays_to_the_byte() {
    let engine = start(ToyOptions::default());
    let mut texts = std::collections::BTreeSet::new();
    for (beta, value_weight) in [(0.0, 0.0), (1.0, 0.0), (0.0, 2.0)] {
        for scorer in
            [ScorerChoice::None, ScorerChoice::Implicit, ScorerChoice::File("scorer".into())]
        {
            if value_weight != 0.0 && !matches!(scorer, ScorerChoice::File(_)) {
                continue;
            }
            let mut plan = searching(2, 2, scorer);
            plan.guidance.pairs = vec![pair(beta)];
            plan.guidance.value_weight = value_weight;
            let reply = ask(&engine, plan).unwrap();
            assert_eq!(reply.reason, Some(StopReason::MaxTokens), "{}", reply.text);
            assert_eq!(reply.boundaries.len(), 6);
            assert!(reply.boundaries.iter().all(|b| b.candidates.len() == 4));
            engine
                .send(Request::Replay {
                    id: 9,
                    recipe: Box::new(reply.recipe.clone()),
                    prompt: prompt(),
                    opening: Opening::None,
                })
                .unwrap();
            let again = collect(&engine).unwrap();
            assert_eq!((&again.text, &again.ids), (&reply.text, &reply.ids));
            assert_eq!(again.boundaries, reply.boundaries);
            texts.insert(reply.text);
        }
    }
    assert!(texts.len() > 4, "the cells differ: {texts:?}");
}

#[test]
fn the_cache_is_left_as_other_replies_expect_it() {
    let engine = start(ToyOptions::default());
    let first = ask(&engine, plan()).unwrap();
    ask(&engine, searching(3, 2, ScorerChoice::File("scorer".into()))).unwrap();
    assert_eq!(ask(&engine, plan()).unwrap().ids, first.ids);
}

#[test]
fn strengths_follow_in_mid_reply_and_shapes_at_the_next_boundary() {
    let (open, gate) = crossbeam_channel::bounded(10_000);
    let engine = start(ToyOptions { gate: Some(gate), ..ToyOptions::default() });
    let mut first = searching(2, 2, ScorerChoice::None);
    first.guidance.pairs = vec![pair(0.0)];
    let request =
        ReplyRequest { id: 1, prompt: prompt(), opening: Opening::None, plan: first.clone() };
    engine.send(Request::Reply(Box::new(request))).unwrap();
    // The prompt, and two tokens.
    for _ in 0..2 {
        open.send(()).unwrap();
    }
    std::thread::sleep(Duration::from_millis(50));
    let mut second = first;
    second.guidance.pairs[0].beta = 3.0;
    second.guidance.search.successors = 3;
    engine.send(Request::SetPlan(second)).unwrap();
    drop(open);
    let reply = collect(&engine).unwrap();
    assert!(reply.refused.is_empty(), "{:?}", reply.refused);
    assert_eq!(reply.recipe.plan_changes.len(), 1);
    let sizes: Vec<usize> = reply.boundaries.iter().map(|b| b.candidates.len()).collect();
    assert_eq!((sizes[0], sizes[5]), (4, 6));
    engine
        .send(Request::Replay {
            id: 2,
            recipe: Box::new(reply.recipe.clone()),
            prompt: prompt(),
            opening: Opening::None,
        })
        .unwrap();
    assert_eq!(collect(&engine).unwrap().boundaries, reply.boundaries);
}

#[test]
fn stop_keeps_the_best_text_so_far() {
    let (open, gate) = crossbeam_channel::bounded(10_000);
    let engine = start(ToyOptions { gate: Some(gate), ..ToyOptions::default() });
    let plan = searching(2, 2, ScorerChoice::None);
    let request = ReplyRequest { id: 1, prompt: prompt(), opening: Opening::None, plan };
    engine.send(Request::Reply(Box::new(request))).unwrap();
    // The prompt and the passes of the first two chunks.
    for _ in 0..8 {
        open.send(()).unwrap();
    }
    let mut boundaries = Vec::new();
    let mut text = String::new();
    while boundaries.len() < 2 {
        match engine.recv_timeout(PATIENCE).unwrap() {
            Event::Ranked { boundary, .. } => boundaries.push(*boundary),
            Event::Token { trace, .. } => text += &trace.text,
            _ => {}
        }
    }
    engine.stop();
    drop(open);
    let reply = collect(&engine).unwrap();
    assert_eq!(reply.reason, Some(StopReason::Stopped));
    text += &reply.text;
    let branches: Vec<_> = boundaries.iter().flat_map(|b| &b.candidates).collect();
    let best = boundaries[1].kept()[0];
    let path = format!("{}{}", branches[best.parent.unwrap()].text, best.text);
    assert_eq!(text, path);
}

#[test]
fn a_scorer_without_numbers_is_told_of_and_the_reply_goes_on() {
    let engine = start(ToyOptions::default());
    let reply = ask(&engine, searching(2, 2, ScorerChoice::File("nan-scorer".into()))).unwrap();
    assert!(reply.boundaries.iter().all(|b| b.without_value > 0));
    assert_eq!(reply.ids.len(), 24);
}

#[test]
fn what_cannot_be_is_refused_in_one_line() {
    let engine = start(ToyOptions::default());
    let mut broken = plan();
    broken.guidance.pairs = vec![GuidePair { tuned: Some("broken".into()), ..pair(1.0) }];
    let message = ask(&engine, broken.clone()).unwrap_err();
    assert!(message.contains("broken") && !message.contains('\n'), "{message}");
    // One that is off does not hinder the reply.
    broken.guidance.pairs[0].beta = 0.0;
    assert_eq!(ask(&engine, broken).unwrap().ids, ask(&engine, plan()).unwrap().ids);
    let headless = searching(2, 2, ScorerChoice::File("headless".into()));
    let message = ask(&engine, headless).unwrap_err();
    assert!(message.contains("no score head"), "{message}");
    let mut nonsense = plan();
    nonsense.guidance.search.beam_width = 0;
    assert!(ask(&engine, nonsense).unwrap_err().contains("beam-width"));
    // The engine still works.
    assert_eq!(ask(&engine, plan()).unwrap().ids.len(), 24);
}

#[test]
fn a_continued_reply_is_searched_on_from_where_it_stands() {
    let engine = start(ToyOptions::default());
    let mut plan = searching(2, 2, ScorerChoice::Implicit);
    plan.guidance.pairs = vec![pair(1.0)];
    plan.max_tokens = Some(8);
    let given = vec![285 - 1, 265, 266];
    let request = ReplyRequest { id: 1, prompt: prompt(), opening: Opening::Tokens(given), plan };
    engine.send(Request::Reply(Box::new(request))).unwrap();
    let reply = collect(&engine).unwrap();
    assert_eq!(reply.ids.len(), 8);
    assert_eq!(reply.boundaries.len(), 2);
}
