//! A model in memory: its numbers, its text side and what is known of it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;

use super::reward::{self, Adapter};
use super::scorer::Scorer;
use super::value::ValueHead;
use super::vector::Vector;
use super::{FoundModel, Language, LoadOptions, ModelFacts, Runner, SkippedModel};
use crate::platform::Problem;

/// A model ready to reply.
pub struct Model {
    pub facts: ModelFacts,
    pub runner: Box<dyn Runner>,
    pub language: Arc<Language>,
}

/// Told bytes done and bytes in all while a model loads; false cancels.
pub type Progress<'a> = &'a mut dyn FnMut(u64, u64) -> bool;

/// Brings models into memory and says what a file is; the engine is given one when it starts, so
/// that tests can hand it a toy.
pub trait Loader: Send + Sync {
    /// Loads a model. `platform::Cancelled` when `progress` answered false.
    fn load(&self, path: &Path, options: &LoadOptions, progress: Progress<'_>) -> Result<Model>;
    /// Says what is there without loading it.
    fn inspect(&self, path: &Path) -> Result<ModelFacts>;
    /// Models in the known stores and these folders, and what was passed over with the reason.
    fn scan(&self, folders: &[PathBuf]) -> (Vec<FoundModel>, Vec<SkippedModel>);
    /// Opens an alignment vector (our file, or a PEFT folder) for a model in memory. With
    /// `any_base` one that was made with another base is taken as long as its shapes fit.
    ///
    /// Errors name the file and what is wrong in it.
    fn open_vector(&self, path: &Path, model: &ModelFacts, any_base: bool) -> Result<Vector>;
    /// Opens a reward adapter for a model in memory.
    ///
    /// Errors name the file and what is wrong in it, or with which model it was made.
    fn open_reward(&self, path: &Path, model: &ModelFacts) -> Result<Adapter>;
    /// What a reward adapter's file says of itself, without its numbers; with a model, whether it
    /// is one for that model.
    fn inspect_reward(&self, path: &Path, model: Option<&ModelFacts>) -> Result<reward::About> {
        let about = reward::file::read_about(path)?;
        match model.map(|model| about.facts.check_model(model)) {
            Some(Err(problem)) => Err(problem.at(path).into()),
            _ => Ok(about),
        }
    }
    /// Loads a reward model of its own to stand beside a model in memory.
    ///
    /// Errors name the folder and what is wrong in it.
    fn open_judge(&self, path: &Path, _model: &ModelFacts) -> Result<Scorer> {
        Err(Problem::new("no reward model can stand beside this model").at(path).into())
    }
    /// Reads the score head of a prefix scorer; its trunk is loaded as any model is.
    ///
    /// Errors name the file and what is wrong in it.
    fn open_value_head(&self, path: &Path) -> Result<ValueHead>;
    /// Opens whatever may rank the candidates of a model in memory: the head of a prefix scorer, a
    /// reward adapter of that model, or a reward model, which is loaded.
    ///
    /// Errors name the file and what is wrong in it.
    fn open_scorer(
        &self,
        path: &Path,
        model: &ModelFacts,
        options: &LoadOptions,
    ) -> Result<ScorerFile> {
        let _ = options;
        match reward::file::is_adapter(path) {
            true => Ok(ScorerFile::Adapter(Box::new(self.open_reward(path, model)?))),
            false => self.open_value_head(path).map(ScorerFile::Head),
        }
    }
}

/// What ranks candidates, as its file has it.
pub enum ScorerFile {
    /// The head of a prefix scorer; its trunk is a model of its own.
    Head(ValueHead),
    /// A reward adapter of the model that speaks.
    Adapter(Box<Adapter>),
    /// A reward model: one logit, and what is added to it.
    Model { model: Box<Model>, bias: f32 },
}

/// There is not enough memory for a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DoesNotFit {
    /// Bytes it would take: weights, cache and room to work.
    pub needed: u64,
    /// Bytes there are.
    pub free: u64,
    /// One line for the person: what is short, by how much, what to do.
    pub message: String,
}

impl std::fmt::Display for DoesNotFit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for DoesNotFit {}
