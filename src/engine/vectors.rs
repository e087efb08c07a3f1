//! The vectors at hand for the model in memory: opened, attached, found again by a plan.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::Event;
use super::shared::{Shared, Teller};
use crate::decode::{Knobs, Mix};
use crate::model::vector::{Part, Vector, fingerprint};
use crate::model::{Loader, Model, ModelFacts};
use crate::platform::Problem;
use crate::steer::{Plan, VectorSetting};

/// What is known of a vector that is ready to be dialled.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct VectorFacts {
    pub path: PathBuf,
    /// What the person calls it.
    pub name: String,
    /// Hash over everything it adds.
    pub fingerprint: String,
    /// Tensors it adds to.
    pub tensors: usize,
    /// The largest rank of its factors; 0 when it has none.
    pub rank: usize,
    /// Bytes of its numbers in memory.
    pub bytes: u64,
    /// False when it was made with another base model and taken all the same.
    pub fits_base: bool,
}

/// A vector a recipe was made with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecipeVector {
    pub name: String,
    pub path: PathBuf,
    pub fingerprint: String,
}

/// A vector as it was opened for a model.
#[derive(Debug, Clone)]
pub struct Opened {
    pub facts: VectorFacts,
    vector: Arc<Vector>,
}

/// Opens a vector for a model.
///
/// # Errors
/// When the file is no vector, or one for another model; the message names file and key.
pub fn open(
    loader: &dyn Loader,
    path: &Path,
    model: &ModelFacts,
    any_base: bool,
) -> Result<Opened> {
    let vector = loader.open_vector(path, model, any_base)?;
    let rank = |part: &Part| if let Part::LowRank { rank, .. } = part { *rank } else { 0 };
    let facts = VectorFacts {
        path: path.to_path_buf(),
        name: vector.name.clone(),
        fingerprint: fingerprint(&vector),
        tensors: vector.parts.len(),
        rank: vector.parts.values().map(rank).max().unwrap_or(0),
        bytes: vector.parts.values().map(|part| 4 * part.value_count() as u64).sum(),
        fits_base: vector.base_fingerprint.as_ref().is_none_or(|base| *base == model.fingerprint),
    };
    Ok(Opened { facts, vector: Arc::new(vector) })
}

/// Vectors opened for the model in memory.
#[derive(Debug, Default)]
pub struct Shelf {
    opened: Vec<Opened>,
    /// Name and path of every vector there has been, by fingerprint: what the cache was made under
    /// may be gone already.
    known: BTreeMap<String, (String, PathBuf)>,
}

impl Shelf {
    /// Puts a vector there in place of one of the same path, and beside the model's weights.
    ///
    /// # Errors
    /// When it does not fit the model; everything is then as it was.
    pub fn add(&mut self, new: Opened, model: &mut Model, knobs: &mut Knobs) -> Result<()> {
        let mut opened: Vec<Opened> =
            self.opened.iter().filter(|old| old.facts.path != new.facts.path).cloned().collect();
        let VectorFacts { name, path, fingerprint, .. } = new.facts.clone();
        opened.push(new);
        attach(&opened, model, knobs).with_context(|| {
            Problem::new(format!("the vector {name} cannot be applied")).at(&path)
        })?;
        self.opened = opened;
        self.known.insert(fingerprint, (name, path));
        Ok(())
    }

    /// Adds the vectors that have arrived and says so; those opened for another model are refused.
    pub fn take_arrivals(
        &mut self,
        model: &mut Model,
        knobs: &mut Knobs,
        shared: &Shared,
        teller: &Teller,
    ) {
        let arrived = std::mem::take(&mut *shared.arrivals.lock());
        if arrived.is_empty() {
            return;
        }
        for (made_for, opened) in arrived {
            let facts = Box::new(opened.facts.clone());
            let path = facts.path.clone();
            shared.vectors.lock().opening.remove(&path);
            let added = match made_for == model.facts.fingerprint {
                true => self.add(opened, model, knobs),
                false => Err(Problem::new("another model has been loaded meanwhile").into()),
            };
            teller.tell(match added {
                Ok(()) => Event::VectorAdded(facts),
                Err(error) => Event::VectorFailed { path, message: format!("{error:#}") },
            });
        }
        self.publish(shared);
    }

    /// Lets the handle know what is here, so that it opens nothing twice.
    pub fn publish(&self, shared: &Shared) {
        let held = self.opened.iter().map(|opened| opened.facts.path.clone());
        shared.vectors.lock().held = held.collect();
    }

    /// Takes a vector away. True when it was there.
    pub fn remove(&mut self, path: &Path, model: &mut Model, knobs: &mut Knobs) -> Result<bool> {
        let before = self.opened.len();
        self.opened.retain(|opened| opened.facts.path != path);
        if self.opened.len() == before {
            return Ok(false);
        }
        attach(&self.opened, model, knobs)?;
        Ok(true)
    }

    fn find(&self, setting: &VectorSetting) -> Option<&Opened> {
        let fits = |opened: &&Opened| {
            opened.facts.path == setting.path && (setting.any_base || opened.facts.fits_base)
        };
        self.opened.iter().find(fits)
    }

    /// The strengths a plan asks for.
    ///
    /// # Errors
    /// When a vector that is not at 0 is not there, naming it.
    pub fn mix(&self, plan: &Plan) -> Result<Mix> {
        plan.check_strengths()?;
        let mut strengths = Vec::new();
        for setting in plan.vectors_in_play() {
            let opened = self.find(setting).ok_or_else(|| {
                let held = |opened: &Opened| opened.facts.path == setting.path;
                match self.opened.iter().any(held) {
                    true => Problem::new("this vector was made with another model"),
                    false => Problem::new("this vector is not loaded").hint("add it first"),
                }
                .at(&setting.path)
            })?;
            strengths.push((opened.facts.fingerprint.clone(), setting.strength));
        }
        Ok(Mix::new(strengths))
    }

    /// Opens what a plan asks for and is not there yet; what was opened.
    pub fn fetch(
        &mut self,
        plan: &Plan,
        loader: &dyn Loader,
        model: &mut Model,
        knobs: &mut Knobs,
    ) -> Result<Vec<VectorFacts>> {
        plan.check_strengths()?;
        let mut fetched = Vec::new();
        for setting in plan.vectors_in_play() {
            if self.find(setting).is_none() {
                let opened = open(loader, &setting.path, &model.facts, setting.any_base)?;
                fetched.push(opened.facts.clone());
                self.add(opened, model, knobs)?;
            }
        }
        Ok(fetched)
    }

    /// Makes sure that what a recipe was made with is there and still the same; what was opened.
    ///
    /// # Errors
    /// When a vector is gone or has changed, naming it.
    pub fn fetch_again(
        &mut self,
        vectors: &[RecipeVector],
        loader: &dyn Loader,
        model: &mut Model,
        knobs: &mut Knobs,
    ) -> Result<Vec<VectorFacts>> {
        let mut fetched = Vec::new();
        for wanted in vectors {
            let held = |opened: &Opened| opened.facts.fingerprint == wanted.fingerprint;
            if self.opened.iter().any(held) {
                continue;
            }
            // The model is the recipe's, which took it: whatever base it names is no matter here.
            let opened = open(loader, &wanted.path, &model.facts, true)?;
            if opened.facts.fingerprint != wanted.fingerprint {
                let what =
                    format!("the vector {} has changed since this reply was made", wanted.name);
                return Err(Problem::new(what)
                    .at(&wanted.path)
                    .hint("put the old file back")
                    .into());
            }
            fetched.push(opened.facts.clone());
            self.add(opened, model, knobs)?;
        }
        Ok(fetched)
    }

    /// Adds these vectors to a recipe's list, where they are not in it yet.
    pub fn note<'a>(&self, list: &mut Vec<RecipeVector>, vectors: impl Iterator<Item = &'a str>) {
        for fingerprint in vectors {
            if list.iter().any(|noted| noted.fingerprint == fingerprint) {
                continue;
            }
            if let Some((name, path)) = self.known.get(fingerprint) {
                let (name, path) = (name.clone(), path.clone());
                list.push(RecipeVector { name, path, fingerprint: fingerprint.to_owned() });
            }
        }
    }
}

/// Puts exactly these beside the weights, each set of numbers once.
fn attach(opened: &[Opened], model: &mut Model, knobs: &mut Knobs) -> Result<()> {
    let (mut fingerprints, mut vectors): (Vec<String>, Vec<Arc<Vector>>) = Default::default();
    for one in opened {
        if !fingerprints.contains(&one.facts.fingerprint) {
            fingerprints.push(one.facts.fingerprint.clone());
            vectors.push(Arc::clone(&one.vector));
        }
    }
    model.runner.attach(&vectors)?;
    *knobs = Knobs::of(fingerprints);
    Ok(())
}
