//! From a path to a model that replies: opens the checkpoint, chooses device, weights and context,
//! makes sure it all fits, and puts the parts together.

mod outlook;
mod text;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};

pub use outlook::{Outlook, outlook, outlook_of};
pub use text::language;

use super::chat_template::ChatTemplate;
use super::checkpoint::Checkpoint;
use super::decoder::{Decoder, DecoderSpec};
use super::judged::Judged;
use super::reward::{self, Adapter};
use super::scorer::{self, Scorer};
use super::stores::{self, Environment};
use super::tokenizer::TextTokenizer;
use super::vector::{self, Vector};
use super::{
    FoundModel, Language, LoadOptions, Loader, Model, ModelFacts, Progress, Runner, ScorerFile,
    SkippedModel, device, value,
};
use crate::platform::Problem;

/// Loads real checkpoints.
#[derive(Debug, Clone, Copy, Default)]
pub struct Checkpoints;

impl Loader for Checkpoints {
    fn load(&self, path: &Path, options: &LoadOptions, progress: Progress<'_>) -> Result<Model> {
        load(path, options, progress)
    }

    fn inspect(&self, path: &Path) -> Result<ModelFacts> {
        let outlook = outlook(&Checkpoint::open(path)?)?;
        let mut facts = outlook.facts.clone();
        // What it would take as the program would load it by itself; one that does not fit that
        // way may fit in another form, so that is no reason to refuse it here.
        let device = device::choose("auto")?;
        let free = device::free_memory(&device.device);
        facts.cache_length = facts.context_length;
        facts.cache_bytes =
            outlook.cache_bytes_per_token.saturating_mul(facts.context_length as u64);
        if let Ok(fitted) = outlook.fit(&device.device, &LoadOptions::default(), free) {
            facts.weight_bytes = fitted.weight_bytes;
            facts.cache_length = fitted.context_length;
            facts.cache_bytes = fitted.cache_bytes;
            facts.held_as = fitted.phrase;
            facts.rounded_to = fitted.rounded_to;
        }
        Ok(facts)
    }

    fn scan(&self, folders: &[PathBuf]) -> (Vec<FoundModel>, Vec<SkippedModel>) {
        stores::scan(&Environment::of_process(), folders)
    }

    fn open_vector(&self, path: &Path, model: &ModelFacts, any_base: bool) -> Result<Vector> {
        vector::open_for(path, &Checkpoint::open(&model.path)?, any_base)
    }

    fn open_reward(&self, path: &Path, model: &ModelFacts) -> Result<Adapter> {
        let checkpoint = Checkpoint::open(&model.path)?;
        reward::open_for(path, model, &DecoderSpec::from_config(&checkpoint.config)?)
    }

    fn open_judge(&self, path: &Path, model: &ModelFacts) -> Result<Scorer> {
        let context_length = Some(model.cache_length);
        let options = LoadOptions { context_length, ..LoadOptions::default() };
        Scorer::open(path, &options, &mut |_, _| true)
    }

    fn open_value_head(&self, path: &Path) -> Result<value::ValueHead> {
        value::open(path)
    }

    fn open_scorer(
        &self,
        path: &Path,
        model: &ModelFacts,
        options: &LoadOptions,
    ) -> Result<ScorerFile> {
        if reward::file::is_adapter(path) {
            return Ok(ScorerFile::Adapter(Box::new(self.open_reward(path, model)?)));
        }
        if path.is_dir() {
            let checkpoint = Checkpoint::open(path)?;
            let has_head = checkpoint.tensors.contains_key(value::SCORE_HEAD);
            if !has_head && scorer::is_scorer(&checkpoint) {
                let (model, bias) = Scorer::open(path, options, &mut |_, _| true)?.into_model();
                return Ok(ScorerFile::Model { model: Box::new(model), bias });
            }
        }
        value::open(path).map(ScorerFile::Head)
    }
}

/// Loads a model. Whatever is wrong with it is found before its weights are read, as far as its
/// headers can tell; errors name the file.
pub fn load(path: &Path, options: &LoadOptions, progress: Progress<'_>) -> Result<Model> {
    let checkpoint = Checkpoint::open(path)?;
    let outlook = outlook(&checkpoint)?;
    let (decoder, facts, language) = decoder(&checkpoint, outlook, options, progress)?;
    let runner = Box::new(Judged::new(Box::new(decoder)));
    Ok(Model { facts, runner, language: Arc::new(language) })
}

/// Loads what a checkpoint looked like, with the decoder as such: training and judging need more of
/// it than a reply does.
///
/// # Errors
/// As for [`load`].
pub fn decoder(
    checkpoint: &Checkpoint,
    outlook: Outlook,
    options: &LoadOptions,
    progress: Progress<'_>,
) -> Result<(Decoder, ModelFacts, Language)> {
    let path = &checkpoint.path;
    let tokenizer = TextTokenizer::from_checkpoint(checkpoint)?;
    let template = ChatTemplate::from_checkpoint(checkpoint)?;
    let device = device::choose(&options.device)?;
    let free = device::free_memory(&device.device);
    let fitted = outlook.fit(&device.device, options, free)?;

    let Outlook { spec, mut facts, .. } = outlook;
    let length = fitted.context_length;
    if length > spec.context_length {
        let beyond = format!("{length} tokens, beyond the {} it was made for", spec.context_length);
        facts.details.push(("Context asked for".to_owned(), beyond));
    }
    let decoder = Decoder::load(checkpoint, spec, &device.device, fitted.form, length, progress)
        .with_context(|| Problem::new("this model cannot be loaded").at(path))
        .map_err(uncover_cancel)?;
    facts.weight_bytes = fitted.weight_bytes;
    facts.cache_length = decoder.context_length();
    facts.cache_bytes = fitted.cache_bytes;
    facts.held_as = fitted.phrase;
    facts.rounded_to = fitted.rounded_to;
    facts.device = device.label;
    facts.device_note = device.note;
    match &template {
        Some(template) => {
            facts.template_fingerprint = template.fingerprint().to_owned();
            facts.template_source = template.source().to_owned();
        }
        None => facts.template_source = "none: text is completed as it is".to_owned(),
    }
    let language = Language {
        vocabulary: Box::new(tokenizer),
        template: template.map(|template| Box::new(template) as Box<dyn super::Template>),
        end_of_text_ids: checkpoint.end_of_text_ids.clone(),
    };
    Ok((decoder, facts, language))
}

/// A cancelled load is no failure of the model: nothing is said about it.
fn uncover_cancel(error: anyhow::Error) -> anyhow::Error {
    if error.root_cause().is::<crate::platform::Cancelled>() {
        return crate::platform::Cancelled.into();
    }
    error
}
