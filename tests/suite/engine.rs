//! The engine from outside, over the toy model: what a person does to a reply while it runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use tiller::engine::{
    Engine, EngineHandle, Event, Opening, Prompt, Recipe, ReplyRequest, ReplyTimings, Request,
    StopReason, Turn,
};
use tiller::model::toy::{SENTENCE, ToyLoader, ToyOptions};
use tiller::model::{LoadOptions, ModelFacts};
use tiller::session::{Role, TokenTrace};
use tiller::steer::{Plan, Sampling};

/// Longer than anything here takes; reached only by a hang.
const HANG: Duration = Duration::from_secs(120);

struct Rig {
    engine: EngineHandle,
    woken: Arc<AtomicUsize>,
}

impl Rig {
    fn new(options: ToyOptions) -> Self {
        let woken = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&woken);
        let loader = Arc::new(ToyLoader { options });
        let wake = move || {
            count.fetch_add(1, Ordering::SeqCst);
        };
        Self { engine: Engine::start_with(loader, wake).unwrap(), woken }
    }

    fn loaded(options: ToyOptions) -> Self {
        let rig = Self::new(options);
        rig.load("toy").unwrap();
        rig
    }

    fn send(&self, request: Request) {
        self.engine.send(request).unwrap();
    }

    fn next(&self) -> Event {
        self.engine.recv_timeout(HANG).expect("the engine tells something")
    }

    fn load(&self, path: &str) -> Result<Box<ModelFacts>, (String, bool)> {
        self.send(Request::Load { path: path.into(), options: LoadOptions::default() });
        loop {
            match self.next() {
                Event::Loaded(facts) => return Ok(facts),
                Event::LoadFailed { message, cancelled, .. } => return Err((message, cancelled)),
                _ => {}
            }
        }
    }

    fn reply(&self, request: ReplyRequest) -> Made {
        self.send(Request::Reply(Box::new(request)));
        self.finish()
    }

    /// Everything up to the end of the reply under way.
    fn finish(&self) -> Made {
        let mut made = Made::default();
        loop {
            match self.next() {
                Event::Token { trace, .. } => made.tokens.push(*trace),
                Event::ReplyStarted { reused_tokens, .. } => made.reused = reused_tokens,
                Event::PlanRefused { message, .. } => made.refused.push(message),
                Event::ReplyDone { reason, timings, recipe, .. } => {
                    made.end = Some((reason, timings, *recipe));
                    return made;
                }
                Event::ReplyFailed { message, .. } => {
                    made.failure = message;
                    return made;
                }
                _ => {}
            }
        }
    }
}

#[derive(Debug, Default)]
struct Made {
    tokens: Vec<TokenTrace>,
    reused: usize,
    refused: Vec<String>,
    end: Option<(StopReason, ReplyTimings, Recipe)>,
    failure: String,
}

impl Made {
    fn text(&self) -> String {
        self.tokens.iter().map(|token| token.text.as_str()).collect()
    }
    fn ids(&self) -> Vec<u32> {
        self.tokens.iter().map(|token| token.id).collect()
    }
    fn reason(&self) -> &StopReason {
        &self.end.as_ref().unwrap_or_else(|| panic!("failed: {}", self.failure)).0
    }
    fn timings(&self) -> &ReplyTimings {
        &self.end.as_ref().unwrap_or_else(|| panic!("failed: {}", self.failure)).1
    }
    fn recipe(&self) -> &Recipe {
        &self.end.as_ref().unwrap_or_else(|| panic!("failed: {}", self.failure)).2
    }
}

fn chat(text: &str) -> Prompt {
    Prompt::Chat(vec![Turn { role: Role::User, content: text.into() }])
}

fn greedy() -> Plan {
    Plan { sampling: Sampling { temperature: 0.0, ..Sampling::default() }, ..Plan::default() }
}

/// Hot enough that every seed gives another text.
fn hot(seed: u64) -> Plan {
    let sampling = Sampling { temperature: 3.0, top_p: 1.0, ..Sampling::default() };
    Plan { seed, max_tokens: Some(40), sampling, ..Plan::default() }
}

fn ask(plan: Plan) -> ReplyRequest {
    ReplyRequest { id: 7, prompt: chat("Hello"), opening: Opening::None, plan }
}

/// A toy that waits before every pass for a message.
fn gated(options: ToyOptions) -> (Rig, Sender<()>) {
    let (open, gate): (Sender<()>, Receiver<()>) = bounded(1024);
    (Rig::loaded(ToyOptions { gate: Some(gate), ..options }), open)
}

#[test]
fn a_greedy_reply_is_the_sentence_with_its_traces() {
    let rig = Rig::loaded(ToyOptions::default());
    let made = rig.reply(ask(greedy()));
    assert_eq!(made.text(), SENTENCE);
    assert_eq!(*made.reason(), StopReason::EndOfText);
    let timings = made.timings();
    assert_eq!(timings.reply_tokens, made.tokens.len());
    assert!(timings.first_token_secs >= timings.prefill_secs);
    for token in &made.tokens {
        assert_eq!(token.alternatives.len(), 10);
        assert_eq!(token.alternatives[0].id, token.id, "greedy takes the most probable");
        assert_eq!(token.alternatives[0].logprob, token.logprob);
        assert!(token.alternatives.is_sorted_by(|a, b| a.logprob >= b.logprob));
        assert!(token.entropy > 0.0 && token.logprob < 0.0);
    }
    assert!(rig.woken.load(Ordering::SeqCst) > made.tokens.len(), "woken for every event");
}

#[test]
fn the_same_recipe_gives_the_same_text() {
    let rig = Rig::loaded(ToyOptions::default());
    let first = rig.reply(ask(hot(3)));
    assert_eq!(rig.reply(ask(hot(3))).ids(), first.ids(), "asked again");
    assert_ne!(rig.reply(ask(hot(4))).ids(), first.ids(), "another seed");
    assert_ne!(
        rig.reply(ReplyRequest { id: 8, ..ask(hot(3)) }).ids(),
        first.ids(),
        "another reply"
    );

    let replay = |recipe: &Recipe, prompt: Prompt| {
        let (recipe, opening) = (Box::new(recipe.clone()), Opening::None);
        rig.send(Request::Replay { id: 99, recipe, prompt, opening });
        rig.finish()
    };
    let again = replay(first.recipe(), chat("Hello"));
    assert_eq!(again.ids(), first.ids());
    assert_eq!(again.recipe(), first.recipe());
    let json = serde_json::to_string(first.recipe()).unwrap();
    assert_eq!(*first.recipe(), serde_json::from_str::<Recipe>(&json).unwrap());

    let other_prompt = replay(first.recipe(), chat("Other"));
    assert!(other_prompt.failure.contains("another conversation"), "{}", other_prompt.failure);
    let stranger = Recipe { model_fingerprint: "x".into(), ..first.recipe().clone() };
    assert!(replay(&stranger, chat("Hello")).failure.contains("was made with"));
    let dressed = Recipe { template_fingerprint: "x".into(), ..first.recipe().clone() };
    assert!(replay(&dressed, chat("Hello")).failure.contains("chat template"));
}

#[test]
fn stop_takes_effect_within_one_token() {
    let (rig, open) = gated(ToyOptions::default());
    rig.send(Request::Reply(Box::new(ask(greedy()))));
    // One pass for the prompt, one for each token after the first.
    for _ in 0..3 {
        open.send(()).unwrap();
    }
    let mut tokens = 0;
    while tokens < 3 {
        tokens += usize::from(matches!(rig.next(), Event::Token { .. }));
    }
    rig.engine.stop();
    // The pass under way ends; no other is begun, or it would wait at the gate for ever.
    open.send(()).unwrap();
    let made = rig.finish();
    assert_eq!(*made.reason(), StopReason::Stopped);
    assert!(made.tokens.len() <= 1, "{} tokens after Stop", made.tokens.len());
    assert_eq!(made.timings().reply_tokens, 3 + made.tokens.len());
}

#[test]
fn stop_acts_during_prefill_and_before_a_reply_begins() {
    let (rig, open) = gated(ToyOptions::default());
    let long = ReplyRequest { prompt: Prompt::Ids(vec![65; 1000]), ..ask(greedy()) };
    rig.send(Request::Reply(Box::new(long.clone())));
    open.send(()).unwrap();
    let done = loop {
        if let Event::Prefill { done, total, .. } = rig.next() {
            assert_eq!(total, 1000);
            break done;
        }
    };
    assert_eq!(done, 128);
    rig.engine.stop();
    open.send(()).unwrap();
    let made = rig.finish();
    assert_eq!(*made.reason(), StopReason::Stopped);
    assert!(made.tokens.is_empty());

    // Two queued, both called off; a third, sent after Stop, runs.
    rig.send(Request::Reply(Box::new(long.clone())));
    rig.send(Request::Reply(Box::new(long)));
    rig.engine.stop();
    for _ in 0..1000 {
        open.send(()).unwrap();
    }
    assert_eq!(*rig.finish().reason(), StopReason::Stopped);
    assert_eq!(*rig.finish().reason(), StopReason::Stopped);
    assert_eq!(rig.reply(ask(greedy())).text(), SENTENCE);
}

#[test]
fn a_plan_sent_meanwhile_acts_from_the_next_token_and_is_replayed() {
    let (rig, open) = gated(ToyOptions::default());
    let banned =
        tiller::model::toy::toy_language().vocabulary.encode(" harbour", false).unwrap()[0];
    rig.send(Request::Reply(Box::new(ask(greedy()))));
    for _ in 0..3 {
        open.send(()).unwrap();
    }
    let mut tokens = Vec::new();
    while tokens.len() < 3 {
        if let Event::Token { trace, .. } = rig.next() {
            tokens.push(*trace);
        }
    }
    // The worker stands at the gate before the pass that gives the fourth logits, or is about to.
    let bias = |value: f32| [(banned.to_string(), value)].into();
    let wrong = Sampling { temperature: -1.0, ..greedy().sampling };
    rig.send(Request::SetPlan(Plan { sampling: wrong, ..greedy() }));
    for _ in 0..2 {
        open.send(()).unwrap();
    }
    let refused = loop {
        match rig.next() {
            Event::PlanRefused { message, .. } => break message,
            Event::Token { trace, .. } => tokens.push(*trace),
            other => panic!("{other:?}"),
        }
    };
    assert!(refused.contains("temperature"), "{refused}");
    let sampling = Sampling { logit_bias: bias(f32::NEG_INFINITY), ..greedy().sampling };
    let changed = Plan { sampling, max_tokens: Some(20), ..greedy() };
    rig.send(Request::SetPlan(changed.clone()));
    for _ in 0..100 {
        open.send(()).unwrap();
    }
    let made = rig.finish();
    tokens.extend(made.tokens.iter().cloned());
    let text: String = tokens.iter().map(|token| token.text.as_str()).collect();
    assert!(text.starts_with("The wind turns, and a hand"), "{text}");
    assert!(!text.contains("harbour"), "{text}");
    let recipe = made.recipe().clone();
    assert_eq!(recipe.plan_changes.len(), 1);
    let (before, plan) = &recipe.plan_changes[0];
    assert!((3..=7).contains(before), "took effect before token {before}");
    assert_eq!(toml::from_str::<Plan>(plan).unwrap(), changed);

    let replay = Request::Replay {
        id: 8,
        recipe: Box::new(recipe.clone()),
        prompt: chat("Hello"),
        opening: Opening::None,
    };
    rig.send(replay);
    let again = rig.finish();
    assert_eq!(again.text(), text);
    assert_eq!(*again.recipe(), recipe);
    // A plan that came after its reply ended steers no later one.
    rig.send(Request::SetPlan(changed));
    assert_eq!(rig.reply(ask(greedy())).text(), SENTENCE);
}

#[test]
fn the_longest_common_prefix_is_reused_and_changes_nothing() {
    let fresh = |request: ReplyRequest| Rig::loaded(ToyOptions::default()).reply(request);
    let rig = Rig::loaded(ToyOptions::default());
    let first = rig.reply(ask(hot(1)));
    assert_eq!(first.reused, 0);
    let turns = |last: &str| {
        let answer = first.text();
        Prompt::Chat(vec![
            Turn { role: Role::User, content: "Hello".into() },
            Turn { role: Role::Assistant, content: answer },
            Turn { role: Role::User, content: last.into() },
        ])
    };
    let second = ReplyRequest { id: 9, prompt: turns("And then?"), ..ask(hot(2)) };
    let continued = rig.reply(second.clone());
    assert!(continued.reused > 8, "{} tokens reused", continued.reused);
    assert_eq!(continued.timings().reused_tokens, continued.reused);
    assert_eq!(continued.ids(), fresh(second.clone()).ids());
    let other = ReplyRequest { prompt: turns("Why?"), ..second };
    assert_eq!(rig.reply(other.clone()).ids(), fresh(other).ids());
}

#[test]
fn a_reply_goes_on_from_tokens_or_text_as_it_would_have() {
    let rig = Rig::loaded(ToyOptions::default());
    let whole = rig.reply(ask(hot(5)));
    let opening = Opening::Tokens(whole.ids()[..10].to_vec());
    let plan = Plan { max_tokens: Some(30), ..hot(5) };
    let rest = rig.reply(ReplyRequest { opening, ..ask(plan) });
    assert_eq!(rest.ids(), whole.ids()[10..], "the draws are those of the whole reply");

    let opening = Opening::Text("The wind turns, and".into());
    let rest = rig.reply(ReplyRequest { opening, ..ask(greedy()) });
    assert_eq!(format!("The wind turns, and{}", rest.text()), SENTENCE);
}

#[test]
fn a_stop_string_across_tokens_ends_the_reply_before_it() {
    let rig = Rig::loaded(ToyOptions::default());
    let plan = Plan { stop: vec!["hand hol".into(), "never".into()], ..greedy() };
    let made = rig.reply(ask(plan));
    assert_eq!(made.text(), "The wind turns, and a ");
    assert_eq!(*made.reason(), StopReason::StopString("hand hol".into()));
    let plan = Plan { max_tokens: Some(4), stop: vec![", and not".into()], ..greedy() };
    let made = rig.reply(ask(plan));
    assert_eq!(made.text(), "The wind turns,", "what was held back comes out at the end");
    assert_eq!(*made.reason(), StopReason::MaxTokens);
}

#[test]
fn characters_come_whole() {
    let rig =
        Rig::loaded(ToyOptions { sentence: "Grüße, 世界".into(), ..ToyOptions::default() });
    let made = rig.reply(ask(greedy()));
    assert_eq!(made.text(), "Grüße, 世界");
    assert!(made.tokens.iter().any(|token| token.text.is_empty()), "bytes of a character wait");
    assert!(made.tokens[3].alternatives.iter().any(|other| other.text.starts_with("<0x")));
}

#[test]
fn a_full_context_is_told_before_and_during() {
    let rig = Rig::loaded(ToyOptions { context_length: 20, ..ToyOptions::default() });
    let made = rig.reply(ask(greedy()));
    assert_eq!(*made.reason(), StopReason::ContextFull);
    assert!(SENTENCE.starts_with(&made.text()) && !made.text().is_empty());
    let long = ReplyRequest { prompt: Prompt::Ids(vec![65; 25]), ..ask(greedy()) };
    let failure = rig.reply(long).failure;
    assert!(failure.contains("25 tokens, 5 more"), "{failure}");
    assert!(rig.reply(ReplyRequest { prompt: Prompt::Ids(vec![]), ..ask(greedy()) }).end.is_none());
    assert_eq!(*rig.reply(ask(greedy())).reason(), StopReason::ContextFull, "still alive");
}

#[test]
fn tokens_are_counted_while_a_reply_runs() {
    let (rig, open) = gated(ToyOptions::default());
    rig.send(Request::Reply(Box::new(ask(greedy()))));
    rig.send(Request::Count { ticket: 5, prompt: chat("Hi") });
    // The gate is shut: the reply stands still until this answer came.
    loop {
        if let Event::Counted { ticket, tokens } = rig.next() {
            assert_eq!((ticket, tokens), (5, Ok(6)));
            break;
        }
    }
    drop(open);
    assert_eq!(rig.finish().text(), SENTENCE);
    rig.send(Request::Unload);
    while !matches!(rig.next(), Event::Unloaded) {}
    rig.send(Request::Count { ticket: 6, prompt: chat("Hi") });
    let Event::Counted { tokens: Err(message), .. } = rig.next() else { panic!("no answer") };
    assert!(message.contains("no model"), "{message}");
    assert!(rig.reply(ask(greedy())).failure.contains("no model"));
}

#[test]
fn a_failed_or_cancelled_load_keeps_the_model() {
    let (rig, open) = gated(ToyOptions::default());
    let (message, cancelled) = rig.load("broken").unwrap_err();
    assert!(message.contains("broken") && message.contains("take another") && !cancelled);
    rig.send(Request::Load { path: "slow".into(), options: LoadOptions::default() });
    while !matches!(rig.next(), Event::LoadProgress { bytes_total: 0, .. }) {}
    rig.engine.cancel_load();
    open.send(()).unwrap();
    let failed = loop {
        if let Event::LoadFailed { message, cancelled, .. } = rig.next() {
            break (message, cancelled);
        }
    };
    assert!(failed.1, "{}", failed.0);
    drop(open);
    let made = rig.reply(ask(greedy()));
    assert_eq!(made.text(), SENTENCE);
    assert_eq!(made.recipe().model_name, "toy");
    assert_eq!(rig.load("slow").unwrap().name, "slow");
}

#[test]
fn failures_and_panics_in_a_pass_end_only_the_reply() {
    for panics in [false, true] {
        let rig = Rig::loaded(ToyOptions { fails_at: Some((20, panics)), ..ToyOptions::default() });
        let made = rig.reply(ask(greedy()));
        assert!(made.failure.contains("was told to"), "{}", made.failure);
        assert!(!made.tokens.is_empty(), "what came before stands");
        let short = Plan { max_tokens: Some(3), ..greedy() };
        let after = rig.reply(ask(short));
        assert_eq!((after.text().as_str(), after.reused), ("The wind turns", 0));
    }
}

#[test]
fn nonsense_in_a_plan_is_refused_before_the_reply() {
    let rig = Rig::loaded(ToyOptions::default());
    let wrong = Sampling { top_p: 0.0, ..Sampling::default() };
    let made = rig.reply(ask(Plan { sampling: wrong, ..Plan::default() }));
    assert!(made.failure.contains("top-p"), "{}", made.failure);
    let bias = Sampling { logit_bias: [("99999".into(), 1.0)].into(), ..Sampling::default() };
    let made = rig.reply(ask(Plan { sampling: bias, ..Plan::default() }));
    assert!(made.failure.contains("99999"), "{}", made.failure);
    let outside = ReplyRequest { prompt: Prompt::Ids(vec![5000]), ..ask(greedy()) };
    assert!(rig.reply(outside).failure.contains("5000"));
}

#[test]
fn scans_and_inspections_go_on_beside_a_reply() {
    let (rig, open) = gated(ToyOptions::default());
    rig.send(Request::Reply(Box::new(ask(greedy()))));
    rig.send(Request::Scan { folders: vec!["here".into()] });
    rig.send(Request::Inspect { path: "broken".into() });
    let (mut scanned, mut inspected) = (false, false);
    while !(scanned && inspected) {
        match rig.next() {
            Event::Scanned { found, skipped } => {
                assert_eq!((found.len(), skipped.len()), (1, 1));
                scanned = true;
            }
            Event::Inspected { outcome, .. } => {
                assert!(outcome.unwrap_err().contains("broken"));
                inspected = true;
            }
            _ => {}
        }
    }
    drop(open);
    assert_eq!(*rig.finish().reason(), StopReason::EndOfText);
}

#[test]
fn vectors_come_and_go_while_a_reply_is_made() {
    let (rig, open) = gated(ToyOptions::default());
    let failed = |name: &str| {
        rig.send(Request::AddVector { path: name.into(), any_base: false });
        loop {
            match rig.next() {
                Event::VectorFailed { path, message } => {
                    assert_eq!(path.to_str(), Some(name));
                    return message;
                }
                Event::VectorAdded(_) => panic!("{name} was added"),
                _ => {}
            }
        }
    };
    assert!(failed("broken").contains("broken"));
    assert!(failed("stranger").contains("another model"));
    let plan = Plan { max_tokens: Some(40), ..greedy() };
    rig.send(Request::Reply(Box::new(ask(plan.clone()))));
    let with = |strength| Plan {
        vectors: vec![tiller::steer::VectorSetting::new("calm", strength)],
        ..plan.clone()
    };
    rig.send(Request::AddVector { path: "misfit".into(), any_base: false });
    // Dialled before anybody has asked for it: the plan waits until it is there.
    rig.send(Request::SetPlan(with(3.5)));
    let (mut tokens, mut said, mut changed) = (String::new(), Vec::new(), false);
    loop {
        open.try_send(()).ok();
        match rig.next() {
            Event::Token { trace, .. } => tokens += &trace.text,
            Event::VectorAdded(facts) => said.push(format!("added {}", facts.name)),
            Event::PlanRefused { message, .. } => panic!("{message}"),
            Event::VectorFailed { path, .. } => said.push(format!("failed {}", path.display())),
            Event::StrengthsChanged { .. } => changed = true,
            Event::ReplyDone { recipe, .. } => {
                assert_eq!(recipe.plan_changes.len(), 1);
                break;
            }
            Event::ReplyFailed { message, .. } => panic!("{message}"),
            _ => {}
        }
    }
    said.sort();
    assert_eq!(said, ["added calm", "failed misfit"]);
    assert!(changed && tokens != SENTENCE, "{tokens}");
    drop(open);
    rig.send(Request::RemoveVector { path: "calm".into() });
    while !matches!(rig.next(), Event::VectorRemoved { .. }) {}
    assert_eq!(rig.reply(ask(greedy())).text(), SENTENCE);
}
