//! A base, a reward model of its own and held-out prompts: replies by any guide, and what both
//! judges think of them.

use anyhow::{Result, ensure};

use super::accuracy::{Beside, Judge};
use super::arguments::RewardArgs;
use super::decoding::{self, Guide, Reply, Settings};
use crate::eval::load::load;
use crate::learn::random::Draws;
use crate::learn::reward::texts::{Files, Lesson, Lessons};
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
    pub lessons: Lessons,
    pub pairs: Vec<Lesson>,
    /// Each as it is put to the model.
    pub prompts: Vec<Vec<u32>>,
}

/// The replies of one system.
#[derive(Debug, Clone, Default)]
pub struct Replies {
    pub ids: Vec<Vec<u32>>,
    pub seconds_per_token: f64,
    pub tokens_per_reply: f64,
    pub diversity: f64,
    /// Mean rewards by the separate model and by the adapter.
    pub by_separate: f64,
    pub by_stream: f64,
}

impl Bench {
    /// Loads both models and reads the pairs.
    ///
    /// # Errors
    /// When something cannot be read or does not go together.
    pub fn open(args: &RewardArgs, tell: &mut impl FnMut(&str)) -> Result<Self> {
        let model = load(&args.base)?;
        let spec = DecoderSpec::from_config(&Checkpoint::open(&args.base)?.config)?;
        let scorer = Scorer::open(&args.separate, &LoadOptions::default(), &mut |_, _| true)?;
        let files = Files { training: &args.pairs, held_out: &[], rated: false };
        let context = model.runner.context_length().min(1024) - 1;
        let lessons = Lessons::read(files, &model.language, context, tell)?;
        let mut pairs: Vec<Lesson> =
            lessons.training.iter().chain(&lessons.held_out).copied().collect();
        let mut draws = Draws::new(args.seed, 0x6576_616C);
        draws.shuffle(&mut pairs);
        pairs.truncate(args.most.unwrap_or(usize::MAX));
        let mut prompts: Vec<Vec<u32>> = Vec::new();
        for lesson in &pairs {
            let text = &lessons.texts[lesson.texts()[0]];
            let prompt = text.ids[..text.answer].to_vec();
            if prompts.len() < args.prompts && !prompts.contains(&prompt) {
                prompts.push(prompt);
            }
        }
        ensure!(!prompts.is_empty(), Problem::new("there is no prompt to answer"));
        ensure!(
            scorer.facts.vocab_size >= model.facts.vocab_size,
            Problem::new("the reward model has another vocabulary").at(&args.separate)
        );
        Ok(Self { model, spec, scorer, lessons, pairs, prompts })
    }

    /// Reads an adapter of this base.
    ///
    /// # Errors
    /// When it is none, or another's.
    pub fn adapter(&self, path: &std::path::Path) -> Result<Adapter> {
        open_for(path, &self.model.facts, &self.spec)
    }

    /// Pair accuracy of the reward model of its own.
    ///
    /// # Errors
    /// When a pass fails.
    pub fn separate_accuracy(&mut self) -> Result<f64> {
        super::accuracy::of_pairs(&mut self.scorer, &self.lessons, &self.pairs)
    }

    /// Pair accuracy of an adapter, which stays beside the base.
    ///
    /// # Errors
    /// When it does not fit, or a pass fails.
    pub fn stream_accuracy(&mut self, adapter: &Adapter) -> Result<f64> {
        let runner = self.model.runner.as_mut();
        runner.insert(Some(adapter))?;
        super::accuracy::of_pairs(&mut Beside(runner), &self.lessons, &self.pairs)
    }

    /// Answers every prompt; `weight` is of the guide that `system` names.
    ///
    /// # Errors
    /// When a pass fails.
    pub fn replies(&mut self, system: System, args: &RewardArgs) -> Result<Replies> {
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
        Ok(all)
    }

    /// What both judges think of replies; the adapter must be beside the base.
    ///
    /// # Errors
    /// When a pass fails.
    pub fn judge(&mut self, replies: &mut Replies) -> Result<()> {
        let share = 1.0 / self.prompts.len() as f64;
        for (prompt, reply) in self.prompts.iter().zip(&replies.ids) {
            let whole: Vec<u32> = prompt.iter().chain(reply).copied().collect();
            replies.by_separate += share * f64::from(self.scorer.judge(&whole)?);
            let mut beside = Beside(self.model.runner.as_mut());
            replies.by_stream += share * f64::from(beside.judge(&whole)?);
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
        for lesson in self.pairs.iter().take(PREFIXES) {
            let text = &self.lessons.texts[lesson.texts()[0]];
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
