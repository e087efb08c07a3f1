//! The toy's numbers: each word of its sentence likely in its turn, others believable beside it.

use std::sync::Arc;

use anyhow::{Result, bail, ensure};
use crossbeam_channel::Receiver;

use super::language::{ASSISTANT, END, ToyVocabulary};
use crate::model::reward::Adapter;
use crate::model::vector::Vector;
use crate::model::{Runner, StepOutput, Vocabulary, Wanted};

/// What the toy says unless told otherwise.
pub const SENTENCE: &str = "The wind turns, and a hand holds the tiller to the harbour.";
pub(super) const HIDDEN_SIZE: usize = 8;

/// What the toy does before a pass.
#[derive(Debug, Clone, Default)]
pub struct ToyOptions {
    /// What it says after `<|assistant|>`; empty is `SENTENCE`.
    pub sentence: String,
    /// Positions of cache; 0 is 2,048.
    pub context_length: usize,
    /// Every pass first takes one message from here; a closed channel lets all pass.
    pub gate: Option<Receiver<()>>,
    /// Fails the pass that would make the cache this long, with a panic if the second is true.
    pub fails_at: Option<(usize, bool)>,
}

/// The toy's numbers: a pure function of the ids so far.
#[derive(Clone)]
pub struct ToyRunner {
    options: ToyOptions,
    sentence: Vec<u32>,
    rows: Vec<Vec<u32>>,
    /// Of each attached vector, what it makes of the words; and its strength.
    vectors: Vec<(u64, f32)>,
    /// What the inserted adapter makes of the words; `None` without one.
    reward: Option<u64>,
    /// What its own training made of the words; 0 is nothing.
    lean: u64,
}

impl ToyRunner {
    /// A toy with an empty cache.
    pub fn new(options: ToyOptions) -> Self {
        let text = if options.sentence.is_empty() { SENTENCE } else { &options.sentence };
        let mut sentence = ToyVocabulary.encode(text, true).unwrap_or_default();
        sentence.push(END);
        let (rows, vectors) = (vec![Vec::new()], Vec::new());
        Self { options, sentence, rows, vectors, reward: None, lean: 0 }
    }

    /// A toy that prefers words of its own choice, another for every name.
    #[must_use]
    pub fn leaning(mut self, name: &str) -> Self {
        self.lean = salt_of(name);
        self
    }

    fn wait(&self, longest: usize) -> Result<()> {
        if let Some(gate) = &self.options.gate {
            gate.recv().ok();
        }
        match self.options.fails_at {
            Some((length, true)) if longest >= length => panic!("the toy was told to panic"),
            Some((length, false)) if longest >= length => bail!("the toy was told to fail"),
            _ => Ok(()),
        }
    }

    /// Logits and hidden state after these ids.
    fn output(&self, ids: &[u32]) -> (Vec<f32>, [f32; HIDDEN_SIZE]) {
        let mut state = 0x9E37_79B9_7F4A_7C15_u64;
        for &id in &ids[ids.len().saturating_sub(4)..] {
            state = mix(state ^ u64::from(id));
        }
        let unit = |bits: u64| (bits >> 40) as f32 / (1_u64 << 24) as f32;
        let mut logits: Vec<f32> = (0..ToyVocabulary.size() as u64)
            .map(|id| 4.0 * unit(mix(state ^ (id << 32))) + if id > 260 { 2.0 } else { 0.0 })
            .collect();
        let since = ids.iter().rev().position(|id| *id == ASSISTANT);
        let next = self.sentence[since.unwrap_or(ids.len()) % self.sentence.len()];
        logits[next as usize] += 7.0;
        let own = (self.lean != 0).then_some((self.lean, 0.25));
        let leanings = self.vectors.iter().copied().chain(own);
        for (salt, strength) in leanings.filter(|(_, strength)| *strength != 0.0) {
            for (id, logit) in logits.iter_mut().enumerate().skip(261) {
                *logit += 12.0 * strength * (unit(mix(salt ^ id as u64)) - 0.5);
            }
        }
        let hidden = std::array::from_fn(|at| unit(mix(state ^ (at as u64) << 8)) - 0.5);
        (logits, hidden)
    }

    /// What the reply so far is worth: every word counts, the later ones more. A salt of 0 makes it
    /// no number.
    fn reward_of(salt: u64, ids: &[u32]) -> f32 {
        if salt == 0 {
            return f32::NAN;
        }
        let start = ids.iter().rposition(|id| *id == ASSISTANT).map_or(0, |at| at + 1);
        let worth = |id: &u32| (mix(salt ^ u64::from(*id)) >> 40) as f32 / (1 << 23) as f32 - 1.0;
        ids[start..].iter().fold(0.0, |sum, id| 0.8 * sum + worth(id))
    }

    fn collect(&self, prefixes: &[&[u32]]) -> StepOutput {
        let mut output = StepOutput { rows: prefixes.len(), ..StepOutput::default() };
        for ids in prefixes {
            let (logits, hidden) = self.output(ids);
            output.logits.extend(logits);
            output.hidden.extend(hidden);
            output.reward.extend(self.reward.map(|salt| Self::reward_of(salt, ids)));
        }
        output
    }

    fn check(&self, ids: &[u32], longest: usize) -> Result<()> {
        if let Some(id) = ids.iter().find(|id| **id as usize >= self.vocab_size()) {
            bail!("token id {id} is outside the vocabulary of {}", self.vocab_size());
        }
        ensure!(longest <= self.context_length(), "the context is full");
        Ok(())
    }
}

impl Runner for ToyRunner {
    fn vocab_size(&self) -> usize {
        ToyVocabulary.size()
    }
    fn hidden_size(&self) -> usize {
        HIDDEN_SIZE
    }
    fn context_length(&self) -> usize {
        if self.options.context_length == 0 { 2048 } else { self.options.context_length }
    }
    fn rows(&self) -> usize {
        self.rows.len()
    }
    fn len(&self) -> usize {
        self.rows[0].len()
    }
    fn ids(&self) -> &[u32] {
        &self.rows[0]
    }
    fn prefill(&mut self, ids: &[u32], wanted: Wanted) -> Result<StepOutput> {
        ensure!(self.rows.len() == 1, "prefill wants a single row");
        ensure!(!ids.is_empty(), "prefill wants at least one id");
        let start = self.len();
        self.check(ids, start + ids.len())?;
        self.wait(start + ids.len())?;
        self.rows[0].extend(ids);
        let row = &self.rows[0];
        let from = if wanted == Wanted::Last { row.len() } else { start + 1 };
        let prefixes: Vec<&[u32]> = (from..=row.len()).map(|end| &row[..end]).collect();
        let mut output = self.collect(&prefixes);
        if wanted == Wanted::Hidden {
            output.logits.clear();
        }
        Ok(output)
    }
    fn step(&mut self, ids: &[u32]) -> Result<StepOutput> {
        ensure!(ids.len() == self.rows.len(), "{} ids for {} rows", ids.len(), self.rows.len());
        self.check(ids, self.len() + 1)?;
        self.wait(self.len() + 1)?;
        for (row, id) in self.rows.iter_mut().zip(ids) {
            row.push(*id);
        }
        let prefixes: Vec<&[u32]> = self.rows.iter().map(Vec::as_slice).collect();
        Ok(self.collect(&prefixes))
    }
    fn gather(&mut self, parents: &[usize]) -> Result<()> {
        ensure!(!parents.is_empty() && parents.iter().all(|p| *p < self.rows.len()), "no such row");
        self.rows = parents.iter().map(|parent| self.rows[*parent].clone()).collect();
        Ok(())
    }
    fn truncate(&mut self, len: usize) -> Result<()> {
        for row in &mut self.rows {
            row.truncate(len);
        }
        Ok(())
    }
    fn twin(&self) -> Option<Box<dyn Runner>> {
        let options = ToyOptions { gate: None, fails_at: None, ..self.options.clone() };
        Some(Box::new(Self { lean: self.lean, ..Self::new(options) }))
    }
    fn insert(&mut self, adapter: Option<&Adapter>) -> Result<()> {
        let salt = |adapter: &Adapter| match adapter.facts.name.contains("hollow") {
            true => 0,
            false => adapter.facts.name.bytes().fold(7, |salt, byte| mix(salt ^ u64::from(byte))),
        };
        self.reward = adapter.map(salt);
        if adapter.is_some() {
            self.rows = vec![Vec::new()];
        }
        Ok(())
    }
    fn attach(&mut self, vectors: &[Arc<Vector>]) -> Result<()> {
        if let Some(wrong) = vectors.iter().find(|vector| vector.name.contains("misfit")) {
            bail!("the vector {} does not fit this model", wrong.name);
        }
        self.vectors = vectors.iter().map(|vector| (salt_of(&vector.name), 0.0)).collect();
        Ok(())
    }
    fn set_strengths(&mut self, strengths: &[f32]) -> Result<()> {
        ensure!(strengths.len() == self.vectors.len(), "one strength for each vector");
        for ((_, now), strength) in self.vectors.iter_mut().zip(strengths) {
            *now = *strength;
        }
        Ok(())
    }
}

pub(super) fn salt_of(name: &str) -> u64 {
    name.bytes().fold(1, |salt, byte| mix(salt ^ u64::from(byte)))
}

/// The finaliser of SplitMix64.
pub(super) fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}
