//! The guides and scorers at hand for the model in memory: loaded once, used by every reply through
//! twins that share their weights, dropped when no plan names them any more.

mod scorers;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::prompt::{self, Reader};
use super::{Opening, Prompt};
use crate::decode::guide::{
    Guides, Pair, PairHandle, Reading, Side, ValueHandle, shared_vocabulary,
};
use crate::decode::search::cost::tail_bytes;
use crate::decode::search::{ChunkScorer, Constant, Explicit, LogRatio};
use crate::model::{Language, LoadOptions, Loader, Model, ModelFacts, Runner, ScorerFile};
use crate::platform::{Cancelled, Problem};
use crate::steer::{GuidancePlan, GuidePair, Plan, ScorerChoice};

/// A guide or scorer a recipe was made with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecipeGuide {
    pub name: String,
    pub path: PathBuf,
    pub fingerprint: String,
}

/// Models beside the one that speaks.
#[derive(Default)]
pub struct GuideShelf {
    loaded: Vec<Loaded>,
    /// Heads, adapters and reward models by the path a plan names.
    scorers: BTreeMap<PathBuf, ScorerFile>,
}

struct Loaded {
    path: PathBuf,
    model: Model,
}

/// The guides of one reply.
pub struct Cast {
    pub guides: Arc<Mutex<Guides>>,
    pub scorer: Box<dyn ChunkScorer>,
    pairs: Vec<(GuidePair, PairHandle)>,
    value: Option<(PathBuf, ValueHandle)>,
    /// Tokens of a reply that all of them can follow, the opening not counted.
    pub room: usize,
    /// Bytes of keys and values per row and token, of every model beside the base.
    pub bytes_per_token: Vec<u64>,
}

/// What guides follow.
pub struct Scene<'a> {
    pub base: &'a Model,
    pub prompt: &'a Prompt,
    /// The base's ids of the given beginning of the reply.
    pub opening: &'a [u32],
    /// False ends a load.
    pub goes_on: &'a dyn Fn() -> bool,
}

impl GuideShelf {
    /// Loads what a plan names and is not here, drops what it does not name, and puts the guides
    /// of a reply together.
    ///
    /// # Errors
    /// When a file cannot be used, or a guide that acts on tokens has another vocabulary.
    pub fn cast(
        &mut self,
        plan: &Plan,
        loader: &dyn Loader,
        options: &LoadOptions,
        scene: &Scene<'_>,
    ) -> Result<Cast> {
        plan.check_guidance()?;
        let scorer = plan.guidance.scorer_in_play();
        self.scorers.retain(|path, _| Some(path) == scorer);
        if let Some(path) = scorer
            && !self.scorers.contains_key(path)
        {
            let opened = loader.open_scorer(path, &scene.base.facts, &as_guide(options))?;
            self.scorers.insert(path.clone(), opened);
        }
        let trunk = scorer.and_then(|path| self.trunk_of(path, &scene.base.facts));
        let named = named(&plan.guidance, trunk.as_ref(), &scene.base.facts.path);
        self.loaded.retain(|loaded| named.contains(&loaded.path));
        for path in &named {
            if self.find(path).is_none() {
                match load(path, loader, options, scene.goes_on) {
                    Ok(model) => {
                        self.loaded.push(Loaded { path: path.clone(), model });
                    }
                    Err(error) if is_used(&plan.guidance, trunk.as_ref(), path) => {
                        return Err(error);
                    }
                    Err(error) => tracing::warn!("a guide that is off was passed over: {error:#}"),
                }
            }
        }
        let mut cast = Cast {
            guides: Arc::new(Mutex::new(Guides::default())),
            scorer: Box::new(Constant),
            pairs: Vec::new(),
            value: None,
            room: usize::MAX,
            bytes_per_token: Vec::new(),
        };
        for pair in &plan.guidance.pairs {
            match self.pair(pair, loader, scene, &mut cast) {
                Ok(handle) => cast.pairs.push((pair.clone(), handle)),
                // One at 0 is only held ready.
                Err(error) if plan.guidance.pairs_in_play().any(|used| used == pair) => {
                    return Err(error);
                }
                Err(error) => tracing::warn!("a guide that is off was passed over: {error:#}"),
            }
        }
        if let Some(path) = plan.guidance.scorer_in_play() {
            let handle = self.value(path, scene, &mut cast)?;
            cast.value = Some((path.clone(), handle));
        }
        cast.room = cast.room.saturating_sub(scene.opening.len() + 1);
        cast.follow(&plan.guidance)?;
        Ok(cast)
    }

    /// What the recipe keeps of everything that is here.
    pub fn recipe(&self) -> Vec<RecipeGuide> {
        let one = |loaded: &Loaded| RecipeGuide {
            name: loaded.model.facts.name.clone(),
            path: loaded.path.clone(),
            fingerprint: loaded.model.facts.fingerprint.clone(),
        };
        self.loaded.iter().map(one).collect()
    }

    /// What is here under another fingerprint than a recipe says.
    pub fn differs_from(&self, recipe: &[RecipeGuide]) -> Option<Problem> {
        recipe.iter().find_map(|wanted| {
            let held = self.find(&wanted.path)?;
            (held.model.facts.fingerprint != wanted.fingerprint).then(|| {
                let what =
                    format!("the guide {} has changed since this reply was made", wanted.name);
                Problem::new(what).at(&wanted.path).hint("put the old files back")
            })
        })
    }

    fn find(&self, path: &Path) -> Option<&Loaded> {
        self.loaded.iter().find(|loaded| loaded.path == path)
    }

    /// The model a path names: the base itself where it is that.
    fn model<'a>(&'a self, path: &Path, scene: &Scene<'a>) -> Result<&'a Model> {
        if path == scene.base.facts.path {
            return Ok(scene.base);
        }
        let found = self.find(path).map(|loaded| &loaded.model);
        found.ok_or_else(|| Problem::new("this guide is not loaded").at(path).into())
    }

    fn pair(
        &self,
        pair: &GuidePair,
        loader: &dyn Loader,
        scene: &Scene<'_>,
        cast: &mut Cast,
    ) -> Result<PairHandle> {
        let untuned = pair.untuned.as_ref().map(|path| self.model(path, scene)).transpose()?;
        let (tuned, vector, name) = match (&pair.tuned, &pair.vector) {
            (Some(path), _) => (self.model(path, scene)?, None, name_of(path)),
            (None, Some(path)) => (untuned.unwrap_or(scene.base), Some(path), name_of(path)),
            (None, None) => return Err(Problem::new("a pair of guides has no tuned model").into()),
        };
        let mut runner = twin(tuned)?;
        if let Some(path) = vector {
            let opened = loader.open_vector(path, &tuned.facts, false)?;
            runner.attach(&[Arc::new(opened)])?;
            runner.set_strengths(&[1.0])?;
        }
        let base = scene.base.language.vocabulary.as_ref();
        let mut shared_ids = scene.base.runner.vocab_size();
        for model in [Some(tuned), untuned].into_iter().flatten() {
            match shared_vocabulary(base, model.language.vocabulary.as_ref()) {
                Ok(shared) => shared_ids = shared_ids.min(shared).min(model.runner.vocab_size()),
                // At chunk level it goes through text.
                Err(_) if pair.beta == 0.0 => shared_ids = 0,
                Err(parting) => return Err(parting.problem(&model.facts.name).into()),
            }
        }
        let by_ids = shared_ids > 0;
        let opening = scene.opening.len();
        let tuned = side(runner, tuned, by_ids, scene, opening, cast)?;
        let untuned = match untuned {
            Some(model) => Some(side(twin(model)?, model, by_ids, scene, opening, cast)?),
            None => None,
        };
        let made = Pair::new(name, tuned, untuned, shared_ids);
        cast.room = cast.room.min(made.room());
        Ok(Arc::new(Mutex::new(made)))
    }
}

impl Cast {
    /// Takes up strengths and the scorer of another plan.
    ///
    /// # Errors
    /// When the plan needs a model this reply was not begun with.
    pub fn follow(&mut self, guidance: &GuidancePlan) -> Result<()> {
        let next = || {
            let what = "this guide was not there when the reply began";
            Problem::new(what).hint("it acts from the next reply on")
        };
        let mut pairs = Vec::new();
        for pair in &guidance.pairs {
            let Some(held) = self.pairs.iter().find(|(held, _)| held.is_same(pair)) else {
                match guidance.pairs_in_play().any(|used| used == pair) {
                    true => return Err(next().into()),
                    false => continue,
                }
            };
            let acts = held.1.lock().acts_on_tokens();
            if pair.beta != 0.0 && !acts {
                let what = "this pair has another vocabulary than the model it is to guide";
                return Err(Problem::new(what).hint("leave its beta at 0").into());
            }
            pairs.push((Arc::clone(&held.1), pair.beta));
        }
        let value = match guidance.scorer_in_play() {
            None => None,
            Some(path) => {
                let held = self.value.as_ref().filter(|(held, _)| held == path).ok_or_else(next)?;
                Some(Arc::clone(&held.1))
            }
        };
        self.scorer = match (&guidance.search.scorer, &value) {
            (ScorerChoice::Implicit, _) if guidance.search.is_on() => {
                Box::new(LogRatio(pairs.iter().map(|(pair, _)| Arc::clone(pair)).collect()))
            }
            (ScorerChoice::File(_), Some(value)) => Box::new(Explicit(Arc::clone(value))),
            _ => Box::new(Constant),
        };
        *self.guides.lock() = Guides {
            pairs,
            value: value.map(|value| (value, guidance.value_weight)),
            value_candidates: guidance.value_candidates,
            base_filter: guidance.base_filter,
        };
        Ok(())
    }

    /// Rows times new tokens that guides and scorer were fed, each model once.
    pub fn row_forwards(&self) -> usize {
        let pairs: usize = self
            .pairs
            .iter()
            .map(|(_, pair)| pair.lock().row_forwards().map(|fed| fed.rows).sum::<usize>())
            .sum();
        pairs + self.value.as_ref().map_or(0, |(_, value)| value.lock().row_forwards().rows)
    }

    /// Refuses a search whose keys and values do not fit `free` bytes; `None` is unknown, and then
    /// nothing is refused.
    ///
    /// # Errors
    /// With the number of bytes.
    pub fn check_memory(
        &self,
        rows: usize,
        tokens: usize,
        base: &ModelFacts,
        free: Option<u64>,
    ) -> Result<()> {
        let mut per_token = self.bytes_per_token.clone();
        per_token.push(bytes_per_token(base));
        let needed = tail_bytes(rows, tokens, &per_token);
        match free {
            Some(free) if needed > free / 10 * 9 && rows > 1 => {
                let gb = |bytes: u64| bytes as f64 / 1e9;
                let what = format!(
                    "{rows} candidates of up to {tokens} tokens need {:.1} GB of keys and values, \
                     and {:.1} GB are free",
                    gb(needed),
                    gb(free)
                );
                let hint = "lower beam-width, successors or max-tokens";
                Err(Problem::new(what).hint(hint).into())
            }
            _ => Ok(()),
        }
    }
}

fn twin(model: &Model) -> Result<Box<dyn Runner>> {
    model.runner.twin().ok_or_else(|| {
        Problem::new("this model cannot be used twice at once").at(&model.facts.path).into()
    })
}

/// Keys and values of one position.
pub fn bytes_per_token(facts: &ModelFacts) -> u64 {
    facts.cache_bytes / (facts.cache_length.max(1) as u64)
}

/// A model as a guide or scorer of this scene. Of the opening nothing is noted.
fn side(
    runner: Box<dyn Runner>,
    model: &Model,
    by_ids: bool,
    scene: &Scene<'_>,
    opening: usize,
    cast: &mut Cast,
) -> Result<Side> {
    cast.bytes_per_token.push(bytes_per_token(&model.facts));
    let language: &Arc<Language> = &model.language;
    let prompt = prompt::assemble(language, scene.prompt, &Opening::None)
        .with_context(|| format!("the prompt for {}", model.facts.name))?
        .ids;
    let reading = match by_ids {
        true => Reading::Ids { prompt },
        false => {
            let reader = Reader::new(language, scene.prompt)?;
            Reading::Text { prompt, tokenise: Arc::new(move |reply| reader.ids(reply)) }
        }
    };
    let end_of_text = language.end_of_text_ids.first().copied();
    Ok(Side::new(runner, reading, end_of_text, opening))
}

/// Whether a reply needs this model from its first token on.
fn is_used(guidance: &GuidancePlan, trunk: Option<&PathBuf>, path: &PathBuf) -> bool {
    let named = |pair: &GuidePair| [&pair.tuned, &pair.untuned].contains(&&Some(path.clone()));
    trunk == Some(path) || guidance.pairs_in_play().any(named)
}

/// Every model a plan names beside the base, once.
fn named(guidance: &GuidancePlan, trunk: Option<&PathBuf>, base: &Path) -> Vec<PathBuf> {
    let mut named: Vec<PathBuf> = Vec::new();
    let pairs = guidance.pairs.iter();
    let models = pairs.flat_map(|pair| [pair.tuned.as_ref(), pair.untuned.as_ref()]).flatten();
    for path in models.chain(trunk) {
        if path != base && !named.contains(path) {
            named.push(path.clone());
        }
    }
    named
}

/// The form of the weights is the base's own business; the device is where the base is.
fn as_guide(options: &LoadOptions) -> LoadOptions {
    LoadOptions { device: options.device.clone(), ..LoadOptions::default() }
}

fn load(
    path: &Path,
    loader: &dyn Loader,
    options: &LoadOptions,
    goes_on: &dyn Fn() -> bool,
) -> Result<Model> {
    loader.load(path, &as_guide(options), &mut |_, _| goes_on()).map_err(|error| {
        match error.is::<Cancelled>() {
            true => Cancelled.into(),
            false => error.context(Problem::new("this guide cannot be loaded").at(path)),
        }
    })
}

fn name_of(path: &Path) -> String {
    path.file_name().map_or_else(|| "guide".to_owned(), |name| name.to_string_lossy().into_owned())
}
