//! A base, a reward model of its own and held-out prompts: replies by any guide, and what both
//! judges think of them.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

use super::accuracy::{Beside, HeldOut, Judge, of_pairs, where_they_part};
use super::arguments::RewardArgs;
use super::decoding::{self, Guide, Reply, Settings};
use crate::eval::load::load;
use crate::learn::random::Draws;
use crate::learn::reward::texts::{Files, Lessons};
use crate::model::checkpoint::Checkpoint;
use crate::model::decoder::DecoderSpec;
use crate::model::reward::{Adapter, open_for};
use crate::model::scorer::Scorer;
use crate::model::{LoadOptions, Model, Wanted};
use crate::platform::Problem;

/// Prefixes the spread of the separate model's rewards is measured on.
const PREFIXES: usize = 48;

/// Everything the table is measured with.
pub struct Bench {
    pub model: Model,
    pub spec: DecoderSpec,
    pub scorer: Scorer,
    pub pairs: HeldOut,
    /// Pairs whose worse answer is the better one with a fault.
    pub broken: Option<HeldOut>,
    /// Each as it is put to the model.
    pub prompts: Vec<Vec<u32>>,
}

/// The replies of one system.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Replies {
    pub ids: Vec<Vec<u32>>,
    pub seconds_per_token: f64,
    pub tokens_per_reply: f64,
    pub diversity: f64,
    /// Mean rewards by the separate model and by the adapter.
    pub by_separate: f64,
    pub by_stream: f64,
    /// Mean nats of a token under the plain base: what is no longer its language costs many.
    pub nats: f64,
}

/// How often a judge puts the better answer first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// Of the held-out pairs.
    pub pairs: f64,
    /// Of those with a fault in the worse answer: at the end, and at the first token that differs.
    pub broken: Option<[f64; 2]>,
}

impl Order {
    fn of(judge: &mut impl Judge, pairs: &HeldOut, broken: Option<&HeldOut>) -> Result<Self> {
        let both = |some: &HeldOut| -> Result<[f64; 2]> {
            Ok([of_pairs(judge, some)?, where_they_part(judge, some)?])
        };
        let broken = broken.map(both).transpose()?;
        Ok(Self { pairs: of_pairs(judge, pairs)?, broken })
    }
}

impl Bench {
    /// Loads both models and reads the pairs.
    ///
    /// # Errors
    /// When something cannot be read or does not go together.
    pub fn open(args: &RewardArgs, separate: &Path, tell: &mut impl FnMut(&str)) -> Result<Self> {
        let model = load(&args.base)?;
        let spec = DecoderSpec::from_config(&Checkpoint::open(&args.base)?.config)?;
        let scorer = Scorer::open(separate, &LoadOptions::default(), &mut |_, _| true)?;
        let mut read = |files: &[PathBuf]| -> Result<HeldOut> {
            let files = Files { training: files, held_out: &[], rated: false, faults: None };
            let context = model.runner.context_length().min(1024) - 1;
            let lessons = Lessons::read(files, &model.language, context, tell)?;
            let both = lessons.training.iter().chain(&lessons.held_out);
            let mut pairs: Vec<_> = both.copied().collect();
            Draws::new(args.seed, 0x6576_616C).shuffle(&mut pairs);
            pairs.truncate(args.most.unwrap_or(usize::MAX));
            Ok(HeldOut { lessons, pairs })
        };
        let pairs = read(&args.pairs)?;
        let broken = if args.broken.is_empty() { None } else { Some(read(&args.broken)?) };
        let mut prompts: Vec<Vec<u32>> = Vec::new();
        for lesson in &pairs.pairs {
            let text = &pairs.lessons.texts[lesson.texts()[0]];
            let prompt = text.ids[..text.answer].to_vec();
            if prompts.len() < args.prompts && !prompts.contains(&prompt) {
                prompts.push(prompt);
            }
        }
        ensure!(!prompts.is_empty(), Problem::new("there is no prompt to answer"));
        ensure!(
            scorer.facts.vocab_size >= model.facts.vocab_size,
            Problem::new("the reward model has another vocabulary").at(separate)
        );
        Ok(Self { model, spec, scorer, pairs, broken, prompts })
    }

    /// Reads an adapter of this base.
    ///
    /// # Errors
    /// When it is none, or another's.
    pub fn adapter(&self, path: &Path) -> Result<Adapter> {
        open_for(path, &self.model.facts, &self.spec)
    }

    /// Pair accuracy of the reward model of its own.
    ///
    /// # Errors
    /// When a pass fails.
    pub fn separate_order(&mut self) -> Result<Order> {
        Order::of(&mut self.scorer, &self.pairs, self.broken.as_ref())
    }

    /// Pair accuracy of an adapter, which stays beside the base.
    ///
    /// # Errors
    /// When it does not fit, or a pass fails.
    pub fn stream_order(&mut self, adapter: &Adapter) -> Result<Order> {
        let runner = self.model.runner.as_mut();
        runner.insert(Some(adapter))?;
        Order::of(&mut Beside(runner), &self.pairs, self.broken.as_ref())
    }

    /// Answers every prompt and has both judges judge; the adapter is beside the base only where
    /// the system asks for it.
    ///
    /// # Errors
    /// When a pass fails.
    pub fn replies(
        &mut self,
        system: System,
        adapter: &Adapter,
        args: &RewardArgs,
    ) -> Result<Replies> {
        let is_beside = matches!(system, System::Stream(_));
        self.model.runner.insert(is_beside.then_some(adapter))?;
        let ends = self.model.language.end_of_text_ids.clone();
        let settings = Settings { candidates: args.candidates, tokens: args.tokens, ends: &ends };
        let mut all = Replies::default();
        let (mut seconds, mut tokens) = (0.0, 0);
        for prompt in &self.prompts {
            let mut guide = match system {
                System::Plain => Guide::Plain,
                System::Rows => Guide::Rows,
                System::Stream(weight) => Guide::Stream(weight),
                System::Separate(weight) => Guide::Separate(&mut self.scorer, weight),
            };
            let runner = self.model.runner.as_mut();
            let reply: Reply = decoding::reply(runner, &mut guide, prompt, settings)?;
            seconds += reply.seconds;
            tokens += reply.ids.len();
            all.diversity += decoding::diversity(&reply.ids) / self.prompts.len() as f64;
            all.ids.push(reply.ids);
        }
        all.seconds_per_token = seconds / tokens.max(1) as f64;
        all.tokens_per_reply = tokens as f64 / self.prompts.len() as f64;
        self.model.runner.insert(Some(adapter))?;
        self.judge(&mut all)?;
        Ok(all)
    }

    /// What both judges and the base think of replies; the adapter must be beside the base.
    fn judge(&mut self, replies: &mut Replies) -> Result<()> {
        let share = 1.0 / self.prompts.len() as f64;
        let tokens: usize = replies.ids.iter().map(Vec::len).sum();
        for (prompt, reply) in self.prompts.iter().zip(&replies.ids) {
            let whole: Vec<u32> = prompt.iter().chain(reply).copied().collect();
            replies.by_separate += share * f64::from(self.scorer.judge(&whole)?);
            let runner = self.model.runner.as_mut();
            runner.truncate(0)?;
            let output = runner.prefill(&whole, Wanted::All)?;
            replies.by_stream += share * output.reward.last().copied().map_or(0.0, f64::from);
            for (at, id) in reply.iter().enumerate() {
                let logits = output.logits_of(prompt.len() + at - 1);
                replies.nats += decoding::nats(logits, *id) / tokens.max(1) as f64;
            }
        }
        Ok(())
    }

    /// How far the separate model's rewards spread over the candidates of a step: what strength 1
    /// is worth to it, measured as the adapter's own unit is.
    ///
    /// # Errors
    /// When a pass fails.
    pub fn separate_unit(&mut self, args: &RewardArgs) -> Result<f64> {
        let mut draws = Draws::new(args.seed, 0x756E_6974);
        let runner = self.model.runner.as_mut();
        let mut variances = Vec::new();
        for lesson in self.pairs.pairs.iter().take(PREFIXES) {
            let text = &self.pairs.lessons.texts[lesson.texts()[0]];
            let prefix = &text.ids[..text.answer + draws.below(text.ids.len() - text.answer)];
            runner.truncate(0)?;
            let logits = runner.prefill(prefix, Wanted::Last)?.logits;
            let some = decoding::candidates(&logits, args.candidates);
            let judge = self.scorer.runner();
            judge.truncate(0)?;
            judge.prefill(prefix, Wanted::Last)?;
            judge.gather(&vec![0; some.len()])?;
            let output = judge.step(&some)?;
            let rewards: Vec<f64> =
                self.scorer.rewards(&output).into_iter().map(f64::from).collect();
            let count = rewards.len() as f64;
            let mean = rewards.iter().sum::<f64>() / count;
            let spread = rewards.iter().map(|reward| (reward - mean).powi(2)).sum::<f64>();
            variances.push(spread / count);
        }
        Ok((variances.iter().sum::<f64>() / variances.len().max(1) as f64).sqrt())
    }
}

/// A way to decode.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum System {
    Plain,
    Rows,
    Stream(f64),
    Separate(f64),
}
