//! A deterministic model in a few lines, for tests of everything above `Runner`: it says a fixed
//! sentence with believable alternatives, and a gate can hold it between passes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Result, bail, ensure};
use crossbeam_channel::Receiver;

use super::reward::{self, Adapter};
use super::value::ValueHead;
use super::vector::{Part, Vector};
use super::{
    FoundModel, Language, LoadOptions, Loader, Model, ModelFacts, Progress, Runner, SkippedModel,
    StepOutput, Template, TextStream, Vocabulary, Wanted,
};
use crate::platform::{Cancelled, Problem};
use crate::session::Role;

/// Beginning of text; opens every rendered conversation.
pub const BEGIN: u32 = 256;
/// Ends a message and a reply.
pub const END: u32 = 257;
/// Opens a message of the system, of the person, of the model.
pub const SYSTEM: u32 = 258;
/// Opens a message of the person.
pub const USER: u32 = 259;
/// Opens a message of the model.
pub const ASSISTANT: u32 = 260;
const MARKERS: [&str; 5] = ["<|begin|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>"];
const WORDS: [&str; 24] = [
    " the", " a", " of", " and", " boat", " wind", " river", " sail", " tiller", " hand", " turns",
    " holds", " slowly", " north", " home", " light", " water", " is", " to", " with", "The", ".",
    ",", " harbour",
];
/// What the toy says unless told otherwise.
pub const SENTENCE: &str = "The wind turns, and a hand holds the tiller to the harbour.";
const HIDDEN_SIZE: usize = 8;

/// Bytes, markers and a few words.
#[derive(Debug, Clone, Copy, Default)]
pub struct ToyVocabulary;

impl ToyVocabulary {
    fn bytes_of(id: u32) -> Vec<u8> {
        match id {
            0..=255 => vec![id as u8],
            256..=260 => Vec::new(),
            _ => WORDS.get(id as usize - 261).map(|w| w.as_bytes().to_vec()).unwrap_or_default(),
        }
    }
}

impl Vocabulary for ToyVocabulary {
    fn size(&self) -> usize {
        261 + WORDS.len()
    }

    fn encode(&self, text: &str, parse_special: bool) -> Result<Vec<u32>> {
        let mut rest = text.as_bytes();
        let mut ids = Vec::new();
        while let Some(&byte) = rest.first() {
            let marker = MARKERS
                .iter()
                .position(|marker| parse_special && rest.starts_with(marker.as_bytes()));
            let word = WORDS
                .iter()
                .enumerate()
                .filter(|(_, word)| rest.starts_with(word.as_bytes()))
                .max_by_key(|(_, word)| word.len());
            let (id, length) = match (marker, word) {
                (Some(at), _) => (256 + at as u32, MARKERS[at].len()),
                (None, Some((at, word))) => (261 + at as u32, word.len()),
                (None, None) => (u32::from(byte), 1),
            };
            ids.push(id);
            rest = &rest[length..];
        }
        Ok(ids)
    }

    fn beginning_of_text(&self) -> Option<u32> {
        Some(BEGIN)
    }

    fn token_text(&self, id: u32) -> String {
        match id {
            256..=260 => MARKERS[id as usize - 256].to_owned(),
            128..=255 => format!("<0x{id:02X}>"),
            _ => String::from_utf8_lossy(&Self::bytes_of(id)).into_owned(),
        }
    }

    fn token_bytes(&self, id: u32) -> Option<Vec<u8>> {
        match id {
            256..=260 => Some(MARKERS[id as usize - 256].as_bytes().to_vec()),
            _ => Some(Self::bytes_of(id)).filter(|bytes| !bytes.is_empty()),
        }
    }

    fn is_marker(&self, id: u32) -> bool {
        (256..=260).contains(&id)
    }

    fn stream(&self, _continues_text: bool) -> Box<dyn TextStream> {
        Box::new(ToyStream { held: Vec::new() })
    }
}

struct ToyStream {
    held: Vec<u8>,
}

impl TextStream for ToyStream {
    fn push(&mut self, id: u32) -> Result<String> {
        self.held.extend(ToyVocabulary::bytes_of(id));
        match String::from_utf8(std::mem::take(&mut self.held)) {
            Ok(text) => Ok(text),
            Err(error) => {
                self.held = error.into_bytes();
                Ok(String::new())
            }
        }
    }
}

/// `<|user|>…<|end|>` and so on; refuses a system message after the first place, as real ones do.
struct ToyTemplate;

impl Template for ToyTemplate {
    fn render(&self, messages: &[(Role, &str)], add_generation_prompt: bool) -> Result<String> {
        let mut text = MARKERS[0].to_owned();
        for (at, (role, content)) in messages.iter().enumerate() {
            ensure!(*role != Role::System || at == 0, "a system message must come first");
            let marker = match role {
                Role::System => MARKERS[2],
                Role::User => MARKERS[3],
                Role::Assistant => MARKERS[4],
            };
            text += marker;
            text += content;
            text += MARKERS[1];
        }
        if add_generation_prompt {
            text += MARKERS[4];
        }
        Ok(text)
    }
}

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

fn salt_of(name: &str) -> u64 {
    name.bytes().fold(1, |salt, byte| mix(salt ^ u64::from(byte)))
}

/// The finaliser of SplitMix64.
fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

/// The toy's text side.
pub fn toy_language() -> Language {
    Language {
        vocabulary: Box::new(ToyVocabulary),
        template: Some(Box::new(ToyTemplate)),
        end_of_text_ids: vec![END],
    }
}

/// Loads a toy from any path; one whose name holds `broken` is refused, one that holds `folding` is
/// said to have no place for a system prompt. Any path is a vector, too; one that holds `stranger`
/// was made with another base, one that holds `misfit` cannot be attached. Any path is a reward
/// adapter, too; one that holds `hollow` gives rewards that are no numbers, one that holds `loose`
/// has no unit of strength, one that holds `speaking` is said to have heads over the vocabulary. A model whose name holds `guide` leans to words of its own, and any path
/// is a prefix scorer, too. The gate is passed once
/// for each of ten progress steps when it is a `slow` path.
#[derive(Debug, Clone, Default)]
pub struct ToyLoader {
    pub options: ToyOptions,
}

impl Loader for ToyLoader {
    fn load(&self, path: &Path, options: &LoadOptions, progress: Progress<'_>) -> Result<Model> {
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        let mut facts = self.inspect(path)?;
        for step in 0..=10 {
            if let (true, Some(gate)) = (name.contains("slow"), &self.options.gate) {
                gate.recv().ok();
            }
            if !progress(step * 1000, 10_000) {
                return Err(Cancelled.into());
            }
        }
        let mut toy = self.options.clone();
        toy.context_length = options.context_length.unwrap_or(toy.context_length);
        let mut runner = ToyRunner::new(toy);
        if name.contains("guide") {
            runner = runner.leaning(&name);
        }
        facts.cache_length = runner.context_length();
        Ok(Model { facts, runner: Box::new(runner), language: Arc::new(toy_language()) })
    }

    fn inspect(&self, path: &Path) -> Result<ModelFacts> {
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        if name.contains("broken") {
            return Err(Problem::new("this toy is broken").at(path).hint("take another").into());
        }
        let context_length = match self.options.context_length {
            0 => 2048,
            length => length,
        };
        Ok(ModelFacts {
            path: path.to_path_buf(),
            fingerprint: format!("toy:{name}"),
            template_fingerprint: "toy".into(),
            template_source: "built in".into(),
            system_folded: name.contains("folding"),
            name,
            family: "toy".into(),
            parameters: 10_000,
            vocab_size: ToyVocabulary.size(),
            hidden_size: HIDDEN_SIZE,
            layer_count: 1,
            context_length,
            cache_length: context_length,
            weight_bytes: 10_000,
            cache_bytes: 0,
            stored_as: "nothing".into(),
            held_as: "f32".into(),
            device: "CPU".into(),
            vectors: super::beside::vectors(path),
            rewards: super::beside::rewards(path),
            ..ModelFacts::default()
        })
    }

    fn scan(&self, folders: &[PathBuf]) -> (Vec<FoundModel>, Vec<SkippedModel>) {
        let found = FoundModel {
            path: "toy".into(),
            name: "toy".into(),
            store: "bundled".into(),
            bytes: 10_000,
        };
        let skipped = folders
            .iter()
            .map(|path| SkippedModel { path: path.clone(), reason: "not a toy".into() })
            .collect();
        (vec![found], skipped)
    }

    fn open_value_head(&self, path: &Path) -> Result<ValueHead> {
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        if name.contains("headless") {
            return Err(Problem::new("this toy has no score head").at(path).into());
        }
        let salt = salt_of(&name);
        let not_a_number = name.contains("nan");
        let weight = (0..ToyVocabulary.size() * HIDDEN_SIZE).map(|at| match at % 3 {
            0 if not_a_number => f32::NAN,
            _ => (mix(salt ^ at as u64) >> 40) as f32 / (1_u64 << 24) as f32 - 0.5,
        });
        ValueHead::vocabulary(weight.collect(), HIDDEN_SIZE)
    }

    fn open_vector(&self, path: &Path, model: &ModelFacts, any_base: bool) -> Result<Vector> {
        let name = path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        if name.contains("broken") {
            return Err(Problem::new("this toy vector is broken").at(path).into());
        }
        if name.contains("stranger") && !any_base {
            return Err(Problem::new("this vector was made with another model").at(path).into());
        }
        let values = name.bytes().map(f32::from).collect::<Vec<_>>();
        let part = Part::Full { shape: vec![values.len()], values };
        let base = if name.contains("stranger") { "another" } else { &model.fingerprint };
        Ok(Vector {
            name,
            base_fingerprint: Some(base.to_owned()),
            base_name: "toy".into(),
            parts: [("toy.weight".to_owned(), part)].into(),
        })
    }

    fn open_reward(&self, path: &Path, model: &ModelFacts) -> Result<Adapter> {
        let facts = self.inspect_reward(path, Some(model))?.facts;
        Ok(Adapter { facts, ..Adapter::default() })
    }

    fn inspect_reward(&self, path: &Path, model: Option<&ModelFacts>) -> Result<reward::About> {
        let name = path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        if name.contains("broken") {
            return Err(Problem::new("this is no reward adapter").at(path).into());
        }
        let (base, base_name) = match model {
            Some(model) if !name.contains("stranger") => (&*model.fingerprint, &*model.name),
            _ => ("another", "another"),
        };
        let deviation = reward::Deviation { value: 0.25, candidates: 10, prefixes: 1 };
        let facts = reward::Facts {
            deviation: (!name.contains("loose")).then_some(deviation),
            base: reward::Base {
                fingerprint: base.into(),
                name: base_name.into(),
                template_fingerprint: "toy".into(),
                ..reward::Base::default()
            },
            name,
            ..reward::Facts::default()
        };
        match model.map(|model| facts.check_model(model)) {
            Some(Err(problem)) => Err(problem.at(path).into()),
            _ => {
                let experts = facts.name.contains("speaking");
                let heads = reward::Heads {
                    experts,
                    drafts: 2 * usize::from(experts),
                    ..reward::Heads::default()
                };
                Ok(reward::About { facts, heads, bytes: 1_000_000 })
            }
        }
    }
}
