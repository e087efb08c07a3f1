//! The rule's invariants (spec sections 11.4 to 11.7, 11.13) over the toy and over real decoders.

use std::path::Path;

use candle_core::Device;

use super::*;
use crate::decode::mix::Knobs;
use crate::decode::{Passes, ReplyStart};
use crate::model::Wanted;
use crate::model::checkpoint::Checkpoint;
use crate::model::decoder::{Decoder, DecoderSpec, initialise};
use crate::model::reward::{Adapter, Facts, Heads, Initialisation, Precision, Shape, Sizes};
use crate::model::runner::reuse_prefix;
use crate::model::toy::{ASSISTANT, ToyOptions, ToyRunner, toy_language};
use crate::model::weights::WeightForm;
use crate::platform::random;
use crate::session::TokenTrace;
use crate::steer::{Plan, RewardSetting, Sampling};

/// Another model's rewards, moved and stretched, with a count of the passes by their width.
struct Moved<R> {
    inner: R,
    scale: f32,
    shift: f32,
    widths: Vec<usize>,
}

impl<R: Runner> Moved<R> {
    fn of(inner: R) -> Self {
        Self { inner, scale: 1.0, shift: 0.0, widths: Vec::new() }
    }
}

impl<R: Runner> Runner for Moved<R> {
    fn vocab_size(&self) -> usize {
        self.inner.vocab_size()
    }
    fn hidden_size(&self) -> usize {
        self.inner.hidden_size()
    }
    fn context_length(&self) -> usize {
        self.inner.context_length()
    }
    fn rows(&self) -> usize {
        self.inner.rows()
    }
    fn len(&self) -> usize {
        self.inner.len()
    }
    fn ids(&self) -> &[u32] {
        self.inner.ids()
    }
    fn prefill(&mut self, ids: &[u32], wanted: Wanted) -> Result<StepOutput> {
        self.inner.prefill(ids, wanted)
    }
    fn step(&mut self, ids: &[u32]) -> Result<StepOutput> {
        self.widths.push(ids.len());
        let mut output = self.inner.step(ids)?;
        for reward in &mut output.reward {
            *reward = self.scale * *reward + self.shift;
        }
        Ok(output)
    }
    fn gather(&mut self, parents: &[usize]) -> Result<()> {
        self.inner.gather(parents)
    }
    fn truncate(&mut self, len: usize) -> Result<()> {
        self.inner.truncate(len)
    }
}

fn toy(adapter: &str) -> Moved<ToyRunner> {
    let mut runner = ToyRunner::new(ToyOptions::default());
    let facts = Facts { name: adapter.into(), ..Facts::default() };
    runner.insert(Some(&Adapter { facts, ..Adapter::default() })).unwrap();
    Moved::of(runner)
}

fn plan(strength: f32, candidates: usize, temperature: f32) -> Plan {
    Plan {
        seed: 4,
        max_tokens: Some(24),
        sampling: Sampling { temperature, top_p: 1.0, ..Sampling::default() },
        reward: Some(RewardSetting { strength, candidates, ..RewardSetting::shown("civil") }),
        ..Plan::default()
    }
}

struct Made {
    tokens: Vec<TokenTrace>,
    ending: Ending,
    passes: Passes,
    /// The passes the reply began over.
    before: Passes,
}

impl Made {
    fn ids(&self) -> Vec<u32> {
        self.tokens.iter().map(|token| token.id).collect()
    }
}

const PROMPT: [u32; 5] = [256, 259, 72, 257, ASSISTANT];

fn make(runner: &mut dyn Runner, plan: Plan) -> Made {
    make_over(runner, plan, &PROMPT, Passes::default(), None).unwrap()
}

fn make_over(
    runner: &mut dyn Runner,
    plan: Plan,
    prompt: &[u32],
    mut passes: Passes,
    again: Option<Passes>,
) -> Result<Made> {
    let language = toy_language();
    let mut knobs = Knobs::default();
    let start = ReplyStart {
        reply: 1,
        ids: prompt.to_vec(),
        prompt_len: prompt.len(),
        again,
        reward_unit: Some(0.5),
        ..ReplyStart::default()
    };
    let (mut reply, _) = Reply::begin(&language, runner, &mut passes, &mut knobs, start, plan)?;
    let before = reply.passes().clone();
    let mut tokens: Vec<TokenTrace> = Vec::new();
    loop {
        let progress = reply.advance(runner, &mut [])?;
        if let (Some(reward), Some(last)) = (reply.take_reward(), tokens.last_mut()) {
            assert!(last.reward.is_none_or(|before| before == reward), "told twice alike or once");
            last.reward = Some(reward);
        }
        match progress {
            Progress::Prefilled { .. } => {}
            Progress::Tokens(more) => tokens.extend(more),
            Progress::Ended(more, ending) => {
                tokens.extend(more);
                return Ok(Made { tokens, ending, passes: reply.into_passes(), before });
            }
        }
    }
}

/// Spec section 11.4: what weighs next to nothing changes nothing, and off is the plain path.
#[test]
fn a_strength_of_nothing_gives_the_plain_text() {
    for temperature in [0.0, 0.9] {
        let mut sampled = plan(0.0, 10, temperature);
        sampled.sampling.top_k = 10;
        let plain = make(&mut toy("civil"), Plan { reward: None, ..sampled.clone() });
        let mut runner = toy("civil");
        let off = make(&mut runner, sampled.clone());
        assert_eq!(off.ids(), plain.ids());
        assert!(runner.widths.iter().all(|width| *width == 1), "off makes no wide pass");
        let mut runner = toy("civil");
        let mut hardly = sampled;
        hardly.reward.as_mut().unwrap().strength = 1e-30;
        let hardly = make(&mut runner, hardly);
        assert_eq!(hardly.ids(), plain.ids(), "at temperature {temperature}");
        assert!(runner.widths.iter().all(|width| *width == 10), "one pass of all candidates");
        // One per token, and one more for the end of text where the model came to it.
        let ends = usize::from(hardly.ending == Ending::EndOfText);
        assert_eq!(runner.widths.len(), hardly.tokens.len() + ends);
    }
}

/// Spec section 11.5.
#[test]
fn one_candidate_is_plain_greedy_at_any_strength_and_the_set_is_the_models_own() {
    let plain = make(&mut toy("civil"), Plan { reward: None, ..plan(0.0, 1, 0.0) });
    for strength in [0.5, 30.0, 1000.0] {
        assert_eq!(make(&mut toy("civil"), plan(strength, 1, 0.0)).ids(), plain.ids());
        for adapter in ["civil", "rude"] {
            let made = make(&mut toy(adapter), plan(strength, 4, 0.7));
            for token in &made.tokens {
                let rank = token.alternatives.iter().position(|other| other.id == token.id);
                assert!(rank.is_some_and(|rank| rank < 4), "{token:?}");
            }
        }
    }
}

/// Spec section 11.6.
#[test]
fn a_constant_changes_nothing_and_a_scale_is_a_strength() {
    for temperature in [0.0, 0.8] {
        let made = make(&mut toy("civil"), plan(2.0, 8, temperature));
        let mut moved = Moved { shift: 16.0, ..toy("civil") };
        assert_eq!(make(&mut moved, plan(2.0, 8, temperature)).ids(), made.ids());
        let mut stretched = Moved { scale: 4.0, ..toy("civil") };
        assert_eq!(make(&mut stretched, plan(0.5, 8, temperature)).ids(), made.ids());
        let plain = Plan { reward: None, ..plan(0.0, 8, temperature) };
        assert_ne!(make(&mut toy("civil"), plain).ids(), made.ids(), "the reward decides");
    }
}

/// Spec section 11.7, and that what is told of a token is the reward of the text up to it.
#[test]
fn a_great_strength_takes_the_best_reward_and_tells_it() {
    let made = make(&mut toy("civil"), plan(1000.0, 6, 0.0));
    let mut runner = toy("civil");
    let mut ids = PROMPT.to_vec();
    for token in &made.tokens {
        reuse_prefix(&mut runner, &ids).unwrap();
        let fed = runner.len();
        runner.prefill(&ids[fed..], Wanted::Last).unwrap();
        let candidates: Vec<u32> =
            token.alternatives.iter().take(6).map(|other| other.id).collect();
        runner.gather(&[0; 6]).unwrap();
        let rewards = runner.step(&candidates).unwrap().reward;
        runner.gather(&[0]).unwrap();
        runner.truncate(ids.len()).unwrap();
        let best = rewards.iter().copied().fold(f32::MIN, f32::max);
        let at = candidates.iter().position(|id| *id == token.id).unwrap();
        assert_eq!((rewards[at], token.reward), (best, Some(best)));
        ids.push(token.id);
    }
}

/// Spec section 11.7, second half: as the strength grows, two candidates change places once.
#[test]
fn each_pair_of_candidates_switches_at_most_once() {
    let mut switches = 0;
    for adapter in ["civil", "rude", "calm", "kind", "terse"] {
        let mut seen: Vec<Vec<u32>> = Vec::new();
        for step in 1..120 {
            let once = Plan { max_tokens: Some(1), ..plan(step as f32 * 0.1, 10, 0.0) };
            let ids = make(&mut toy(adapter), once).ids();
            if seen.last() != Some(&ids) {
                assert!(!seen.contains(&ids), "a candidate came back");
                seen.push(ids);
            }
        }
        switches += seen.len() - 1;
    }
    assert!(switches > 1, "the reward never decided");
}

#[test]
fn shown_rewards_change_nothing_and_are_those_of_the_text_so_far() {
    let shown = make(&mut toy("civil"), plan(0.0, 10, 0.7));
    let mut bare = ToyRunner::new(ToyOptions::default());
    let without = make(&mut bare, Plan { reward: None, ..plan(0.0, 10, 0.7) });
    assert_eq!(shown.ids(), without.ids());
    assert!(without.tokens.iter().all(|token| token.reward.is_none()));
    let mut runner = toy("civil");
    let ids: Vec<u32> = PROMPT.iter().copied().chain(shown.ids()).collect();
    let rewards = runner.prefill(&ids, Wanted::All).unwrap().reward;
    let (last, others) = shown.tokens.split_last().unwrap();
    for (at, token) in others.iter().enumerate() {
        assert_eq!(token.reward, Some(rewards[PROMPT.len() + at]), "token {at}");
    }
    // The last one was read only if the model then ended its turn.
    assert_eq!(last.reward.is_some(), shown.ending == Ending::EndOfText);
}

#[test]
fn a_gate_scores_nothing_where_the_model_is_sure() {
    let mut gated = plan(1000.0, 8, 0.0);
    gated.reward.as_mut().unwrap().gate = Some(1e-6);
    let plain = make(&mut toy("civil"), Plan { reward: None, ..gated.clone() });
    let mut runner = toy("civil");
    assert_eq!(make(&mut runner, gated.clone()).ids(), plain.ids());
    assert!(runner.widths.iter().all(|width| *width == 1));
    // Of the plain reply's tokens, about half are surer than this.
    let mut sure: Vec<f32> =
        plain.tokens.iter().map(|token| token.alternatives[0].logprob.exp()).collect();
    sure.sort_by(f32::total_cmp);
    gated.reward.as_mut().unwrap().gate = Some(sure[sure.len() / 2]);
    let mut runner = toy("civil");
    make(&mut runner, gated);
    assert!(runner.widths.contains(&1) && runner.widths.contains(&8), "{:?}", runner.widths);
}

#[test]
fn rewards_that_are_no_numbers_are_refused_and_leave_the_cache_whole() {
    let mut runner = toy("hollow");
    let error = make_over(&mut runner, plan(1.0, 4, 0.0), &PROMPT, Passes::default(), None);
    let error = error.err().unwrap().to_string();
    assert!(error.contains("NaN"), "{error}");
    assert_eq!((runner.rows(), runner.ids()), (1, &PROMPT[..]));
    // Shown alone they are left out.
    let shown = make(&mut toy("hollow"), plan(0.0, 4, 0.0));
    assert!(shown.tokens.iter().all(|token| token.reward.is_none()));
    let none = &mut ToyRunner::new(ToyOptions::default());
    let error = make_over(none, plan(1.0, 4, 0.0), &PROMPT, Passes::default(), None);
    assert!(error.err().unwrap().to_string().contains("no rewards"));
}

#[test]
fn a_full_context_and_an_end_of_text_leave_one_row_that_was_read() {
    let options = ToyOptions { context_length: 12, ..ToyOptions::default() };
    let mut runner = ToyRunner::new(options);
    let facts = Facts { name: "civil".into(), ..Facts::default() };
    runner.insert(Some(&Adapter { facts, ..Adapter::default() })).unwrap();
    let made = make(&mut runner, plan(3.0, 5, 0.0));
    assert_eq!((made.ending, runner.rows(), runner.len()), (Ending::ContextFull, 1, 12));
    for strength in [1e-30, 1.0] {
        let mut runner = toy("civil");
        let made = make(&mut runner, Plan { max_tokens: Some(200), ..plan(strength, 3, 0.0) });
        let ids: Vec<u32> = PROMPT.iter().copied().chain(made.ids()).collect();
        assert_eq!((runner.rows(), runner.ids()), (1, &ids[..runner.len()]));
        assert_eq!(made.passes.positions(), runner.len());
    }
}

fn decoder(name: &str) -> Decoder {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/families").join(name);
    let checkpoint = Checkpoint::open(&path).unwrap();
    let spec = DecoderSpec::from_config(&checkpoint.config).unwrap();
    let facts = Facts { sizes: Sizes::one_in(4, &spec), ..Facts::default() };
    let shape = Shape::new(&facts, Heads::default(), &spec).unwrap();
    let mut tensors = initialise(&checkpoint, &shape, Initialisation::Mirror, 3).unwrap();
    let head = tensors.get_mut("head.reward.weight").unwrap();
    for (at, value) in head.values.iter_mut().enumerate() {
        *value = random::normal(2, 1, at as u64);
    }
    let adapter = Adapter { facts, tensors, precision: Precision::F32 };
    let device = Device::Cpu;
    let form = WeightForm::F32;
    let mut decoder =
        Decoder::load(&checkpoint, spec, &device, form, 64, &mut |_, _| true).unwrap();
    decoder.insert(Some(&adapter)).unwrap();
    decoder
}

/// The rule as ARGS has it: every candidate's reward by a pass of its own over the whole text.
#[test]
fn rows_of_one_pass_choose_what_separate_evaluations_choose() {
    let prompt = [3, 17, 4, 9, 22];
    for name in ["llama", "gemma3", "gpt2"] {
        let made = make_over(
            &mut decoder(name),
            Plan { max_tokens: Some(8), ..plan(1.0, 5, 0.0) },
            &prompt,
            Passes::default(),
            None,
        )
        .unwrap();
        let mut scorer = decoder(name);
        let mut ids = prompt.to_vec();
        for token in &made.tokens {
            scorer.truncate(0).unwrap();
            let logits = scorer.prefill(&ids, Wanted::Last).unwrap().logits;
            let mut best = (0, f32::MIN);
            for other in token.alternatives.iter().take(5) {
                scorer.truncate(0).unwrap();
                let text: Vec<u32> = ids.iter().copied().chain([other.id]).collect();
                let reward = scorer.prefill(&text, Wanted::Last).unwrap().reward[0];
                let score = logits[other.id as usize] + 1.0 / 0.5 * reward;
                if score > best.1 {
                    best = (other.id, score);
                }
            }
            assert_eq!(token.id, best.0, "{name}, after {ids:?}");
            ids.push(token.id);
        }
    }
}

/// The passes kept with a reply bring back the very bits of the cache the next one is made over.
#[test]
fn a_reply_over_a_cache_of_candidates_is_replayed_to_the_bit() {
    for name in ["llama", "qwen3"] {
        let mut runner = decoder(name);
        let prompt = [3, 17, 4, 9, 22];
        let short = Plan { max_tokens: Some(6), ..plan(2.0, 5, 0.9) };
        let first =
            make_over(&mut runner, short.clone(), &prompt, Passes::default(), None).unwrap();
        let next: Vec<u32> = prompt.iter().copied().chain(first.ids()).chain([7, 8]).collect();
        let second = make_over(&mut runner, short.clone(), &next, first.passes, None).unwrap();
        assert!(second.before.positions() > prompt.len(), "the cache is reused");
        let again = Some(second.before.clone());
        let mut fresh = decoder(name);
        let replayed = make_over(&mut fresh, short, &next, Passes::default(), again).unwrap();
        assert!(replayed.tokens == second.tokens, "{name}: another reply");
    }
}
