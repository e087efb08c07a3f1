//! One reply as a machine that steps a `Runner`: feeds the prompt in chunks, then draws, traces
//! and feeds one token after the other until something ends it. Whoever drives it looks at Stop
//! between any two advances.

mod course;
mod drafted;
mod mixing;
mod prompted;
mod rewarded;

use std::collections::VecDeque;

use anyhow::{Context, Result};

use super::mix::{Knobs, Mix};
use super::observe::{self, Observation};
use super::passes::Passes;
use super::penalties::{self, History};
use super::rules::{Position, TokenRule};
use super::stop::{StopWatch, Verdict};
use super::{draw, sampler};
use crate::model::runner::reuse_prefix;
use crate::model::{Language, Runner, StepOutput, TextStream, Wanted};
use crate::platform::Problem;
use crate::session::{TokenReferences, TokenTrace};
use crate::steer::{KvPolicy, Plan};
pub use course::{Ending, Progress, ReplyStart};
pub use drafted::Drafting;
pub use prompted::Prompted;

/// Most prompt tokens fed in one pass, so that Stop acts soon.
pub const PREFILL_CHUNK: usize = 128;

/// A reply under way.
pub struct Reply<'a> {
    language: &'a Language,
    plan: Plan,
    bias: Vec<(u32, f32)>,
    reply: u64,
    prompt_len: usize,
    opening_len: usize,
    /// Prompt, opening and every token drawn.
    ids: Vec<u32>,
    /// How what the cache holds came to be.
    passes: Passes,
    again: Option<Passes>,
    stream: Box<dyn TextStream>,
    watch: StopWatch,
    /// Drawn, but part of their text may yet become a stop string.
    held: VecDeque<TokenTrace>,
    /// Bytes of `held` text that are settled already, in its first token.
    settled_in_first: usize,
    output: Option<StepOutput>,
    steered: Vec<f32>,
    over: bool,
    knobs: &'a mut Knobs,
    /// The strengths passes are made under.
    mix: Mix,
    /// The strengths last asked for, which may wait for the next turn.
    asked_mix: Mix,
    /// Positions that were held when the reply began.
    begun_at: usize,
    /// Positions that were held and dropped then, for they were made under other strengths.
    dropped: usize,
    /// Everything is being fed again under other strengths.
    refeeding: bool,
    reward_unit: Option<f32>,
    /// The reward of the last token told, until somebody takes it.
    reward_told: Option<f32>,
    /// What the last pass drafted for the positions behind the next one.
    drafts: Vec<u32>,
    /// What a pass gave behind drafted tokens that were not drawn yet.
    ahead: VecDeque<drafted::Ahead>,
    drafting: Drafting,
    /// What passages did to the tokens drawn since they were last taken.
    references: Vec<TokenReferences>,
}

impl<'a> Reply<'a> {
    /// Rolls the cache back to what it shares with `start.ids` and returns the reply with the
    /// number of tokens reused. `passes` tells how the cache came to be; it is taken over, and
    /// `into_passes` gives it back.
    ///
    /// Errors when the plan means nothing or the ids do not fit the context, saying by how many;
    /// the cache is then as it was.
    pub fn begin(
        language: &'a Language,
        runner: &mut dyn Runner,
        passes: &mut Passes,
        knobs: &'a mut Knobs,
        start: ReplyStart,
        plan: Plan,
    ) -> Result<(Self, usize)> {
        let ReplyStart { reply, ids, prompt_len, continues_text, again, mix, reward_unit } = start;
        if ids.is_empty() {
            return Err(Problem::new("the prompt is empty").hint("write something first").into());
        }
        let room = runner.context_length();
        if ids.len() > room {
            let over = ids.len() - room;
            let what = format!(
                "the conversation takes {} tokens, {over} more than the context of {room} holds",
                ids.len()
            );
            let hint = "shorten or delete messages, or load the model with a longer context";
            return Err(Problem::new(what).hint(hint).into());
        }
        sampler::check(&plan.sampling)?;
        plan.check_strengths()?;
        plan.check_reward()?;
        plan.check_stores()?;
        let bias = penalties::read_bias(&plan.sampling, runner.vocab_size())?;
        let mut passes = std::mem::take(passes);
        let known = passes.positions() == runner.len();
        if again.is_some() || !known {
            runner.truncate(0)?;
        }
        let held = reuse_prefix(runner, &ids)?;
        passes.truncate(held);
        let reused = match plan.kv_policy {
            Some(KvPolicy::Keep) => held,
            _ => held.min(passes.positions_under(&mix)),
        };
        if reused < held {
            runner.truncate(reused)?;
            passes.truncate(reused);
        }
        let mut stream = language.vocabulary.stream(continues_text);
        // The stream must stand where the opening ends: it may end inside a character.
        for id in &ids[prompt_len..] {
            stream.push(*id)?;
        }
        let made = Self {
            language,
            watch: StopWatch::new(&plan.stop),
            plan,
            bias,
            reply,
            prompt_len,
            opening_len: ids.len() - prompt_len,
            ids,
            passes,
            begun_at: again.as_ref().map_or(reused, Passes::positions),
            again,
            stream,
            held: VecDeque::new(),
            settled_in_first: 0,
            output: None,
            steered: Vec::new(),
            over: false,
            knobs,
            asked_mix: mix.clone(),
            mix,
            dropped: held - reused,
            refeeding: false,
            reward_unit,
            reward_told: None,
            drafts: Vec::new(),
            ahead: VecDeque::new(),
            drafting: Drafting::default(),
            references: Vec::new(),
        };
        Ok((made, reused))
    }

    /// What the runner has attached and is set to.
    pub fn knobs(&mut self) -> &mut Knobs {
        self.knobs
    }

    /// How what the cache holds came to be.
    pub fn passes(&self) -> &Passes {
        &self.passes
    }

    /// The same, for the next reply over this cache.
    pub fn into_passes(self) -> Passes {
        self.passes
    }

    /// What passages did to the tokens drawn since this was last asked.
    pub fn take_references(&mut self) -> Vec<TokenReferences> {
        std::mem::take(&mut self.references)
    }

    /// Tokens drawn so far, the given opening not counted.
    pub fn drawn(&self) -> usize {
        self.ids.len() - self.prompt_len - self.opening_len
    }

    /// Prompt, opening and every token drawn.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// The strengths of vectors in force.
    pub fn mix(&self) -> &Mix {
        &self.mix
    }

    /// Steers by this plan from the next token on. On an error the old plan stays.
    pub fn set_plan(&mut self, plan: Plan, vocab_size: usize) -> Result<()> {
        sampler::check(&plan.sampling)?;
        plan.check_strengths()?;
        plan.check_reward()?;
        plan.check_stores()?;
        self.bias = penalties::read_bias(&plan.sampling, vocab_size)?;
        if plan.stop != self.plan.stop {
            self.watch.replace(&plan.stop);
        }
        self.plan = plan;
        Ok(())
    }

    /// One pass of the model at most: a chunk of the prompt, or one token.
    pub fn advance(
        &mut self,
        runner: &mut dyn Runner,
        rules: &mut [Box<dyn TokenRule + '_>],
    ) -> Result<Progress> {
        if self.over {
            return Ok(Progress::Tokens(Vec::new()));
        }
        runner.want_heads(self.is_detoxed(), self.is_speculating());
        if let Some(again) = &self.again {
            if again.make_next(runner, self.knobs, &self.ids, &mut self.passes)? {
                let (done, total) = (runner.len(), self.ids.len());
                return Ok(Progress::Prefilled { done, total });
            }
            self.again = None;
        }
        self.knobs.set(runner, &self.mix)?;
        self.settle_drafts(runner)?;
        let cached = runner.len();
        if (self.drawn() == 0 || self.refeeding) && cached < self.ids.len() {
            let end = self.ids.len().min(cached + PREFILL_CHUNK);
            let output = runner.prefill(&self.ids[cached..end], Wanted::Last)?;
            self.passes.prefilled(end - cached, &self.mix);
            let whole = end == self.ids.len();
            self.refeeding &= !whole;
            if whole {
                self.note_reward(&output);
            }
            self.output = whole.then_some(output);
            return Ok(Progress::Prefilled { done: end, total: self.ids.len() });
        }
        if self.plan.max_tokens.is_some_and(|most| self.drawn() >= most) {
            return Ok(self.end(Ending::MaxTokens));
        }
        let output = match self.output.take() {
            Some(output) => output,
            None if cached >= runner.context_length() => {
                return Ok(self.end(Ending::ContextFull));
            }
            None => {
                let output = self.feed(runner)?;
                self.note_reward(&output);
                output
            }
        };
        let held = self.ids.len();
        let progress = match self.weight() {
            Some(weight) => self.draw_by_reward(runner, &output, rules, weight)?,
            None => self.draw(&output, rules)?,
        };
        if let Some(id) = self.ids.get(held).copied() {
            let token = held - self.prompt_len - self.opening_len;
            let told = rules.iter_mut().filter_map(|rule| rule.references(id));
            self.references.extend(told.map(|told| TokenReferences { token, ..told }));
        }
        Ok(progress)
    }

    /// The tokens held back, once the reply ends without a stop string (or is stopped).
    pub fn release(&mut self) -> Vec<TokenTrace> {
        self.over = true;
        self.settled_in_first = 0;
        self.held.drain(..).collect()
    }

    fn end(&mut self, ending: Ending) -> Progress {
        Progress::Ended(self.release(), ending)
    }

    fn draw(
        &mut self,
        output: &StepOutput,
        rules: &mut [Box<dyn TokenRule + '_>],
    ) -> Result<Progress> {
        let logits = output.logits_of(0);
        let seen = observe::observe(logits)?;
        self.steer(output, rules)?;
        self.drafts.clone_from(&output.drafts);
        let id = self.choose()?;
        self.accept(id, logits[id as usize], &seen, None)
    }

    /// What the rules make of a pass's logits.
    fn steer(&mut self, output: &StepOutput, rules: &mut [Box<dyn TokenRule + '_>]) -> Result<()> {
        self.steered.clear();
        self.steered.extend_from_slice(output.logits_of(0));
        for rule in rules {
            let position = Position {
                ids: &self.ids,
                reply_start: self.prompt_len,
                hidden: output.hidden_of(0),
            };
            rule.apply(&mut self.steered, position).with_context(|| rule.name().to_owned())?;
        }
        let detox = self.plan.reward.as_ref().map_or(0.0, |reward| reward.detox);
        // Where it was dialled up just now, the next token is the first to know it.
        if detox != 0.0 && !output.detox.is_empty() {
            super::detox::apply(&mut self.steered, output.logits_of(0), output.detox_of(0), detox)?;
        }
        Ok(())
    }

    /// The expert and anti-expert rule is on.
    fn is_detoxed(&self) -> bool {
        self.plan.reward.as_ref().is_some_and(|reward| reward.detox != 0.0)
    }

    /// Penalises and draws from what was steered.
    fn choose(&mut self) -> Result<u32> {
        let history = History { all: &self.ids, reply_start: self.prompt_len };
        penalties::apply(&mut self.steered, &self.plan.sampling, &self.bias, history);
        let step = (self.ids.len() - self.prompt_len) as u32;
        let uniform = draw::uniform(self.plan.seed, self.reply, 0, step);
        sampler::draw(&self.steered, &self.plan.sampling, uniform)
    }

    /// Takes a token that was drawn into the reply, or ends it there.
    fn accept(
        &mut self,
        id: u32,
        logit: f32,
        seen: &Observation,
        reward: Option<f32>,
    ) -> Result<Progress> {
        if self.language.ends_reply(id) {
            return Ok(self.end(Ending::EndOfText));
        }
        let progress = self.take(id, logit, seen, reward)?;
        if let Progress::Tokens(mut tokens) = progress {
            // Known already: no pass is spent on a token that nobody will see.
            if self.plan.max_tokens.is_some_and(|most| self.drawn() >= most) {
                tokens.extend(self.release());
                return Ok(Progress::Ended(tokens, Ending::MaxTokens));
            }
            return Ok(Progress::Tokens(tokens));
        }
        Ok(progress)
    }

    fn take(
        &mut self,
        id: u32,
        logit: f32,
        seen: &Observation,
        reward: Option<f32>,
    ) -> Result<Progress> {
        self.ids.push(id);
        let text = self.stream.push(id)?;
        let verdict = self.watch.push(&text);
        let trace = seen.trace(id, logit, text, self.language.vocabulary.as_ref());
        self.held.push_back(TokenTrace { reward, ..trace });
        Ok(match verdict {
            Verdict::Settled(bytes) => Progress::Tokens(self.settle(bytes)),
            Verdict::Stop { bytes, stop } => {
                let mut tokens = self.settle(bytes);
                // The token the stop string begins in keeps what comes before it; those that hold
                // nothing but the stop string are no part of the reply.
                if self.settled_in_first > 0
                    && let Some(mut cut) = self.held.pop_front()
                {
                    cut.text.truncate(self.settled_in_first);
                    tokens.push(cut);
                }
                self.held.clear();
                self.release();
                Progress::Ended(tokens, Ending::StopString(stop))
            }
        })
    }

    /// Lets go of the tokens that lie wholly within the next `bytes` settled bytes.
    fn settle(&mut self, bytes: usize) -> Vec<TokenTrace> {
        let mut settled = self.settled_in_first + bytes;
        let mut tokens = Vec::new();
        while let Some(first) = self.held.front() {
            if first.text.len() > settled {
                break;
            }
            settled -= first.text.len();
            tokens.extend(self.held.pop_front());
        }
        self.settled_in_first = settled;
        tokens
    }
}
