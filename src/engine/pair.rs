//! The aligned model of a mixture: brought into memory beside the one that replies, checked against
//! it, and kept while a plan may ask for it.

use std::path::{Path, PathBuf};

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::decode::{Mixture, Passes, TokenRule};
use crate::model::{Language, LoadOptions, Loader, Model, ModelFacts, Progress};
use crate::platform::Problem;
use crate::steer::MixtureSetting;

/// What is known of the aligned model in memory.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AlignedFacts {
    pub path: PathBuf,
    pub name: String,
    pub fingerprint: String,
    /// Bytes of its weights in memory.
    pub weight_bytes: u64,
}

/// The aligned model a recipe was made with, and how its cache had come to be when the reply began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecipeAligned {
    pub name: String,
    pub path: PathBuf,
    pub fingerprint: String,
    #[serde(default)]
    pub passes: Passes,
}

/// An aligned model in memory.
struct Aligned {
    facts: AlignedFacts,
    mixture: Mixture,
}

/// The second of two models, if there is one.
#[derive(Default)]
pub struct Pair {
    aligned: Option<Aligned>,
}

impl Pair {
    /// Brings a model into memory beside another; one of another path gives way to it first, so
    /// that no three have to fit. What was loaded, `None` when it is there already.
    ///
    /// # Errors
    /// When it cannot be loaded, or has another vocabulary; `Cancelled` when `progress` said so.
    pub fn fetch(
        &mut self,
        path: &Path,
        base: &Model,
        options: &LoadOptions,
        loader: &dyn Loader,
        progress: Progress<'_>,
    ) -> Result<Option<&AlignedFacts>> {
        if self.holds(path) {
            return Ok(None);
        }
        self.aligned = None;
        let model = load_aligned(path, base, options, loader, progress)?;
        let facts = AlignedFacts {
            path: path.to_path_buf(),
            name: model.facts.name.clone(),
            fingerprint: model.facts.fingerprint.clone(),
            weight_bytes: model.facts.weight_bytes,
        };
        let vocab_size = base.runner.vocab_size();
        let mixture = Mixture::new(model.runner, vocab_size, 0.0)
            .map_err(|error| refusal(format!("{error:#}"), &model.facts, &base.facts))?;
        Ok(Some(&self.aligned.insert(Aligned { facts, mixture }).facts))
    }

    /// It is in memory.
    pub fn holds(&self, path: &Path) -> bool {
        self.aligned.as_ref().is_some_and(|aligned| aligned.facts.path == path)
    }

    /// What is in memory.
    pub fn facts(&self) -> Option<&AlignedFacts> {
        self.aligned.as_ref().map(|aligned| &aligned.facts)
    }

    /// Lets go of it.
    pub fn drop_model(&mut self) {
        self.aligned = None;
    }

    /// Begins a reply to these ids: as new, or as a recipe says it was made.
    ///
    /// # Errors
    /// When the model in memory is not the recipe's, naming both; when its cache fails.
    pub fn begin(&mut self, ids: &[u32], made_with: Option<&RecipeAligned>) -> Result<()> {
        let Some(Aligned { facts, mixture }) = &mut self.aligned else { return Ok(()) };
        if let Some(made_with) = made_with
            && made_with.fingerprint != facts.fingerprint
        {
            let what = format!(
                "this reply was mixed with {} ({}), and {} ({}) lies there now",
                made_with.name, made_with.fingerprint, facts.name, facts.fingerprint
            );
            let hint = "put that model back to replay the reply";
            return Err(Problem::new(what).at(&facts.path).hint(hint).into());
        }
        mixture.begin(ids, made_with.map(|made_with| made_with.passes.clone()))
    }

    /// What a recipe keeps of the model in memory.
    pub fn recipe(&self) -> Option<RecipeAligned> {
        let Aligned { facts, mixture } = self.aligned.as_ref()?;
        let AlignedFacts { path, name, fingerprint, .. } = facts.clone();
        Some(RecipeAligned { name, path, fingerprint, passes: mixture.passes().clone() })
    }

    /// One pass over what the aligned model has not read; see `Follower::read_on`.
    ///
    /// # Errors
    /// When the pass fails.
    pub fn read_on(&mut self, ids: &[u32]) -> Result<Option<(usize, usize)>> {
        self.aligned.as_mut().map_or(Ok(None), |aligned| aligned.mixture.read_on(ids))
    }

    /// The rule that mixes at this strength; `None` when the model is not there.
    ///
    /// # Errors
    /// When the strength is not finite.
    pub fn rule(&mut self, setting: &MixtureSetting) -> Result<Option<&mut dyn TokenRule>> {
        let Some(aligned) = self.aligned.as_mut() else { return Ok(None) };
        aligned.mixture.set_strength(setting.strength)?;
        Ok(Some(&mut aligned.mixture))
    }
}

/// Loads a model to mix with another, with as long a cache.
///
/// # Errors
/// When it cannot be loaded, or has another vocabulary; `Cancelled` when `progress` said so.
pub fn load_aligned(
    path: &Path,
    base: &Model,
    options: &LoadOptions,
    loader: &dyn Loader,
    progress: Progress<'_>,
) -> Result<Model> {
    let options = LoadOptions { context_length: Some(base.facts.cache_length), ..options.clone() };
    check_size(&loader.inspect(path)?, &base.facts)?;
    let model = loader.load(path, &options, progress)?;
    check_vocabulary(&model.language, &base.language)
        .map_err(|what| refusal(what, &model.facts, &base.facts))?;
    Ok(model)
}

/// Before anything big is read.
fn check_size(aligned: &ModelFacts, base: &ModelFacts) -> Result<()> {
    if aligned.vocab_size == base.vocab_size {
        return Ok(());
    }
    let what = format!("its vocabulary has {} tokens", aligned.vocab_size);
    Err(refusal(format!("{what}, that of {} {}", base.name, base.vocab_size), aligned, base))
}

/// Every id must stand for the same text in both, or their logits mean different things.
fn check_vocabulary(aligned: &Language, base: &Language) -> Result<(), String> {
    let (own, other) = (&base.vocabulary, &aligned.vocabulary);
    let most = own.size().max(other.size()) as u32;
    let differs = (0..most).find(|id| own.token_text(*id) != other.token_text(*id));
    differs.map_or(Ok(()), |id| {
        let (own, other) = (own.token_text(id), other.token_text(id));
        Err(format!("token {id} is {other:?} there and {own:?} in the model that replies"))
    })
}

fn refusal(what: String, aligned: &ModelFacts, base: &ModelFacts) -> anyhow::Error {
    let problem =
        Problem::new(format!("{} cannot be mixed with {}: {what}", base.name, aligned.name));
    problem.at(&aligned.path).hint("take a model with the same tokenizer").into()
}
