//! The datastores at hand for the model in memory: opened when a plan names them, opened anew when
//! they have changed on disk.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use candle_core::Device;
use serde::{Deserialize, Serialize};

use crate::decode::{References, StoreInPlay};
use crate::model::ModelFacts;
use crate::platform::{Problem, fnv};
use crate::steer::Plan;
use crate::steer::datastore::{Datastore, Manifest};

/// A store a recipe was made with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecipeStore {
    pub name: String,
    pub path: PathBuf,
    /// Hash over what its entries were made of and what was measured on it.
    pub fingerprint: String,
}

/// Stores opened for the model in memory.
#[derive(Debug)]
pub struct StoreShelf {
    /// Where the model is: keys are searched there.
    device: Device,
    opened: BTreeMap<PathBuf, (String, Arc<Datastore>)>,
}

impl Default for StoreShelf {
    fn default() -> Self {
        Self { device: Device::Cpu, opened: BTreeMap::new() }
    }
}

impl StoreShelf {
    /// Has keys searched on the device the model is on.
    pub fn use_device(&mut self, device: Device) {
        if !self.device.same_device(&device) {
            self.opened.clear();
            self.device = device;
        }
    }

    /// The rule over the stores a plan has in play; `None` when it has none.
    ///
    /// # Errors
    /// When one cannot be opened or was made with another model, naming it.
    pub fn rule(&mut self, plan: &Plan, model: &ModelFacts) -> Result<Option<References>> {
        plan.check_stores()?;
        let mut in_play = Vec::new();
        for setting in plan.stores_in_play() {
            let (_, store) = self.open(&setting.path, model)?;
            in_play.push(StoreInPlay { store, setting: setting.clone() });
        }
        let rule = References::new(in_play)?;
        Ok((!rule.is_empty()).then_some(rule))
    }

    /// Adds the stores a plan has in play to a recipe's list, where they are not in it yet.
    ///
    /// # Errors
    /// As [`Self::rule`].
    pub fn note(
        &mut self,
        list: &mut Vec<RecipeStore>,
        plan: &Plan,
        model: &ModelFacts,
    ) -> Result<()> {
        for setting in plan.stores_in_play() {
            let (fingerprint, store) = self.open(&setting.path, model)?;
            if !list.iter().any(|noted| noted.path == setting.path) {
                let (name, path) = (store.manifest.name.clone(), setting.path.clone());
                list.push(RecipeStore { name, path, fingerprint });
            }
        }
        Ok(())
    }

    /// # Errors
    /// When a store a recipe was made with is gone or has changed, naming it.
    pub fn check_again(&mut self, stores: &[RecipeStore], model: &ModelFacts) -> Result<()> {
        for wanted in stores {
            let (fingerprint, _) = self.open(&wanted.path, model)?;
            if fingerprint != wanted.fingerprint {
                let what =
                    format!("the store {} has changed since this reply was made", wanted.name);
                return Err(Problem::new(what).at(&wanted.path).into());
            }
        }
        Ok(())
    }

    fn open(&mut self, path: &Path, model: &ModelFacts) -> Result<(String, Arc<Datastore>)> {
        let now = Manifest::read(path)?.as_ref().map(fingerprint).unwrap_or_default();
        if let Some((held, store)) = self.opened.get(path)
            && *held == now
        {
            return Ok((now, Arc::clone(store)));
        }
        self.opened.remove(path);
        let mut store = Datastore::open(path)?;
        store.manifest.facts.check(model).map_err(|problem| problem.at(path))?;
        for problem in &store.lost {
            tracing::warn!("{problem}");
        }
        store.put_on(&self.device);
        let (print, store) = (fingerprint(&store.manifest), Arc::new(store));
        self.opened.insert(path.to_path_buf(), (print.clone(), Arc::clone(&store)));
        Ok((print, store))
    }
}

/// What decides on everything a store says.
fn fingerprint(manifest: &Manifest) -> String {
    let mut text = format!("{:?} {:?}", manifest.calibration, manifest.found());
    text += &format!(" {:?}", manifest.index);
    for source in manifest.sources.iter().filter(|source| source.is_done()) {
        text += &format!("\n{} {} {}", source.id, source.hash, source.entries);
    }
    format!("{:016x}", fnv::hash(text.bytes()))
}
