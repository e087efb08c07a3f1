//! Strengths that change while a model speaks: the cache, the replay, what is refused.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tiller::decode::{Knobs, Mix, Passes, Progress, Reply, ReplyStart};
use tiller::engine::{
    Engine, EngineHandle, Event, Opening, Prompt, Recipe, ReplyRequest, Request, Turn, VectorFacts,
};
use tiller::model::checkpoint::Checkpoint;
use tiller::model::load::Checkpoints;
use tiller::model::vector::file::{self, Precision};
use tiller::model::vector::{Facts, Vector};
use tiller::model::{LoadOptions, Loader, Model};
use tiller::session::{Role, TokenTrace};
use tiller::steer::{KvPolicy, Plan, Sampling, VectorSetting};

use super::made::{Kind, vector};
use crate::small_model::model;

const HANG: Duration = Duration::from_secs(120);

/// A small model and two vectors for it on disk.
pub struct Home {
    _folder: TempDir,
    pub model: PathBuf,
    pub vectors: [PathBuf; 2],
}

pub fn home() -> Home {
    let (folder, model) = model();
    let base = Checkpoint::open(&model).unwrap();
    let vectors = [1, 2].map(|seed| {
        let path = folder.path().join(format!("v{seed}.safetensors"));
        let made = vector(&base, Kind::Factors, seed, 0.02);
        let made = Vector { base_fingerprint: Some(base.fingerprint()), ..made };
        file::write(&path, &made, &Facts::default(), Precision::F32).unwrap();
        path
    });
    Home { _folder: folder, model, vectors }
}

pub fn plan(vectors: &[(&Path, f32)], kv_policy: Option<KvPolicy>) -> Plan {
    let sampling = Sampling {
        temperature: 1.0,
        // The end of text, so that every reply has its full length.
        logit_bias: [("2".to_owned(), f32::NEG_INFINITY)].into(),
        ..Sampling::default()
    };
    let vectors =
        vectors.iter().map(|(path, strength)| VectorSetting::new(*path, *strength)).collect();
    Plan { seed: 3, max_tokens: Some(60), sampling, vectors, kv_policy, ..Plan::default() }
}

/// A model with the first vector attached, and the replies made with it by hand.
struct Hand {
    model: Model,
    knobs: Knobs,
    passes: Passes,
}

impl Hand {
    fn new(home: &Home) -> Self {
        let options = LoadOptions::default();
        let mut model = Checkpoints.load(&home.model, &options, &mut |_, _| true).unwrap();
        let vector = Checkpoints.open_vector(&home.vectors[0], &model.facts, false).unwrap();
        model.runner.attach(&[Arc::new(vector)]).unwrap();
        let knobs = Knobs::of(vec!["v".to_owned()]);
        Self { model, knobs, passes: Passes::default() }
    }

    /// Draws tokens after `ids`; before so many of them the strength becomes another.
    fn make(
        &mut self,
        ids: &[u32],
        strength: f32,
        count: usize,
        changes: &[(usize, f32, KvPolicy)],
    ) -> Vec<TokenTrace> {
        let mix = |strength| Mix::new([("v".to_owned(), strength)]);
        let start = ReplyStart {
            ids: ids.to_vec(),
            prompt_len: 20,
            mix: mix(strength),
            ..ReplyStart::default()
        };
        let runner = self.model.runner.as_mut();
        let first = plan(&[], None);
        let (passes, knobs) = (&mut self.passes, &mut self.knobs);
        let (mut reply, _) =
            Reply::begin(&self.model.language, runner, passes, knobs, start, first).unwrap();
        let mut made = Vec::new();
        let mut left = changes.iter().peekable();
        while made.len() < count {
            while let Some((_, strength, policy)) =
                left.next_if(|(before, ..)| *before == reply.drawn())
            {
                reply.set_plan(plan(&[], Some(*policy)), runner.vocab_size()).unwrap();
                let change = reply.set_mix(runner, mix(*strength)).unwrap().unwrap();
                assert_eq!(change.policy, *policy);
            }
            if let Progress::Tokens(tokens) = reply.advance(runner, &mut []).unwrap() {
                made.extend(tokens);
            }
        }
        self.passes = reply.into_passes();
        assert_eq!(self.passes.positions(), self.model.runner.len());
        made
    }
}

fn prompt() -> Vec<u32> {
    (0..20).map(|at| 3 + (at * 37) % 90).collect()
}

fn ids(tokens: &[TokenTrace]) -> Vec<u32> {
    tokens.iter().map(|token| token.id).collect()
}

/// The largest difference of log-probabilities; infinite when other tokens were drawn.
fn apart(one: &[TokenTrace], other: &[TokenTrace]) -> f32 {
    if ids(one) != ids(other) {
        return f32::INFINITY;
    }
    one.iter().zip(other).map(|(a, b)| (a.logprob - b.logprob).abs()).fold(0.0, f32::max)
}

/// Invariant 10: recomputing is a fresh start, keeping is not, and a later recomputing mends it.
#[test]
fn recomputing_is_a_fresh_start_and_keeping_is_a_mixture() {
    let home = home();
    let before = Hand::new(&home).make(&prompt(), 0.0, 6, &[]);
    let so_far = |tokens: &[TokenTrace]| [prompt(), ids(tokens)].concat();
    let fresh = Hand::new(&home).make(&so_far(&before), 1.0, 10, &[]);

    let recomputed = Hand::new(&home).make(&prompt(), 0.0, 16, &[(6, 1.0, KvPolicy::Recompute)]);
    assert_eq!(recomputed[..6], before);
    let off = apart(&recomputed[6..], &fresh);
    assert!(off < 1e-4, "recomputed: {off}");

    let kept = Hand::new(&home).make(&prompt(), 0.0, 16, &[(6, 1.0, KvPolicy::Keep)]);
    assert_eq!(kept[..6], before);
    assert!(apart(&kept[6..], &fresh) > 1e-3, "a kept history is another history");
    assert_ne!(kept[6..], Hand::new(&home).make(&prompt(), 0.0, 16, &[])[6..], "it was taken up");

    let changes =
        [(6, 1.0, KvPolicy::Keep), (10, 0.5, KvPolicy::Keep), (10, 1.0, KvPolicy::Recompute)];
    let mended = Hand::new(&home).make(&prompt(), 0.0, 16, &changes);
    let fresh = Hand::new(&home).make(&so_far(&mended[..10]), 1.0, 6, &[]);
    let off = apart(&mended[10..], &fresh);
    assert!(off < 1e-4, "mended: {off}");

    // As a drag does it: kept on the way, read again where the hand lets go.
    let changes =
        [(6, 0.5, KvPolicy::Keep), (8, 1.0, KvPolicy::Keep), (10, 1.0, KvPolicy::Recompute)];
    let let_go = Hand::new(&home).make(&prompt(), 0.0, 16, &changes);
    let fresh = Hand::new(&home).make(&so_far(&let_go[..10]), 1.0, 6, &[]);
    let off = apart(&let_go[10..], &fresh);
    assert!(off < 1e-4, "let go: {off}");

    let mut waiting = Hand::new(&home);
    let waited = waiting.make(&prompt(), 0.0, 16, &[(6, 1.0, KvPolicy::NextTurn)]);
    assert_eq!(waited, Hand::new(&home).make(&prompt(), 0.0, 16, &[]));
    // The next turn: what was held under the old strength is not used.
    let longer = so_far(&waited);
    let next = waiting.make(&longer, 1.0, 6, &[]);
    let off = apart(&next, &Hand::new(&home).make(&longer, 1.0, 6, &[]));
    assert!(off < 1e-4, "next turn: {off}");
}

/// Before the first token every change is as if it had been there from the beginning.
#[test]
fn a_change_during_the_prompt_begins_the_prompt_anew() {
    let home = home();
    let from_the_start = Hand::new(&home).make(&prompt(), 1.0, 5, &[]);
    for policy in [KvPolicy::Keep, KvPolicy::Recompute] {
        let changed = Hand::new(&home).make(&prompt(), -0.5, 5, &[(0, 1.0, policy)]);
        assert_eq!(changed, from_the_start, "{policy:?}");
    }
    let base = Hand::new(&home).make(&prompt(), 0.0, 5, &[]);
    let waits = Hand::new(&home).make(&prompt(), 0.0, 5, &[(0, 1.0, KvPolicy::NextTurn)]);
    assert_eq!(waits, base);
}

pub fn next(engine: &EngineHandle) -> Event {
    engine.recv_timeout(HANG).expect("the engine tells something")
}

pub fn started(home: &Home) -> EngineHandle {
    started_on(&home.model)
}

pub fn started_on(model: &Path) -> EngineHandle {
    let engine = Engine::start(|| {}).unwrap();
    let (path, options) = (model.to_path_buf(), LoadOptions::default());
    engine.send(Request::Load { path, options }).unwrap();
    while !matches!(next(&engine), Event::Loaded(_)) {}
    engine
}

fn add(engine: &EngineHandle, path: &Path) -> Result<Box<VectorFacts>, String> {
    engine.send(Request::AddVector { path: path.to_owned(), any_base: false }).unwrap();
    loop {
        match next(engine) {
            Event::VectorAdded(facts) => return Ok(facts),
            Event::VectorFailed { message, .. } => return Err(message),
            _ => {}
        }
    }
}

#[derive(Debug)]
pub struct Made {
    pub tokens: Vec<TokenTrace>,
    pub recipe: Recipe,
    pub changes: Vec<(KvPolicy, usize)>,
}

/// Follows a reply; after so many tokens a plan is sent.
pub fn finish(engine: &EngineHandle, then: &[(usize, &Plan)]) -> Result<Made, String> {
    let (mut tokens, mut changes) = (Vec::new(), Vec::new());
    loop {
        match next(engine) {
            Event::Token { trace, .. } => {
                tokens.push(*trace);
                for (_, plan) in then.iter().filter(|(after, _)| *after == tokens.len()) {
                    engine.send(Request::SetPlan((*plan).clone())).unwrap();
                }
            }
            Event::StrengthsChanged { policy, positions, .. } => changes.push((policy, positions)),
            Event::ReplyDone { recipe, .. } => {
                return Ok(Made { tokens, recipe: *recipe, changes });
            }
            Event::ReplyFailed { message, .. } => return Err(message),
            _ => {}
        }
    }
}

pub fn turns() -> Prompt {
    Prompt::Chat(vec![Turn { role: Role::User, content: "Hello there".into() }])
}

pub fn reply(engine: &EngineHandle, plan: Plan) -> Result<Made, String> {
    let request = ReplyRequest { id: 1, prompt: turns(), opening: Opening::None, plan };
    engine.send(Request::Reply(Box::new(request))).unwrap();
    finish(engine, &[])
}

pub fn replay(engine: &EngineHandle, recipe: &Recipe) -> Result<Made, String> {
    let recipe: Recipe = serde_json::from_str(&serde_json::to_string(recipe).unwrap()).unwrap();
    let (recipe, prompt) = (Box::new(recipe), turns());
    engine.send(Request::Replay { id: 9, recipe, prompt, opening: Opening::None }).unwrap();
    finish(engine, &[])
}

#[test]
fn a_reply_whose_strengths_changed_is_made_again_to_the_last_bit() {
    let home = home();
    let [one, two] = home.vectors.each_ref().map(PathBuf::as_path);
    for policy in [Some(KvPolicy::Keep), Some(KvPolicy::NextTurn), None] {
        let engine = started(&home);
        add(&engine, one).unwrap();
        add(&engine, two).unwrap();
        // An earlier turn leaves a cache under other strengths behind.
        reply(&engine, plan(&[(two, 0.8)], policy)).unwrap();
        let mut changed = plan(&[(one, 1.0), (two, -0.5)], policy);
        changed.sampling.temperature = 0.9;
        let request = ReplyRequest {
            id: 4,
            prompt: turns(),
            opening: Opening::None,
            plan: plan(&[(one, 0.25)], policy),
        };
        engine.send(Request::Reply(Box::new(request))).unwrap();
        let made = finish(&engine, &[(3, &changed)]).unwrap();
        assert_eq!(made.recipe.plan_changes.len(), 1, "the change came in time");
        let done: Vec<KvPolicy> = made.changes.iter().map(|(policy, _)| *policy).collect();
        match policy {
            Some(KvPolicy::Keep) => assert_eq!(done, [KvPolicy::Keep]),
            Some(policy) => assert_eq!(done, [KvPolicy::Recompute, policy]),
            None => assert_eq!(done, [KvPolicy::Recompute; 2]),
        }
        assert_eq!(made.recipe.vectors.len(), 2);
        for again in [replay(&engine, &made.recipe), replay(&started(&home), &made.recipe)] {
            let again = again.unwrap();
            assert_eq!(again.tokens, made.tokens, "{policy:?}");
            assert_eq!(again.recipe, made.recipe, "{policy:?}");
        }
    }
}

/// A slider that is dragged keeps what was read until the hand lets go; all of it is in the recipe.
#[test]
fn a_drag_is_made_again_too() {
    let home = home();
    let one = home.vectors[0].as_path();
    for begins_over_a_cache in [false, true] {
        let engine = started(&home);
        add(&engine, one).unwrap();
        if begins_over_a_cache {
            reply(&engine, plan(&[(one, 0.25)], None)).unwrap();
        }
        let first = plan(&[(one, 0.25)], None);
        let request = ReplyRequest { id: 4, prompt: turns(), opening: Opening::None, plan: first };
        engine.send(Request::Reply(Box::new(request))).unwrap();
        let dragged = plan(&[(one, 1.0)], Some(KvPolicy::Keep));
        let let_go = plan(&[(one, 1.0)], None);
        let made = finish(&engine, &[(2, &dragged), (12, &let_go)]).unwrap();
        let last = made.changes.last().map(|(policy, _)| *policy);
        assert_eq!(last, Some(KvPolicy::Recompute), "{:?}", made.changes);
        let again = replay(&started(&home), &made.recipe).unwrap();
        assert_eq!(again.tokens, made.tokens);
        assert_eq!(again.recipe, made.recipe);
    }
}

#[test]
fn off_is_exact_whatever_was_dialled_before() {
    let home = home();
    let [one, two] = home.vectors.each_ref().map(PathBuf::as_path);
    let plain = reply(&started(&home), plan(&[], None)).unwrap();
    assert!(plain.recipe.vectors.is_empty());
    let engine = started(&home);
    // A vector at 0 is not even opened.
    let absent = Path::new("/nowhere/at/all");
    assert_eq!(reply(&engine, plan(&[(absent, 0.0)], None)).unwrap().tokens, plain.tokens);
    let steered = reply(&engine, plan(&[(one, 1.0), (two, 0.5)], None)).unwrap();
    assert_ne!(steered.tokens, plain.tokens);
    let off = reply(&engine, plan(&[(one, 0.0), (two, 0.0)], None)).unwrap();
    assert_eq!(off.tokens, plain.tokens);
    // Once more over a cache that may be used, and with the vectors gone.
    for path in &home.vectors {
        engine.send(Request::RemoveVector { path: path.clone() }).unwrap();
    }
    let fresh = started(&home);
    reply(&fresh, plan(&[], None)).unwrap();
    let again = reply(&fresh, plan(&[], None)).unwrap();
    assert_eq!(reply(&engine, plan(&[], None)).unwrap().tokens, again.tokens);
}

#[test]
fn what_is_wrong_is_refused_by_file_and_harms_nothing() {
    let home = home();
    let engine = started(&home);
    let [one, two] = home.vectors.each_ref().map(PathBuf::as_path);
    let facts = add(&engine, one).unwrap();
    assert_eq!((facts.rank, facts.fits_base, facts.fingerprint.len()), (2, true, 32));
    let steered = reply(&engine, plan(&[(one, 1.0)], None)).unwrap();

    let folder = home.model.parent().unwrap();
    let base = Checkpoint::open(&home.model).unwrap();
    let write = |name: &str, change: &dyn Fn(&mut Vector)| {
        let mut made = vector(&base, Kind::Factors, 5, 0.02);
        change(&mut made);
        let path = folder.join(name);
        file::write(&path, &made, &Facts::default(), Precision::F32).unwrap();
        path
    };
    let stranger = write("stranger.safetensors", &|vector| {
        vector.base_fingerprint = Some("0".repeat(32));
        vector.base_name = "another model".into();
    });
    let misfit = write("misfit.safetensors", &|vector| {
        let part = vector.parts.remove("model.norm.weight").unwrap();
        vector.parts.insert("model.layers.77.norm.weight".into(), part);
    });
    let torn = folder.join("torn.safetensors");
    std::fs::write(&torn, b"not a vector").unwrap();
    for (path, said) in [
        (&stranger, "another model"),
        (&misfit, "model.layers.77.norm.weight"),
        (&torn, "torn.safetensors"),
        (&folder.join("absent"), "absent"),
    ] {
        let message = add(&engine, path).unwrap_err();
        let file = path.file_name().unwrap().to_str().unwrap();
        assert!(message.contains(said) && message.contains(file), "{message}");
        let message = reply(&engine, plan(&[(path, 1.0)], None)).unwrap_err();
        assert!(message.contains(said), "{message}");
    }
    let message = reply(&engine, plan(&[(one, 9.0)], None)).unwrap_err();
    assert!(message.contains("strength") && message.contains("v1.safetensors"), "{message}");

    let setting = VectorSetting { any_base: true, ..VectorSetting::new(&stranger, 0.5) };
    let taken = Plan { vectors: vec![setting], ..plan(&[], None) };
    assert_ne!(reply(&engine, taken).unwrap().tokens, steered.tokens);
    // It was opened for any base; a plan that does not say so is refused still.
    assert!(reply(&engine, plan(&[(&stranger, 0.5)], None)).is_err());

    let fresh = started(&home);
    let again = reply(&fresh, plan(&[(one, 1.0)], None)).unwrap();
    assert_eq!(again.tokens, steered.tokens);
    // A vector that has changed since is no longer the recipe's.
    std::fs::copy(two, one).unwrap();
    let message = replay(&started(&home), &steered.recipe).unwrap_err();
    assert!(message.contains("changed") && message.contains("v1.safetensors"), "{message}");
    // Those who still hold it are as exact as ever.
    assert_eq!(replay(&fresh, &steered.recipe).unwrap().tokens, steered.tokens);
}
