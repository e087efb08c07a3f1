//! What the engine tells.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::guides::RecipeGuide;
use super::judging::Judged;
use super::making::Progress;
use super::pair::{AlignedFacts, RecipeAligned};
use super::reward::RecipeReward;
use super::stores::RecipeStore;
use super::vectors::{RecipeVector, VectorFacts};
use crate::decode::search::Boundary;
use crate::decode::{Drafting, Passes};
use crate::model::reward;
use crate::model::vector::About;
use crate::model::{FileKind, FoundModel, ModelFacts, SkippedModel};
use crate::session::{NodeId, TokenReferences, TokenTrace};
use crate::steer::KvPolicy;
use crate::steer::datastore::build::Standing;
use crate::steer::datastore::{Around, Manifest};

/// An event from the engine's worker thread.
#[derive(Debug, Clone)]
pub enum Event {
    /// Bytes read so far, of how many, and the rate.
    LoadProgress { path: PathBuf, bytes_done: u64, bytes_total: u64, bytes_per_sec: f64 },
    /// The model is ready.
    Loaded(Box<ModelFacts>),
    /// It is not; the model that was loaded (if any) still is. `cancelled` when asked for.
    LoadFailed { path: PathBuf, message: String, cancelled: bool },
    /// The model is gone.
    Unloaded,
    /// The prompt's length in tokens and how many of them the cache already held.
    ReplyStarted { id: u64, prompt_tokens: usize, reused_tokens: usize },
    /// Prompt tokens fed so far.
    Prefill { id: u64, done: usize, total: usize },
    /// One token of the reply.
    Token { id: u64, trace: Box<TokenTrace> },
    /// What the reply up to the last token told is thought to be worth (before any, up to the last
    /// token of a given beginning); finite. Told by the next pass, which is the first one to read
    /// that token, so not for a last token that no pass read.
    Rewarded { id: u64, reward: f32 },
    /// Candidates were ranked: their chunks, values and parents, and which were kept.
    Ranked { id: u64, boundary: Box<Boundary> },
    /// What datastores did to a token of the reply; comes before the token itself.
    References { id: u64, references: Box<TokenReferences> },
    /// The reply is over.
    ReplyDone { id: u64, reason: StopReason, timings: ReplyTimings, recipe: Box<Recipe> },
    /// The reply could not be made, or broke off; what came before stands.
    ReplyFailed { id: u64, message: String },
    /// A plan sent during this reply means nothing; the reply goes on with the one before.
    PlanRefused { id: u64, message: String },
    /// How far the build of a datastore is with one of its files, and its rate while it works.
    StoreProgress { folder: PathBuf, standing: Box<Standing>, tokens_per_sec: f64 },
    /// A datastore's list has changed; `is_over` when its build is.
    StoreListed { folder: PathBuf, manifest: Box<Manifest>, is_over: bool },
    /// A build cannot begin or go on; what is done stays.
    StoreFailed { folder: PathBuf, message: String },
    /// Answer to `Request::ReadAround`.
    PassageRead { file: PathBuf, outcome: Result<Box<Around>, String> },
    /// Answer to `Request::ListStores`: each with its list, or why it cannot be read.
    StoresFound(Vec<(PathBuf, Result<Box<Manifest>, String>)>),
    /// A vector can be dialled; one of the same path is replaced. Another model forgets them all.
    VectorAdded(Box<VectorFacts>),
    /// It cannot; whatever was there before still is.
    VectorFailed { path: PathBuf, message: String },
    /// It is gone (or was not there).
    VectorRemoved { path: PathBuf },
    /// How far the vector or the adapter is that is being made.
    MakingProgress(Progress),
    /// It is made and written.
    Made { path: PathBuf, kind: FileKind },
    /// How long making it would take, in words for the person.
    MakingEstimated { words: String },
    /// It is not; `cancelled` when asked for.
    MakingFailed { message: String, cancelled: bool },
    /// Bytes of the aligned model read so far, and of how many.
    AlignedProgress { path: PathBuf, bytes_done: u64, bytes_total: u64 },
    /// The aligned model of a mixture is in memory beside the one that replies.
    AlignedLoaded(Box<AlignedFacts>),
    /// It cannot be used; the model that replies is as it was.
    AlignedFailed { path: PathBuf, message: String },
    /// It is gone, or its loading was cancelled.
    AlignedDropped,
    /// How far from its base the model was at one token of the reply: KL(steered ‖ base), nats.
    Divergence { id: u64, nats: f64 },
    /// Other strengths than before in this reply, what was done about the cache, and how many
    /// positions are computed again for it.
    StrengthsChanged { id: u64, policy: KvPolicy, positions: usize },
    /// Answer to `Request::Count`.
    Counted { ticket: u64, tokens: Result<usize, String> },
    /// Answer to `Request::Scan`.
    Scanned { found: Vec<FoundModel>, skipped: Vec<SkippedModel> },
    /// Answer to `Request::InspectVector`: what it is, or why it is refused.
    VectorInspected { path: PathBuf, outcome: Result<Box<About>, String> },
    /// Answer to `Request::Identify`.
    Identified { path: PathBuf, kind: FileKind },
    /// Answer to `Request::Judge`: a reward model's scores of a reply, or why it has none.
    Judged { path: PathBuf, node: NodeId, outcome: Result<Box<Judged>, String> },
    /// Answer to `Request::InspectReward`: what the adapter says of itself, or why it cannot be used
    /// with the model in memory.
    RewardInspected { path: PathBuf, outcome: Result<Box<reward::About>, String> },
    /// Answer to `Request::Inspect`: facts without loading, or why it is refused.
    Inspected { path: PathBuf, outcome: Result<Box<ModelFacts>, String> },
}

/// Why a reply ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StopReason {
    /// The model ended its turn.
    EndOfText,
    /// A stop string came up.
    StopString(String),
    /// `max_tokens` reached.
    MaxTokens,
    /// The context is full.
    ContextFull,
    /// The person pressed Stop.
    Stopped,
}

/// How a reply went; stored as JSON beside its recipe.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Outcome {
    pub reason: Option<StopReason>,
    pub timings: Option<ReplyTimings>,
    /// What went wrong, for a reply that broke off.
    pub failure: Option<String>,
    /// What datastores did to its tokens; empty when none was asked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<TokenReferences>,
    /// The candidates of a search, for a reply that was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tree: Option<SearchTree>,
}

/// The candidates of a search as they are kept with its reply: all but the traces of their tokens.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SearchTree {
    /// What was given of the reply.
    pub given: String,
    pub boundaries: Vec<Boundary>,
}

/// How long the parts of a reply took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct ReplyTimings {
    pub prompt_tokens: usize,
    pub reused_tokens: usize,
    pub reply_tokens: usize,
    pub prefill_secs: f64,
    /// From the request to the first token.
    pub first_token_secs: f64,
    /// From the first token to the last.
    pub decode_secs: f64,
    /// Tokens drafted and verified, and those of them that the model itself drew.
    #[serde(default, skip_serializing_if = "Drafting::is_none")]
    pub drafting: Drafting,
    /// Rows times new tokens, of every model together; 0 for a reply of one row without guides.
    #[serde(default)]
    pub row_forwards: usize,
}

/// What a reply was made with: enough to make it again.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// Hash over config, tokenizer and a sample of the weights.
    pub model_fingerprint: String,
    pub model_name: String,
    /// Hash of the chat template, empty for raw prompts.
    pub template_fingerprint: String,
    /// The device and weight form, as the window shows them.
    pub device: String,
    pub weights: String,
    /// The plan in TOML, and each later change with the reply token it took effect before.
    pub plan: String,
    pub plan_changes: Vec<(usize, String)>,
    /// Number of the reply, the second part of every draw's key.
    pub reply: u64,
    /// Hash of the ids the reply began with, to tell another conversation from this one.
    #[serde(default)]
    pub prompt_fingerprint: String,
    /// How the part of the cache that earlier turns had filled came to be: it decides last bits.
    #[serde(default)]
    pub passes: Passes,
    /// Every vector the plan, its changes or those passes name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vectors: Vec<RecipeVector>,
    /// The aligned models it was mixed with, in the order in which they came into play.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aligned: Vec<RecipeAligned>,
    /// The reward adapter beside the model, decided by or only shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reward: Option<RecipeReward>,
    /// Guides and scorers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub guides: Vec<RecipeGuide>,
    /// Every datastore the plan or its changes name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stores: Vec<RecipeStore>,
    pub tiller_version: String,
}
