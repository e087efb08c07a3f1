//! What is said about a model: facts, how it is to be loaded, and where models were found.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// How a model is brought into memory.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct LoadOptions {
    /// `auto`, `cpu`, `cuda`, `cuda:1` or `metal`; empty is auto.
    pub device: String,
    /// `auto`, `f32`, `bf16`, `f16`, `q8_0` or `q4_k`; empty is auto.
    pub weights: String,
    /// Positions of KV cache; `None` takes the model's own, capped by memory.
    pub context_length: Option<usize>,
}

/// The sampling a model's own files recommend (`generation_config.json`, GGUF `general.sampling.*`).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct GenerationDefaults {
    pub temperature: Option<f32>,
    pub top_k: Option<usize>,
    pub top_p: Option<f32>,
    pub min_p: Option<f32>,
    pub repetition_penalty: Option<f32>,
}

/// What is known of a model, loaded or only inspected.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ModelFacts {
    pub path: PathBuf,
    pub name: String,
    /// `llama`, `qwen3`, …
    pub family: String,
    pub parameters: u64,
    pub vocab_size: usize,
    pub hidden_size: usize,
    pub layer_count: usize,
    pub context_length: usize,
    /// Positions the cache was given.
    pub cache_length: usize,
    /// Estimated or actual bytes.
    pub weight_bytes: u64,
    pub cache_bytes: u64,
    /// The form in the file and the form in memory, as one short phrase each.
    pub stored_as: String,
    pub held_as: String,
    /// Empty when memory holds exactly the numbers of the file, else the form they were rounded to:
    /// `q8_0`.
    #[serde(default)]
    pub rounded_to: String,
    /// The device in use and, where it is not the best one, why.
    pub device: String,
    pub device_note: String,
    pub fingerprint: String,
    pub template_fingerprint: String,
    /// Where the chat template came from, or that there is none.
    pub template_source: String,
    /// The chat template has no place for a system prompt, so it goes before the person's first
    /// message.
    pub system_folded: bool,
    /// The model's own recommended sampling, as far as its files say.
    pub recommended: Option<GenerationDefaults>,
    /// The vectors that came with it.
    #[serde(default)]
    pub vectors: Vec<PathBuf>,
    /// The reward adapters that came with it.
    #[serde(default)]
    pub rewards: Vec<PathBuf>,
    /// What each of them would take beside it.
    #[serde(default)]
    pub reward_memory: Vec<RewardMemory>,
    /// The guides that came with it.
    #[serde(default)]
    pub guides: Vec<GuideFiles>,
    /// The prefix scorers that came with it.
    #[serde(default)]
    pub scorers: Vec<PathBuf>,
    /// Family parameters worth showing, name and value.
    pub details: Vec<(String, String)>,
}

/// What a reward adapter takes of memory beside its model.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RewardMemory {
    /// What the person calls it.
    pub name: String,
    pub weight_bytes: u64,
    /// Of inserted keys and values, for a position of one row.
    pub cache_bytes_per_token: u64,
}

impl RewardMemory {
    /// All it takes with a cache of so many positions.
    pub fn bytes(&self, cache_length: usize) -> u64 {
        let cache = self.cache_bytes_per_token.saturating_mul(cache_length as u64);
        self.weight_bytes.saturating_add(cache)
    }
}

/// A small model and the vector that tunes it: both halves of a pair.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuideFiles {
    pub untuned: PathBuf,
    pub vector: PathBuf,
}

/// A model found in a store.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundModel {
    pub path: PathBuf,
    pub name: String,
    /// `bundled`, `Hugging Face cache`, `LM Studio`, `Ollama`, `llama.cpp cache` or `folder`.
    pub store: String,
    pub bytes: u64,
}

/// Something that looked like a model and was passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkippedModel {
    pub path: PathBuf,
    pub reason: String,
}
