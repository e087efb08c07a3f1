//! The state of the engine as the window knows it: one value, changed only by the engine's events,
//! read by every panel that says anything about the model or the reply.

use std::path::PathBuf;
use std::time::Instant;

use crate::decode::search::Boundary;
use crate::engine::{AlignedFacts, Event, ReplyTimings, StopReason, VectorFacts};
use crate::model::{FoundModel, ModelFacts, SkippedModel};
use crate::steer::KvPolicy;

use super::words;

/// What the engine has, does and last did.
#[derive(Debug, Clone, Default)]
pub struct EngineState {
    /// The model in memory.
    pub model: Option<Box<ModelFacts>>,
    /// The model that is being brought into memory.
    pub loading: Option<Loading>,
    /// The vectors beside its weights, in the order added.
    pub vectors: Vec<VectorFacts>,
    /// What was last done about the cache when strengths changed, and over how many positions.
    pub kv_policy: Option<(KvPolicy, usize)>,
    /// The aligned model it is mixed with.
    pub aligned: Option<AlignedState>,
    /// How far from the base the reply under way was, or the last one.
    pub divergence: Divergence,
    /// The rankings of the last reply that was a search, and that reply.
    pub search: Option<(u64, Vec<Boundary>)>,
    /// The reply under way.
    pub reply: Option<ReplyProgress>,
    /// The last reply that ended.
    pub last: Option<LastReply>,
    /// Models found in the stores, and why others were passed over.
    pub found: Vec<FoundModel>,
    pub skipped: Vec<SkippedModel>,
    pub is_scanning: bool,
    /// The model last described without loading it, or why it is refused.
    pub inspected: Option<(PathBuf, Result<Box<ModelFacts>, String>)>,
}

/// The aligned model of a mixture, as far as it is.
#[derive(Debug, Clone, PartialEq)]
pub enum AlignedState {
    /// From 0 to 1.
    Loading(PathBuf, f32),
    Ready(AlignedFacts),
    Refused(PathBuf, String),
}

/// KL(steered ‖ base) in nats, token by token.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Divergence {
    pub tokens: Vec<f32>,
}

impl Divergence {
    /// Nats per token over all of them.
    pub fn mean(&self) -> Option<f64> {
        let sum: f64 = self.tokens.iter().map(|nats| f64::from(*nats)).sum();
        (!self.tokens.is_empty()).then(|| sum / self.tokens.len() as f64)
    }
}

/// A load under way.
#[derive(Debug, Clone, PartialEq)]
pub struct Loading {
    pub path: PathBuf,
    pub bytes_done: u64,
    /// 0 while nobody knows.
    pub bytes_total: u64,
    pub bytes_per_sec: f64,
    /// Cancel was asked for and is awaited.
    pub is_cancelling: bool,
}

/// A reply under way.
#[derive(Debug, Clone)]
pub struct ReplyProgress {
    pub id: u64,
    /// Prompt tokens fed and to feed, until the first token of the reply.
    pub prefill: Option<(usize, usize)>,
    /// Tokens of the whole prompt, once the engine has counted them.
    pub prompt_tokens: usize,
    pub tokens: usize,
    asked_at: Instant,
    first_token_at: Option<Instant>,
    pub is_stopping: bool,
}

/// A reply that ended.
#[derive(Debug, Clone, PartialEq)]
pub struct LastReply {
    pub timings: ReplyTimings,
    pub reason: StopReason,
}

/// How a state is to be taken; drawn as a shape and a word, never as a colour alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    Idle,
    Busy,
    Missing,
}

impl ReplyProgress {
    /// A reply that was just asked for.
    pub fn asked(id: u64) -> Self {
        Self {
            id,
            prefill: None,
            prompt_tokens: 0,
            tokens: 0,
            asked_at: Instant::now(),
            first_token_at: None,
            is_stopping: false,
        }
    }

    /// Tokens per second since the first one; `None` until there are two.
    pub fn tokens_per_sec(&self) -> Option<f64> {
        let secs = self.first_token_at?.elapsed().as_secs_f64();
        (self.tokens > 1 && secs > 0.0).then(|| (self.tokens - 1) as f64 / secs)
    }

    /// From the request to the first token.
    pub fn first_token_secs(&self) -> Option<f64> {
        Some(self.first_token_at?.duration_since(self.asked_at).as_secs_f64())
    }
}

impl LastReply {
    /// Row-forwards of all models per second; `None` when there was too little to tell.
    pub fn rows_per_sec(&self) -> Option<f64> {
        let tokens = self.timings.reply_tokens;
        let rows = if self.timings.row_forwards > 0 { self.timings.row_forwards } else { tokens };
        (tokens > 1 && self.timings.decode_secs > 0.0)
            .then(|| rows as f64 / self.timings.decode_secs)
    }

    /// Tokens per second after the first one.
    pub fn tokens_per_sec(&self) -> Option<f64> {
        let tokens = self.timings.reply_tokens.saturating_sub(1);
        (tokens > 0 && self.timings.decode_secs > 0.0)
            .then(|| tokens as f64 / self.timings.decode_secs)
    }
}

impl EngineState {
    /// Takes in what the engine told.
    pub fn apply(&mut self, event: &Event) {
        match event {
            Event::LoadProgress { path, bytes_done, bytes_total, bytes_per_sec } => {
                let is_cancelling = self.loading.as_ref().is_some_and(|load| load.is_cancelling);
                self.loading = Some(Loading {
                    path: path.clone(),
                    bytes_done: *bytes_done,
                    bytes_total: *bytes_total,
                    bytes_per_sec: *bytes_per_sec,
                    is_cancelling,
                });
            }
            Event::Loaded(facts) => {
                self.model = Some(facts.clone());
                self.loading = None;
                self.vectors.clear();
                self.aligned = None;
            }
            Event::LoadFailed { .. } => self.loading = None,
            Event::Unloaded => {
                self.model = None;
                self.vectors.clear();
                self.aligned = None;
            }
            Event::AlignedProgress { path, bytes_done, bytes_total } => {
                let share = *bytes_done as f32 / (*bytes_total).max(1) as f32;
                self.aligned = Some(AlignedState::Loading(path.clone(), share.min(1.0)));
            }
            Event::AlignedLoaded(facts) => {
                self.aligned = Some(AlignedState::Ready((**facts).clone()));
            }
            Event::AlignedFailed { path, message } => {
                self.aligned = Some(AlignedState::Refused(path.clone(), message.clone()));
            }
            Event::AlignedDropped => self.aligned = None,
            Event::Divergence { id, nats } => {
                if self.reply_of(*id).is_some() {
                    self.divergence.tokens.push(*nats as f32);
                }
            }
            Event::VectorAdded(facts) => {
                match self.vectors.iter_mut().find(|held| held.path == facts.path) {
                    Some(held) => held.clone_from(facts),
                    None => self.vectors.push((**facts).clone()),
                }
            }
            Event::VectorRemoved { path } => self.vectors.retain(|held| held.path != *path),
            Event::StrengthsChanged { policy, positions, .. } => {
                self.kv_policy = Some((*policy, *positions));
            }
            Event::ReplyStarted { id, prompt_tokens, reused_tokens } => {
                if let Some(reply) = self.reply_of(*id) {
                    reply.prefill = Some((*reused_tokens, *prompt_tokens));
                    reply.prompt_tokens = *prompt_tokens;
                    self.divergence = Divergence::default();
                }
            }
            Event::Prefill { id, done, total } => {
                if let Some(reply) = self.reply_of(*id) {
                    reply.prefill = Some((*done, *total));
                }
            }
            Event::Token { id, .. } => {
                if let Some(reply) = self.reply_of(*id) {
                    reply.prefill = None;
                    reply.tokens += 1;
                    reply.first_token_at.get_or_insert_with(Instant::now);
                }
            }
            Event::Ranked { id, boundary } => match &mut self.search {
                Some((held, boundaries)) if held == id => boundaries.push((**boundary).clone()),
                _ => self.search = Some((*id, vec![(**boundary).clone()])),
            },
            Event::ReplyDone { id, reason, timings, .. } => {
                if self.reply_of(*id).is_some() {
                    self.reply = None;
                    self.last = Some(LastReply { timings: *timings, reason: reason.clone() });
                }
            }
            Event::ReplyFailed { id, .. } => {
                if self.reply_of(*id).is_some() {
                    self.reply = None;
                }
            }
            Event::Scanned { found, skipped } => {
                self.found.clone_from(found);
                self.skipped.clone_from(skipped);
                self.is_scanning = false;
            }
            Event::Inspected { path, outcome } => {
                self.inspected = Some((path.clone(), outcome.clone()));
            }
            Event::Counted { .. }
            | Event::References { .. }
            | Event::StoreProgress { .. }
            | Event::StoreListed { .. }
            | Event::StoreFailed { .. }
            | Event::PassageRead { .. }
            | Event::StoresFound(_)
            | Event::PlanRefused { .. }
            | Event::VectorInspected { .. }
            | Event::RewardInspected { .. }
            | Event::Judged { .. }
            | Event::Rewarded { .. }
            | Event::MakingProgress(_)
            | Event::Made { .. }
            | Event::MakingEstimated { .. }
            | Event::MakingFailed { .. }
            | Event::Identified { .. }
            | Event::VectorFailed { .. } => {}
        }
    }

    fn reply_of(&mut self, id: u64) -> Option<&mut ReplyProgress> {
        self.reply.as_mut().filter(|reply| reply.id == id)
    }

    /// The loaded model's name, as the stores know it where they do.
    pub fn model_name(&self) -> Option<&str> {
        let model = self.model.as_ref()?;
        let found = self.found.iter().find(|found| found.path == model.path);
        Some(found.map_or(model.name.as_str(), |found| found.name.as_str()))
    }

    /// What it does now, in a few words.
    pub fn words(&self) -> (Mood, String) {
        if let Some(reply) = &self.reply {
            let words = match (reply.is_stopping, reply.prefill) {
                (true, _) => "Stopping".to_owned(),
                (false, Some((done, total))) => format!(
                    "Reading the prompt, {} of {}",
                    words::count(done as u64),
                    words::plural(total as u64, "token", "tokens")
                ),
                (false, None) if reply.tokens == 0 => "Starting".to_owned(),
                (false, None) => {
                    format!("Writing, {}", words::plural(reply.tokens as u64, "token", "tokens"))
                }
            };
            return (Mood::Busy, words);
        }
        if let Some(loading) = &self.loading {
            return (Mood::Busy, loading.words());
        }
        match &self.model {
            Some(_) => (Mood::Idle, "Ready".to_owned()),
            None => (Mood::Missing, "No model loaded".to_owned()),
        }
    }
}

impl Loading {
    /// Just asked for.
    pub fn asked(path: PathBuf) -> Self {
        Self { path, bytes_done: 0, bytes_total: 0, bytes_per_sec: 0.0, is_cancelling: false }
    }

    /// How far it is, from 0 to 1.
    pub fn fraction(&self) -> f32 {
        if self.bytes_total == 0 {
            return 0.0;
        }
        (self.bytes_done as f64 / self.bytes_total as f64).clamp(0.0, 1.0) as f32
    }

    /// In a few words.
    pub fn words(&self) -> String {
        if self.is_cancelling {
            "Cancelling".to_owned()
        } else if self.bytes_total == 0 {
            "Opening the model".to_owned()
        } else {
            format!(
                "Loading, {} of {}",
                words::bytes(self.bytes_done),
                words::bytes(self.bytes_total)
            )
        }
    }
}

/// Why a reply ended, in a few words.
pub fn reason_words(reason: &StopReason) -> String {
    match reason {
        StopReason::EndOfText => "Ended by itself".to_owned(),
        StopReason::StopString(text) => format!("Stopped at “{}”", text.escape_debug()),
        StopReason::MaxTokens => "Reached the token limit".to_owned(),
        StopReason::ContextFull => "The context is full".to_owned(),
        StopReason::Stopped => "Stopped by you".to_owned(),
    }
}

#[cfg(test)]
mod tests;
