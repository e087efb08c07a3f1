//! What the window or a headless verb may ask of the engine.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Recipe;
use super::judging::Judging;
use super::making::Making;
use crate::model::LoadOptions;
use crate::session::Role;
use crate::steer::Plan;

/// A request to the engine's one worker thread. Stop and cancel do not travel here: they are flags
/// on the handle, so that they act at once.
#[derive(Debug, Clone)]
pub enum Request {
    /// Replace the model in memory; on failure the one that was loaded stays.
    Load { path: PathBuf, options: LoadOptions },
    /// Drop the model.
    Unload,
    /// Generate one reply.
    Reply(Box<ReplyRequest>),
    /// Make a reply again from its recipe: same model and prompt, same text on the same device.
    /// Refused on another model, chat template or prompt, saying which.
    Replay { id: u64, recipe: Box<Recipe>, prompt: Prompt, opening: Opening },
    /// Change the plan of the reply under way from the next token on.
    SetPlan(Plan),
    /// Count the tokens a prompt would take, the draft included; answered by `Event::Counted`.
    Count { ticket: u64, prompt: Prompt },
    /// Look for models in the known stores and these folders.
    Scan { folders: Vec<PathBuf> },
    /// Say what a vector's file or a LoRA adapter's folder is; answered by
    /// `Event::VectorInspected`.
    InspectVector { path: PathBuf },
    /// Say whether a path that was handed over is a model, a vector or a reward adapter; answered
    /// by `Event::Identified`.
    Identify { path: PathBuf },
    /// Say what a reward adapter's file is; answered by `Event::RewardInspected`. A plan that names
    /// it puts it beside the model when the next reply begins.
    InspectReward { path: PathBuf },
    /// Open a vector for the model in memory and put it beside the weights at strength 0, also
    /// while a reply is under way; answered by `Event::VectorAdded` or `VectorFailed`. Strengths
    /// are the plan's. Adding a path again reads it anew.
    AddVector { path: PathBuf, any_base: bool },
    /// Forget a vector, once the reply under way is over; answered by `Event::VectorRemoved`.
    RemoveVector { path: PathBuf },
    /// Bring the aligned model of a mixture into memory beside the one that replies, in place of one
    /// that was there; answered by `Event::AlignedLoaded` or `AlignedFailed`. A reply whose plan
    /// asks for it loads it, too.
    LoadAligned { path: PathBuf },
    /// Let go of it; answered by `Event::AlignedDropped`.
    DropAligned,
    /// Whether replies measure how far from the base they are, at one more pass per token that is
    /// steered; told as `Event::Divergence`.
    Measure(bool),
    /// Make a vector or a reward adapter beside everything else; answered by `Event::Made` or
    /// `MakingFailed`. Only one is made at a time.
    Make(Box<Making>),
    /// Measure how long learning one would take, in its place; answered by `Event::MakingEstimated`
    /// or `MakingFailed`.
    EstimateMaking(Box<Making>),
    /// Build a datastore in a folder, or go on with the one there, beside whatever else is asked;
    /// told by `Event::StoreListed`, `StoreProgress` and `StoreFailed`.
    BuildStore { folder: PathBuf, files: Vec<PathBuf> },
    /// Take a file's entries out of a datastore.
    RemoveFromStore { folder: PathBuf, file: PathBuf },
    /// Call a datastore something else.
    RenameStore { folder: PathBuf, name: String },
    /// Hold the builds of datastores after the pass under way, or let them go on.
    PauseBuilds(bool),
    /// A passage with the page around it; answered by `Event::PassageRead`.
    ReadAround { folder: PathBuf, file: PathBuf, passage: String, place: String },
    /// Look at the datastores in a folder and at these; answered by `Event::StoresFound`.
    ListStores { within: PathBuf, folders: Vec<PathBuf> },
    /// Have a reward model of its own read a reply that is there, beside everything else; answered
    /// by `Event::Judged`. It stays in memory for the next one.
    Judge(Box<Judging>),
    /// Let go of it.
    DropJudge,
    /// Describe a model file or folder without loading it; answered by `Event::Inspected`.
    Inspect { path: PathBuf },
}

/// One reply to generate.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplyRequest {
    /// Chosen by the caller; every event of this reply carries it. With the plan's seed it fixes
    /// every draw.
    pub id: u64,
    /// What the reply answers.
    pub prompt: Prompt,
    /// What the reply already begins with: for continue, prefill and branch.
    pub opening: Opening,
    /// What steers it.
    pub plan: Plan,
}

/// What the model is shown before the reply.
#[derive(Debug, Clone, PartialEq)]
pub enum Prompt {
    /// Turns through the model's chat template.
    Chat(Vec<Turn>),
    /// Text as it is, no template.
    Raw(String),
    /// Token ids as they are.
    Ids(Vec<u32>),
}

/// The beginning of the reply that is given rather than generated.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Opening {
    /// Nothing: the reply starts fresh.
    #[default]
    None,
    /// These tokens exactly (continue, or branch at a token).
    Tokens(Vec<u32>),
    /// This text (after an edit by hand).
    Text(String),
}

/// One message for the chat template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    pub role: Role,
    pub content: String,
}
